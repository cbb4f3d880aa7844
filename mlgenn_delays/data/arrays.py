"""What the arrays of examples must be; see `types`. Nothing is cast that would change a value."""

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from mlgenn_delays.arrays import to_numpy
from mlgenn_delays.errors import InputError
from mlgenn_delays.untrusted import shown

# Currents from here on are fill values, not data (1e15, 1e20, 9.97e36 and such): squares of
# weighted sums of them, which normalisation takes, leave the range of float32 (3e38).
LARGEST_VALUE = 1e15


def whole_numbers(
    name: str, value: object, dtype: type[np.signedinteger], unit: str = "place"
) -> np.ndarray:
    """Convert a value to a C-contiguous array of integers; nothing is rounded, nothing overflows.

    Floating-point numbers that are whole are converted, too. Messages call the array `name` and a
    place in it a `unit`: "example", say.
    """
    array = whole_floats(as_array(name, value, "whole numbers"))
    if array.dtype.kind not in "iu" and array.size:
        raise InputError(
            f"{name} must be whole numbers ({np.dtype(dtype)}), got {_not_whole(array, unit)}"
        )
    limits = np.iinfo(dtype)
    if not np.can_cast(array.dtype, dtype) and array.size:
        low, high = array.min(), array.max()
        if low < limits.min or high > limits.max:
            raise InputError(f"{name} must be numbers that fit {limits.dtype}, got {low}..{high}")
    return np.asarray(array, dtype, order="C")


def as_array(name: str, value: object, noun: str) -> np.ndarray:
    """Convert a value to an array, which must hold a `noun`: "numbers", say."""
    try:
        return to_numpy(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} must be {noun} in an array, got {error}") from error


def whole_floats(array: np.ndarray) -> np.ndarray:
    """Return floating-point numbers that are all whole as int64; any other array as it is.

    From 2**53 on, where float64 has no longer every whole number, they stay what they are.
    """
    if array.dtype.kind == "f" and array.size:
        with np.errstate(invalid="ignore"):
            small = (np.abs(array.astype(np.float64)) < 2.0**53).all()
            if small and (array == np.floor(array)).all():
                return array.astype(np.int64)
    return array


def _not_whole(array: np.ndarray, unit: str) -> str:
    if array.dtype.kind == "f":
        wrong = np.argwhere(array != np.floor(array))
        if len(wrong):
            place = tuple(wrong[0])
            where = ", ".join(map(str, place))
            return (
                f"{array[place]} at {unit} {where}; round the numbers as you mean it, and then "
                "convert them with .astype('int64')"
            )
    return f"type {array.dtype}; convert them with .astype('int64')"


def check_labels(labels: np.ndarray, n_classes: int) -> None:
    """Reject labels that are no class."""
    wrong = np.flatnonzero((labels < 0) | (labels >= n_classes))
    if len(wrong):
        raise InputError(
            f"labels must be in 0..{n_classes - 1}, one of {n_classes} label_names, got "
            f"{labels[wrong[0]]} in example {wrong[0]}"
        )


def check_names(names: Sequence[str], n: int) -> None:
    """Reject names of another number than that of the examples."""
    if len(names) not in (0, n):
        raise InputError(
            f"names must be one for each of {n} examples, or none at all, got {len(names)}"
        )


def check_rows(index: object, n: int) -> np.ndarray:
    """Return numbers of n examples, or true and false for each of them, as (B,) int64."""
    given = as_array("index", index, "numbers of examples")
    if given.dtype == bool:
        if given.shape != (n,):
            raise InputError(
                f"index must be true or false for each of {n} examples, got shape {given.shape}"
            )
        given = np.flatnonzero(given)
    rows = whole_numbers("index", given, np.int64)
    if rows.ndim != 1 or (rows.size and (rows.min() < 0 or rows.max() >= n)):
        got = f"{rows.min()}..{rows.max()}" if rows.ndim == 1 else f"shape {rows.shape}"
        raise InputError(
            f"index must be numbers of examples in 0..{n - 1} in one dimension, got {got}"
        )
    return rows


def as_names(what: str, names: object) -> tuple[str, ...]:
    """Return texts in a list, tuple or array, which messages call `what`, as a tuple."""
    listed = names.tolist() if isinstance(names, np.ndarray) else names
    if isinstance(listed, (str, bytes)) or not isinstance(listed, Iterable):
        raise InputError(f"{what} must be a list of texts, got {shown(names)}")
    return tuple(listed)


def check_class_names(names: Sequence[str]) -> None:
    """Reject names of classes that files for other tools could not hold."""
    wrong = next((name for name in names if not _is_text(name)), None)
    if wrong is not None:
        raise InputError(f"label_names must be UTF-8 text, got {shown(wrong)}; rename the class")


def _is_text(name: object) -> bool:
    """Return whether a name is text; bytes that are no UTF-8 are half characters in it."""
    return isinstance(name, str) and not any("\ud800" <= c <= "\udfff" for c in name)


