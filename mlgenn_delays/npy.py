"""NumPy's files, read so that none of them can do harm.

What a file says of its size is checked before any memory is taken for it, and nothing in a file
is ever run: arrays of objects are refused.
"""

import math
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import IO, Literal, NamedTuple

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.untrusted import reason, shown

NUMBERS, TEXTS = "biufc", "US"
HEADER = 2**14  # bytes of a .npy in which its header must end
_CHUNK = 2**20
# Nothing is packed more densely by deflation; https://zlib.net/zlib_tech.html
_DENSEST = 1032
_HIGHEST = 0x10FFFF  # of all characters


class Header(NamedTuple):
    """What a .npy says of its array.

    Attributes:
        shape: Of the array.
        dtype: Type of its numbers.
        order: "C" or "F".
        offset: Where they begin [bytes].
        n: How many they are.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    order: Literal["C", "F"]
    offset: int
    n: int


def read_header(content: bytes, where: str, size: int, kinds: str = NUMBERS) -> Header:
    """Return the header at the beginning of a .npy that must fit its array.

    Arguments:
        content: The first `HEADER` bytes, or all.
        where: What the file is called.
        size: Of the whole file [bytes].
        kinds: The kinds of types that it may have, as NumPy calls them.

    Raises:
        InputError: It is no header, or promises another array than the file has.
    """
    form, file = np.lib.format, BytesIO(content)
    try:
        version = form.read_magic(file)
        read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except Exception as error:  # NumPy raises many kinds on a damaged header: that is the finding
        raise InputError(
            f"{where} must have an array in NumPy's .npy format, got a header that "
            f"cannot be read ({reason(error)}); save it with numpy.save, or copy it again"
        ) from error
    if dtype.kind not in kinds:
        noun = "numbers and texts" if kinds != NUMBERS else "numbers"
        got = "Python objects, which would have to be unpickled" if dtype.hasobject else dtype
        raise InputError(
            f"{where} must have {noun}, got type {shown(str(got)).strip(chr(39))}; "
            "save it with .astype('float32')"
        )
    count, offset = math.prod(shape), file.tell()
    if (
        min(shape, default=0) < 0
        or len(shape) > 32
        or count * max(1, dtype.itemsize) > size - offset
    ):
        raise InputError(
            f"{where} is truncated: its header promises shape {shown(shape)} of {dtype}, got "
            f"{size - offset} bytes; save it again with numpy.save, or copy it again"
        )
    return Header(tuple(map(int, shape)), dtype, "F" if fortran else "C", offset, count)


def read_npz(
    path: Path, names: Sequence[str], *, most: int | None = None, kinds: str = NUMBERS
) -> dict[str, np.ndarray]:
    """Return those arrays of a .npz that have one of the given names.

    Arguments:
        path: The file.
        names: Of the arrays; all others are ignored.
        most: The most bytes that an array may have, None for what its packed size allows.
        kinds: As of `read_header`.

    Raises:
        InputError: It is no archive as NumPy writes it, or an array is too large or not whole.
    """
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("it is no archive, as numpy.savez writes")
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info for info in archive.infolist()}
            return {
                name: _member(archive, members[f"{name}.npy"], f"{path} ({name})", most, kinds)
                for name in names
                if f"{name}.npy" in members
            }
    except (InputError, MemoryError):
        raise
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error
    except Exception as error:  # zipfile and zlib raise many kinds on damage: that is the finding
        raise InputError(
            f"{path} must have arrays in NumPy's .npz format, got what cannot be read "
            f"({reason(error)}); save it with numpy.savez, or copy it again"
        ) from error


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, most: int | None, kinds: str
) -> np.ndarray:
    """Return one array of an archive."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError(
            f"{where} must be stored or deflated, got another compression; "
            "save it with numpy.savez_compressed"
        )
    if most is not None and info.file_size > most:
        raise InputError(
            f"{where} must have at most {most} bytes, got {info.file_size}; "
            "give fewer examples a file, or rows as .npy, which are read bit by bit"
        )
    packed = min(info.compress_size, Path(str(archive.filename)).stat().st_size)
    if info.file_size > packed * (_DENSEST if info.compress_type else 1):
        raise ValueError(f"{packed} packed bytes cannot be {info.file_size}")
    with archive.open(info) as file:
        begin = file.read(HEADER)
        header = read_header(begin, where, info.file_size, kinds)
        flat = np.empty(header.n, header.dtype)
        _fill(flat, begin[header.offset :], file)
    if header.dtype.kind == "U" and header.dtype.itemsize:
        _check_characters(flat, where)
    return flat.reshape(header.shape, order=header.order)


def _fill(flat: np.ndarray, begin: bytes, file: IO[bytes]) -> None:
    """Read the numbers of an array, bit by bit: in one go, all that is packed would be unpacked."""
    out = flat.view(np.uint8)
    done = min(len(begin), len(out))
    out[:done] = np.frombuffer(begin, np.uint8, done)
    while done < len(out):
        chunk = file.read(min(_CHUNK, len(out) - done))
        if not chunk:
            raise ValueError(f"it ends after {done} of {len(out)} bytes")
        out[done : done + len(chunk)] = np.frombuffer(chunk, np.uint8)
        done += len(chunk)
    file.read(1)  # at the end the checksum is checked


def _check_characters(texts: np.ndarray, where: str) -> None:
    """Refuse texts with numbers in them that are no character."""
    codes = np.ascontiguousarray(texts).view(texts.dtype.byteorder.replace("|", "=") + "u4")
    if codes.size and codes.max() > _HIGHEST:
        raise InputError(
            f"{where} must have text, got the character number {codes.max()}; "
            "save it with numpy.array([...], dtype=str), or copy it again"
        )
