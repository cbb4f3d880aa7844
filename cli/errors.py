"""How the command line fails: one line on stderr and an exit code, a traceback only if asked for.

Exit codes: 0 done, 1 the work failed, 2 bad input, 130 interrupted.
"""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NoReturn

import click

from mlgenn_delays.errors import LONGEST_MESSAGE, DelaysnnError, nearest, one_line, shorten

from .output import make_streams_safe, say

DEBUG = "DELAYSNN_DEBUG"
INTERRUPTED = 130
# What click raises where it shows the help unasked; version 8.1 raises nothing there.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Interrupted(DelaysnnError):
    """The user interrupted; the text says how to go on, with a command that is never cut."""

    exit_code = INTERRUPTED

    def __init__(self, message: str) -> None:
        Exception.__init__(self, message)


def leave_with_one_line(command: Callable[[], Any]) -> NoReturn:
    """Run a command and exit; whatever it raises becomes one line and an exit code."""
    make_streams_safe()
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _warn  # type: ignore[assignment]
            result = command()
    except Exception as error:
        if os.environ.get(DEBUG) == "1" and not isinstance(error, click.exceptions.Exit):
            raise
        sys.exit(report(error))
    sys.exit(result if isinstance(result, int) else 0)


def _warn(message: Warning | str, *_: Any) -> None:
    """Print a warning as one line, without the place in the code."""
    say(f"warning: {_brief(str(message))}", err=True)


def report(error: Exception) -> int:
    """Print what happened and return the exit code."""
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code
    if isinstance(error, click.ClickException) and isinstance(error, _HELP):
        error.show()  # the help itself
        return error.exit_code
    if isinstance(error, Interrupted):
        say(str(error), err=True)
        return error.exit_code
    if isinstance(error, click.Abort):
        say("interrupted", err=True)
        return INTERRUPTED
    ours = isinstance(error, (DelaysnnError, click.ClickException))
    say(f"error: {_brief(_text(error))}", err=True)
    return error.exit_code if ours else 1  # type: ignore[attr-defined]


def _brief(text: str) -> str:
    """Return a text as one line, not too long: it may repeat something from outside."""
    return one_line(shorten(text, LONGEST_MESSAGE))


def unknown_command(ctx: click.Context, name: str, known: list[str]) -> None:
    """Refuse a word that is no command, and name the nearest."""
    if name not in known and not name.startswith("-"):
        ctx.fail(f"there is no command {name!r} (known: {', '.join(known)}){nearest(name, known)}")


def _text(error: Exception) -> str:
    """Return what to say of an error."""
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
            "; free space; a training goes on with --resume" if error.errno == errno.ENOSPC else ""
        )
        return f"the system refused{where}: {error.strerror or error}{hint}"
    return (
        f"unexpected {type(error).__name__}: {error}; this is a fault of delaysnn: "
        f"run it again with {DEBUG}=1 for the traceback, and report that"
    )
