"""HDF5 files as plain arrays, read where a damaged one can do no harm.

HDF5 is parsed by a C library that may crash, hang or ask for all memory on a file that is damaged
or made to do so. So a process of its own opens the file, within bounds on time, memory and
content, and hands over numbers and text. It is started at the first file and kept for the next.
"""

import atexit
import json
import math
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError, WorkError

MEMORY = 8 * 2**30  # bytes of address space of the process, of which libraries take about one GiB
_READS = 1000  # files that one process reads at most
_GRACE = 5.0  # s; starting the process counts as reading too
_BUSY = 3  # times as long as it may work that an answer may take
_WORKER = Path(__file__).with_name("hdf5_worker.py")
_KINDS = {f"<{kind}{size}" for kind in "iu" for size in (2, 4, 8)} | {
    "|i1", "|u1", "|b1", "<f2", "<f4", "<f8",
}  # fmt: skip


class UnreadableError(InputError):
    """A file is damaged, or holds what is not read.

    Attributes:
        why: The reason alone.
        ended: Whether the process that read it had to be ended, or ended by itself.
    """

    def __init__(self, text: str, why: str, *, ended: bool = False) -> None:
        super().__init__(text)
        self.why = why
        self.ended = ended


@dataclass(frozen=True)
class Limits:
    """What a file may at most be.

    Attributes:
        bytes: Of all arrays and texts.
        nodes: Groups, arrays, texts and rows of variable length.
        depth: Of groups within groups.
        seconds: For reading it, and one more for each 4 MiB of what is read.
    """

    bytes: int = 2 * 2**30
    nodes: int = 2_000_000
    depth: int = 16
    seconds: int = 10

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise InputError(f"{name} of Limits must be >= 1, got {value!r}")


_DEFAULT = Limits()


