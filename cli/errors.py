"""How the command line fails: one line on stderr and an exit code, a traceback only if asked for.

Exit codes: 0 done, 1 the work failed, 2 bad input; 128 + the number of a signal that asked to end:
130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""

import errno
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import click

from mlgenn_delays.errors import LONGEST_MESSAGE, DelaysnnError, nearest, one_line, shorten

from .output import drop_unwritten, make_streams_safe, say
from .signals import as_interruptions, exit_code

DEBUG = "DELAYSNN_DEBUG"
AGAIN = "interrupted; run the same command again"
# What click raises where it shows the help unasked; version 8.1 raises nothing there.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


class Interrupted(DelaysnnError):
    """A signal asked to end; the text says how to go on, with a command that is never cut. To be
    raised from it.
    """

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
    """Print a warning as one line, without the place in the code."""
    say(f"warning: {_brief(str(message))}", err=True)


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
    """Return a text as one line, not too long: it may repeat something from outside."""
    return one_line(shorten(text, LONGEST_MESSAGE))


def unknown_command(ctx: click.Context, name: str, known: list[str]) -> None:
    """Reject a word that is no command, and name the nearest."""
    if name not in known and not name.startswith("-"):
        ctx.fail(f"there is no command {name!r} (known: {', '.join(known)}){nearest(name, known)}")


def _text(error: BaseException) -> str:
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
            "; free space; a training resumes with --resume" if error.errno == errno.ENOSPC else ""
        )
        return f"the system refused{where}: {error.strerror or error}{hint}"
    return (
        f"unexpected {type(error).__name__}: {error}; this is a fault of delaysnn: "
        f"run it again with {DEBUG}=1 for the traceback, and report that"
    )
