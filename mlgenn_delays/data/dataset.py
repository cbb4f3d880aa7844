"""What the registry knows of a data set."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import Batch, CurrentData, SpikeData, StreamedSpikes
from mlgenn_delays.errors import InputError

# How channels lie to each other: name and size of each axis, the last running fastest; a size of 0
# is what is there. What more channels there are (levels, polarities) lie at the same places.
Space = tuple[tuple[str, int], ...]
Splits = Mapping[str, SpikeData | StreamedSpikes | CurrentData]
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class RawFormat:
    """The format of an example of a data set before it is encoded.

    Attributes:
        kind: "recording": (n,) float32 samples at the options' ``sample_rate``, full scale at 1.
            "image": (pixels,) brightness, row by row. "frames": (F, C), a value per channel
            and step, to be multiplied by the options' ``scale``.
        encode: Function of (options, examples, dt [ms], T) that gives what `Dataset.load` would
            make of them: cut or padded to T steps, with -1 as their labels.
        size: Rows and columns of an image.
        white: Greatest brightness of an image, the least is 0.
    """

    kind: Literal["recording", "image", "frames"]
    encode: Callable[[Any, Sequence[Any], float, int], Batch]
    size: tuple[int, int] = (0, 0)
    white: float = 0.0


@dataclass(frozen=True)
class Item:
    """One example as `delaysnn data check` looks at it, or why it cannot be used.

    Attributes:
        split: "train", "validation" or "test"; empty where that is not known.
        name: Name of the example, a file name, say; of a file if all of that is damaged.
        label: Its class, -1 if that is not known.
        label_name: Name of the class.
        batch: The example alone, as `Dataset.load` makes it (its labels do not count); None if it
            is damaged.
        losses: How long it was, and what of it was cut or merged; None if that is not known.
        content: What the files hold for it, by which duplicates are told; ``batch`` if empty.
        problem: Why it is damaged, for the user; empty if it is not.
    """

    split: str
    name: str
    label: int = -1
    label_name: str = ""
    batch: Batch | None = None
    losses: Losses | None = None
    content: Sequence[Any] = ()
    problem: str = ""


# The batch, the losses and the content of an `Item`.
Example = tuple[Batch, Losses | None, Sequence[Any]]


def as_item(
    split: str, name: str, label: int, label_name: str, read: Callable[[], Example]
) -> Item:
    """Return an example, or its problem if reading it raises `InputError`.

    Arguments:
        split: See `Item`.
        name: See `Item`.
        label: See `Item`.
        label_name: See `Item`.
        read: Reads and encodes the example: gives its batch, losses and content.
    """
    try:
        batch, losses, content = read()
    except InputError as error:
        return Item(split, name, label, label_name, problem=str(error))
    return Item(split, name, label, label_name, batch, losses, content)


@dataclass(frozen=True)
class Dataset:
    """An entry of the registry.

    Attributes:
        summary: One line for listings.
        options: Class of the options, whose defaults are the data set's; its ``encoding`` says
            what kind of data there will be, its ``group`` what `Augment` takes as a group, its
            ``space`` how channels lie to each other, empty where they have no order.
        needs_folder: Whether data must be given (``--data DIR``).
        load: Function of (folder or None, options, dt [ms], cache) that gives the splits.
        shape: Function of the options that gives the numbers of channels and classes, or None
            where only the files know.
        raw: What an example is before it is encoded; None if it is events already.
        items: Function of (folder or None, options, dt [ms]) that gives every example, damaged
            ones with their problem; it raises InputError only where there is nothing to look at
            (no such folder, no files). None: `delaysnn data check` loads the data set, and its
            first problem is the only one found. See `mlgenn_delays.data.inspect.items`.
    """

    summary: str
    options: type
    needs_folder: bool
    load: Callable[[Path | None, Any, float, bool], Splits]
    shape: Callable[[Any], tuple[int, int] | None]
    raw: RawFormat | None = None
    items: Callable[[Path | None, Any, float], Iterator[Item]] | None = None
