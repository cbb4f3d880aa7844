"""NumPy's files, read so that none of them can do harm.

NumPy refuses Python objects, which would have to be unpickled. It does not refuse what is checked
here: headers that promise more than the file has, for which memory would be taken, archives that
unpack to far more than they are, texts of what is no character.
"""

import math
import zipfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from mlgenn_delays.errors import InputError, unreadable
from mlgenn_delays.untrusted import reason, shown

NUMBERS, TEXTS = "biufc", "US"
_HEADER = 2**14  # bytes of a .npy in which its header must end
# Nothing is packed more densely by deflation; https://zlib.net/zlib_tech.html
_DENSEST = 1032
_HIGHEST = 0x10FFFF  # of all characters


def map_npy(path: Path) -> np.ndarray:
    """The numbers of a .npy, mapped into memory; rejects what is no whole array of numbers."""
    with path.open("rb") as file:
        _check_header(file.read(_HEADER), str(path), path.stat().st_size, NUMBERS)
    array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    return array


def read_npz(
    path: Path, names: Sequence[str], *, most: int | None = None, kinds: str = NUMBERS
) -> dict[str, np.ndarray]:
    """Those arrays of a .npz that have one of the given names.

    Arguments:
        path: The file.
        names: Of the arrays; all others are ignored.
        most: The most bytes that an array may have, None for what its packed size allows.
        kinds: The kinds of types that they may have, as NumPy calls them.
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
        raise unreadable(path, error) from error
    except Exception as error:  # zipfile and zlib raise many kinds on damage: that is the finding
        raise InputError(
            f"{path} must have arrays in NumPy's .npz format, got what cannot be read "
            f"({reason(error)}); save it with numpy.savez, or copy it again"
        ) from error


def _member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str, most: int | None, kinds: str
) -> np.ndarray:
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
        _check_header(file.read(_HEADER), where, info.file_size, kinds)
    with archive.open(info) as file:
        array: np.ndarray = np.lib.format.read_array(file, allow_pickle=False)
        file.read(1)  # at the end the checksum is checked
    if array.dtype.kind == "U" and array.dtype.itemsize:
        _check_characters(array, where)
    return array


def _check_header(content: bytes, where: str, size: int, kinds: str) -> None:
    """Require that the header of a .npy of `size` bytes promises no more than the file has."""
    form, file = np.lib.format, BytesIO(content)
    try:
        version = form.read_magic(file)
        read = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}[version]
        shape, _, dtype = read(file)
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


def _check_characters(texts: np.ndarray, where: str) -> None:
    """Reject texts with numbers in them that are no character."""
    codes = np.ascontiguousarray(texts).view(texts.dtype.byteorder.replace("|", "=") + "u4")
    if codes.size and codes.max() > _HIGHEST:
        raise InputError(
            f"{where} must have text, got the character number {codes.max()}; "
            "save it with numpy.array([...], dtype=str), or copy it again"
        )
