"""What a command prints, how it fails, and how it is stopped.

Errors are one line on stderr, a traceback only if asked for. Exit codes: 0 done, 1 the work failed,
2 bad input; 128 + the number of a signal that asked to end: 130 Ctrl-C, 143 SIGTERM (batch systems,
kill), 129 SIGHUP (a closed terminal). All three become a KeyboardInterrupt, so that whatever cleans
up after Ctrl-C does after the others. One that is ignored at the start, as under nohup, stays so.
"""

import errno
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from shutil import get_terminal_size
from textwrap import wrap
from typing import Any, NoReturn

import click

from mlgenn_delays.errors import (
    LONGEST_MESSAGE,
    DelaysnnError,
    nearest,
    one_line,
    printable,
    shorten,
)

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # some systems do not have them all
REPEAT_AFTER = 10.0  # seconds


class Signalled(KeyboardInterrupt):
    """A signal of this number asked the command to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def exit_code(error: BaseException | None) -> int:
    """128 + the number of the signal that an error comes from, Ctrl-C's if unknown."""
    while error is not None:
        if isinstance(error, Signalled):
            return 128 + error.number
        error = error.__cause__ or error.__context__
    return 128 + signal.SIGINT


def leave(end: SystemExit) -> None:
    """End this process at once if a signal asked for it and threads, which may compile for a
    minute, would be waited for.
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
        timer = threading.Timer(REPEAT_AFTER, _send, [number])
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
    """Defer signals until the block ends; compilers swallow some of them."""
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
    """Set a handler in place of the given ones, or of all of Python's; ignored signals stay so."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    before: dict[int, Any] = {}
    for number in (getattr(signal, name) for name in _NAMES if hasattr(signal, name)):
        held = signal.getsignal(number)
        if held in only if only else callable(held):
            before[number] = signal.signal(number, handler)
    return before


def _restore(before: dict[int, Any]) -> None:
    for number, handler in before.items():
        signal.signal(number, handler)


def make_streams_safe() -> None:
    """Let stdout and stderr write escapes for what their encoding cannot hold.

    Else a name, or a sign of a table, would end a command whose work is done.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def drop_unwritten() -> None:
    """Drop what stdout does not take: Python would try again at its end, and exit with 120."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(*parts: str, err: bool = False) -> None:
    """Print a line of parts with tabs between them, with escapes for what a terminal acts on."""
    # Click's own choice of a stream would be UTF-8 where the locale has no such characters.
    click.echo("\t".join(map(printable, parts)), file=sys.stderr if err else sys.stdout)


def say_prose(text: str, *, indent: int = 4, err: bool = False) -> None:
    """Print a text as a line, which a terminal gets in lines that end between words.

    All but the first of them are indented. What is to be copied, such as a command, goes to `say`.
    """
    stream = sys.stderr if err else sys.stdout
    if stream is None or not stream.isatty():
        say(text, err=err)
        return
    for line in wrap(
        printable(text), get_terminal_size().columns, subsequent_indent=" " * indent,
        break_on_hyphens=False, break_long_words=False,
    ):  # fmt: skip
        say(line, err=err)


def say_json(value: Any) -> None:
    """Print a value as one line of JSON in ASCII."""
    import json

    click.echo(json.dumps(value), file=sys.stdout)


DEBUG = "DELAYSNN_DEBUG"
AGAIN = "interrupted; run the same command again"
# What click raises where it shows the help unasked; version 8.1 raises nothing there.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Interrupted(DelaysnnError):
    """A signal asked to end; the text, which is never cut, says how to resume."""

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def leave_with_one_line(command: Callable[[], Any]) -> NoReturn:
    """Run a command and exit; whatever it raises becomes one line and an exit code."""
    make_streams_safe()
    try:
        with as_interruptions(), warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]
            result = command()
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        if os.environ.get(DEBUG) == "1" and not isinstance(error, click.exceptions.Exit):
            raise
        code = report(error)
        drop_unwritten()
        sys.exit(code)
    sys.exit(result if isinstance(result, int) else 0)


def _warn(message: Warning | str, *_: Any) -> None:
    say_prose(f"warning: {_brief(str(message))}", err=True)


def report(error: BaseException) -> int:
    """Print what happened and return the exit code."""
    if isinstance(error, click.Abort) and isinstance(error.__cause__, EOFError):
        error = error.__cause__  # which click takes for an interruption
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    asked = isinstance(error, (Interrupted, click.Abort, KeyboardInterrupt))
    ours = isinstance(error, (DelaysnnError, click.ClickException))
    with suppress(OSError):  # the terminal may be gone
        if isinstance(error, click.ClickException) and isinstance(error, _HELP):
            error.show()  # the help itself
        elif asked:
            say(str(error) if isinstance(error, Interrupted) else AGAIN, err=True)
        else:
            say(f"error: {_brief(_text(error))}", err=True)
    if asked:
        return exit_code(error)
    return error.exit_code if ours else 1  # type: ignore[attr-defined]


def _brief(text: str) -> str:
    """One line of bounded length: a text may repeat something from outside."""
    return one_line(shorten(text, LONGEST_MESSAGE))


class CommandGroup(click.Group):
    """Commands in the order of their use; of a word that is none the nearest is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            hint = nearest(name, known)
            ctx.fail(f"there is no command {name!r} (known: {', '.join(known)}){hint}")
        return super().resolve_command(ctx, args)


def _text(error: BaseException) -> str:
    if isinstance(error, DelaysnnError):
        return str(error)
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{error.format_message().rstrip('.')}; see {error.ctx.command_path} --help"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if isinstance(error, MemoryError):
        return "out of memory; a smaller learning.batch_size, --batch or network needs less"
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        hint = (
            "; free space; a training resumes with --resume" if error.errno == errno.ENOSPC else ""
        )
        return f"the system refused{where}: {error.strerror or error}{hint}"
    return (
        f"unexpected {type(error).__name__}: {error}; this is a fault of delaysnn: "
        f"run it again with {DEBUG}=1 for the traceback, and report that"
    )