def read_hdf5(
    path: Path | str, *, limits: Limits = _DEFAULT, only: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Read an HDF5 file, of the names at its top those in `only`, or all.

    Returns:
        A dict for a group. Numbers are arrays (of shape () for a single one), numbers of variable
        length a list of one array per row, text ``str`` or lists of it. Attributes are left out.

    Raises:
        InputError: The file is missing or damaged, is larger than the limits, or has links, parts
            in other files, filters that are no part of h5py, or other types than those.
        WorkError: The process that reads files cannot be started.
    """
    tree: dict[str, Any] = _ask(Path(path), limits, {"only": list(only)})["tree"]
    return tree


def look_into_hdf5(path: Path, names: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """What is in an HDF5 file, without reading it; errors as of `read_hdf5`.

    Returns:
        Up to five names at the top; and of each place in `names`, such as ``"spikes/times"``, that
        has an array ``type``, ``rows`` (the type of its rows if they are arrays of variable length,
        or None) and ``shape``.
    """
    look = _ask(path, _DEFAULT, {"look": list(names)})["look"]
    return look["top"], look["found"]


def read_hdf5_parts(
    path: Path, parts: Mapping[str, tuple[int, int] | None], *, limits: Limits = _DEFAULT
) -> dict[str, Any]:
    """Read some arrays of an HDF5 file, or some of their rows, as `read_hdf5` would.

    Arguments:
        path: The file.
        parts: Places, see `look_into_hdf5`, and first and end of the rows to read: of arrays of
            variable length only. None reads all.
        limits: What those parts may at most be.
    """
    tree: dict[str, Any] = _ask(path, limits, {"parts": dict(parts)})["tree"]
    return tree


def _ask(path: Path, limits: Limits, what: dict[str, Any]) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no HDF5 file {path}; give the path of a file")
    most = min(path.stat().st_size, limits.bytes)
    limits = replace(limits, seconds=limits.seconds + most // 2**22)
    request = {"path": os.path.abspath(path), "limits": asdict(limits), **what}
    with _lock:
        try:
            answer = _worker().ask(request, limits)
        except _Gone as error:
            _stop()
            raise _damaged(path, str(error), ended=True) from error
    if "refused" in answer:
        why = answer["refused"]
        raise UnreadableError(f"{path} cannot be read: {why}; make it anew", why)
    if "damaged" in answer:
        raise _damaged(path, answer["damaged"])
    return answer


def _damaged(path: Path, why: str, *, ended: bool = False) -> UnreadableError:
    text = f"{path} is damaged, or no HDF5 file: {why}; take another copy of it"
    return UnreadableError(text, why, ended=ended)


class _Gone(Exception):
    """The process ended, or had to be ended, before it answered."""


class _Worker:
    """The process that opens files, reached through a pipe; process `owner` started it."""

    def __init__(self) -> None:
        # No more threads than one: each of them takes address space. No filters from elsewhere.
        settings = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        settings |= {"HDF5_PLUGIN_PRELOAD": "::", "HDF5_USE_FILE_LOCKING": "FALSE"}
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                self.process = subprocess.Popen(
                    [sys.executable, "-P", str(_WORKER), str(MEMORY)],
                    stdin=theirs.fileno(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    env={**os.environ, **settings},
                )  # fmt: skip
            except OSError as error:
                raise WorkError(f"cannot start {sys.executable} to read HDF5: {error}") from error
            self.pipe = Connection(ours.detach())
        self.owner, self.reads = os.getpid(), 0

    @property
    def usable(self) -> bool:
        """Whether this process may ask it for one more file."""
        return self.owner == os.getpid() and self.reads < _READS and self.process.poll() is None

    def ask(self, request: dict[str, Any], limits: Limits) -> dict[str, Any]:
        """The answer to a request, in which ``tree`` is what `read_hdf5` returns."""
        self.reads += 1
        try:
            self.pipe.send_bytes(json.dumps(request).encode())
            # The system bounds the time that it works; on a busy machine it waits for a while, too.
            if not self.pipe.poll(_BUSY * limits.seconds + _GRACE):
                raise _Gone("reading it takes too long")
            answer: dict[str, Any] = json.loads(self.pipe.recv_bytes(2**26 + 200 * limits.nodes))
            if "tree" in answer:
                self.left = limits.bytes
                answer["tree"] = self._item(answer["tree"])
        except (EOFError, ConnectionError) as error:
            raise _Gone(self._why()) from error
        except (KeyError, OSError, TypeError, ValueError) as error:  # no message that it sends
            ended = str(error) == "got end of file during message"
            raise _Gone(self._why() if ended else "reading it went wrong") from error
        return answer

    def _item(self, entry: dict[str, Any]) -> Any:
        """What an entry of an answer stands for; its array is the next message."""
        if "group" in entry:
            return {name: self._item(each) for name, each in entry["group"].items()}
        if "text" in entry:
            return entry["text"]
        if entry["array"] not in _KINDS:
            raise ValueError("no type that is sent")
        kind = np.dtype(entry["array"])
        size = kind.itemsize * math.prod(entry["shape"])
        self.left -= size
        if self.left < 0:
            raise ValueError("more than was allowed")
        array = np.frombuffer(self.pipe.recv_bytes(size), kind).reshape(entry["shape"]).copy()
        ends = np.cumsum(entry.get("rows", ()), dtype=np.int64)
        return [array[a:b] for a, b in pairwise([0, *ends])] if "rows" in entry else array

    def _why(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            code = self.process.wait(1)
            if code == -getattr(signal, "SIGXCPU", 0):
                return "reading it takes too long"
            return f"reading it ended the process that reads files ({code})"
        return "reading it went wrong"

    def stop(self) -> None:
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        self.pipe.close()


_lock = threading.Lock()
_kept: list[_Worker] = []


def _worker() -> _Worker:
    if not (_kept and _kept[0].usable):
        _stop()
        _kept.append(_Worker())
    return _kept[0]


def _stop() -> None:
    while _kept:
        _kept.pop().stop()


def _after_fork() -> None:
    """Leave the process that opens files, and whoever waits for it, to the parent."""
    global _lock
    _lock = threading.Lock()


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
