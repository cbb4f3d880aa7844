"""Kill small commands at every change of a file, run them again, and compare what they leave.

    python tests/kills/sweep.py                          # all: minutes
    python tests/kills/sweep.py --sample 60              # as many, spread over all
    python tests/kills/sweep.py --only train --mode kill # some

A process imports and warms everything once and is forked for each case. A case passes if

- killed, the same command (for a run that is there: with --resume, as it says) ends well;
- on a disk that is full from there on, the command ends with one line and exit code 1, or well
  where it can go on without the file, and so does the same command when there is space again;

and in the end all files equal those of a command that was never disturbed, but for times.
"""

import argparse
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.kills.operations import COUNT, FULL, HALF, KILL, Counter, Operations  # noqa: E402
from tests.kills.scenarios import (  # noqa: E402
    SCENARIOS,
    Scenario,
    contents,
    is_unfinished,
    make_inputs,
)

MODES = (KILL, HALF, FULL)
LONGEST = 60.0  # seconds


class ForkedTraining:
    """In the place of a sweep's `subprocess.Popen`: the training in a fork of this process."""

    def __init__(self, command: list[str], *, stdout, stderr, **_: object) -> None:
        self.stdin = SimpleNamespace(close=lambda: None)
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(stdout.fileno(), 1)
            os.dup2(stderr.fileno(), 2)
            os.closerange(3, 1024)  # the lock of the sweep among them
            _run_and_leave(command[3:])

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _run_and_leave(words: list[str]) -> None:
    """Run a command, and end this process with its exit code."""
    from mlgenn_delays.cli import main
    from mlgenn_delays.files import remove_unfinished

    remove_unfinished.cache_clear()
    code: object = 70
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        main.main(words, prog_name="delaysnn")
    except SystemExit as end:
        code = end.code
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code if isinstance(code, int) else 0)


