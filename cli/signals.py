"""Signals that ask a command to end: Ctrl-C, SIGTERM (batch systems, kill) and SIGHUP (a terminal).

All three become a KeyboardInterrupt, so that whatever cleans up after Ctrl-C does after the others.
One that is ignored when the command starts, as under nohup, stays ignored.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # some systems do not have them all
AGAIN = 10.0  # seconds


class Signalled(KeyboardInterrupt):
    """A signal asked the command to end.

    Arguments:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(error: BaseException | None) -> int:
    """Return 128 + the number of the signal that an error comes from; that of Ctrl-C if unknown."""
    while error is not None:
        if isinstance(error, Signalled):
            return 128 + error.number
        error = error.__cause__ or error.__context__
    return 128 + signal.SIGINT


def leave(end: SystemExit) -> None:
    """End this process at once if a signal asked for it and threads would be waited for.

    They may compile for a minute; whatever they do, nothing of it is a file.
    """
    here = threading.current_thread()
    working = any(not each.daemon and each is not here for each in threading.enumerate())
    if working and isinstance(end.code, int) and end.code > 128:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(end.code)


@contextmanager
def as_interruptions() -> Iterator[None]:
    """Raise `Signalled` where a signal asks to end, while the context lasts."""
    timers: list[threading.Timer] = []

    def ended(number: int, _: Any) -> None:
        # Compilers and callbacks swallow exceptions, so a signal is sent again until it is heard.
        timer = threading.Timer(AGAIN, _send, [number])
        timer.daemon = True
        timers.append(timer)
        timer.start()
        raise Signalled(number)

    before = _replace(ended, (signal.SIG_DFL, signal.default_int_handler))
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        _restore(before)


@contextmanager
def later() -> Iterator[None]:
    """Wait with a signal until what is inside is done; compilers swallow some of them."""
    caught: list[int] = []
    before = _replace(lambda number, _: caught.append(number), ())
    try:
        yield
    finally:
        _restore(before)
    if caught:
        raise Signalled(caught[0])


def _send(number: int) -> None:
    """Send a signal to the main thread, waking it where it waits."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _replace(handler: Any, only: tuple[Any, ...]) -> dict[int, Any]:
    """Set a handler for the signals that are not ignored; return those before.

    Arguments:
        handler: The new one.
        only: Handlers that it may replace; if empty, all that are Python's.
    """
    if threading.current_thread() is not threading.main_thread():
        return {}
    before: dict[int, Any] = {}
    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        held = signal.getsignal(number)
        if held in only if only else callable(held):
            before[number] = signal.signal(number, handler)
    return before


def _restore(before: dict[int, Any]) -> None:
    """Set handlers back."""
    for number, handler in before.items():
        signal.signal(number, handler)
