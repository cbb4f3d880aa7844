"""Recordings as spikes or as currents, for every data set of sound.

Mel bands become both; the cochlea makes spikes of its own.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.cache import cache_key, cached_arrays
from mlgenn_delays.data.dataset import Example, Space
from mlgenn_delays.data.encode.audio import read_recording, recording_length
from mlgenn_delays.data.encode.base import (
    ENCODER_VERSION,
    ENCODERS,
    Encoder,
    encode_frames,
    pad_frames,
)
from mlgenn_delays.data.encode.cochlea import (
    COCHLEA_VERSION,
    N_CHANNELS,
    SAMPLE_RATE,
    cochlea_spikes,
)
from mlgenn_delays.data.encode.interpolate import interpolate_frames
from mlgenn_delays.data.encode.mel import MelSettings, mel_transform
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.events import Spikes, event_spikes, stack_spikes
from mlgenn_delays.data.fields import Scale, TrialLength, count_steps
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import Batch, CurrentBatch, CurrentData, SpikeBatch
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import in_threads
from mlgenn_delays.progress import note
from mlgenn_delays.settings import Time, one_of, refuse, says, settings

_TASK = 8  # recordings that a thread takes at once
_MANY = 100  # recordings
HELD_WHOLE = 0.95  # share of the training recordings that a trial holds whole, if it is chosen
ChosenLength = Annotated[
    Time,
    says(
        "Length of a trial; 0 for one that holds 95 % of the training recordings whole, which the "
        "run's recipe then says."
    ),
]


@settings
class RecordingOptions:
    """Options of a data set of recordings, see `load_fsdd` and `load_fsdd_frames`.

    ``encoding`` is "spikes", made by ``encoder``, "currents", multiplied by ``scale``, or
    "cochlea", see `mlgenn_delays.data.encode.cochlea`.
    """

    encoding: Annotated[
        str,
        one_of("spikes", "currents", "cochlea"),
        says(
            "What examples are: spikes or currents of mel bands, or the spikes of an inner ear, "
            "as in SHD."
        ),
    ] = "spikes"
    duration: TrialLength = 1000.0
    encoder: Annotated[Any, says("How frames become spikes.")] = RateEncoder()
    mel: Annotated[MelSettings, says("How recordings become frames.")] = MelSettings()
    scale: Annotated[Scale, says("What currents are multiplied by.")] = 1.0

    def __post_init__(self) -> None:
        if self.encoding != "currents" and self.scale != 1:
            gain = ", or the gain of the encoder" if self.encoding == "spikes" else ""
            refuse(
                self,
                "scale",
                f"1 with encoding {self.encoding!r}",
                f"it multiplies currents: set encoding to 'currents'{gain}",
            )
        if not isinstance(self.encoder, tuple(ENCODERS.values())):
            kinds = ", ".join(kind.__name__ for kind in ENCODERS.values())
            refuse(self, "encoder", f"one of {kinds}")

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: the bands of one threshold or level."""
        return 0 if self.encoding == "cochlea" else self.mel.n_bands

    @property
    def space(self) -> Space:
        """How channels lie to each other: as bands, whatever their threshold or level."""
        if self.encoding == "cochlea":
            return (("channel", N_CHANNELS),)
        return (("mel band", self.mel.n_bands),)

    @property
    def sample_rate(self) -> int:
        """Rate that recordings are brought to [Hz]."""
        return SAMPLE_RATE if self.encoding == "cochlea" else self.mel.sample_rate

    @property
    def n_channels(self) -> int:
        """The channels of the cochlea, the mel bands, or what the encoder makes of them."""
        if self.encoding == "cochlea":
            return N_CHANNELS
        spikes = self.encoding == "spikes"
        return self.encoder.n_channels(self.mel.n_bands) if spikes else self.mel.n_bands


