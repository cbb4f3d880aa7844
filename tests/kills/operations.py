"""Counts what a process changes in a folder, and ends it, or fills its disk, at one of the changes.

Changes are what the system is asked for: to open a file for writing, to write, to force to disk, to
rename, remove, make, link, truncate, or to set permissions and times. They are numbered from 1 over
all processes that share the counter.
"""

import builtins
import errno
import io
import mmap
import os
import signal
import sys
from pathlib import Path

KILL, HALF, FULL, COUNT = "kill", "half", "full", "count"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Audit event -> its arguments that are (path, descriptor of the folder it is relative to or None).
_EVENTS = {
    "os.mkdir": ((0, 2),),
    "os.rename": ((0, 2), (1, 3)),
    "os.link": ((0, 2), (1, 3)),
    "os.symlink": ((1, 2),),
    "os.remove": ((0, 1),),
    "os.rmdir": ((0, 1),),
    "os.truncate": ((0, None),),
    "os.chmod": ((0, 2),),
    "os.utime": ((0, 3),),
}
# What a full disk does not refuse.
_FREE = ("os.remove", "os.rmdir", "os.chmod", "os.utime", "os.truncate")


class Counter:
    """A number that forked processes share."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)

    def next(self) -> int:
        """Count one more; return the number."""
        value = self.value + 1
        self._memory[:] = value.to_bytes(8, "little")
        return value

    @property
    def value(self) -> int:
        return int.from_bytes(self._memory[:], "little")


class Operations:
    """What happens at the changes from now on, in this process and those it forks.

    Arguments:
        base: The folder.
        mode: ``"kill"`` ends the process before change `at`; ``"half"`` too, but of a write the
            first half is made; ``"full"`` refuses that change and all later ones that need space;
            ``"count"`` does nothing.
        at: Number of the change.
        whole: Whether a kill ends the whole process group, as a power cut does.
        counter: Counts the changes.
    """

    def __init__(self, base: Path, mode: str, at: int, whole: bool, counter: Counter) -> None:
        self.base = f"{base.resolve()}/"
        self.mode, self.at, self.whole, self.counter = mode, at, whole, counter
        self.log: list[str] = []
        self._watch_system_calls()
        self._watch_files()

    def happens(self, what: str, path: str, half: "tuple[int, bytes] | None" = None) -> None:
        """Take note of a change that is about to be made."""
        if not f"{path}/".startswith(self.base):
            return
        number = self.counter.next()
        if self.mode == COUNT:
            self.log.append(f"{number} {what} {path.removeprefix(self.base)}")
        if self.mode in (KILL, HALF) and number == self.at:
            if half is not None and self.mode == HALF:
                os.write(half[0], half[1][: len(half[1]) // 2])
            if self.whole:
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode == FULL and number >= self.at and what not in _FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def _watch_system_calls(self) -> None:
        def hook(event: str, arguments: tuple) -> None:
            if event == "open":
                path, _, flags = arguments
                if isinstance(path, (str, bytes)) and flags & _WRITING:
                    self.happens("open", _absolute(path))
            elif event in _EVENTS:
                for place, folder in _EVENTS[event]:
                    path = _absolute(arguments[place], arguments[folder] if folder else -1)
                    if f"{path}/".startswith(self.base):
                        self.happens(event, path)
                        return

        sys.addaudithook(hook)

    def _watch_files(self) -> None:
        """Let all files that are written tell of it."""
        operations, fsync, real_open = self, os.fsync, builtins.open

        class Raw(io.FileIO):
            def write(self, content):
                half = (self.fileno(), bytes(content))
                operations.happens("write", _path_of(self.fileno()), half)
                return super().write(content)

        def open_(file, mode="r", buffering=-1, *more, **options):
            if "b" in mode and not set(mode) & set("+r") and buffering != 0:
                return io.BufferedWriter(Raw(file, mode.replace("b", "")))
            if not set(mode) & set("+rb"):
                raw = io.BufferedWriter(Raw(file, mode.replace("t", "")))
                return io.TextIOWrapper(raw, *more, **options)
            return real_open(file, mode, buffering, *more, **options)

        def fdopen(descriptor, mode="r", *more, **options):
            return open_(descriptor, mode, *more, **options)

        def forced(descriptor):
            operations.happens("fsync", _path_of(descriptor))
            fsync(descriptor)

        builtins.open = io.open = open_
        os.fdopen, os.fsync = fdopen, forced


def _absolute(path: "str | bytes | int | os.PathLike", folder: "int | None" = -1) -> str:
    """Return a path that is absolute, with no links followed in its last part."""
    if isinstance(path, int):
        return _path_of(path)
    path = os.fsdecode(path)
    if folder not in (-1, None) and not os.path.isabs(path):
        path = os.path.join(_path_of(folder), path)
    return os.path.abspath(path)


def _path_of(descriptor: int) -> str:
    """Return the path of an open file, empty where the system does not say."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return ""
