"""What the arrays of examples must be; see `types`."""

import math

import numpy as np

from mlgenn_delays.errors import InputError


def whole_numbers(name: str, value: object, dtype: type[np.signedinteger]) -> np.ndarray:
    """Return an array of whole numbers as C-contiguous and of the given type."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"{name} must have whole numbers in an array, got {error}") from error
    if array.dtype.kind not in "iu":
        raise InputError(
            f"{name} must have whole numbers ({np.dtype(dtype)}), got type {array.dtype}"
        )
    limits = np.iinfo(dtype)
    if not np.can_cast(array.dtype, dtype) and array.size:
        low, high = int(array.min()), int(array.max())
        if low < limits.min or high > limits.max:
            raise InputError(f"{name} must have numbers that fit {limits.dtype}, got {low}..{high}")
    return np.asarray(array, dtype, order="C")


def check_labels(labels: np.ndarray, n_classes: int) -> None:
    """Refuse labels that are no class."""
    if len(labels) and (labels.min() < 0 or labels.max() >= n_classes):
        raise InputError(
            f"labels must be in 0..{n_classes - 1}, got {labels.min()}..{labels.max()}"
        )


def check_start(start: np.ndarray, n_spikes: int) -> None:
    """Refuse rows of ``start`` that are no ascending places in ``time``."""
    if not start.size:
        return
    low, high = start.min(), start.max()
    if low < 0 or high > n_spikes:
        raise InputError(f"start must have places in 0..{n_spikes} spikes, got {low}..{high}")
    falls = start[:, 1:] < start[:, :-1]
    if falls.any():
        row, channel = np.argwhere(falls)[0]
        raise InputError(
            f"start must have ascending rows, got {start[row, channel]} before "
            f"{start[row, channel + 1]} in example {row}, channel {channel}"
        )


def check_ascending_spikes(start: np.ndarray, time: np.ndarray) -> None:
    """Refuse spikes of a channel that do not ascend, where examples do not overlap."""
    fine = np.ones(len(time) + 1, np.bool_)
    np.greater(time[1:], time[:-1], out=fine[1:-1])
    fine[start] = True
    wrong = np.flatnonzero(~fine)
    # Spikes of no example may lie as they like: a part of a data set keeps all of its `time`.
    first, end = np.sort(start[:, 0]), np.sort(start[:, -1])
    n_around = np.searchsorted(first, wrong, "right") - np.searchsorted(end, wrong, "right")
    wrong = wrong[n_around > 0]
    if len(wrong):
        place = wrong[0]
        raise InputError(
            "spike times must have ascending steps without repeats within a channel, got "
            f"{time[place]} after {time[place - 1]} at place {place}"
        )


def rows_at_once(shape: tuple[int, ...]) -> int:
    """Return how many examples of an array (N, ...) to look at in one go, so as to take 4 MiB."""
    return max(1, 2**20 // max(1, math.prod(shape[1:])))


def real_currents(value: object, n: int) -> np.ndarray:
    """Return N examples of currents as C-contiguous float32."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise InputError(f"values must have numbers in an array, got {error}") from error
    if array.dtype.kind not in "iuf":
        raise InputError(f"values must have real numbers (float32), got type {array.dtype}")
    if array.ndim != 3 or len(array) != n or not array.shape[1] or not array.shape[2]:
        raise InputError(
            f"values must have shape (N, T, C) with N = {n} labels and at least one step and "
            f"channel, got {array.shape}"
        )
    with np.errstate(over="ignore"):
        converted = np.asarray(array, np.float32, order="C")
    step = rows_at_once(array.shape)
    for first in range(0, n, step):
        finite = np.isfinite(converted[first : first + step])
        if not finite.all():
            row, time, channel = np.argwhere(~finite)[0]
            raise InputError(
                "values must have finite numbers that fit float32, got "
                f"{array[first + row, time, channel]} in example {first + row} "
                f"(step {time}, channel {channel})"
            )
    return converted
