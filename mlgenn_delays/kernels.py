"""The one home of compiler flags: every kernel is made here.

There is no fast-math. A kernel is compiled within each kernel that calls it (`kernel_calls`), and
on its own if Python calls it too; if operations may be reordered or fused, those copies round
differently, and a run would depend on which of them it happens to take.

Numba's cache knows when a kernel's own file changes, not when that of a kernel it calls does, of
a constant it uses, or of a named tuple that it is given (the places of its fields are compiled in).
So the kernels of a part of the package are cached in a folder named after the content of all files
that matter to any of them.

Numba unpickles what its cache holds and runs the machine code in it, whatever it is: a file that
was cut or changed ends the process. So each function of given argument types is one file here,
with a checksum of all of it in front, written at once or not at all; a damaged one is compiled and
written anew. A checksum is no protection against people, so files and folders that others may write
are ignored (`mlgenn_delays.files.is_trusted`). Files that can be read but not written are used.
Numba's cache classes are its own affair and may change: where they are not as expected, functions
are compiled at each start, and nothing fails.
"""

import os
import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from threading import RLock
from typing import Any

import numba

from mlgenn_delays.errors import WorkError
from mlgenn_delays.files import (
    cache_folders,
    is_trusted,
    make_private,
    may_trust,
    remove_unused,
    write_atomic,
)
from mlgenn_delays.kernel_calls import call_as_part
from mlgenn_delays.progress import compiling

# NUMBA_CACHE_DIR may be shared with other packages, whose folders are not ours to remove.
PREFIX = "delaysnn-"
SUFFIX = ".nbc"

_CONFIG: Any = numba.config
_HEAD = b"delaysnn kernel 1\n"
_DIGEST = sha256().digest_size
_lock = RLock()


@cache
def _import_without_blas() -> None:
    """Import what Numba has for arrays, but not SciPy's BLAS: it is, where a function calls it.

    Numba would find out at once whether it is there, in a quarter of a second.
    """
    try:
        from numba.np import linalg

        usual = linalg.ensure_blas
        linalg.ensure_blas = lambda: None
        try:
            import_module("numba.np.arraymath")
        finally:
            linalg.ensure_blas = usual
    except (ImportError, AttributeError):
        pass  # another Numba


def store_folders(name: str) -> tuple[Path, ...]:
    """The folders that are searched for compiled functions, best first.

    They lie in NUMBA_CACHE_DIR, in the package's cache folder and in a temporary one; functions
    are stored in the first that can be written. `name` is a word and a hash of their source.
    """
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    bases = [folder / "kernels" for folder in cache_folders()]
    return tuple(base / f"{PREFIX}{name}" for base in ([Path(chosen)] if chosen else []) + bases)


def make_store(folder: Path) -> None:
    """Make a folder of compiled functions; those not used for 30 days are deleted."""
    new = not folder.is_dir()
    make_private(folder)
    if new:
        remove_unused(folder.parent, f"{PREFIX}*")


@contextmanager
def stored_in(folders: tuple[Path, ...], *, told: bool = False) -> Iterator[bool]:
    """Let functions that are declared within the context be cached in folders.

    It gives whether they are: not with a version of Numba whose cache works otherwise. That one of
    them is compiled may be told (`mlgenn_delays.progress.telling`).
    """
    with _lock:
        try:
            from numba.core import caching

            changes = [
                (caching, "IndexDataCacheFile", partial(_Files, folders, told)),
                (caching.CompileResultCacheImpl.__mro__[1], "_locator_classes", [_Locator]),
                (_CONFIG, "CACHE_LOCATOR_CLASSES", ""),
            ]
            before = [getattr(owner, name) for owner, name, _ in changes[:2]]
            before.append(getattr(_CONFIG, "CACHE_LOCATOR_CLASSES", ""))
        except (ImportError, AttributeError, IndexError):
            yield False
            return
        try:
            for owner, name, value in changes:
                setattr(owner, name, value)
            for folder in folders:
                _renew(folder)
            yield True
        finally:
            for (owner, name, _), value in zip(changes, before, strict=True):
                setattr(owner, name, value)


