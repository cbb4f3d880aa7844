"""Several processes (ranks) that train one network: what each runs of a batch, and what they tell
each other.

All ranks call the same methods on the same data. Each runs some examples of every batch; then what
was found is gathered, or added up in the order of the batch, so that all ranks make the same
optimiser step and the same rewiring, and stay equal.
"""

import os
from collections.abc import Callable
from platform import node
from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.errors import InputError, WorkError, nearest
from mlgenn_delays.machine import CHUNKS, available_cores, chunks

COMMUNICATORS = ("mpi",)
SLICES = 4  # of a fold, per rank: enough that ranks seldom wait, few enough that messages are cheap

Range = tuple[int, int]  # from, to


def _world(name: str) -> Any:
    """Return all ranks of an MPI program, as mpi4py has them."""
    if name not in COMMUNICATORS:
        raise InputError(
            f"communicator must be one of {', '.join(COMMUNICATORS)}, got {name!r}"
            f"{nearest(name, COMMUNICATORS)}"
        )
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        raise InputError(
            f"the communicator 'mpi' must have mpi4py and an MPI library, got {error}; "
            'pip install "delaysnn[mpi]", and start with mpiexec -n RANKS delaysnn train ...'
        ) from error
    return MPI.COMM_WORLD


class Ranks:
    """The processes that train together (communicator ``"mpi"``); with None this one alone."""

    def __init__(self, communicator: str | None = None) -> None:
        self._world: Any = None if communicator is None else _world(communicator)
        self.rank = 0 if self._world is None else int(self._world.Get_rank())
        self.number = 1 if self._world is None else int(self._world.Get_size())

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes: rank 0, or the only one."""
        return self.rank == 0

    @property
    def several(self) -> bool:
        """Whether there are others."""
        return self.number > 1

    def here(self) -> tuple[int, int]:
        """Return this rank's number among those on its machine, and how many these are."""
        if not self.several:
            return 0, 1
        there = self._world.allgather(node())
        return there[: self.rank].count(there[self.rank]), there.count(there[self.rank])

    def threads(self, wanted: int | None = None) -> int:
        """Return how many threads a rank takes: as `wanted`, or its share of the cores it may use.

        All ranks ask, whether they want a number or not: one alone would wait for the others.
        """
        if not self.several:
            return available_cores() if wanted is None else wanted
        there = self._world.allgather((node(), _cores()))
        if wanted is not None:
            return wanted
        name, own = there[self.rank]
        sharing = [each for each, cores in there if each == name and cores & own]
        return max(1, available_cores() // max(1, len(sharing)))

    def agree(self, value: int) -> None:
        """Reject, in all processes, a hash of settings and data that differs between them."""
        if self._differs(value):
            raise InputError(
                "all ranks must train the same network with the same settings on the same data, "
                "got different ones; give every rank the same files, in the same versions"
            )

    def agree_on_network(self, value: int) -> None:
        """Reject, in all processes, the hash of a learned network that differs between them."""
        if self._differs(value):
            raise WorkError(
                "all ranks must have learned the same network, got different ones; take machines "
                "of one kind, with the same versions of all packages"
            )

    def _differs(self, value: int) -> bool:
        return self.several and len(set(self._world.allgather(value))) > 1

    def any(self, value: bool) -> bool:
        """Return whether a value is true in any process."""
        return any(self._world.allgather(value)) if self.several else value

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.several:
            self._world.Barrier()

    def end_all(self, code: int) -> None:
        """End all processes, if there are several: others would wait for a failed one for ever."""
        if self.several:
            self._world.Abort(code)
            os._exit(code)  # where that returns

    # Sharing work

    def shares(self, n: int) -> list[Range]:
        """Cut range(n) into even parts, one per rank; the last ranks have none of a small one."""
        parts = chunks(n, self.number)
        return parts + [(n, n)] * (self.number - len(parts))

    def gather(self, rows: np.ndarray, shares: list[Range]) -> None:
        """Fill a contiguous array (n, ...) with the rows that each rank wrote: its share of n."""
        if not self.several or not rows.size:
            return
        width = rows.size // len(rows)
        counts = [(high - low) * width for low, high in shares]
        starts = [low * width for low, _ in shares]
        low, high = shares[self.rank]
        # Not in place: what is sent must not lie where is received, and own rows are few.
        self._world.Allgatherv(rows[low:high].copy(), [rows, (counts, starts)])

    def fold(
        self, total: np.ndarray, add: Callable[[int, int], None], shares: list[Range],
        least: int = 1,
    ) -> None:  # fmt: skip
        """Have every rank in turn `add` to rows low..high-1 of a contiguous array (n, ...).

        `add` meets what the ranks before have made of these rows, rank 0 what is in them. So the
        result has the bits of one process that adds everything in this order. Ranks work at the
        same time, on other rows, at `least` so many if there are; one with an empty share does
        nothing. All get the result.
        """
        last = sum(low < high for low, high in shares) - 1
        if last <= 0:
            if self.rank <= max(0, last):
                add(0, len(total))
        elif self.rank <= last:
            sent = []
            slices = min(SLICES * (last + 1), max(1, len(total) // least))
            for low, high in chunks(len(total), slices):
                part = total[low:high]
                if self.rank > 0:
                    self._world.Recv(part, source=self.rank - 1)
                add(low, high)
                if self.rank < last:
                    sent.append(self._world.Isend(part, dest=self.rank + 1))
            for each in sent:
                each.Wait()
        if self.several:
            self._world.Bcast(total, root=max(0, last))

    def add(self, own: np.ndarray, shares: list[Range]) -> np.ndarray:
        """Return the sum of what ranks have, added in their order."""
        total = np.zeros_like(own)

        def add(low: int, high: int) -> None:
            total[low:high] += own[low:high]

        self.fold(total, add, shares)
        return total


def _cores() -> set[int]:
    found = getattr(os, "sched_getaffinity", None)
    return set(range(available_cores())) if found is None else set(found(0))


ALONE = Ranks()


class Share(NamedTuple):
    """What ranks run of a batch: whole chunks, so that sums over chunks do not depend on ranks.

    Chunks may be joined to groups, where memory does not hold a sum per chunk; each rank runs whole
    groups.
    """

    ranks: Ranks
    chunks: list[Range]  # examples of each chunk
    groups: list[Range]  # examples of each group
    chunks_of: list[Range]  # chunks of each rank
    groups_of: list[Range]  # groups of each rank
    examples_of: list[Range]  # examples of each rank

    @property
    def own(self) -> Range:
        """The examples of this rank."""
        return self.examples_of[self.ranks.rank]

    def own_chunks(self) -> list[tuple[int, int, int]]:
        """The chunks of this rank: number, first example, end."""
        return [(k, *self.chunks[k]) for k in range(*self.chunks_of[self.ranks.rank])]

    def own_groups(self) -> list[tuple[int, int, int]]:
        """The groups of this rank: number, first example, end."""
        return [(k, *self.groups[k]) for k in range(*self.groups_of[self.ranks.rank])]

    def gather(self, rows: np.ndarray) -> None:
        """Fill rows of all examples, (B, ...), with those of each rank."""
        self.ranks.gather(rows, self.examples_of)

    def gather_chunks(self, rows: np.ndarray) -> None:
        """Fill rows of all chunks with those of each rank."""
        self.ranks.gather(rows, self.chunks_of)

    def fold(self, total: np.ndarray, add: Callable[[int, int], None], least: int = 1) -> None:
        """Have the ranks add their examples to rows of `total`, in order; see `Ranks.fold`."""
        self.ranks.fold(total, add, self.examples_of, least)


def make_share(ranks: Ranks, size: int, most: int = CHUNKS) -> Share:
    """Return how ranks share a batch, with at most so many groups."""
    fine = chunks(size, min(CHUNKS, (size + 1) // 2))
    joined = chunks(len(fine), most)
    taken = ranks.shares(len(joined))
    chunks_of = _spans(joined, taken)
    return Share(ranks, fine, _spans(fine, joined), chunks_of, taken, _spans(fine, chunks_of))


def _spans(parts: list[Range], ranges: list[Range]) -> list[Range]:
    """Return what each range of consecutive parts spans."""
    end = parts[-1][1]
    return [(parts[a][0], parts[b - 1][1]) if a < b else (end, end) for a, b in ranges]
