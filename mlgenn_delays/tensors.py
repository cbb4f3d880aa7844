"""Safetensors files whose bytes depend on nothing but their content."""

import json

import numpy as np


def pack(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Return the content of a safetensors file; equal arguments give equal bytes."""
    from safetensors.numpy import save

    # Not np.ascontiguousarray: it would turn a number (shape ()) into shape (1,).
    stored = {name: np.array(array, order="C") for name, array in arrays.items()}
    return canonical(save(stored, metadata=metadata))


def canonical(content: bytes) -> bytes:
    """Return the same safetensors file with the keys of its header in order.

    The safetensors library writes metadata in the order of a hash map, another in each call.
    """
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    text = json.dumps(header, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the format asks for tensors at multiples of 8 bytes
    return len(text).to_bytes(8, "little") + text + content[8 + length :]
