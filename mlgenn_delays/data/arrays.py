"""What arrays of examples must be, whether a training or a trained network takes them."""

import numpy as np

from mlgenn_delays.data.type_checks import rows_at_once
from mlgenn_delays.errors import InputError

LAYOUTS = ("times", "raster", "values")  # the arrays of a .npz, one of which it has


def check_raster(where: str, values: np.ndarray, remedy: str, *, several: bool = True) -> None:
    """Require spikes as 0 and 1.

    Arguments:
        where: What the array is called.
        values: (N, steps, C).
        remedy: What to do otherwise.
        several: Whether the user gave several examples, so that the first wrong one is named.

    Raises:
        InputError: A value is another.
    """
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
    """Require where each example's events begin, and where the last ones end.

    Arguments:
        where: What the file is called.
        start: (N+1,) whole numbers, ascending from 0 to ``n_events``.
        n_events: Number of events of all examples.
        n: N, None if it is not known.

    Raises:
        InputError: It is something else.
    """
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
