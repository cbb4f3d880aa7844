"""From frames (a value per band every hop) to spikes (a channel and a step).

An encoder is a frozen settings class with the attributes of `Encoder`, in a file of its own, and
one line in `ENCODERS`. Encoders mark spikes in a raster, so a channel never spikes twice in a
step and spikes come out sorted.

Shapes: N examples, F frames, B bands, C channels, T steps.
"""

from collections.abc import Sequence
from typing import ClassVar, Protocol

import numpy as np

from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.events import channel_starts, marked
from mlgenn_delays.data.fields import count_steps
from mlgenn_delays.machine import in_threads

# Of the code that makes frames and spikes: raise it when results change, so caches are left.
ENCODER_VERSION = 2

_RASTER_BYTES = 2**24


class Encoder(Protocol):
    """What every encoder offers; channels lie as (group, band), bands running fastest."""

    kind: ClassVar[str]

    def n_channels(self, n_bands: int) -> int:
        """Return C for a number of bands."""
        ...

    def raster(self, frames: np.ndarray, hop: float, dt: float, n_steps: int) -> np.ndarray:
        """Return the spikes as (N, C, T) bool.

        Arguments:
            frames: (N, F, B) float32 in 0..1, frame i at ``i * hop``; silence follows the last.
            hop: Time between frames [ms].
            dt: Length of a step [ms].
            n_steps: T.
        """
        ...


ENCODERS: dict[str, type] = {"rate": RateEncoder, "level": LevelEncoder}


def encode_frames(
    frames: Sequence[np.ndarray], encoder: Encoder, *, hop: float, duration: float, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """Encode recordings, cut or padded with silence to the length of a trial.

    Arguments:
        frames: N arrays of (frames, B) in 0..1, each of its own length.
        encoder: Settings of the encoder.
        hop: Time between frames [ms].
        duration: Length of a trial [ms].
        dt: Length of a step [ms].

    Returns:
        ``start`` (N, C+1) int64 and ``time`` (E,) int32, as `SpikeData` has them.
    """
    n_steps = count_steps(duration, dt)
    n_bands = frames[0].shape[1] if len(frames) else 0
    n_channels = encoder.n_channels(n_bands)
    chunk = max(1, _RASTER_BYTES // max(1, n_channels * n_steps))

    def encode(first: int) -> tuple[np.ndarray, np.ndarray]:
        some = pad_frames(frames[first : first + chunk], hop=hop, span=n_steps * dt)
        return marked(encoder.raster(some, hop, dt, n_steps))

    made = list(in_threads(encode, range(0, len(frames), chunk)))
    counts = [np.zeros(0, np.int64), *(counts for counts, _ in made)]
    times = [np.zeros(0, np.int32), *(time for _, time in made)]
    start = channel_starts(np.concatenate(counts), len(frames), n_channels)
    return start, np.concatenate(times)


def pad_frames(frames: Sequence[np.ndarray], *, hop: float, span: float) -> np.ndarray:
    """Return (N, F, B) float32: recordings cut or padded with zeros to just over the span [ms]."""
    n_frames = int(np.ceil(span / hop)) + 1
    padded = np.zeros((len(frames), n_frames, frames[0].shape[1]), np.float32)
    for row, each in zip(padded, frames, strict=True):
        kept = each[:n_frames]
        row[: len(kept)] = kept
    return padded
