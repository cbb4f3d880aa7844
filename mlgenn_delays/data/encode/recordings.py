"""Recordings as mel frames, and those as spikes or as currents, for every data set of sound."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.cache import cache_key, cached_arrays
from mlgenn_delays.data.dataset import Example
from mlgenn_delays.data.encode.base import ENCODER_VERSION, Encoder, encode_frames, pad_frames
from mlgenn_delays.data.encode.interpolate import interpolate_frames
from mlgenn_delays.data.encode.mel import MelSettings, mel_transform
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.encode.wav import decode_wav, read_bytes, read_wav
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.option_checks import count_steps
from mlgenn_delays.data.options import RecordingOptions
from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch
from mlgenn_delays.errors import InputError


def encode_recordings(
    recordings: Sequence[np.ndarray],
    *,
    encoder: Encoder | None = None,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float = 1.0,
) -> SpikeBatch:
    """Encode samples as `load_fsdd` encodes those of its WAVs.

    Arguments:
        recordings: (n,) float32 each, at ``mel.sample_rate``.
        encoder: See `load_fsdd`.
        mel: See `load_fsdd`.
        duration: See `load_fsdd`.
        dt: See `load_fsdd`.

    Returns:
        One example a recording, with -1 as its label.
    """
    encoder, mel = encoder or RateEncoder(), mel or MelSettings()
    frames = [mel_transform(mel)(samples) for samples in recordings]
    start, time = encode_frames(frames, encoder, hop=mel.hop, duration=duration, dt=dt)
    n = len(recordings)
    labels = np.full(n, -1, np.int64)
    return SpikeBatch(start, time, labels, np.arange(n), count_steps(duration, dt))


def recordings_as_currents(
    recordings: Sequence[np.ndarray],
    *,
    mel: MelSettings | None = None,
    duration: float = 1000.0,
    dt: float = 1.0,
    scale: float = 1.0,
) -> CurrentBatch:
    """Turn samples into currents as `load_fsdd_frames` does with those of its WAVs.

    Arguments:
        recordings: See `encode_recordings`.
        mel: See `load_fsdd`.
        duration: See `load_fsdd`.
        dt: Length of a step [ms].
        scale: See `load_fsdd_frames`.

    Returns:
        One example a recording, with -1 as its label.
    """
    mel = mel or MelSettings()
    frames = [mel_transform(mel)(samples) for samples in recordings]
    values = frames_as_currents(frames, mel, dt, count_steps(duration, dt), scale)
    n = len(recordings)
    return CurrentBatch(np.ascontiguousarray(values), np.full(n, -1, np.int64), np.arange(n))


def recording_example(path: Path, options: RecordingOptions, dt: float) -> Example:
    """Return a WAV alone, read and encoded as loading does it, see `data.inspect.items`.

    Arguments:
        path: The WAV.
        options: How it is encoded.
        dt: Length of a step [ms].

    Raises:
        InputError: The WAV cannot be used.
    """
    rate = options.mel.sample_rate
    samples = read_wav(path, rate)
    common: dict[str, Any] = {"mel": options.mel, "duration": options.duration, "dt": dt}
    batch: Batch
    if options.encoding == "currents":
        batch = recordings_as_currents([samples], scale=options.scale, **common)
    else:
        batch = encode_recordings([samples], encoder=options.encoder, **common)
    return batch, Losses.of_batch([1000 * len(samples) / rate], batch), [samples]


def frames_as_currents(
    frames: list[np.ndarray], mel: MelSettings, dt: float, n_steps: int, scale: float
) -> np.ndarray:
    """Return the mel frames of recordings as currents, interpolated linearly between frames.

    Arguments:
        frames: (frames, n_bands) of each recording, in 0..1.
        mel: What they were made with.
        dt: Length of a step [ms].
        n_steps: T.
        scale: What the values are multiplied by.

    Returns:
        (N, T, n_bands) float32 in ``0..scale``.

    Raises:
        InputError: They do not fit into the memory of the machine.
    """
    _check_memory(len(frames), n_steps, mel.n_bands)
    padded = pad_frames(frames, hop=mel.hop, span=n_steps * dt)
    whole = dt == mel.hop
    values = padded[:, :n_steps] if whole else interpolate_frames(padded, mel.hop, dt, n_steps)
    return values if scale == 1 else values * np.float32(scale)


def frame_lengths(frames: Sequence[np.ndarray], mel: MelSettings) -> np.ndarray:
    """Return how long recordings are [ms], of which only frames are left: to less than a hop."""
    return np.array([(len(each) - 1) * mel.hop for each in frames], np.float64)


def cached_frames(
    name: str,
    parts: Mapping[str, Sequence[Path]],
    files: str,
    mel: MelSettings,
    *,
    cache: bool,
    read: Callable[[Path], bytes] = read_bytes,
) -> dict[str, list[np.ndarray]]:
    """Return the mel frames of WAVs, from the cache if that has them.

    Arguments:
        name: The beginning of the cache's file name.
        parts: WAVs by part, at least one each.
        files: Hash of all of them.
        mel: How recordings become frames.
        cache: Whether to use the user's cache folder.
        read: Gives the content of a WAV.

    Raises:
        InputError: A WAV cannot be used.
    """
    key = cache_key(name, files=files, mel=asdict(mel), version=ENCODER_VERSION)

    def compute() -> dict[str, np.ndarray]:
        arrays = {}
        transform = mel_transform(mel)
        for part, paths in parts.items():
            frames = [transform(decode_wav(read(path), path, mel.sample_rate)) for path in paths]
            arrays[f"{part}.frames"] = np.concatenate(frames)
            arrays[f"{part}.lengths"] = np.array([len(each) for each in frames], np.int64)
        return arrays

    names = [f"{part}.{kind}" for part in parts for kind in ("frames", "lengths")]
    arrays = cached_arrays(key, names, compute, cache=cache)
    return {
        part: np.split(arrays[f"{part}.frames"], np.cumsum(arrays[f"{part}.lengths"])[:-1])
        for part in parts
    }


def _check_memory(n: int, n_steps: int, n_bands: int) -> None:
    """Refuse currents that are larger than the memory of the machine, where that is known."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return
    needed = 4 * n * n_steps * n_bands
    if needed > memory:
        raise InputError(
            f"currents must fit into the memory of {memory / 2**30:.1f} GiB, got {n} recordings of "
            f"{n_steps} steps of {n_bands} bands, {needed / 2**30:.1f} GiB; lengthen network.dt, "
            "shorten data.duration, or take spikes, which can stay on disk (data.stream)"
        )
