"""Safetensors files whose bytes depend on nothing but their content, and which notice damage.

Their metadata hold a checksum of the tensors and of the other metadata.
"""

import json
import zlib
from pathlib import Path

import numpy as np

_CHECKSUM = "checksum"


def pack(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file; equal arguments give equal bytes."""
    from safetensors.numpy import save

    # Not np.ascontiguousarray: it would turn a number (shape ()) into shape (1,).
    stored = {name: np.array(array, order="C") for name, array in arrays.items()}
    whole = {**metadata, _CHECKSUM: str(checksum(stored, metadata))}
    return canonical(save(stored, metadata=whole))


def read(path: Path | str) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return tensors and metadata of a safetensors file, whoever wrote it.

    Raises:
        OSError: The file is missing or cannot be read.
        ValueError: It is no whole safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (SafetensorError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from error


def verify(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Refuse what `read` gave if it is not what `pack` was given.

    Raises:
        ValueError: The checksum is missing or differs.
    """
    if metadata.get(_CHECKSUM) != str(checksum(tensors, metadata)):
        raise ValueError("its content differs from its checksum")


def checksum(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> int:
    """Return the CRC-32 of names, types, shapes and values, and of the metadata but itself."""
    rest = {key: value for key, value in metadata.items() if key != _CHECKSUM}
    total = zlib.crc32(json.dumps(rest, sort_keys=True).encode())
    for name in sorted(tensors):
        array = tensors[name]
        total = zlib.crc32(f"{name} {array.dtype.str} {array.shape}".encode(), total)
        total = zlib.crc32(array.tobytes(), total)
    return total


def canonical(content: bytes) -> bytes:
    """Return the same safetensors file with the keys of its header in order.

    The safetensors library writes metadata in the order of a hash map, another in each call.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for tensors at multiples of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
