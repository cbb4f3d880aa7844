"""What commands print: whole on every terminal, whatever names of files and classes hold."""

import os
import sys
from contextlib import suppress
from typing import Any

import click

from mlgenn_delays.errors import printable


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


def say_json(value: Any) -> None:
    """Print a value as one line of JSON in ASCII."""
    import json

    click.echo(json.dumps(value), file=sys.stdout)