def check_channel_starts(start: np.ndarray, n_spikes: int) -> None:
    """Reject rows of ``start`` that are no ascending places in ``time``."""
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
    """Reject spikes of a channel that do not ascend, where examples do not overlap."""
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


def check_size(
    where: str,
    values: np.ndarray,
    *,
    scale: float = 1.0,
    example: Callable[[int], str] | None = "example {}".format,
    remedy: str = "replace or remove it",
) -> None:
    """Reject values (N, T, C) that are not finite or, times `scale`, too large to be data.

    The text says which is the first, and in how many more examples there are others. `example`
    gives the name of one by its number; with None the only one is not named.
    """
    step, first, others = rows_at_once(values.shape), "", 0
    for begin in range(0, len(values), step):
        some = values[begin : begin + step]
        # Twice negated, for nothing is less than NaN.
        wrong = ~(np.abs(some) < LARGEST_VALUE / scale)
        if not wrong.any():
            continue
        if not first:
            row, time, channel = np.argwhere(wrong)[0]
            value = some[row, time, channel]
            first = f"{value} at step {time}, channel {channel}"
            if example is not None:
                called = example(begin + int(row))
                first = f"{value} in {called} (step {time}, channel {channel})"
        others += int(wrong.any(axis=(1, 2)).sum())
    if first:
        most = f"{LARGEST_VALUE / scale:.3g}" + (
            f" ({LARGEST_VALUE:g} over the scale {scale:g})" * (scale != 1)
        )
        more = f", and others in {others - 1} more" if others > 1 else ""
        raise InputError(
            f"{where} must be finite and below {most} in size, got {first}{more}; {remedy}"
        )


def real_currents(value: object, n: int) -> np.ndarray:
    """Return N examples of currents as C-contiguous float32."""
    array = as_array("values", value, "numbers")
    if array.dtype.kind not in "iuf":
        raise InputError(f"values must be real numbers (float32), got type {array.dtype}")
    if array.ndim != 3 or len(array) != n or not array.shape[1] or not array.shape[2]:
        raise InputError(
            f"values must have shape (N, T, C) with N = {n} labels and at least one step and "
            f"channel, got {array.shape}"
        )
    check_size(
        "values",
        array,
        remedy="it may be a fill value: replace it, by 0 say, or leave the example out",
    )
    return np.asarray(array, np.float32, order="C")


def real_targets(value: object, shape: tuple[int, int, int]) -> np.ndarray:
    """Return the series that N examples shall be turned into as C-contiguous float32."""
    array = as_array("targets", value, "numbers")
    if array.dtype.kind not in "iuf":
        raise InputError(f"targets must be real numbers (float32), got type {array.dtype}")
    if array.shape != shape:
        raise InputError(
            f"targets must have shape {shape}: examples, one series per name of label_names, and "
            f"the steps of a trial; got {array.shape}"
        )
    if array.size and not np.isfinite(array).all():
        row, series, step = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"targets must be finite, got {array[row, series, step]} in example {row} (series "
            f"{series}, step {step}); replace it, or leave the example out"
        )
    return np.asarray(array, np.float32, order="C")


LAYOUTS = ("times", "raster", "values")  # the arrays of a .npz, one of which it has


def check_raster(where: str, values: np.ndarray, remedy: str, *, several: bool = True) -> None:
    """Require spikes (N, T, C) to be 0 and 1; the example is named where there are `several`."""
    step = rows_at_once(values.shape)
    for first in range(0, 0 if values.dtype.kind == "b" else len(values), step):
        some = values[first : first + step]
        wrong = (some != 0) & (some != 1)
        if wrong.any():
            row, at, channel = np.argwhere(wrong)[0]
            example = f"example {first + row}, " if several else ""
            raise InputError(
                f"{where} must have spikes as 0 and 1, got {some[row, at, channel]} at "
                f"{example}step {at}, channel {channel}; {remedy}"
            )


def check_start(where: str, start: np.ndarray, n_events: int, n: int | None = None) -> None:
    """Require where the events of each example begin and the last ones end, (N+1,), in `where`."""
    shaped = start.ndim == 1 and start.dtype.kind in "iu" and len(start) > 1
    if shaped and n in (None, len(start) - 1):
        falls = np.flatnonzero(start[1:] < start[:-1])
        if start[0] == 0 and start[-1] == n_events and not len(falls):
            return
        got = f"{start[0]}..{start[-1]}" + (f", falling after {falls[0]}" if len(falls) else "")
    else:
        got = f"{start.dtype} of shape {start.shape}"
    examples = "examples" if n is None else f"{n} examples"
    raise InputError(
        f"{where} must have start as ascending whole numbers from 0 to the {n_events} events, one "
        f"more than {examples}, got {got}; example i has the events start[i]:start[i+1]"
    )
