"""Rate encoder: each band drives LIF neurons of different thresholds, which spike the faster the
louder the band.

In step t, with x the linear trace through the frames: ``V = a V + (1 - a) gain x(t)``,
``a = exp(-dt / tau)``; ``V >= threshold`` is a spike and sets V to 0, where it stays for the
refractory time. Channels lie as (threshold, band).
"""

import math
from typing import Annotated, ClassVar

import numpy as np

from mlgenn_delays.data.encode.interpolate import frame_places
from mlgenn_delays.data.fields import AsTuple, check_ascending
from mlgenn_delays.settings import Positive, PositiveTime, Time, says, settings


@settings
class RateEncoder:
    """Settings of the rate encoder.

    Example:
        >>> from mlgenn_delays.data import RateEncoder
        >>> RateEncoder(thresholds=(0.3, 0.6)).n_channels(n_bands=40)
        80
    """

    kind: ClassVar[str] = "rate"

    thresholds: Annotated[
        tuple[Positive, ...],
        AsTuple,
        says("Thresholds, ascending; each band has one neuron for each."),
    ] = (0.3, 0.45, 0.6, 0.75, 0.9)
    gain: Annotated[Positive, says("Factor on the band's value (0..1) before the neuron.")] = 1.0
    tau: Annotated[PositiveTime, says("Membrane time constant.")] = 10.0
    refractory: Annotated[Time, says("Time after a spike in which the neuron stays at rest.")] = 5.0

    def __post_init__(self) -> None:
        check_ascending(self, "thresholds")

    def n_channels(self, n_bands: int) -> int:
        """Return C = thresholds x bands."""
        return len(self.thresholds) * n_bands

    def raster(self, frames: np.ndarray, hop: float, dt: float, n_steps: int) -> np.ndarray:
        """Return (N, C, T) bool, see `mlgenn_delays.data.encode.base.Encoder`."""
        from mlgenn_delays.data.encode.rate_kernel import lif_raster

        n, n_frames, n_bands = frames.shape
        n_channels = self.n_channels(n_bands)
        low, part = frame_places(hop, dt, n_steps)
        ended = np.zeros((n, n_frames + 1, n_bands), np.float32)
        ended[:, :-1] = frames
        heard = np.max(ended.any(axis=2) * np.arange(1, n_frames + 2), axis=1)
        drive, voltage = np.empty((2, n_channels), np.float32)
        wait, spiked = np.empty(n_channels, np.int32), np.zeros(-(-n_channels // 8) * 8, np.uint8)
        raster = np.zeros((n, n_channels, n_steps), np.bool_)
        lif_raster(
            ended,
            heard,
            low,
            part,
            np.float32(self.gain),
            np.repeat(np.array(self.thresholds, np.float32), n_bands),
            np.float32(math.exp(-dt / self.tau)),
            np.int32(min(math.floor(self.refractory / dt + 0.5), n_steps)),
            (drive, voltage, wait, spiked, spiked.view(np.uint64)),
            raster,
        )
        return raster
