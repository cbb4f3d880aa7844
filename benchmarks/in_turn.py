"""Rows whose sides take turns: each has a process of its own, a round of one follows the other's.

A machine that is slower for a while is slower for all sides, and no side has another's memory,
threads or processor flags. A side answers one line with one line, both JSON, and sleeps meanwhile.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from statistics import median

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
LEAST, MOST = 3, 9  # rounds


class FailedError(Exception):
    """A side's process has ended; what it said is on stderr."""


class Side:
    """The process of a side: `command` must call `serve`."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | ONE_THREAD,
        )  # fmt: skip

    def ask(self, **what: object) -> dict:
        """Let it run a round, and return what that took."""
        try:
            self._process.stdin.write(f"{json.dumps(what)}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise FailedError from None
        return self.wait()

    def wait(self) -> dict:
        """Return its next line, the first of which says that it is ready."""
        line = self._process.stdout.readline()
        if not line:
            raise FailedError
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        with suppress(BrokenPipeError):  # it has ended already, and did not read everything
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve(prepare: Callable[[], Callable[..., dict]]) -> None:
    """Call what `prepare` makes with what each line of stdin holds; answer what that took.

    What anything prints meanwhile, C libraries too, goes to stderr.
    """
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        run = prepare()
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            what = json.loads(line)
            wall, cpu = time.perf_counter(), time.process_time()
            found = run(**what)
            found |= {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
            print(json.dumps(found | {"peak": peak_memory()}), file=answers, flush=True)


def peak_memory() -> float:
    """Return the most memory that this process has had [MB]."""
    try:  # ru_maxrss may be that of the process which started this one
        with open("/proc/self/status") as file:
            lines = dict(line.split(":", 1) for line in file)
        return int(lines["VmHWM"].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def take_turns(
    commands: dict[str, list[str]], questions: dict[str, list[dict]], seconds: float, most: int
) -> dict[str, list[list[dict]] | None]:
    """Return, for each side and each of its questions, the answers of all rounds.

    None for a side that failed. There are `LEAST` rounds, then more until `seconds` are over or
    there were `most`.
    """
    sides = {name: Side(command) for name, command in commands.items()}
    found: dict[str, list[list[dict]] | None] = {
        name: [[] for _ in questions[name]] for name in sides
    }

    def attempt(name: str, act: Callable[[Side], None]) -> None:
        try:
            if found[name] is not None:
                act(sides[name])
        except FailedError:
            found[name] = None

    def round_of(name: str) -> Callable[[Side], None]:
        def act(side: Side) -> None:
            for answers, question in zip(found[name], questions[name], strict=True):
                answers.append(side.ask(**question))

        return act

    try:
        for name in sides:
            attempt(name, Side.wait)
        begin, done = time.perf_counter(), 0
        while done < min(LEAST, most) or (done < most and time.perf_counter() - begin < seconds):
            for name in sides:
                attempt(name, round_of(name))
            done += 1
    finally:
        for side in sides.values():
            side.close()
    return found


def summarise(answers: list[dict], examples: int) -> dict:
    """Return best, median and CPU seconds of so many examples, and memory, spikes of the rounds.

    CPU seconds are the least of a round, the peak of memory is that of the last.
    """
    scaled = {
        key: [each[key] * examples / each["examples"] for each in answers]
        for key in ("seconds", "cpu")
    }
    return {
        "best": min(scaled["seconds"]), "median": median(scaled["seconds"]),
        "cpu": min(scaled["cpu"]), "peak": answers[-1]["peak"], "spikes": answers[-1]["spikes"],
        "measured": answers[-1]["examples"], "rounds": len(answers),
    }  # fmt: skip