def chosen_steps(paths: Sequence[Path], dt: float) -> int:
    """Return the fewest steps of dt [ms] that hold `HELD_WHOLE` of some recordings whole.

    Damaged ones do not count; reading them says what is wrong.
    """

    def length(path: Path) -> float:
        try:
            return recording_length(path)
        except InputError:
            return math.nan

    lengths = np.array(list(in_threads(length, paths, _TASK)), np.float64)
    sound = lengths[np.isfinite(lengths)]
    if not len(sound):
        return 1
    longest = float(np.quantile(sound, HELD_WHOLE, method="inverted_cdf"))
    # A length that is whole steps but for rounding is no step longer.
    return count_steps(dt * max(1, math.ceil(longest / dt - 1e-6)), dt)


def chosen_in_words(options: Any, trial: float) -> str:
    """Say that trials of so many ms were chosen, empty if the options say how long they are."""
    if not isinstance(options, RecordingOptions) or options.duration:
        return ""
    return (
        f"trials last {trial:g} ms, so that {100 * HELD_WHOLE:g} % of the training recordings are "
        "whole; set data.duration for another length"
    )


def encode_recordings(
    options: RecordingOptions, recordings: Sequence[np.ndarray], dt: float, n_steps: int
) -> Batch:
    """Encode recordings, (n,) float32 at ``sample_rate``, as a data set encodes its files.

    They are cut or padded with silence to T steps, and have -1 as their label.
    """
    mel, n = options.mel, len(recordings)
    labels, index = np.full(n, -1, np.int64), np.arange(n)
    if options.encoding == "cochlea":
        heard = partial(_hear, dt=dt, n_steps=n_steps)
        spikes = stack_spikes(in_threads(heard, recordings), N_CHANNELS)
        return SpikeBatch(spikes.start, spikes.time, labels, index, n_steps)
    frames = [mel_transform(mel)(samples) for samples in recordings]
    if options.encoding == "currents":
        values = frames_as_currents(frames, mel, dt, n_steps, options.scale)
        return CurrentBatch(np.ascontiguousarray(values), labels, index)
    start, time = encode_frames(frames, options.encoder, hop=mel.hop, duration=n_steps * dt, dt=dt)
    return SpikeBatch(start, time, labels, index, n_steps)


def recording_examples(
    paths: Sequence[Path], options: RecordingOptions, dt: float, n_steps: int
) -> Iterator[Callable[[], Example]]:
    """Return a function per file, in their order, that gives it alone, as loading encodes it.

    The function of a damaged one raises its `InputError`.
    """
    rate = options.sample_rate
    if options.encoding != "cochlea":
        mel_transform(options.mel)  # made once, and not by several threads

    def example(path: Path) -> Callable[[], Example]:
        try:
            samples = read_recording(path, rate)
            batch = encode_recordings(options, [samples], dt, n_steps)
        except InputError as error:
            return partial(_raise, error)
        made = batch, Losses.of_batch([1000 * len(samples) / rate], batch), [samples]
        return lambda: made

    return in_threads(example, paths, _TASK)


def _raise(error: InputError) -> Example:
    raise error


def frames_as_currents(
    frames: Sequence[np.ndarray], mel: MelSettings, dt: float, n_steps: int, scale: float
) -> np.ndarray:
    """Return mel frames, (frames, n_bands) in 0..1, as currents (N, T, n_bands) in ``0..scale``.

    Values between frames are interpolated linearly. An error says where memory is too small.
    """
    _check_memory(len(frames), n_steps, mel.n_bands)
    padded = pad_frames(frames, hop=mel.hop, span=n_steps * dt)
    whole = dt == mel.hop
    values = padded[:, :n_steps] if whole else interpolate_frames(padded, mel.hop, dt, n_steps)
    return values if scale == 1 else values * np.float32(scale)


def frame_lengths(frames: Sequence[np.ndarray], mel: MelSettings) -> np.ndarray:
    """Return how long recordings are [ms], of which only frames are left: to less than a hop."""
    return np.array([(len(each) - 1) * mel.hop for each in frames], np.float64)


def frame_currents(
    frames: Sequence[np.ndarray],
    labels: np.ndarray,
    names: tuple[str, ...],
    label_names: tuple[str, ...],
    options: RecordingOptions,
    *,
    dt: float,
    n_steps: int,
) -> CurrentData:
    """Return the mel frames of recordings as a split of currents, see `frames_as_currents`."""
    values = frames_as_currents(frames, options.mel, dt, n_steps, options.scale)
    losses = Losses.of_lengths(frame_lengths(frames, options.mel), values.any(axis=(1, 2)))
    return CurrentData(values, labels, dt, label_names, names, losses)


