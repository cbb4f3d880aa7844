"""How many trainings fit: the cores that this process may use, and the memory that is free."""

from collections.abc import Iterable

from mlgenn_delays.memory import available_memory, resident

# What a training is taken to need before the first one has been measured [bytes].
FIRST_GUESS = 3 << 29
# What is left to everything else: a share of the free memory, and of what was measured.
_USABLE, _MARGIN = 0.9, 1.15


class Room:
    """Decides whether one more training may start.

    Arguments:
        workers: How many may run at once, whatever their memory; None for as many as fit.
        measured: The most memory of trainings of this sweep so far [bytes].
    """

    def __init__(self, workers: int | None = None, measured: Iterable[int] = ()) -> None:
        from mlgenn_delays.engines.shared.threads import available_cores

        self._given = workers is not None
        self.most = workers if workers is not None else available_cores()
        self._measured = max(measured, default=0)

    @property
    def need(self) -> float:
        """What a training is expected to need [bytes]."""
        return self._measured * _MARGIN or FIRST_GUESS

    def measure(self, peak: int | None) -> None:
        """Take in the most memory that a training had."""
        self._measured = max(self._measured, peak or 0)

    def for_one_more(self, pids: list[int]) -> bool:
        """Return whether one more may start.

        Arguments:
            pids: Processes of those that run, which may still grow to what one needs.
        """
        if not pids or len(pids) >= self.most:
            return not pids
        free = available_memory()
        if self._given or free is None:
            return True
        growth = sum(max(0.0, self.need - resident(pid)) for pid in pids)
        return _USABLE * free - growth >= self.need
