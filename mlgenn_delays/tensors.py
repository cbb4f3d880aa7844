"""Safetensors files whose bytes depend on nothing but their content, and which notice damage.

Their metadata hold a checksum of the tensors and of the other metadata.
"""

import json
import math
import os
import zlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError, unreadable
from mlgenn_delays.untrusted import as_damaged, parse_json, reason, shown

_CHECKSUM = "checksum"


def pack(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """The content of a safetensors file; equal arguments give equal bytes."""
    from safetensors.numpy import save

    # Not np.ascontiguousarray: it would turn a number (shape ()) into shape (1,).
    stored = {name: np.array(array, order="C") for name, array in arrays.items()}
    whole = {**metadata, _CHECKSUM: str(checksum(stored, metadata))}
    return canonical(save(stored, metadata=whole))


def first_bytes(path: Path) -> tuple[bytes, bool]:
    """The first bytes of a file, and whether they are those of a safetensors file."""
    try:
        with path.open("rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise unreadable(path, error) from error
    return begin, begin[8:] == b"{"  # a header's length, and the header


def read(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file, whoever wrote it; else a `ValueError`."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of types that NumPy does not have, of damage: that is the finding
        raise ValueError(reason(error)) from error


def format_of(path: Path) -> str:
    """The name of the format of a safetensors file, "" where it says none or is damaged."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return str((file.metadata() or {}).get("format", ""))
    except Exception:  # whatever damage there is: who reads it says so
        return ""


@dataclass(frozen=True)
class FileFormat:
    """A format of safetensors files: networks, bundles, checkpoints, records of data.

    Attributes:
        name: What ``format`` must be in the metadata.
        version: The version that is written; older ones can be read.
        noun: What such a file is called.
        missing: What to do if there is none.
        remedy: What to do if it is damaged.
        foreign: What to do if it is another one.
    """

    name: str
    version: int
    noun: str
    missing: str
    remedy: str
    foreign: str = ""

    def pack(self, arrays: dict[str, np.ndarray], **metadata: str) -> bytes:
        """The content of a file of this format; equal arguments give equal bytes."""
        return pack(arrays, {"format": self.name, "version": str(self.version), **metadata})

    def read(self, path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
        """Tensors and metadata of a file of this format; rejects any but as they were written."""
        if not path.is_file():
            raise InputError(f"there is no {self.noun} file {path}{self.missing}")
        with self.checked(path):
            tensors, metadata = read(path)
        if metadata.get("format") != self.name:
            raise InputError(
                f"{path} must be a {self.noun}, got another safetensors file{self.foreign}"
            )
        version = metadata.get("version", "1")  # records of data had none at first
        if version not in map(str, range(1, self.version + 1)):
            raise InputError(
                f"{path} must be of format version <= {self.version}, got {shown(version)}; it was "
                "written by a newer delaysnn: upgrade delaysnn, or make the file again"
            )
        with self.checked(path):
            verify(tensors, metadata)
        return tensors, metadata

    def checked(self, path: Path) -> AbstractContextManager[None]:
        """A context in which whatever goes wrong means that the file is damaged."""
        return as_damaged(path, self.remedy)


@dataclass(frozen=True)
class Place:
    """Where a tensor lies in a safetensors file: offset of its first byte, type and shape."""

    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]

    def part(self, file: FileIO, first: int, n: int) -> np.ndarray:
        """The n values of the open file from the given one on, in C order."""
        if first < 0 or n < 0 or first + n > math.prod(self.shape):
            raise ValueError(f"it has no values {first}..{first + n}")
        file.seek(self.offset + first * self.dtype.itemsize)
        found = np.frombuffer(file.read(n * self.dtype.itemsize), self.dtype)
        if len(found) != n:
            raise ValueError(f"it has {len(found)} of {n} values")
        return found


_TYPES = {"U8": "u1", "U16": "<u2", "U32": "<u4", "I32": "<i4", "I64": "<i8", "F32": "<f4"}
_TYPES |= {"F64": "<f8"}


def places(path: Path) -> dict[str, Place]:
    """Where each tensor of a safetensors file lies, so that a part can be read alone."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        text = file.read(min(length, 2**24))
    try:
        return {
            name: _place(entry, 8 + length, size)
            for name, entry in parse_json(text).items()
            if name != "__metadata__"
        }
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"its header does not tell where its tensors lie: {error!r}") from error


def _place(entry: dict[str, Any], begin: int, size: int) -> Place:
    """The place of a header's entry, which must be within the file of `size` bytes."""
    (first, end), dtype, shape = (
        entry["data_offsets"],
        np.dtype(_TYPES[entry["dtype"]]),
        entry["shape"],
    )
    if not all(type(each) is int and each >= 0 for each in (first, end, *shape)):
        raise ValueError("its header has a place that is no whole number")
    if end - first != math.prod(shape) * dtype.itemsize or begin + end > size:
        raise ValueError("its header tells of more or less than there is")
    return Place(begin + first, dtype, tuple(shape))


def not_finite(tensors: dict[str, np.ndarray]) -> str | None:
    """Name of the first tensor that holds NaN or infinity, None if none does."""
    return next((name for name, array in tensors.items() if not np.isfinite(array).all()), None)


def verify(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Raise a `ValueError` if what `read` gave is not what `pack` was given."""
    if metadata.get(_CHECKSUM) != str(checksum(tensors, metadata)):
        raise ValueError("its content differs from its checksum")


def checksum(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> int:
    """CRC-32 of names, types, shapes and values, and of the metadata but itself."""
    rest = {key: value for key, value in metadata.items() if key != _CHECKSUM}
    total = zlib.crc32(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        total = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return total


def canonical(content: bytes) -> bytes:
    """The same safetensors file with the keys of its header in order.

    The safetensors library writes metadata in the order of a hash map, another in each call.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for tensors at multiples of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
