"""What the registry knows of a data set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlgenn_delays.data.types import Batch, CurrentData, SpikeData, StreamedSpikes

Splits = Mapping[str, SpikeData | StreamedSpikes | CurrentData]


@dataclass(frozen=True)
class Raw:
    """What an example of a data set is before it is encoded.

    Attributes:
        kind: "recording": (n,) float32 samples at the options' ``sample_rate``, full scale at 1.
            "image": (pixels,) brightness, row by row. "frames": (F, C), a value of each channel
            each step, to be multiplied by the options' ``scale``.
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
class Dataset:
    """An entry of the registry.

    Attributes:
        summary: One line for listings.
        options: Class of the options, whose defaults are the data set's; its ``encoding`` says
            what kind of data there will be, its ``group`` what `Augment` takes as a group.
        needs_folder: Whether data must be given (``--data DIR``).
        load: Function of (folder or None, options, dt [ms], cache) that gives the splits.
        shape: Function of the options that gives the numbers of channels and classes, or None
            where only the files know.
        raw: What an example is before it is encoded; None if it is events already.
    """

    summary: str
    options: type
    needs_folder: bool
    load: Callable[[Path | None, Any, float, bool], Splits]
    shape: Callable[[Any], tuple[int, int] | None]
    raw: Raw | None = None
