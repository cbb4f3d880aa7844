"""GeNN's generated code: where it is kept, how it is compiled, what is said when that fails."""

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
from mlgenn_delays.files import cache_folder, remove_unused

LOG = "build.log"
LINES = 12  # of a compiler's output that are shown
_PREFIX = "genn-"


def code_folder(description: object) -> Path:
    """Return the folder for the code of what is described, which its text alone decides.

    It lies in the package's cache folder; those of others go once they were not used for 30 days.
    """
    digest = sha256(repr(description).encode()).hexdigest()[:16]
    base = cache_folder() / "genn"
    folder = base / f"{_PREFIX}{digest}"
    new = not folder.is_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.touch()
    except OSError as error:
        raise InputError(
            f"cannot write GeNN's code to {folder}: {error.strerror or error}; "
            "set DELAYSNN_CACHE to a folder that can be written"
        ) from error
    if new:
        remove_unused(base, f"{_PREFIX}*")
    return folder


def check_compilers(backend: str, instead: str = "run with --engine cpu") -> None:
    """Refuse a backend whose code cannot be compiled here.

    Arguments:
        backend: The backend.
        instead: What else the user may do, in words.

    Raises:
        InputError: A program is missing.
    """
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


def build(model: Any, folder: Path, backend: str) -> None:
    """Generate and compile the code of a `pygenn.GeNNModel`, as far as it is not there yet.

    Raises:
        InputError: The compiler failed; the text has the end of what it said.
    """
    log = folder / LOG
    with _alone(folder):
        log.unlink(missing_ok=True)
        try:
            with _output_to(log):
                model.build(str(folder))
        except (subprocess.CalledProcessError, OSError, RuntimeError) as error:
            _forget(folder / f"{model.name}_CODE")
            lines = log.read_text(errors="replace").splitlines() if log.exists() else []
            said = "\n".join(lines[-LINES:]) or str(error)
            raise InputError(
                f"GeNN's {backend} backend must have a compiler that can build its code, but "
                f"that failed:\n{said}\n(all of its output: {log}; the code beside it). "
                "Mend the compiler's installation, or run with --engine cpu"
            ) from error


def load(model: Any, folder: Path) -> None:
    """Load a model that was built in a folder, with memory of its own.

    The system gives what is loaded from one file one memory, which several networks of the same
    code would share; so each loads a copy, which need not stay.
    """
    code = f"{model.name}_CODE"
    with tempfile.TemporaryDirectory() as own:
        (Path(own) / code).mkdir()
        with _alone(folder):
            for library in (folder / code).glob("*runner.*"):
                if library.suffix in (".so", ".dylib", ".dll"):
                    shutil.copy(library, Path(own) / code)
        model._path_to_model = own
        try:
            model.load()
        except RuntimeError as error:
            _forget(folder / code)
            raise WorkError(
                f"GeNN's code in {folder} was built, but cannot be loaded: {error}; it is built "
                "anew the next time. Is the temporary folder (TMPDIR) one to run programs from?"
            ) from error


def _forget(code: Path) -> None:
    """Let the code of a folder be generated anew the next time: a build may have been cut short."""
    (code / "model.sha").unlink(missing_ok=True)


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
    """Send all that this process and its children print to a file."""
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
