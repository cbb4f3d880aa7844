"""Free Spoken Digit Dataset: a folder of WAVs named ``{digit}_{speaker}_{take}.wav``.

Takes 0-4 are the test split, 5-9 validation, the rest training.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.cache import cache_key, cached_arrays, files_hash
from mlgenn_delays.data.dataset import (
    SPLITS,
    Dataset,
    Example,
    Item,
    RawFormat,
    Splits,
    as_item,
)
from mlgenn_delays.data.encode.base import ENCODER_VERSION, Encoder, encode_frames
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.encode.recordings import (
    MelSettings,
    RecordingOptions,
    cached_frames,
    encode_recordings,
    frame_lengths,
    frames_as_currents,
    recording_example,
)
from mlgenn_delays.data.encode.wav import read_bytes
from mlgenn_delays.data.fields import count_steps
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.listing import list_files
from mlgenn_delays.settings import settings

LABEL_NAMES = tuple("0123456789")

_PATTERN = re.compile(r"(\d+)_([^_]+)_(\d+)\.wav", re.IGNORECASE | re.ASCII)


@settings
class FsddOptions(RecordingOptions):
    """Options of FSDD."""


class SpokenDigit(NamedTuple):
    """A WAV of the set, in the order in which examples are sorted."""

    digit: int
    speaker: str
    take: int
    path: Path

    @property
    def split(self) -> str:
        """The split that the take belongs to."""
        return "test" if self.take < 5 else "validation" if self.take < 10 else "train"


def load_fsdd(
    folder: Path | str,
    *,
    encoder: Encoder | None = None,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float = 1.0,
    cache: bool = True,
) -> dict[str, SpikeData]:
    """Load the recordings of a folder as spikes.

    Arguments:
        folder: Folder of WAVs, or one with `recordings` in it; other files are ignored.
        encoder: How frames become spikes; `RateEncoder` by default.
        mel: How recordings become frames.
        duration: Length of a trial [ms]; recordings are cut, or padded with silence.
        dt: Length of a step [ms].
        cache: Keep the result in the user's cache folder, and take it from there.

    Returns:
        The splits that have recordings, of "train", "validation" and "test", each sorted by
        digit, speaker and take; ``names`` are file names.

    Raises:
        InputError: The folder or a file in it cannot be used.
    """
    encoder, mel = encoder or RateEncoder(), mel or MelSettings()
    n_steps = count_steps(duration, dt)
    splits, contents, files = _read_folder(folder)
    names = [f"{split}.{part}" for split in splits for part in ("start", "time", "lengths")]
    key = cache_key(
        "fsdd-spikes",
        files=files,
        encoder=[encoder.kind, asdict(encoder)],  # type: ignore[call-overload]
        mel=asdict(mel),
        n_steps=n_steps,
        dt=dt,
        version=ENCODER_VERSION,
    )

    def compute() -> dict[str, np.ndarray]:
        arrays = {}
        for split, frames in _frames(splits, contents, files, mel, cache).items():
            start, time = encode_frames(frames, encoder, hop=mel.hop, duration=duration, dt=dt)
            arrays[f"{split}.start"], arrays[f"{split}.time"] = start, time
            arrays[f"{split}.lengths"] = frame_lengths(frames, mel)
        return arrays

    arrays = cached_arrays(key, names, compute, cache=cache)
    data = {}
    for split, recordings in splits.items():
        start, time, lengths = (arrays[f"{split}.{part}"] for part in ("start", "time", "lengths"))
        called = tuple(recording.path.name for recording in recordings)
        lost = Losses.of_lengths(lengths, start[:, -1] - start[:, 0])
        labels = _labels(recordings)
        data[split] = SpikeData(start, time, labels, n_steps, dt, LABEL_NAMES, called, lost)
    return data


def load_fsdd_frames(
    folder: Path | str,
    *,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float | None = None,
    scale: float = 1.0,
    cache: bool = True,
) -> dict[str, CurrentData]:
    """Load the recordings of a folder as mel frames, to be fed as currents.

    Between frames the values are interpolated linearly, whatever the step: with the default hop
    of 10 ms, ``dt = 1.0`` gives ten steps a frame. A value stays what it is however fine the
    steps, so with instantaneous synapses (`Delta`) finer steps mean more input in all.

    Arguments:
        folder: See `load_fsdd`.
        mel: How recordings become frames.
        duration: Length of a trial [ms].
        dt: Length of a step [ms]; the frames' hop by default, else frames are interpolated.
        scale: What the values 0..1 are multiplied by.
        cache: See `load_fsdd`.

    Returns:
        The splits that have recordings, with values (N, T, n_bands) float32 in ``0..scale``.

    Raises:
        InputError: As `load_fsdd`.
    """
    mel = mel or MelSettings()
    FsddOptions("currents", duration=duration, mel=mel, scale=scale)
    dt = mel.hop if dt is None else dt
    n_steps = count_steps(duration, dt)
    splits, contents, files = _read_folder(folder)
    data = {}
    for split, frames in _frames(splits, contents, files, mel, cache).items():
        values = frames_as_currents(frames, mel, dt, n_steps, scale)
        names = tuple(recording.path.name for recording in splits[split])
        lost = Losses.of_lengths(frame_lengths(frames, mel), values.any(axis=(1, 2)))
        data[split] = CurrentData(values, _labels(splits[split]), dt, LABEL_NAMES, names, lost)
    return data


def list_fsdd(folder: Path | str) -> list[SpokenDigit]:
    """List the recordings of a folder, sorted by digit, speaker and take; see `list_wavs`."""
    paths = list_wavs(Path(folder))
    matches = [(path, _PATTERN.fullmatch(path.name)) for path in paths]
    _refuse(
        [path for path, match in matches if match is None],
        "must be named {digit}_{speaker}_{take}.wav (such as 7_jackson_12.wav)",
    )
    found = [SpokenDigit(int(m[1]), m[2], int(m[3]), path) for path, m in matches if m]
    _refuse([each.path for each in found if each.digit > 9], "must have a digit 0-9 in front")
    found.sort()
    for one, other in pairwise(found):
        _refuse(
            [one.path, other.path] if one[:3] == other[:3] else [],
            "must have a digit, speaker and take of their own",
        )
    return found


def list_wavs(folder: Path) -> list[Path]:
    """List the WAVs of a folder, whatever their names.

    If none is there, a folder `recordings` has them, as in the published archive and as `data
    prepare` leaves it.
    """
    if not folder.exists():
        raise InputError(f"folder {folder} does not exist; give the folder of the FSDD WAVs")
    if not folder.is_dir():
        raise InputError(f"{folder} must be a folder of FSDD WAVs, got a file")
    paths = _wavs(folder) or _wavs(folder / "recordings")
    if not paths:
        raise InputError(
            f"{folder} must have WAVs named {{digit}}_{{speaker}}_{{take}}.wav, in it or in a "
            "folder recordings, got none"
        )
    return paths


def parse_name(path: Path) -> SpokenDigit:
    """Parse a name ``{digit}_{speaker}_{take}.wav``."""
    match = _PATTERN.fullmatch(path.name)
    if match is None or int(match[1]) > 9:
        raise InputError(
            f"{path} must be named {{digit}}_{{speaker}}_{{take}}.wav with a digit 0-9 (such as "
            "7_jackson_12.wav); rename or remove it"
        )
    return SpokenDigit(int(match[1]), match[2], int(match[3]), path)


def _wavs(folder: Path) -> list[Path]:
    """Return the WAVs directly in a folder; names with a dot in front are no recordings."""
    if not folder.is_dir():
        return []
    return list_files(folder, lambda name: name.lower().endswith(".wav"), deep=False)


def _refuse(offenders: list[Path], demand: str) -> None:
    """Raise for the offending files, naming at most three."""
    if offenders:
        names = ", ".join(path.name for path in offenders[:3])
        more = f" and {len(offenders) - 3} more" if len(offenders) > 3 else ""
        raise InputError(
            f"WAVs in {offenders[0].parent} {demand}, got {names}{more}; rename or remove them"
        )


def _read_folder(
    folder: Path | str,
) -> tuple[dict[str, list[SpokenDigit]], dict[Path, bytes], str]:
    """Return the recordings by split, splits without any left out, the files and their hash."""
    recordings = list_fsdd(folder)
    splits = {split: [each for each in recordings if each.split == split] for split in SPLITS}
    splits = {split: some for split, some in splits.items() if some}
    contents = {each.path: read_bytes(each.path) for each in recordings}
    ordered = [each.path for some in splits.values() for each in some]  # as the examples
    return splits, contents, files_hash((path.name, contents[path]) for path in ordered)


def _frames(
    splits: dict[str, list[SpokenDigit]],
    contents: dict[Path, bytes],
    files: str,
    mel: MelSettings,
    cache: bool,
) -> dict[str, list[np.ndarray]]:
    paths = {split: [each.path for each in recordings] for split, recordings in splits.items()}
    read = contents.__getitem__
    return cached_frames("fsdd-frames", paths, files, mel, cache=cache, read=read)


def _labels(recordings: list[SpokenDigit]) -> np.ndarray:
    return np.array([recording.digit for recording in recordings], np.int64)


def _load(folder: Path | None, options: FsddOptions, dt: float, cache: bool) -> Splits:
    assert folder is not None
    mel, duration = options.mel, options.duration
    if options.encoding == "currents":
        return load_fsdd_frames(
            folder, mel=mel, duration=duration, dt=dt, scale=options.scale, cache=cache
        )
    return load_fsdd(
        folder, encoder=options.encoder, mel=mel, duration=duration, dt=dt, cache=cache
    )


def _items(folder: Path | None, options: FsddOptions, dt: float) -> Iterator[Item]:
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
    if again:
        raise InputError(
            f"{recording.path} must have a digit, speaker and take of its own, got those of "
            "another file; rename or remove one of them"
        )
    return recording_example(recording.path, options, dt)


DATASET = Dataset(
    "Free Spoken Digit Dataset, a folder of WAVs",
    FsddOptions,
    True,
    _load,
    lambda options: (options.n_channels, len(LABEL_NAMES)),
    RawFormat("recording", encode_recordings),
    _items,
)
