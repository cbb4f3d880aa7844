"""What trains the points of a sweep: processes of this machine, as many at once as fit.

`mlgenn_delays.sweep.cluster` has the other one, the workers of a Dask cluster.
"""

import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from mlgenn_delays.machine import available_memory, resident
from mlgenn_delays.recipe import dump
from mlgenn_delays.sweep.child import Child, Ending, Task
from mlgenn_delays.sweep.folder import SweepFolder
from mlgenn_delays.sweep.plan import Planned
from mlgenn_delays.sweep.results import Record, make_record

# A training that dies is resumed so many times.
RETRIES = 2
_POLL = 0.05  # seconds
_GRACE = 5.0  # seconds that a training has to stop
# What a training is taken to need before the first one has been measured [bytes].
FIRST_GUESS = 3 << 29
# What is left to everything else: a share of the free memory, and of what was measured.
_USABLE, _MARGIN = 0.9, 1.15


class Executor(ABC):
    """Trains points of a sweep's folder; the data's folder is where the trainings run."""

    def __init__(self, folder: SweepFolder, data: str | None) -> None:
        self.folder = folder
        self.data = data
        self._ended: Callable[[Planned, Record], None]
        self.say: Callable[[str], None]

    def run(
        self,
        points: Sequence[Planned],
        ended: Callable[[Planned, Record], None],
        say: Callable[[str], None],
    ) -> None:
        """Train points until all ended; each goes to `ended`, words for the user to `say`."""
        self._ended, self.say = ended, say
        self._train(points)

    @abstractmethod
    def _train(self, points: Sequence[Planned]) -> None: ...

    def record(self, planned: Planned, ending: Ending) -> None:
        """Write the result of a point, the last of its files."""
        folder = self.folder.point(planned.point.name)
        reason = ending.reason
        if ending.died:
            log = self.folder.log(planned.point.name)
            reason += f" ({RETRIES + 1} times)" + (f"; see {log}" if log.exists() else "")
        record = make_record(dump(planned.recipe), folder, ending.answer, reason, ending.peak)
        record.write(folder)
        self._ended(planned, record)


class LocalExecutor(Executor):
    """Trains points in processes of this machine; those an interruption stops can be resumed."""

    def __init__(self, folder: SweepFolder, data: str | None, room: "Room") -> None:
        super().__init__(folder, data)
        self.room = room
        self._running: list[tuple[Planned, Child]] = []
        self._deaths: dict[str, int] = {}

    def _train(self, points: Sequence[Planned]) -> None:
        waiting = deque(points)
        try:
            while waiting or self._running:
                while waiting and self.room.for_one_more([child.pid for _, child in self._running]):
                    self._start(waiting.popleft())
                # What died is resumed before anything new is begun.
                waiting.extendleft(self._collect())
                time.sleep(_POLL)
        finally:
            self._stop()

    def _start(self, planned: Planned) -> None:
        name = planned.point.name
        resume = self.folder.prepare(name, planned.recipe)
        out, work, log = self.folder.point(name), self.folder.work, self.folder.log(name)
        task = Task(out, dump(planned.recipe), self.data, resume, work, log)
        self._running.append((planned, Child(task)))

    def _collect(self) -> list[Planned]:
        """Record the processes that ended; those that died and are to be resumed are returned."""
        again = []
        for planned, child in list(self._running):
            ending = child.poll()
            if ending is None:
                continue
            self._running.remove((planned, child))
            self.room.measure(ending.peak)
            if ending.died and self._another_try(planned, ending):
                again.append(planned)
            else:
                self.record(planned, ending)
        return again

    def _another_try(self, planned: Planned, ending: Ending) -> bool:
        """Whether a point that died is tried again; says so."""
        deaths = self._deaths[planned.point.name] = self._deaths.get(planned.point.name, 0) + 1
        if deaths > RETRIES:
            return False
        self.say(
            f"{planned.point.text}: {ending.reason}; "
            f"resuming it (try {deaths + 1} of {RETRIES + 1})"
        )
        return True

    def _stop(self) -> None:
        try:
            for _, child in self._running:
                with suppress(OSError):
                    child.interrupt()
            deadline = time.monotonic() + _GRACE
            while time.monotonic() < deadline and self._running:
                self._running = [entry for entry in self._running if entry[1].poll() is None]
                time.sleep(_POLL)
        finally:
            for _, child in self._running:
                child.kill()


class Room:
    """Decides whether one more training fits into the cores and the memory that are left.

    Arguments:
        workers: How many may run at once, whatever their memory; None for as many as fit.
        measured: Peak memory of trainings of this sweep so far [bytes].
    """

    def __init__(self, workers: int | None = None, measured: Iterable[int] = ()) -> None:
        from mlgenn_delays.machine import available_cores

        self._given = workers is not None
        self.most = workers if workers is not None else available_cores()
        self._measured = max(measured, default=0)

    @property
    def need(self) -> float:
        """What a training is expected to need [bytes]."""
        return self._measured * _MARGIN or FIRST_GUESS

    def measure(self, peak: int | None) -> None:
        """Note the most memory that a training had [bytes]."""
        self._measured = max(self._measured, peak or 0)

    def for_one_more(self, pids: list[int]) -> bool:
        """Whether one more may start beside running processes, which may still grow to `need`."""
        if not pids or len(pids) >= self.most:
            return not pids
        free = available_memory()
        if self._given or free is None:
            return True
        growth = sum(max(0.0, self.need - resident(pid)) for pid in pids)
        return _USABLE * free - growth >= self.need