@cache
def _renew(folder: Path) -> None:
    """Renew the time of a folder, which says when it was last used."""
    try:
        os.utime(folder)
    except OSError:
        pass


class _Locator:
    """Tells Numba where a function is cached; see `numba.core.caching._CacheLocator`."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        self._py_file, self._line = file, function.__code__.co_firstlineno

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> "_Locator":
        return cls(function, file)

    def ensure_cache_path(self) -> None:
        """Leave the folder to `_Files`, which can do without one."""

    def get_cache_path(self) -> str:
        return ""

    def get_source_stamp(self) -> str:
        return _source_hash(self._py_file)

    def get_disambiguator(self) -> str:
        return str(self._line)


@cache
def _source_hash(file: str) -> str:
    try:
        return sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


class _Files:
    """Keeps compiled functions in place of `numba.core.caching.IndexDataCacheFile`."""

    def __init__(
        self, folders: tuple[Path, ...], told: bool,
        cache_path: str, filename_base: str, source_stamp: str,
    ) -> None:  # fmt: skip
        self._folders, self._told = folders, told
        self._base, self._stamp = filename_base, source_stamp

    def _name(self, key: object) -> str:
        whole = repr((numba.__version__, self._stamp, key))
        return f"{self._base}.{sha256(whole.encode()).hexdigest()[:20]}{SUFFIX}"

    def load(self, key: object) -> Any:
        name = self._name(key)
        for folder in self._folders:
            try:
                return pickle.loads(read_kernel(folder / name))
            except OSError:
                continue
            except Exception as error:  # whatever unpickling raises
                _warn(f"compiled kernels in {folder} are damaged ({error}); compiling them anew")
        if self._told:
            compiling()
        return None

    def save(self, key: object, data: object) -> None:
        """Store what belongs to a key in the first folder that can be written, if any."""
        from numba.core.serialize import dumps

        content, name = dumps(data), self._name(key)
        reason: object = "no folder"
        for folder in self._folders:
            try:
                make_store(folder)
                write_atomic(folder / name, pack_kernel(name, content))
                return
            except (OSError, WorkError) as error:
                reason = error.__cause__ or error
        _warn(
            f"compiled kernels cannot be kept ({reason}), so that each start takes longer; "
            "set DELAYSNN_CACHE to a folder that can be written"
        )

    def flush(self) -> None:
        """Do nothing: no function is compiled twice for one key."""


def pack_kernel(name: str, content: bytes) -> bytes:
    """The content of a file that `read_kernel` takes under a name."""
    return _HEAD + sha256(name.encode() + b"\n" + content).digest() + content


def read_kernel(path: Path) -> bytes:
    """A compiled function as Numba pickled it.

    Raises:
        OSError: There is no such file, it cannot be read, or others may write it.
        ValueError: It is damaged.
    """
    content = _read_trusted(path)
    start = len(_HEAD) + _DIGEST
    if content != pack_kernel(path.name, content[start:]):
        raise ValueError("their content differs from their checksum")
    return content[start:]


def _read_trusted(path: Path) -> bytes:
    if not is_trusted(path.parent):
        raise PermissionError(f"others may write {path.parent}")
    with open(os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0)), "rb") as file:
        if not may_trust(os.fstat(file.fileno())):
            raise PermissionError(f"others may write {path}")
        return file.read()


def count_kernels(folder: Path) -> dict[str, int]:
    """How many compiled functions are whole, damaged and ignored (others may write them)."""
    counts = {"whole": 0, "damaged": 0, "ignored": 0}
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            read_kernel(path)
            counts["whole"] += 1
        except OSError:
            counts["ignored"] += 1
        except ValueError:
            counts["damaged"] += 1
    return counts


@cache
def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=4)


_PACKAGE = Path(__file__).parent
_MARK = b"@kernel"
_COMPILER = ("kernels.py", "kernel_calls.py")  # which all kernels depend on
# Part -> where its kernels are, and the other files that these take functions and constants from.
PARTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "analysis": ("analysis/*_kernel.py", ()),
    "data": ("data/*/*_kernel.py", ()),
    "engines.cpu": (
        "engines/cpu/*.py",
        (
            "engines/cpu/neuron_code.py",
            "engines/shared/fourier.py",
            "engines/shared/fourier_code.py",
            "engines/shared/lanes.py",
            "engines/shared/numerics.py",
            "engines/shared/plan.py",
            "engines/shared/spectra.py",
            "engines/shared/spectral_sums.py",
            "engines/shared/spectral_vector.py",
            "engines/shared/strip_vector.py",
            "engines/shared/traces.py",
            "engines/shared/vector.py",
            "neurons/adjoint.py",
            "neurons/declare.py",
            "neurons/equations.py",
            "neurons/write.py",
        ),
    ),
    "engines.shared": (
        "engines/shared/*.py",
        (
            "engines/shared/fourier.py",
            "engines/shared/fourier_code.py",
            "engines/shared/lanes.py",
            "engines/shared/plan.py",
            "engines/shared/spectral_vector.py",
            "engines/shared/vector.py",
            "neurons/declare.py",
        ),
    ),
    "rewiring": ("rewiring/*_kernel.py", ()),
}
_ENGINE = "engines.cpu"  # the part with most of the kernels


def kernel_files(part: str) -> list[Path]:
    """The files that the kernels of a part of the package depend on, in a fixed order."""
    pattern, others = PARTS[part]
    found = [file for file in _PACKAGE.glob(pattern) if _MARK in file.read_bytes()]
    return sorted({*found, *(_PACKAGE / name for name in (*_COMPILER, *others))})


def kernel_folders(part: str = _ENGINE) -> tuple[Path, ...]:
    """The folders that are searched for a part's compiled kernels, best first."""
    digest = sha256()
    for file in kernel_files(part):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(_PACKAGE).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return store_folders(f"{part}-{digest.hexdigest()[:16]}")


