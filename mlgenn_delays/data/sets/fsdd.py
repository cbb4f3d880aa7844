"""Free Spoken Digit Dataset: a folder of recordings named ``{digit}_{speaker}_{take}.wav``.

Takes 0-4 are the test split, 5-9 validation, the rest training. Where a speaker is held out, all
takes of hers are the test split, and takes 0-4 of the others are left out.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np

from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.cache import files_hash
from mlgenn_delays.data.dataset import (
    SPLITS,
    Dataset,
    Example,
    Item,
    RawFormat,
    Recordings,
    Splits,
    as_item,
)
from mlgenn_delays.data.encode.audio import is_recording, read_bytes
from mlgenn_delays.data.encode.base import Encoder
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.encode.recordings import (
    MelSettings,
    RecordingOptions,
    cached_frames,
    cochlea_blocks,
    encode_recordings,
    frame_blocks,
    frame_currents,
    recording_examples,
)
from mlgenn_delays.data.fields import count_steps
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import list_files
from mlgenn_delays.settings import says, settings

LABEL_NAMES = tuple("0123456789")

_PATTERN = re.compile(r"(\d+)_([^_]+)_(\d+)\.[^.]+", re.ASCII)


@settings
class FsddOptions(RecordingOptions):
    """Options of FSDD."""

    hold_out: Annotated[
        str,
        says(
            "Speaker all of whose recordings are the test split; empty for takes 0-4 of everyone."
        ),
    ] = ""


class SpokenDigit(NamedTuple):
    """A recording of the set, in the order in which examples are sorted."""

    digit: int
    speaker: str
    take: int
    path: Path

    def split(self, hold_out: str = "") -> str | None:
        """Return the split of the recording, None for none, where a speaker may be held out."""
        if self.take < 5 or self.speaker == hold_out:
            return "test" if self.speaker == hold_out or not hold_out else None
        return "validation" if self.take < 10 else "train"


def load_fsdd(
    folder: Path | str,
    *,
    encoder: Encoder | None = None,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float = 1.0,
    hold_out: str = "",
    cache: bool = True,
) -> dict[str, SpikeData]:
    """Load the recordings of a folder as spikes of mel bands.

    Arguments:
        folder: Folder of recordings, or one with `recordings` in it; other files are ignored.
        encoder: How frames become spikes; `RateEncoder` by default.
        mel: How recordings become frames.
        duration: Length of a trial [ms]; recordings are cut, or padded with silence.
        dt: Length of a step [ms].
        hold_out: A speaker, all of whose recordings are then the test split.
        cache: Keep the result in the user's cache folder, and take it from there.

    Returns:
        The splits that have recordings, of "train", "validation" and "test", each sorted by
        digit, speaker and take; ``names`` are file names.

    Raises:
        InputError: The folder or a file in it cannot be used.

    Example:
        >>> from mlgenn_delays.data import load_fsdd
        >>> load_fsdd("recordings")["train"].n_channels
        200
    """
    encoder, mel = encoder or RateEncoder(), mel or MelSettings()
    n_steps = count_steps(duration, dt)
    splits, files = _read_folder(folder, hold_out, cache)
    frames = lru_cache(lambda: _frames(splits, files, mel))

    def blocks(split: str, recordings: list[SpokenDigit]) -> Blocks:
        def some_frames(first: int, end: int) -> list[np.ndarray]:
            return [frames()[each.path] for each in recordings[first:end]]

        n, depends = len(recordings), _depends(files, split)
        return frame_blocks(
            "fsdd", n, some_frames, encoder, mel, dt=dt, n_steps=n_steps, depends=depends
        )

    return _spike_splits(splits, blocks, dt)


def load_fsdd_frames(
    folder: Path | str,
    *,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float | None = None,
    scale: float = 1.0,
    hold_out: str = "",
    cache: bool = True,
) -> dict[str, CurrentData]:
    """Load the recordings of a folder as mel frames, to be fed as currents.

    Between frames the values are interpolated linearly, whatever the step: with the default hop
    of 10 ms, ``dt = 1.0`` gives ten steps per frame. A value stays what it is however fine the
    steps, so with instantaneous synapses (`Delta`) finer steps mean more input in all.

    Arguments:
        folder: See `load_fsdd`.
        mel: How recordings become frames.
        duration: Length of a trial [ms].
        dt: Length of a step [ms]; the frames' hop by default, else frames are interpolated.
        scale: What the values 0..1 are multiplied by.
        hold_out: See `load_fsdd`.
        cache: See `load_fsdd`.

    Returns:
        The splits that have recordings, with values (N, T, n_bands) float32 in ``0..scale``.

    Raises:
        InputError: As `load_fsdd`.

    Example:
        >>> from mlgenn_delays.data import load_fsdd_frames
        >>> load_fsdd_frames("recordings")["train"].values.shape[1:]
        (100, 40)
    """
    mel = mel or MelSettings()
    options = FsddOptions("currents", duration=duration, mel=mel, scale=scale)
    dt = mel.hop if dt is None else dt
    n_steps = count_steps(duration, dt)
    splits, files = _read_folder(folder, hold_out, cache)
    frames = _frames(splits, files, mel)
    data = {}
    for split, recordings in splits.items():
        some = [frames[each.path] for each in recordings]
        labels, names = _labels(recordings), _names(recordings)
        data[split] = frame_currents(
            some, labels, names, LABEL_NAMES, options, dt=dt, n_steps=n_steps
        )
    return data


def list_fsdd(folder: Path | str) -> list[SpokenDigit]:
    """List the recordings of a folder, sorted by digit, speaker and take; see `list_recordings`."""
    parsed = [(path, _parsed(path)) for path in list_recordings(Path(folder))]
    _refuse(
        [path for path, each in parsed if each is None],
        "must be named {digit}_{speaker}_{take}.wav (such as 7_jackson_12.wav)",
    )
    found = [each for _, each in parsed if each is not None]
    _refuse([each.path for each in found if each.digit > 9], "must have a digit 0-9 in front")
    found.sort()
    for one, other in pairwise(found):
        _refuse(
            [one.path, other.path] if one[:3] == other[:3] else [],
            "must have a digit, speaker and take of their own",
        )
    return found


def list_recordings(folder: Path) -> list[Path]:
    """List the recordings of a folder, whatever their names.

    If none is there, a folder `recordings` has them, as in the published archive and as `data
    prepare` leaves it.
    """
    if not folder.exists():
        raise InputError(f"folder {folder} does not exist; give the folder of the FSDD recordings")
    if not folder.is_dir():
        raise InputError(f"{folder} must be a folder of FSDD recordings, got a file")
    paths = _recordings(folder) or _recordings(folder / "recordings")
    if not paths:
        raise InputError(
            f"{folder} must have recordings named {{digit}}_{{speaker}}_{{take}}.wav, in it or in "
            "a folder recordings, got none"
        )
    return paths


def parse_name(path: Path) -> SpokenDigit:
    """Parse a name ``{digit}_{speaker}_{take}.wav``."""
    found = _parsed(path)
    if found is None or found.digit > 9:
        raise InputError(
            f"{path} must be named {{digit}}_{{speaker}}_{{take}}.wav with a digit 0-9 (such as "
            "7_jackson_12.wav); rename or remove it"
        )
    return found


def _parsed(path: Path) -> SpokenDigit | None:
    match = _PATTERN.fullmatch(path.name)
    return match and SpokenDigit(int(match[1]), match[2], int(match[3]), path)


def _recordings(folder: Path) -> list[Path]:
    """Return the recordings directly in a folder; names with a dot in front are no recordings."""
    if not folder.is_dir():
        return []
    return list_files(folder, is_recording, deep=False)


def _refuse(offenders: list[Path], demand: str) -> None:
    """Raise for the offending files, naming at most three."""
    if offenders:
        names = ", ".join(path.name for path in offenders[:3])
        more = f" and {len(offenders) - 3} more" if len(offenders) > 3 else ""
        raise InputError(
            f"recordings in {offenders[0].parent} {demand}, got {names}{more}; rename or "
            "remove them"
        )


def _read_folder(
    folder: Path | str, hold_out: str, cache: bool
) -> tuple[dict[str, list[SpokenDigit]], str]:
    """Return the recordings by split, splits without any left out, and a hash for the cache."""
    recordings = list_fsdd(folder)
    _check_speaker(recordings, hold_out)
    splits = {
        split: [each for each in recordings if each.split(hold_out) == split] for split in SPLITS
    }
    splits = {split: some for split, some in splits.items() if some}
    ordered = (each.path for some in splits.values() for each in some)
    files = files_hash((path.name, read_bytes(path)) for path in ordered) if cache else ""
    return splits, files


def _check_speaker(recordings: list[SpokenDigit], hold_out: str) -> None:
    known = sorted({each.speaker for each in recordings})
    if hold_out and (hold_out not in known or len(known) < 2):
        raise InputError(
            f"data.hold_out must be one of several speakers, {', '.join(known)}, got {hold_out!r}"
        )


def _frames(
    splits: dict[str, list[SpokenDigit]], files: str, mel: MelSettings
) -> dict[Path, np.ndarray]:
    paths = [each.path for recordings in splits.values() for each in recordings]
    return dict(zip(paths, cached_frames("fsdd-mel", paths, files, mel), strict=True))


def _spike_splits(
    splits: dict[str, list[SpokenDigit]],
    blocks: Callable[[str, list[SpokenDigit]], Blocks],
    dt: float,
) -> dict[str, SpikeData]:
    """Load each split as spikes, from what gives its blocks."""
    data = {}
    for split, recordings in splits.items():
        some = blocks(split, recordings)
        start, time, losses = some.load()
        labels, names = _labels(recordings), _names(recordings)
        data[split] = SpikeData(start, time, labels, some.n_steps, dt, LABEL_NAMES, names, losses)
    return data


def _depends(files: str, split: str) -> dict[str, object] | None:
    return {"files": files, "split": split} if files else None


def _labels(recordings: list[SpokenDigit]) -> np.ndarray:
    return np.array([recording.digit for recording in recordings], np.int64)


def _names(recordings: list[SpokenDigit]) -> tuple[str, ...]:
    return tuple(recording.path.name for recording in recordings)


def _load(folder: Path | None, options: FsddOptions, dt: float, cache: bool) -> Splits:
    assert folder is not None
    mel, duration = options.mel, options.duration
    if options.encoding == "currents":
        return load_fsdd_frames(
            folder, mel=mel, duration=duration, dt=dt, scale=options.scale,
            hold_out=options.hold_out, cache=cache,
        )  # fmt: skip
    if options.encoding == "cochlea":
        n_steps = count_steps(duration, dt)
        splits, files = _read_folder(folder, options.hold_out, cache)

        def blocks(split: str, recordings: list[SpokenDigit]) -> Blocks:
            paths, depends = [each.path for each in recordings], _depends(files, split)
            return cochlea_blocks("fsdd", paths, dt=dt, n_steps=n_steps, depends=depends)

        return _spike_splits(splits, blocks, dt)
    return load_fsdd(
        folder, encoder=options.encoder, mel=mel, duration=duration, dt=dt,
        hold_out=options.hold_out, cache=cache,
    )  # fmt: skip


def _items(folder: Path | None, options: FsddOptions, dt: float) -> Iterator[Item]:
    assert folder is not None
    found: list[SpokenDigit] = []
    for path in list_recordings(folder):
        try:
            found.append(parse_name(path))
        except InputError as error:
            yield Item("", path.name, problem=str(error))
    hold_out = options.hold_out
    _check_speaker(found, hold_out)
    parts = {each: split for each in found if (split := each.split(hold_out)) is not None}
    found = sorted(parts, key=lambda each: (SPLITS.index(parts[each]), each))
    counts = Counter(each[:3] for each in found)
    n_steps = count_steps(options.duration, dt)
    reads = recording_examples([each.path for each in found], options, dt, n_steps)
    for each, read in zip(found, reads, strict=True):
        if counts[each[:3]] > 1:
            read = partial(_refuse_again, each.path)
        yield as_item(parts[each], each.path.name, each.digit, str(each.digit), read)


def _listed(folder: Path, options: FsddOptions, dt: float) -> Recordings:
    found = list_fsdd(folder)
    _check_speaker(found, options.hold_out)
    splits = np.array([each.split(options.hold_out) for each in found])
    rows = {split: np.flatnonzero(splits == split) for split in SPLITS if split in splits}
    return Recordings(
        [each.path for each in found],
        _names(found),
        _labels(found),
        LABEL_NAMES,
        rows,
        count_steps(options.duration, dt),
        [each.speaker for each in found] if options.hold_out else None,
        divided=True,
    )


def _refuse_again(path: Path) -> Example:
    raise InputError(
        f"{path} must have a digit, speaker and take of its own, got those of "
        "another file; rename or remove one of them"
    )


DATASET = Dataset(
    "Free Spoken Digit Dataset, a folder of recordings",
    FsddOptions,
    True,
    _load,
    lambda options: (options.n_channels, len(LABEL_NAMES)),
    RawFormat("recording", encode_recordings),
    _items,
    _listed,
)
