"""A second process that compiles kernels while this one does: Numba compiles one at a time.

The process is forked where the first kernel is missing in the cache. It runs `work`, for what that
compiles, and ends; kernels come back through the cache. Nothing depends on it: where it cannot be
had, or fails, kernels are compiled here when they are called. What it compiles is the same code
(`mlgenn_delays.kernels`).
"""

import os
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

PATIENCE = 120.0  # seconds after which a helper that has not ended is given up
_POLL = 0.02


class _Helper:
    """Started by the first `start`; further ones do nothing."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work, self._pid, self._started = work, 0, False

    def start(self) -> None:
        """Fork; the caller holds Numba's lock, so that no other thread is within LLVM."""
        if self._started:
            return
        self._started = True
        with warnings.catch_warnings(), suppress(OSError):
            warnings.simplefilter("ignore")  # Python's, of forks beside threads
            self._pid = os.fork()
            if self._pid == 0:
                _run(self._work)

    def wait(self) -> None:
        """Wait until it has ended, so that its kernels are in the cache."""
        end = time.monotonic() + PATIENCE
        try:
            while self._pid and time.monotonic() < end:
                if os.waitpid(self._pid, os.WNOHANG)[0]:
                    self._pid = 0
                else:
                    time.sleep(_POLL)
        except ChildProcessError:  # somebody else took its end
            self._pid = 0
        finally:
            self.stop()

    def stop(self) -> None:
        """End it."""
        if self._pid:
            with suppress(OSError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._pid = 0


def _run(work: Callable[[], None]) -> None:
    """Do the work in the forked process, unheard, and end it."""
    try:
        for name in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError):
                signal.signal(name, signal.SIG_DFL)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        sys.stdout = sys.stderr = open(nowhere, "w")  # in notebooks they lead elsewhere
        work()
    finally:
        os._exit(0)


_waiting: list[_Helper] = []
_tell: list[Callable[[], None]] = []


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Call a function once if a kernel of the context must be compiled."""
    _tell.append(tell)
    try:
        yield
    finally:
        _tell.clear()


def missed() -> None:
    """Note that a kernel must be compiled."""
    while _tell:
        _tell.pop()()
    if _waiting:
        _waiting[-1].start()


@contextmanager
def helped(work: Callable[[], None]) -> Iterator[None]:
    """Compile what `work` needs in a second process if any kernel of the context is missing."""
    # After MPI has begun, and beside frameworks of other systems, a fork is not safe.
    if not sys.platform.startswith("linux") or "mpi4py" in sys.modules:
        yield
        return
    helper = _Helper(work)
    _waiting.append(helper)
    try:
        yield
    except BaseException:
        helper.stop()
        raise
    finally:
        _waiting.remove(helper)
    helper.wait()
