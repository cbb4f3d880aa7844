"""A file system that answers in the other order."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class _Scan:
    """What os.scandir returns, from the end."""

    def __init__(self, entries: Any) -> None:
        with entries:
            self.entries = iter(sorted(entries, key=lambda each: each.name, reverse=True))

    def __iter__(self) -> Iterator[Any]:
        return self.entries

    def __next__(self) -> Any:
        return next(self.entries)

    def __enter__(self) -> "_Scan":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        """Do nothing: all has been read."""


@contextmanager
def backwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let every listing of a folder, os.walk and pathlib included, come from the end."""
    scan, names = os.scandir, os.listdir
    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", lambda *path: _Scan(scan(*path)))
        patched.setattr(os, "listdir", lambda *path: sorted(names(*path), reverse=True))
        yield
