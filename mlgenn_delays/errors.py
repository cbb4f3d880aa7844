"""The errors of the package, in two kinds that the command line maps to exit codes.

`InputError`: what was given cannot be used (exit code 2). `WorkError`: the input was fine and
the work failed (exit code 1), for instance because training diverged.
"""


class DelaysnnError(Exception):
    """Base of every error that the package raises on purpose; its text is for the user."""

    exit_code = 1


class InputError(DelaysnnError):
    """Bad input: the text names the thing, the value received and the remedy."""

    exit_code = 2


class WorkError(DelaysnnError):
    """The work failed: the text says what happened, what was kept and what to try."""


class DivergedError(WorkError):
    """Loss or gradients stopped being finite, or the loss exploded."""


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """Return ``"; did you mean 'x'?"`` for the known word most like ``word``, or an empty text."""
    from difflib import get_close_matches

    found = get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""
