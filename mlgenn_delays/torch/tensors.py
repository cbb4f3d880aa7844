"""Tensors as batches of the engine; see `mlgenn_delays.data.types` for these.

Shapes: B examples, T steps, C channels.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.data.arrays import as_array
from mlgenn_delays.data.events import raster_spikes
from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch, checked
from mlgenn_delays.errors import InputError

_SHAPE = "(batch, steps, channels)"


def check_tensor(what: str, tensor: Any, kinds: tuple[str, ...] = ("float32",)) -> None:
    """Reject a tensor that the engine cannot read: it computes in float32 on the CPU."""
    kind, place = str(tensor.dtype).removeprefix("torch."), str(tensor.device)
    if tensor.device.type != "cpu":
        raise InputError(f"{what} must be on the CPU, got {place}; move it with .cpu()")
    if kind not in kinds:
        raise InputError(
            f"{what} must be {' or '.join(kinds)}, got {kind}; convert it with .float()"
        )


def _alone(batch: SpikeBatch) -> SpikeBatch:
    """Return a batch without the spikes of others, which it may share: so checks are quick."""
    start, time = batch.start, batch.time
    plain = all(isinstance(each, np.ndarray) and each.dtype.kind in "iu" for each in (start, time))
    if not plain or start.ndim != 2 or time.ndim != 1 or not start.size:
        return batch  # which is no batch
    lows, highs = start[:, 0], start[:, -1]
    if (lows > highs).any() or lows.min() < 0 or highs.max() > len(time):
        return batch
    own = np.concatenate([time[a:b] for a, b in zip(lows, highs, strict=True)])
    sizes = highs - lows
    moved = start - lows[:, None] + (np.cumsum(sizes) - sizes)[:, None]
    return replace(batch, start=moved, time=own)


def as_batch(given: Any, *, currents: bool) -> Batch:
    """Return what a module was given as a batch.

    Arguments:
        given: A tensor (B, T, C): of currents, float32, or of spikes, 0 and 1 of any type; or a
            batch of a data set.
        currents: Whether the network's input takes currents.

    Raises:
        InputError: It is something else, or holds other values.
    """
    if isinstance(given, SpikeBatch | CurrentBatch):
        return checked(_alone(given) if isinstance(given, SpikeBatch) else given)
    if not hasattr(given, "detach"):
        raise InputError(
            f"the input must be a tensor {_SHAPE} or a batch such as data.batch(range(16)), got "
            f"{type(given).__name__}; torch.as_tensor makes a tensor of an array"
        )
    whole = () if currents else ("bool", "uint8", "int8", "int16", "int32", "int64")
    check_tensor("the input", given, ("float32", *whole))
    if given.ndim != 3 or not all(given.shape):
        raise InputError(f"the input must have shape {_SHAPE}, got {tuple(given.shape)}")
    array = as_array("the input", given.detach().numpy(), "numbers")
    rows = np.arange(len(array))
    if currents:
        return checked(CurrentBatch(np.ascontiguousarray(array), 0 * rows, rows))
    start, time = raster_spikes("the input", array)
    return SpikeBatch(start, time, 0 * rows, rows, array.shape[1])