def call(*words: str, hook=None, log: Path | None = None) -> int:
    """Run a command in a fork, which is a process group; return its exit code."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        if log is not None:
            for number in (1, 2):
                os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        if hook is not None:
            hook()
        _run_and_leave(list(words))
    deadline = time.monotonic() + LONGEST
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return 124
        time.sleep(0.002)


class Bench:
    """Runs cases in a temporary folder.

    Arguments:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.base, self.inputs = folder, folder / "base", folder / "inputs"
        self.log = folder / "log"
        self.totals: dict[str, int] = {}

    def warm(self, scenarios: list[Scenario]) -> None:
        """Make the inputs, and do everything once in this process, for its forks to have."""
        from mlgenn_delays.cli import main
        from mlgenn_delays.sweep import child

        def here(*words: str) -> int:
            try:
                with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    main.main(list(words), prog_name="delaysnn")
            except SystemExit as end:
                return int(end.code or 0)
            return 0

        make_inputs(self.inputs, here)
        child.subprocess = SimpleNamespace(Popen=ForkedTraining, PIPE=-1)
        for each in scenarios:
            if each.command[0] not in ("sweep", "data"):
                self.clean(each)
                assert here(*each.words(self.base)) == 0, each.name

    def clean(self, scenario: Scenario) -> None:
        """Put the folder back to how the command begins."""
        shutil.rmtree(self.base, ignore_errors=True)
        self.base.mkdir()
        scenario.begin(self.inputs, self.base)
        self.log.unlink(missing_ok=True)

    def watched(self, scenario: Scenario, mode: str, at: int) -> tuple[int, int, list[str]]:
        """Run the command; return its exit code, the number of changes, and what they are."""
        counter, notes = Counter(), self.folder / "changes"

        def hook() -> None:
            operations = Operations(self.base, mode, at, not scenario.alone, counter)
            if mode == COUNT:
                real = os._exit

                def leave(code: int) -> None:
                    with open(notes, "a") as file:
                        file.write("\n".join(operations.log) + "\n")
                    real(code)

                os._exit = leave

        notes.unlink(missing_ok=True)
        code = call(*scenario.words(self.base), hook=hook, log=self.log)
        changes = notes.read_text().split("\n") if notes.exists() else []
        return code, counter.value, [line for line in changes if line]

    def reference(self, scenario: Scenario) -> tuple[int, dict[str, object]]:
        """Return the number of changes of an undisturbed command, and what it leaves."""
        self.clean(scenario)
        code, changes, self.changes = self.watched(scenario, COUNT, 0)
        expected, left = contents(self.base)
        assert code == 0 and not left, (code, left, self.log.read_text())
        return changes, expected

    def case(self, scenario: Scenario, mode: str, at: int, expected: dict[str, object]) -> str:
        """Return what is wrong after one disturbance, nothing if all is well."""
        self.clean(scenario)
        code, _, _ = self.watched(scenario, mode, at)
        wrong = self._disturbed(scenario, mode, code)
        if wrong:
            return wrong
        wrong = self._again(scenario)
        if wrong:
            return wrong
        found, left = contents(self.base)
        self.left = left
        differing = [
            name for name in {**found, **expected} if found.get(name, 0) != expected.get(name, 0)
        ]
        return f"differing: {', '.join(differing)}" if differing else ""

    def _disturbed(self, scenario: Scenario, mode: str, code: int) -> str:
        """Return what is wrong with how a disturbed command ended."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        if "Traceback" in text or "fault of delaysnn" in text:
            return f"disturbed: {text}"
        if mode == FULL:
            said = (text.splitlines() or [""])[-1].startswith("error: ")
            return "" if code == 0 or (code == 1 and said) else f"full disk: {code} {text}"
        # A training of a sweep that is killed alone is begun again by the sweep.
        return "" if code == -signal.SIGKILL or (scenario.alone and code == 0) else f"{code} {text}"

    def _a_day_later(self) -> None:
        """Let what the disturbed command left unfinished be old: what is new is left alone."""
        for path in self.base.rglob("*"):
            if is_unfinished(path):
                os.utime(path, (0, 0))

    def _again(self, scenario: Scenario) -> str:
        """Run the same command again, as it says; return what is wrong."""
        self.log.unlink(missing_ok=True)
        self._a_day_later()
        words = scenario.words(self.base)
        code = call(*words, log=self.log)
        text = self.log.read_text(errors="replace")
        if code == 2 and words[0] == "train" and "continue with --resume" in text:
            run = words[words.index("--out") + 1]
            code = call("train", "--resume", "--threads", "1", "--out", run, log=self.log)
        if code == 2 and words[0] == "export" and "which exists" in text:
            return ""
        text = self.log.read_text(errors="replace")
        return "" if code == 0 and "Traceback" not in text else f"again: {code} {text}"


def cases(bench: Bench, chosen: list[Scenario], modes: list[str]) -> Iterator[tuple]:
    """Give scenario, mode, number of the change, and what must be left, of every case."""
    for scenario in chosen:
        changes, expected = bench.reference(scenario)
        bench.totals[scenario.name] = changes
        for mode in modes:
            for at in range(1, changes + 1):
                yield scenario, mode, at, expected


def sample(found: list[tuple], n: int) -> list[tuple]:
    """Return n cases, spread evenly, fewer of those that cost more."""
    places = list(accumulate(1 / scenario.cost for scenario, *_ in found))
    wanted = [(k + 0.5) * places[-1] / n for k in range(n)]
    return [found[bisect(places, place)] for place in wanted]


@contextmanager
def temporary() -> Iterator[Path]:
    """Give a folder, and let caches be in it but for that of kernels."""
    from mlgenn_delays.kernels import kernel_cache

    kernels = kernel_cache()
    if kernels is not None:
        os.environ["NUMBA_CACHE_DIR"] = str(kernels.parent)
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        os.environ["DELAYSNN_CACHE"] = str(Path(name).resolve() / "base" / "cache")
        yield Path(name).resolve()


def main() -> int:
    """Run what the command line asks for; print a JSON object of counts and failures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=[each.name for each in SCENARIOS])
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--mode", action="append", choices=MODES)
    parser.add_argument("--at", type=int, help="this change alone")
    parser.add_argument("--sample", type=int, help="so many cases, spread evenly over all")
    parser.add_argument("--list", action="store_true", help="print the changes, and end")
    asked = parser.parse_args()
    chosen = [each for each in SCENARIOS if each.name in (asked.only or [each.name])]
    chosen = [each for each in chosen if each.name not in asked.without]
    began, failed, counts, left = time.monotonic(), [], {}, 0
    with temporary() as folder:
        bench = Bench(folder)
        bench.warm(chosen)
        if asked.list:
            for each in chosen:
                bench.reference(each)
                print(each.name, *bench.changes, sep="\n  ")
            return 0
        modes = asked.mode or list(MODES)
        found = [each for each in cases(bench, chosen, modes) if asked.at in (None, each[2])]
        if asked.sample:
            found = sample(found, asked.sample)
        for scenario, mode, at, expected in found:
            name = f"{scenario.name} {mode}"
            if name not in counts:
                print(f"{time.monotonic() - began:6.1f} s  {name}", file=sys.stderr, flush=True)
            counts[name] = counts.get(name, 0) + 1
            wrong = bench.case(scenario, mode, at, expected)
            left += bool(not wrong and bench.left)
            if wrong:
                failed.append(f"{name} {at}: {wrong}")
                print(failed[-1], file=sys.stderr, flush=True)
    summary = {
        "cases": sum(counts.values()),
        "failed": failed,
        "with_leftovers": left,
        "seconds": round(time.monotonic() - began, 1),
        "by": counts,
        "changes": bench.totals,
    }
    print(json.dumps(summary, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
