"""Level encoder: a spike where the trace of a band crosses a level, so few spikes, well timed.

The trace runs linearly between the frames, from silence before the first to silence after the
last; a crossing at time t is a spike of step ``floor(t / dt)``. Channels lie as
(level, up or down, band).
"""

from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from mlgenn_delays.data.fields import AsTuple, check_ascending
from mlgenn_delays.settings import Number, says, settings


@settings
class LevelEncoder:
    """Settings of the level encoder.

    Example:
        >>> from mlgenn_delays.data import LevelEncoder
        >>> LevelEncoder(levels=(0.3, 0.6)).n_channels(n_bands=40)
        160
    """

    kind: ClassVar[str] = "level"

    levels: Annotated[
        tuple[Annotated[Number, Field(gt=0, le=1)], ...], AsTuple, says("Levels, ascending.")
    ] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    down: Annotated[
        bool, says("Whether crossings downwards spike too, on channels of their own.")
    ] = True

    def __post_init__(self) -> None:
        check_ascending(self, "levels")

    def n_channels(self, n_bands: int) -> int:
        """Return C = levels x directions x bands."""
        return len(self.levels) * (2 if self.down else 1) * n_bands

    def raster(self, frames: np.ndarray, hop: float, dt: float, n_steps: int) -> np.ndarray:
        """Return (N, C, T) bool, see `mlgenn_delays.data.encode.base.Encoder`."""
        n, _, bands = frames.shape
        raster = np.zeros((n, self.n_channels(bands), n_steps), np.bool_)
        silence = np.zeros_like(frames[:, :1])
        before = np.concatenate([silence, frames], axis=1)
        after = np.concatenate([frames, silence], axis=1)
        group = 0
        for level in self.levels:
            above, next_above = before >= level, after >= level
            crossings = [~above & next_above]
            if self.down:
                crossings.append(above & ~next_above)
            for crossed in crossings:
                example, frame, band = np.nonzero(crossed)
                low = before[crossed].astype(np.float64)
                part = (level - low) / (after[crossed] - low)
                # Frame 0 of `before` is the silence one hop ahead of the trial: its crossings
                # are those of a recording that begins loud, and count as step 0.
                time = np.maximum((frame - 1 + part) * hop, 0.0)
                step = np.floor(time / dt).astype(np.int64)
                kept = step < n_steps
                raster[example[kept], group * bands + band[kept], step[kept]] = True
                group += 1
        return raster
