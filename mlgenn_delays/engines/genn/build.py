"""GeNN's generated code: where it is kept, how it is compiled, what is said when that fails.

A library that was cut or changed ends the process that loads it. So what was built is recorded
last, with checksums, and code without a record that fits is built anew.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.files import (
    cache_folders,
    make_private,
    may_trust,
    remove_unused,
    temporary_folder,
    write_atomic,
)

LOG = "build.log"
LINES = 12  # of a compiler's output that are shown
RECORD = "built.json"
_PREFIX = "genn-"
_LIBRARIES = (".so", ".dylib", ".dll")
_ROOM = 4 * 2**20  # bytes that code may need


def code_folder(description: object) -> Path:
    """Return the build folder, named by a hash of the description.

    It lies in the package's cache folder, or a temporary one if nothing can be written there;
    those of others go once they were not used for 30 days.
    """
    digest = sha256(repr(description).encode()).hexdigest()[:16]
    reasons = []
    for base in (folder / "genn" for folder in cache_folders()):
        folder = base / f"{_PREFIX}{digest}"
        new = not folder.is_dir()
        try:
            make_private(folder)
            folder.touch()
            if not (folder / RECORD).exists():
                _check_room(folder)
        except OSError as error:
            reasons.append(f"{folder}: {error.strerror or error}")
            continue
        if new:
            remove_unused(base, f"{_PREFIX}*")
        return folder
    raise InputError(
        f"cannot write GeNN's code to {'; '.join(reasons)}; "
        "set DELAYSNN_CACHE to a folder that can be written"
    )


def _check_room(folder: Path) -> None:
    """Raise OSError unless the disk has room for code."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(_ROOM))
        file.flush()
        os.fsync(file.fileno())


def check_compilers(backend: str, instead: str = "run with --engine cpu") -> None:
    """Reject a backend whose code cannot be compiled here; `instead` names a way out."""
    needed = {"make": "make", "g++": os.environ.get("CXX", "g++")}
    if backend == "cuda":
        root = os.environ.get("CUDA_PATH", "")
        inside = Path(root) / "bin" / "nvcc"
        needed["nvcc"] = str(inside) if root and inside.exists() else "nvcc"
    for what, program in needed.items():
        if shutil.which(program.split()[0]) is None:
            raise InputError(
                f"GeNN's {backend} backend must have {what} to compile its code, got none "
                f"({program!r} is not on PATH); install it, or {instead}"
            )


def build(model: Any, folder: Path, backend: str) -> dict[str, bytes]:
    """Generate and compile the code of a `pygenn.GeNNModel`, as far as it is not there yet.

    Returns the content of the libraries by file name. If the compiler fails, the error has the end
    of its output.
    """
    log, code = folder / LOG, folder / f"{model.name}_CODE"
    with _alone(folder):
        log.unlink(missing_ok=True)
        recorded = _recorded(folder)
        if recorded is None or _content(code)[0] != recorded:
            # Not a part of it alone: make would go by the files' times.
            shutil.rmtree(code, ignore_errors=True)
        try:
            with _output_to(log):
                model.build(str(folder))
            found, libraries = _content(code)
        except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
            (folder / RECORD).unlink(missing_ok=True)
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            said = "\n".join(lines[-LINES:]) or str(error)
            raise InputError(
                f"GeNN's {backend} backend must have a compiler that can build its code, but "
                f"that failed:\n{said}\n(all of its output: {log}; the code beside it). "
                "Mend the compiler's installation, or run with --engine cpu"
            ) from error
        if found != recorded:
            with suppress(WorkError):  # a full disk: it is built anew the next time
                write_atomic(folder / RECORD, json.dumps(found))
        return libraries


def _recorded(folder: Path) -> object:
    """Return the recorded hashes of `_content`, None without a record of this user's."""
    try:
        with open(folder / RECORD, "rb") as file:
            return json.load(file) if may_trust(os.fstat(file.fileno())) else None
    except (OSError, ValueError, RecursionError):
        return None


def _content(code: Path) -> tuple[dict[str, str], dict[str, bytes]]:
    """Return the hashes of all files of a folder, and the content of the libraries, by name."""
    hashes, libraries = {}, {}
    for path in sorted(path for path in code.rglob("*") if path.is_file()):
        content = path.read_bytes()
        hashes[path.name] = sha256(content).hexdigest()
        if path.suffix in _LIBRARIES:
            libraries[path.name] = content
    return hashes, libraries


def load(model: Any, libraries: dict[str, bytes], folder: Path) -> None:
    """Load a model that was built, with memory of its own, from what `build` returned.

    The system gives what is loaded from one file one memory, which several networks of the same
    code would share; so each loads a copy, which need not stay.
    """
    try:
        with temporary_folder() as own:
            code = own / f"{model.name}_CODE"
            code.mkdir()
            for name, content in libraries.items():
                (code / name).write_bytes(content)
            model._path_to_model = str(own)
            model.load()
    except (RuntimeError, OSError) as error:
        raise WorkError(
            f"GeNN's code in {folder} was built, but cannot be loaded: {error}. "
            "Is the temporary folder (TMPDIR) one to run programs from, with space left?"
        ) from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process at a time build in a folder."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        yield
        return
    with open(folder / ".lock", "w") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _output_to(path: Path) -> Iterator[None]:
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    try:
        with open(path, "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        yield
    finally:
        for own, number in zip(kept, (1, 2), strict=True):
            os.dup2(own, number)
            os.close(own)
