"""Runs cases in processes that are forked from one with everything loaded, and watches them.

A case fails if it prints a traceback, calls itself a fault of delaysnn, ends in any way but well
(0), with one line about the work (1) or about its input (2), takes longer than 10 s, or more than
a GiB of memory.
"""

import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from tests.fuzz.targets import Target

SECONDS = 10.0  # of the processor: others may use the machine as well
PATIENCE = 2 * SECONDS  # of the processor, after which a case is ended
WAITING = 300  # seconds after which a case hangs that does nothing
MEMORY = 2**30  # bytes
ADDRESSES = 6 * 2**30  # bytes beyond those of the parent: what is asked for and not used is none
LONGEST = 2100  # characters of an error
BATCH = 20  # cases of one process
# Warnings are not errors; a case prints one error and no more.
_FAULTS = ("Traceback (most recent call last)", "this is a fault of delaysnn")


@dataclass(frozen=True)
class Outcome:
    """How a case ended.

    Attributes:
        target: Its target.
        case: Its number.
        kind: "read", "refused", "failed" (exit code 1) or what is wrong.
        said: What it printed about that.
        seconds: How long it took.
        memory: How much more memory the process had than before [bytes].
    """

    target: str
    case: int
    kind: str
    said: str
    seconds: float
    memory: int

    @property
    def good(self) -> bool:
        """Whether it ended as it must."""
        return self.kind in ("read", "refused", "failed")


def plan(targets: dict[str, Target], cases: int) -> list[tuple[str, int]]:
    """Return target and number of each of about so many cases, by the shares of the targets."""
    whole = sum(target.share for target in targets.values()) or len(targets)
    found = []
    for name, target in targets.items():
        share = (target.share or whole / len(targets)) / whole
        found += [(name, case) for case in range(max(1, round(cases * share)))]
    return found


def run(
    targets: dict[str, Target], cases: list[tuple[str, int]], base: Path, work: Path, seed: int,
    jobs: int,
) -> Iterator[Outcome]:  # fmt: skip
    """Yield how cases ended, in any order.

    Arguments:
        targets: All targets.
        cases: Target and number of each.
        base: The whole files.
        work: A folder for those of the cases.
        seed: Of the mutations.
        jobs: Processes at once.
    """
    waiting = [cases[k : k + BATCH] for k in range(0, len(cases), BATCH)]
    children: list[_Child] = []
    while waiting or children:
        while waiting and len(children) < jobs:
            children.append(_Child(targets, waiting.pop(0), base, work, seed))
        ready, _, _ = select.select([child.pipe for child in children], [], [], 0.5)
        for child in list(children):
            yield from child.outcomes(child.pipe in ready)
            if child.ended:
                children.remove(child)
                if child.left:
                    waiting.insert(0, child.left)


class _Child:
    def __init__(
        self, targets: dict[str, Target], cases: list[tuple[str, int]], base: Path, work: Path,
        seed: int,
    ) -> None:  # fmt: skip
        self.left, self.ended = list(cases), False
        self.pipe, out = os.pipe()
        self._text, self._since = b"", time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                os.close(self.pipe)
                _work(targets, cases, base, work / str(os.getpid()), seed, out)
                code = 0
            finally:
                os._exit(code)
        os.close(out)

    def outcomes(self, ready: bool) -> Iterable[Outcome]:
        """Return what has come in; end the process where a case hangs."""
        chunk = os.read(self.pipe, 2**20) if ready else None
        self._text += chunk or b""
        *lines, self._text = self._text.split(b"\n")
        found = [Outcome(**json.loads(line)) for line in lines]
        if found:
            self._since, self.left = time.monotonic(), self.left[len(found) :]
        hangs = time.monotonic() - self._since > 2 * WAITING
        if chunk == b"" or hangs:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            os.close(self.pipe)
            self.ended = True
            if self.left:
                (name, case), self.left = self.left[0], self.left[1:]
                kind = "hangs" if hangs else f"ends with {status}"
                took = time.monotonic() - self._since
                found.append(Outcome(name, case, kind, "", took, 0))
        return found


def _work(
    targets: dict[str, Target], cases: list[tuple[str, int]], base: Path, work: Path, seed: int,
    out: int,
) -> None:  # fmt: skip
    """Run a batch and write how each case ended."""
    limit = _memory("VmSize") + ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for name, case in cases:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        os.environ["DELAYSNN_CACHE"] = str(work / "cache")
        outcome = attempt(targets[name], name, case, base, work, seed)
        os.write(out, json.dumps(outcome.__dict__).encode() + b"\n")
    shutil.rmtree(work, ignore_errors=True)


