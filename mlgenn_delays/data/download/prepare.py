"""Data sets downloaded, unpacked and checked; a file has its final name only when it is whole."""

import hashlib
import re
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from mlgenn_delays import __version__
from mlgenn_delays.data.registry import DOWNLOADS, dataset
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.files import open_atomic, unfinished
from mlgenn_delays.progress import Meter

_BY_HAND = {
    "rawhd": (
        "dataset 'rawhd' cannot be downloaded: the four .npy files of Raw Heidelberg Digits are "
        "not freely at hand; ask the authors of the paper (Mészáros, Knight and Nowotny 2024), or "
        "make them of your own recordings: training_x_data.npy and testing_x_data.npy (examples, "
        "steps, channels), training_y_data.npy and testing_y_data.npy (labels 0..19)"
    )
}


def _by_hand(name: str) -> str:
    if name.startswith("tonic:"):
        return (
            f"dataset {name!r} is downloaded by tonic itself when it is first loaded: make a "
            f"folder DIR, and run delaysnn data check {name} DIR"
        )
    return _BY_HAND.get(name) or (
        f"dataset {name!r} cannot be downloaded, only {', '.join(DOWNLOADS)} can; it is read from "
        f"your own files: delaysnn data check {name} DIR looks at them"
    )


@dataclass(frozen=True)
class Prepared:
    """A data set that is ready: the folder to give as ``--data``, if any, and what was done."""

    folder: Path | None
    lines: tuple[str, ...]


def prepare_data(name: str, folder: Path | None) -> Prepared:
    """Make a data set ready; what is there already is only checked."""
    entry = dataset(name)
    if not entry.needs_folder:
        line = f"{name} needs no preparation and no folder: {entry.summary}"
        return Prepared(None, (line,))
    if name not in DOWNLOADS:
        raise InputError(_by_hand(name))
    if folder is None:
        raise InputError(f"dataset {name!r} needs a folder to go to, got none; give DIR")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"DIR must be a folder, new or not, got the file {folder}")
    # What makes a data set ready: a function `prepare_NAME` of (folder).
    module = import_module(f"mlgenn_delays.data.download.{DOWNLOADS[name]}")
    how: Callable[[Path], Prepared] = getattr(module, f"prepare_{name}")
    return how(folder)


PACKED = (".zip", ".gz")
_CHUNK = 2**18
_PATIENCE = 60.0  # seconds without a byte
_ELSEWHERE = "give another DIR"
_DAMAGED = (zipfile.BadZipFile, EOFError, OSError, zlib.error, NotImplementedError, RuntimeError)


def download(url: str, path: Path, *, remedy: str, md5: str | None = None) -> None:
    """Download a file, which gets its name when it is whole and its MD5 checksum is right."""
    remove_halves(path)
    with _opened(url, remedy) as answer:
        length = answer.headers.get("Content-Length")
        total = int(length) if length and length.isascii() and length.isdecimal() else None
        check_space(path, total or 0)
        digest = hashlib.md5(usedforsecurity=False)
        with (
            open_atomic(path, remedy=_ELSEWHERE) as file,
            Meter(f"downloading {path.name}", total) as meter,
        ):
            while chunk := _received(answer, url, remedy):
                file.write(chunk)
                digest.update(chunk)
                meter.advance(len(chunk))
            if total is not None and meter.done != total:
                why = f"it ended after {meter.done:,} of {total:,} bytes"
                raise _failed(url, why, remedy)
            if md5 is not None and digest.hexdigest() != md5:
                why = f"its checksum must be {md5}, got {digest.hexdigest()}"
                raise _failed(url, why, remedy)


@contextmanager
def _opened(url: str, remedy: str) -> Iterator[Any]:
    request = Request(url, headers={"User-Agent": f"delaysnn/{__version__}"})
    try:
        answer = urlopen(request, timeout=_PATIENCE)
    except HTTPError as error:
        raise _failed(url, f"the server answers {error.code} {error.reason}", remedy) from error
    except (URLError, HTTPException, OSError) as error:
        raise _failed(url, _reason(error), remedy) from error
    with answer:
        yield answer


def _received(answer: Any, url: str, remedy: str) -> bytes:
    try:
        part: bytes = answer.read(_CHUNK)
    except (HTTPException, OSError) as error:
        raise _failed(url, _reason(error), remedy) from error
    return part


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    return str(getattr(inner, "strerror", None) or inner) or type(error).__name__


def _failed(url: str, why: str, remedy: str) -> WorkError:
    return WorkError(f"cannot download {url}: {why}; {remedy}")


def unpack(packed: Path, path: Path) -> None:
    """Unpack the one file of a .gz, or the file of that name in a .zip; the packed file stays."""
    remove_halves(path)
    with _reader(packed, path.name) as (source, size):
        check_space(path, size or 0)
        with (
            open_atomic(path, remedy=_ELSEWHERE) as file,
            Meter(f"unpacking {packed.name}", size) as meter,
        ):
            while chunk := _unpacked(source, packed):
                file.write(chunk)
                meter.advance(len(chunk))


@contextmanager
def _reader(packed: Path, name: str) -> Iterator[tuple[Any, int | None]]:
    """Open what a packed file holds, and give its size if that is known."""
    if packed.suffix == ".gz":
        import gzip

        with gzip.open(packed, "rb") as source:
            yield source, None
        return
    with open_zip(packed) as archive:
        inner = [each for each in archive.infolist() if each.filename.split("/")[-1] == name]
        if not inner:
            raise InputError(f"{packed} must have {name} in it; remove it, or fetch it again")
        with archive.open(inner[0]) as source:
            yield source, inner[0].file_size


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a .zip file, which must be whole."""
    try:
        archive = zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    with archive:
        yield archive


def _unpacked(source: Any, packed: Path) -> bytes:
    try:
        part: bytes = source.read(_CHUNK)
    except _DAMAGED as error:
        raise _damaged(packed, error) from error
    return part


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return the content of a file in a .zip file, which must have at most `most` bytes."""
    path = Path(str(archive.filename))
    try:
        with archive.open(member) as source:
            content = source.read(most + 1)
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    if len(content) > most:
        raise InputError(f"{member.filename} in {path} must have at most {most} bytes; remove it")
    return content


def _damaged(packed: Path, error: Exception) -> InputError:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return InputError(
        f"{packed} is damaged or no {packed.suffix} file: {why}; remove it, and run the same "
        "command again to download it"
    )


def remove_halves(path: Path) -> None:
    """Remove what earlier tries to write a file left when they were killed."""
    half = unfinished(re.escape(path.name))
    if path.parent.is_dir():
        for each in [each for each in path.parent.iterdir() if half.fullmatch(each.name)]:
            each.unlink(missing_ok=True)


def check_space(path: Path, size: int) -> None:
    """Reject writing a file for which there is no space."""
    above = next((each for each in path.absolute().parents if each.exists()), None)
    free = shutil.disk_usage(above).free if above is not None else size
    if free < size:
        raise WorkError(
            f"cannot write {path}: it takes {size / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are "
            f"free; free space or {_ELSEWHERE}"
        )
