"""Sums of the gradients of a batch's chunks, in the order of the chunks whoever is done first."""

from threading import Lock

import numpy as np

from mlgenn_delays.engines.ranks import Share


class GradientSums:
    """Adds the gradients of chunks, arrays of the shape of `total`, to it.

    A process that is alone adds those of a chunk as soon as all before it are there, so that it
    needs few arrays, about one per thread. Ranks wait for each other, and keep theirs until then.
    """

    def __init__(self, share: Share, total: np.ndarray, spare: list[np.ndarray]) -> None:
        """Sum for a `Share` of a batch; `spare` holds arrays to use, from batch to batch."""
        self._share, self._total, self._spare = share, total, spare
        self._lock, self._done, self._next = Lock(), dict[int, np.ndarray](), 0

    def take(self) -> np.ndarray:
        """Return an array for the gradients of a chunk."""
        with self._lock:
            return self._spare.pop() if self._spare else np.empty_like(self._total)

    def give(self, k: int, gradients: np.ndarray) -> None:
        """Give back an array with the gradients of chunk k."""
        with self._lock:
            self._done[k] = gradients
            while not self._share.ranks.several and self._next in self._done:
                self._add(self._next, 0, self._total.size)
                self._spare.append(self._done.pop(self._next))
                self._next += 1

    def finish(self) -> None:
        """Let all ranks have the sum of all chunks in `total`."""
        if self._share.ranks.several:
            self._share.fold(self._total.reshape(-1), self._add_own)
            self._spare.extend(self._done.values())

    def _add_own(self, low: int, high: int) -> None:
        for k in sorted(self._done):
            self._add(k, low, high)

    def _add(self, k: int, low: int, high: int) -> None:
        """Add places low..high-1 of chunk k; the first one replaces what there is."""
        own, total = self._done[k].reshape(-1)[low:high], self._total.reshape(-1)[low:high]
        if k == 0:
            total[:] = own
        else:
            total += own
