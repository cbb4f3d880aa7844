"""The errors of the package, in two kinds that the command line maps to exit codes.

`InputError`: what was given cannot be used (exit code 2). `WorkError`: the input was fine and
the work failed (exit code 1), for instance because training diverged.
"""

LONGEST_MESSAGE = 2000  # characters


class DelaysnnError(Exception):
    """Base of every error that the package raises on purpose; its text is for the user.

    Arguments:
        message: The text. What is longer than 2,000 characters loses its middle: it repeats
            something from outside, and begins and ends with what is to be said of that.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shorten(message, LONGEST_MESSAGE))


class InputError(DelaysnnError):
    """Bad input: the text names the thing, the value received and the remedy."""

    exit_code = 2


class DamagedError(InputError):
    """A file cannot be used: it is truncated, no recording, or holds what cannot be."""


class WorkError(DelaysnnError):
    """The work failed: the text says what happened, what was kept and what to try."""


class DivergedError(WorkError):
    """Loss or gradients stopped being finite, or the loss exploded."""


def unreadable(path: object, error: Exception) -> InputError:
    """The error about a path that cannot be read."""
    reason = getattr(error, "strerror", None) or error
    return InputError(f"cannot read {path}: {reason}; check the path and its permissions")


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str:
    """``"; did you mean 'x'?"`` for the known word most like ``word``, or an empty text."""
    from difflib import get_close_matches

    found = get_close_matches(word[:100], known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def printable(text: str) -> str:
    """A text with escapes for what a terminal would act on, or no file can hold.

    Names of files and classes may have such characters: controls, those that turn the direction
    of writing, and halves of characters, which stand for bytes that are no UTF-8.
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def one_line(text: str) -> str:
    """A text as one line that a terminal shows as it is."""
    return printable(" ".join(part.strip() for part in text.splitlines()))


def shorten(text: str, longest: int) -> str:
    """A text of at most so many characters: what is longer loses its middle."""
    if len(text) <= longest:
        return text
    end = longest // 3
    return f"{text[: longest - end - 5]} ... {text[len(text) - end :]}"
