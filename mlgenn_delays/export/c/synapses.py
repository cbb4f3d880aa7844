"""Synapses as tables: in rows of one source for spikes, or of one target for sampled currents.

A table is dense (every pair has a place, absent ones of weight 0) or sparse (`rows` says where
each row begins, `index` whose synapse it is), whichever takes fewer bytes. Delays are one a
synapse, one a row or one for all, as few as say the same.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.export.c.arrays import Constant, integers, reals
from mlgenn_delays.network import Projection
from mlgenn_delays.network.delays import delay_steps


@dataclass(frozen=True)
class Synapses:
    """The synapses of a projection that can act within a trial.

    Attributes:
        pre: (S,) presynaptic neurons.
        post: (S,) postsynaptic neurons.
        delay: (S,) [steps].
        weight: (S,) float32, or int8 where weights are quantised.
        shape: Neurons of source and target.
    """

    pre: np.ndarray
    post: np.ndarray
    delay: np.ndarray
    weight: np.ndarray
    shape: tuple[int, int]

    @staticmethod
    def of(
        projection: Projection, weight: np.ndarray, shape: tuple[int, int], dt: float, steps: int
    ) -> "Synapses":
        """Return those of weight other than 0 whose arrivals are within a trial of T steps."""
        delay = delay_steps(projection, dt)
        kept = (weight != 0) & (delay + 1 < steps)
        pre, post = projection.pre(), projection.post
        return Synapses(pre[kept], post[kept], delay[kept], weight[kept], shape)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def longest(self) -> int:
        """The longest delay [steps]."""
        return int(self.delay.max(initial=0))

    def turned(self) -> "Synapses":
        """Return them in rows of one target: source and target change places."""
        order = np.lexsort((self.pre, self.post))
        return Synapses(
            self.post[order], self.pre[order], self.delay[order], self.weight[order],
            self.shape[::-1],
        )  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The arrays of a projection in C.

    Attributes:
        rows: Where each row begins, and the end, or None if dense.
        index: Column of each synapse, or None if dense.
        delay: (rows, columns), (S,) or (rows,), or None if one number is all.
        one_delay: That number [steps].
        by_row: Whether there is one delay a row.
        weight: (rows, columns) or (S,).
        most: Places of the longest row.
        entries: Places of all rows.
    """

    rows: Constant | None
    index: Constant | None
    delay: Constant | None
    one_delay: int
    by_row: bool
    weight: Constant
    most: int
    entries: int

    def constants(self) -> list[Constant]:
        """Return all arrays."""
        return [a for a in (self.rows, self.index, self.delay, self.weight) if a is not None]

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(array.bytes for array in self.constants())


def table(name: str, synapses: Synapses) -> Table:
    """Return the smaller of both tables; there must be a synapse."""
    sparse = _sparse(name, synapses)
    n_rows, columns = synapses.shape
    if n_rows * columns > 2 * len(synapses):
        return sparse
    dense = _dense(name, synapses)
    return dense if dense.bytes <= sparse.bytes else sparse


def _sparse(name: str, s: Synapses) -> Table:
    counts = np.bincount(s.pre, minlength=s.shape[0])
    starts = np.concatenate([[0], np.cumsum(counts)])
    kind, delay = _delays(s)
    return Table(
        rows=integers(f"rows_{name}", starts),
        index=integers(f"index_{name}", s.post),
        delay=None if kind == "one" else integers(f"delay_{name}", delay),
        one_delay=s.longest,
        by_row=kind == "row",
        weight=_weights(name, s.weight),
        most=int(counts.max()),
        entries=len(s),
    )


def _dense(name: str, s: Synapses) -> Table:
    kind, delay = _delays(s)
    weight = np.zeros(s.shape, s.weight.dtype)
    weight[s.pre, s.post] = s.weight
    if kind == "synapse":
        every = np.zeros(s.shape, np.int64)
        every[s.pre, s.post] = delay
        delay = every
    return Table(
        rows=None,
        index=None,
        delay=None if kind == "one" else integers(f"delay_{name}", delay),
        one_delay=s.longest,
        by_row=kind == "row",
        weight=_weights(name, weight),
        most=s.shape[1],
        entries=weight.size,
    )


def _delays(s: Synapses) -> tuple[str, np.ndarray]:
    """Return what has a delay of its own ("one" for all, "row" or "synapse"), and the delays."""
    if (s.delay == s.longest).all():
        return "one", s.delay
    row = np.zeros(s.shape[0], np.int64)
    row[s.pre] = s.delay
    if (row[s.pre] == s.delay).all() and s.shape[0] <= len(s):
        return "row", row
    return "synapse", s.delay


def _weights(name: str, values: np.ndarray) -> Constant:
    if values.dtype == np.int8:
        return Constant(f"weight_{name}", "int8_t", values)
    return reals(f"weight_{name}", values)