def frame_blocks(
    name: str,
    n: int,
    frames: Callable[[int, int], Sequence[np.ndarray]],
    encoder: Encoder,
    mel: MelSettings,
    *,
    dt: float,
    n_steps: int,
    depends: dict[str, object] | None,
) -> Blocks:
    """Return n recordings as blocks of spikes, from a function that gives the frames of some.

    `depends` is all that the frames depend on but for `mel`; None to use no cache.
    """

    def encode(first: int, end: int) -> Spikes:
        some = frames(first, end)
        start, time = encode_frames(some, encoder, hop=mel.hop, duration=n_steps * dt, dt=dt)
        kept = start[:, -1] - start[:, 0]
        return Spikes(start, time, Losses.of_lengths(frame_lengths(some, mel), kept))

    if depends is not None:
        depends = depends | {
            "encoder": [encoder.kind, asdict(encoder)],  # type: ignore[call-overload]
            "mel": asdict(mel),
            "dt": dt,
            "version": ENCODER_VERSION,
        }
    return Blocks(n, encoder.n_channels(mel.n_bands), n_steps, encode, name, depends)


def cochlea_blocks(
    name: str,
    paths: Sequence[Path],
    *,
    dt: float,
    n_steps: int,
    depends: dict[str, object] | None,
) -> Blocks:
    """Return WAVs as blocks of spikes of the cochlea; for `depends` see `frame_blocks`."""

    def hear(path: Path) -> Spikes:
        return _hear(read_recording(path, SAMPLE_RATE), dt, n_steps)

    def encode(first: int, end: int) -> Spikes:
        if end - first > _MANY:
            note(f"encoding {end - first:,} recordings by the cochlea, once; this takes minutes")
        return stack_spikes(in_threads(hear, paths[first:end], _TASK), N_CHANNELS)

    if depends is not None:
        depends = depends | {"dt": dt, "cochlea": COCHLEA_VERSION}
    return Blocks(len(paths), N_CHANNELS, n_steps, encode, name, depends)


def _hear(samples: np.ndarray, dt: float, n_steps: int) -> Spikes:
    """Return a recording at the cochlea's rate as its spikes; its losses are those of sound."""
    channels, times = cochlea_spikes(samples, duration=n_steps * dt)
    shape = {"n_channels": N_CHANNELS, "n_steps": n_steps}
    start, time, _ = event_spikes("the cochlea", channels, times, dt=dt, unit=1000.0, **shape)
    length = 1000.0 * len(samples) / SAMPLE_RATE
    return Spikes(start, time, Losses.of_lengths([length], [len(time)]))


def read_frames(
    paths: Sequence[Path],
    mel: MelSettings,
    then: Callable[[np.ndarray], np.ndarray] = lambda frames: frames,
) -> list[np.ndarray]:
    """Return the mel frames of files, or what `then` makes of each, in the thread that read it."""
    transform = mel_transform(mel)

    def frames(path: Path) -> np.ndarray:
        return then(transform(read_recording(path, mel.sample_rate)))

    return list(in_threads(frames, paths, _TASK))


def cached_frames(
    name: str, paths: Sequence[Path], files: str, mel: MelSettings
) -> list[np.ndarray]:
    """Return the mel frames of files, from the cache if that has those of these `files`, a hash.

    An empty hash stands for no cache.
    """
    key = cache_key(name, files=files, mel=asdict(mel), version=ENCODER_VERSION)

    def compute() -> dict[str, np.ndarray]:
        frames = read_frames(paths, mel)
        lengths = np.array([len(each) for each in frames], np.int64)
        return {"frames": np.concatenate(frames), "lengths": lengths}

    arrays = cached_arrays(key, ["frames", "lengths"], compute, cache=bool(files))
    return np.split(arrays["frames"], np.cumsum(arrays["lengths"])[:-1])


def _check_memory(n: int, n_steps: int, n_bands: int) -> None:
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
