"""Points on this machine: a process each, as many at once as fit."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from mlgenn_delays.recipe import dump
from mlgenn_delays.sweep.child import Child, Ending, Task
from mlgenn_delays.sweep.folder import SweepFolder
from mlgenn_delays.sweep.memory import Room
from mlgenn_delays.sweep.plan import Planned
from mlgenn_delays.sweep.record import Record, make_record

# A training that dies is gone on with so many times.
RETRIES = 2
_POLL = 0.05  # seconds
_GRACE = 5.0  # seconds that a training has to stop

OnEnd = Callable[[Planned, Record], None]


class LocalRunner:
    """Runs points in processes of this machine.

    Arguments:
        folder: The sweep.
        data: Folder of the data, if any.
        room: How many fit.
        ended: Called with each point that ended.
        say: Called with what the user should know.
    """

    def __init__(
        self,
        folder: SweepFolder,
        data: str | None,
        room: Room,
        ended: OnEnd,
        say: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self.data = data
        self.room = room
        self.ended = ended
        self.say = say
        self._running: list[tuple[Planned, Child]] = []
        self._deaths: dict[str, int] = {}

    def run(self, points: Sequence[Planned]) -> None:
        """Train points, and end when all have.

        Raises:
            KeyboardInterrupt: The user interrupted; what ran was stopped and can be resumed.
            WorkError: A file cannot be written; the same.
        """
        waiting = deque(points)
        try:
            while waiting or self._running:
                while waiting and self.room.for_one_more([child.pid for _, child in self._running]):
                    self._start(waiting.popleft())
                # What died goes on before anything new is begun.
                waiting.extendleft(self._collect())
                time.sleep(_POLL)
        finally:
            self._stop()

    def _start(self, planned: Planned) -> None:
        """Begin or go on with a point."""
        name = planned.point.name
        resume = self.folder.prepare(name, planned.recipe)
        child = Child(
            Task(
                self.folder.point(name),
                dump(planned.recipe),
                self.data,
                resume,
                self.folder.work,
                self.folder.log(name),
            )
        )
        self._running.append((planned, child))

    def _collect(self) -> list[Planned]:
        """Record the processes that ended, and return the points that are to go on."""
        again = []
        for entry in list(self._running):
            planned, child = entry
            ending = child.poll()
            if ending is None:
                continue
            self._running.remove(entry)
            self.room.measure(ending.peak)
            if ending.died and self._may_go_on(planned, ending):
                again.append(planned)
            else:
                self._record(planned, ending)
        return again

    def _may_go_on(self, planned: Planned, ending: Ending) -> bool:
        """Return whether a point that died is tried again, and say so."""
        name = planned.point.name
        self._deaths[name] = self._deaths.get(name, 0) + 1
        if self._deaths[name] > RETRIES:
            return False
        self.say(
            f"{planned.point.text}: {ending.reason}; "
            f"going on with it (try {self._deaths[name] + 1} of {RETRIES + 1})"
        )
        return True

    def _record(self, planned: Planned, ending: Ending) -> None:
        """Write the result of a point."""
        name = planned.point.name
        folder = self.folder.point(name)
        reason = ending.reason
        if ending.died:
            reason = f"{reason} ({RETRIES + 1} times); see {self.folder.log(name)}"
        record = make_record(dump(planned.recipe), folder, ending.answer, reason, ending.peak)
        record.write(folder)
        self.ended(planned, record)

    def _stop(self) -> None:
        """Stop what runs: first asked, then killed."""
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
