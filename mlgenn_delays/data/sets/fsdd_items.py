"""The recordings of an FSDD folder one by one, damaged ones with their problem."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mlgenn_delays.data.dataset import Example, Item, as_item
from mlgenn_delays.data.encode.recordings import recording_example
from mlgenn_delays.data.options import FsddOptions
from mlgenn_delays.data.sets.fsdd import SPLITS, SpokenDigit, list_wavs, parse_name
from mlgenn_delays.errors import InputError


def fsdd_items(folder: Path | None, options: FsddOptions, dt: float) -> Iterator[Item]:
    """Return every recording as `load_fsdd` or `load_fsdd_frames` makes it, see `data_items`."""
    assert folder is not None
    found: list[SpokenDigit] = []
    for path in list_wavs(folder):
        try:
            found.append(parse_name(path))
        except InputError as error:
            yield Item("", path.name, problem=str(error))
    found.sort(key=lambda each: (SPLITS.index(each.split), each))
    counts = Counter(each[:3] for each in found)
    for each in found:
        again = counts[each[:3]] > 1
        yield as_item(
            each.split,
            each.path.name,
            each.digit,
            str(each.digit),
            lambda each=each, again=again: _read(each, again, options, dt),  # type: ignore[misc]
        )


def _read(recording: SpokenDigit, again: bool, options: FsddOptions, dt: float) -> Example:
    """Read and encode a recording."""
    if again:
        raise InputError(
            f"{recording.path} must have a digit, speaker and take of its own, got those of "
            "another file; rename or remove one of them"
        )
    return recording_example(recording.path, options, dt)