def kernel_cache(part: str = _ENGINE) -> Path | None:
    """The folder in which a part's compiled kernels are stored, None if there is none."""
    for folder in kernel_folders(part):
        try:
            make_store(folder)
            probe = folder / ".writable"
            probe.touch()
            probe.unlink(missing_ok=True)
            return folder
        except OSError:
            continue
    return None


_folders = cache(kernel_folders)


def stored_source(part: str, stem: str, make: Callable[[], str]) -> tuple[Path, str]:
    """Source of generated kernels, from the folder of a part's kernels or made and put there.

    `stem` names it and all it depends on beside the files of the part. Its functions are cached
    as those of other files; where no folder can be written they are compiled at each start.
    """
    name = f"{stem}.py"
    for folder in _folders(part):
        try:
            return folder / name, _unpacked(name, folder / name)
        except OSError:
            continue
        except ValueError as error:
            _warn(f"generated kernels in {folder} are damaged ({error}); making them anew")
    text = make()
    path = Path(name)
    for folder in _folders(part):
        try:
            make_store(folder)
            path = folder / name
            write_atomic(path, _packed(name, text).encode())
            break
        except (OSError, WorkError):
            continue
    return path, text


def _packed(name: str, text: str) -> str:
    return f"# {sha256(f'{name} {text}'.encode()).hexdigest()}\n{text}"


def _unpacked(name: str, path: Path) -> str:
    whole = _read_trusted(path).decode()
    text = whole.partition("\n")[2]
    if whole != _packed(name, text):
        raise ValueError("their content differs from their checksum")
    return text


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a kernel: cached between runs, and outside the GIL so that threads run it."""
    module = f"{function.__module__}.".partition(".")[2]
    part = next(part for part in PARTS if module.startswith(f"{part}."))
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}
    told = part.startswith("engines.")  # others take no time
    _import_without_blas()
    with stored_in(_folders(part), told=told) as stored:
        dispatcher = numba.njit(cache=stored, **options)(function)
    call_as_part(dispatcher, options)
    return dispatcher