def attempt(
    target: Target,
    name: str,
    case: int,
    base: Path,
    work: Path,
    seed: int,
    patience: float = PATIENCE,
) -> Outcome:
    """Run one case in this process."""
    rng = np.random.default_rng([seed, crc32(name.encode()), case])
    words = target.prepare(base, work, rng)
    before = _memory("VmRSS")
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    began = time.process_time()
    for number, timer, limit in (
        (signal.SIGPROF, signal.ITIMER_PROF, patience),
        (signal.SIGALRM, signal.ITIMER_REAL, WAITING),
    ):
        signal.signal(number, _alarm)
        signal.setitimer(timer, limit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind, said = _call(words) if target.function is None else _ask(target, work)
    except _TooLongError:
        kind, said = "hangs", " ".join(words)
    finally:
        for timer in (signal.ITIMER_PROF, signal.ITIMER_REAL):
            signal.setitimer(timer, 0)
    took = time.process_time() - began
    memory = max(0, _memory("VmHWM") - before) + _helpers()
    if took > SECONDS and kind in ("read", "refused", "failed"):
        kind = "takes too long"
    if memory > MEMORY:
        kind = "takes too much memory"
    said = said.replace(str(work), "")
    return Outcome(
        name, case, kind, f"{' '.join(words)}: {said}".replace(str(work), ""), took, memory
    )


class _TooLongError(BaseException):
    """A case takes too long."""


def _alarm(*_: object) -> None:
    raise _TooLongError


def _memory(key: str) -> int:
    """Return a number of /proc/self/status [bytes], 0 where there is none."""
    with suppress(OSError), open("/proc/self/status") as file:
        for line in file:
            if line.startswith(key):
                return 1024 * int(line.split()[1])
    return 0


def _helpers() -> int:
    """Return the most memory that the process which reads HDF5 has had beyond its own [bytes]."""
    from mlgenn_delays import hdf5

    for worker in hdf5._kept:
        if worker.owner == os.getpid():
            with suppress(OSError), open(f"/proc/{worker.process.pid}/status") as file:
                peak = [1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM")]
                return max(0, peak[0] - 150 * 2**20) if peak else 0
    return 0


def _call(words: list[str]) -> tuple[str, str]:
    """Run a command and judge how it ended."""
    from click.testing import CliRunner

    from mlgenn_delays.cli import main

    result = CliRunner().invoke(main, words)
    if isinstance(result.exception, _TooLongError):
        raise result.exception
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return "raises", repr(result.exception)[:500]
    said = result.stderr.strip().split("\n")
    errors = [line for line in said if line.startswith("error: ")]
    last = errors[-1] if errors else ""
    if any(fault in result.output for fault in _FAULTS):
        return "calls itself a fault", last
    if "out of memory" in last:
        return "runs out of memory", last
    if result.exit_code == 0:
        return "read", ""
    if result.exit_code not in (1, 2) or not errors:
        return f"exit code {result.exit_code}", result.output[-500:]
    if len(last) > LONGEST or not all(line.isprintable() for line in errors):
        return "says it badly", last[:500]
    return ("refused" if result.exit_code == 2 else "failed"), last


def _ask(target: Target, folder: Path) -> tuple[str, str]:
    """Call a function and judge how it ended."""
    from mlgenn_delays.errors import InputError

    assert target.function is not None
    try:
        target.function(folder)
    except InputError as error:
        bad = len(str(error)) > LONGEST
        return ("says it badly" if bad else "refused"), str(error)[:LONGEST]
    except MemoryError:
        return "runs out of memory", ""
    except Exception as error:
        return "raises", f"{type(error).__name__}: {str(error)[:300]}"
    return "read", ""


def summary(outcomes: list[Outcome]) -> str:
    """Return how many cases of each target ended how, as a table."""
    kinds = sorted({outcome.kind for outcome in outcomes}, key=lambda kind: (len(kind) > 7, kind))
    lines = [f"{'target':20} {'cases':>6} " + " ".join(f"{kind:>8}" for kind in kinds)]
    names = list(dict.fromkeys(outcome.target for outcome in outcomes))
    for name in [*names, "all"]:
        own = [each for each in outcomes if name in (each.target, "all")]
        counted = Counter(each.kind for each in own)
        cells = (f"{counted[kind]:>{max(8, len(kind))}}" for kind in kinds)
        lines.append(f"{name:20} {len(own):>6} " + " ".join(cells))
    slowest = max(outcomes, key=lambda each: each.seconds)
    largest = max(outcomes, key=lambda each: each.memory)
    lines.append(f"slowest: {slowest.target} {slowest.case} with {slowest.seconds:.1f} s")
    lines.append(f"largest: {largest.target} {largest.case} with {largest.memory / 2**20:.0f} MiB")
    return "\n".join(lines)


def warm(targets: dict[str, Target], base: Path, work: Path) -> None:
    """Run every command once on whole files, so that a case only does what is its own."""
    for name, target in targets.items():
        for command in target.commands or ("",):
            folder = work / "warm"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            os.environ["DELAYSNN_CACHE"] = str(folder / "cache")
            alone = Target(target.file, (command,), (lambda content, rng: content,), target.copied,
                           target.removed, 0, target.function)  # fmt: skip
            outcome = attempt(alone, name, 0, base, folder, 0, patience=1000)
            print(f"{name}: {outcome.kind} in {outcome.seconds:.2f} s", file=sys.stderr, flush=True)
            assert outcome.kind in ("read", "failed", "takes too long", "takes too much memory"), (
                outcome
            )
    shutil.rmtree(work / "warm")
    from mlgenn_delays import hdf5

    hdf5._stop()
