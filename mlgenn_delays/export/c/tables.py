"""The synapses of a projection as tables of constants.

Synapses are tables: in rows of one source for spikes, or of one target for sampled currents that
are looked back at. A table is dense (every pair has a place, absent ones of weight 0) or sparse
(`rows` says where each row begins, `index` whose synapse it is), whichever takes fewer bytes.
Delays are one per synapse, one per row or one for all, as few as say the same.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.export.c.text import Constant, integers, packed, reals
from mlgenn_delays.network import Projection
from mlgenn_delays.network.delays import delay_steps


@dataclass(frozen=True)
class Synapses:
    """The synapses of a projection that can act within a trial."""

    pre: np.ndarray  # (S,) presynaptic neurons
    post: np.ndarray  # (S,) postsynaptic neurons
    delay: np.ndarray  # (S,) [steps]
    weight: np.ndarray  # (S,) float32, or int8 where weights are quantised
    bits: int  # of a weight: 32, 8, 4 or 2 (-1, 0 and 1)
    shape: tuple[int, int]  # neurons of source and target

    @staticmethod
    def of(
        projection: Projection,
        weight: np.ndarray,
        bits: int,
        shape: tuple[int, int],
        dt: float,
        steps: int,
    ) -> "Synapses":
        """Those of weight other than 0 whose arrivals are within a trial of T steps."""
        delay = delay_steps(projection, dt)
        kept = (weight != 0) & (delay + 1 < steps)
        pre, post = projection.pre(), projection.post
        return Synapses(pre[kept], post[kept], delay[kept], weight[kept], bits, shape)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def longest(self) -> int:
        """The longest delay [steps]."""
        return int(self.delay.max(initial=0))

    @property
    def shortest(self) -> int:
        """The shortest delay [steps]."""
        return int(self.delay.min(initial=self.longest))

    def turned(self) -> "Synapses":
        """The same in rows of one target: source and target change places."""
        order = np.lexsort((self.pre, self.post))
        return Synapses(
            self.post[order], self.pre[order], self.delay[order], self.weight[order], self.bits,
            self.shape[::-1],
        )  # fmt: skip

    def by_delay(self) -> "Synapses":
        """The same, those of one source by their delays."""
        order = np.lexsort((self.post, self.delay, self.pre))
        return Synapses(
            self.pre[order], self.post[order], self.delay[order], self.weight[order], self.bits,
            self.shape,
        )  # fmt: skip


@dataclass(frozen=True)
class Table:
    """The arrays of a projection in C."""

    rows: Constant | None  # where each row begins, and the end, or None if dense
    index: Constant | None  # column of each synapse, or None if dense
    delay: Constant | None  # (rows, columns), (S,) or (rows,), or None if one number is all
    one_delay: int  # that number [steps]
    by_row: bool  # whether there is one delay per row
    weight: Constant  # (rows, columns) or (S,)
    columns: int  # of the table if dense
    most: int  # places of the longest row
    entries: int  # places of all rows

    @property
    def by_synapse(self) -> bool:
        """Whether there is one delay per synapse."""
        return self.delay is not None and not self.by_row

    def constants(self) -> list[Constant]:
        """All arrays."""
        return [a for a in (self.rows, self.index, self.delay, self.weight) if a is not None]

    @property
    def bytes(self) -> int:
        """Size of all arrays."""
        return sum(array.bytes for array in self.constants())


def table(name: str, synapses: Synapses, *, searched: bool = False) -> Table:
    """The smaller of both tables; there must be a synapse.

    Of those of one source that are searched for a delay, delays ascend: a dense table has none.
    """
    sparse = _sparse(name, synapses.by_delay() if searched else synapses)
    n_rows, columns = synapses.shape
    if n_rows * columns > 16 * len(synapses) or (searched and sparse.by_synapse):
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
        # A synapse that is there is no 0, so a sign is all of a ternary weight.
        weight=_weights(name, s.weight, 1 if s.bits == 2 else s.bits),
        columns=s.shape[1],
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
        weight=_weights(name, weight, s.bits),
        columns=s.shape[1],
        most=s.shape[1],
        entries=weight.size,
    )


def _delays(s: Synapses) -> tuple[str, np.ndarray]:
    """Which places have delays of their own ("one" for all, "row" or "synapse"), and the delays."""
    if (s.delay == s.longest).all():
        return "one", s.delay
    row = np.zeros(s.shape[0], np.int64)
    row[s.pre] = s.delay
    if (row[s.pre] == s.delay).all() and s.shape[0] <= len(s):
        return "row", row
    return "synapse", s.delay


def _weights(name: str, values: np.ndarray, bits: int) -> Constant:
    if bits < 8:
        return packed(f"weight_{name}", values, bits)
    if bits == 8:
        return Constant(f"weight_{name}", "int8_t", values)
    return reals(f"weight_{name}", values)
