"""The sessions of a training: its start, every time it was resumed, and how each of them ended."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from mlgenn_delays import __version__
from mlgenn_delays.errors import LONGEST_MESSAGE, WorkError, printable
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.files import SESSIONS
from mlgenn_delays.untrusted import read_json

FINISHED, INTERRUPTED, FAILED = "finished", "interrupted", "failed"
_Text = Annotated[str, Field(max_length=LONGEST_MESSAGE)]


class Session(BaseModel):
    """One session.

    Attributes:
        after: Epochs that were finished when it began.
        engine: What computed.
        version: Of delaysnn.
        end: How it ended; None while it lasts, and where its process was killed.
        reason: What failed.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    after: Annotated[int, Field(ge=0, le=2**31 - 1)]
    engine: _Text
    version: _Text
    end: Literal["finished", "interrupted", "failed"] | None = None
    reason: _Text = ""


_SESSIONS = TypeAdapter(list[Session])


def read_sessions(run: Path) -> list[Session]:
    """The sessions of a run, the first one first; none for older runs, or if they are damaged."""
    try:
        return _SESSIONS.validate_python(read_json(run / SESSIONS))
    except (OSError, ValueError):
        return []


@contextmanager
def session(run: Path, after: int, engine: str) -> Iterator[None]:
    """Keep in a run directory that a session begins, and how it ends; only under the run's lock.

    Arguments:
        run: The run directory.
        after: Epochs that are finished.
        engine: What computes.

    Raises:
        WorkError: The folder cannot be written, when it begins.
    """
    before = read_sessions(run)
    now = Session(after=after, engine=engine, version=__version__)

    def keep(**ended: str) -> None:
        sessions = [*before, now.model_copy(update=ended)]
        content = json.dumps([each.model_dump(exclude_defaults=True) for each in sessions])
        write_atomic(run / SESSIONS, content + "\n")

    keep()
    ended = {}
    try:
        yield
        ended = {"end": FINISHED}
    except (KeyboardInterrupt, SystemExit):
        ended = {"end": INTERRUPTED}
        raise
    except Exception as error:
        ended = {"end": FAILED, "reason": printable(str(error).partition("; ")[0])}
        raise
    finally:
        with suppress(WorkError):  # the epochs are there, or their error says more
            keep(**ended)
