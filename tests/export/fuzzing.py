"""Mutations of files: blind ones of bytes, and hostile ones of JSON."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

HOSTILE = (
    -1, 0, 1, 2**31, 2**63, 2**64, 10**40, 1e308, -1e308, 1e-320, float("nan"), float("inf"), "",
    "../../../etc/passwd", "/dev/zero", "C:\\x", "a\x00b", "\ud800", "x" * 10_000, None, True, [],
    {}, [[]] * 50, "__import__('os')", [1] * 5000,
)  # fmt: skip


def blind(content: bytes, rng: np.random.Generator) -> bytes:
    """Return content with some of its bytes changed, left out, repeated or put elsewhere."""
    data = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        if not data:
            break
        at = int(rng.integers(len(data)))
        if rng.random() < 0.5:
            at = int(rng.integers(min(len(data), 600)))  # where formats say most
        size = int(rng.choice([1, 1, 2, 4, 8, 64, 512]))
        kind = int(rng.integers(7))
        if kind == 0:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            data[at : at + size] = rng.bytes(len(data[at : at + size]))
        elif kind == 2:
            del data[at : at + size]
        elif kind == 3:
            data[at:at] = rng.bytes(size)
        elif kind == 4:
            data[at:at] = data[at : at + size]
        elif kind == 5:
            data[at : at + size] = bytes([int(rng.choice([0, 255]))]) * len(data[at : at + size])
        else:
            del data[at:]
    return bytes(data)


def hostile(value: Any, rng: np.random.Generator) -> Any:
    """Return plain data with one of its places holding something hostile, missing or twice."""
    places = list(_places(value))
    copy = json.loads(json.dumps(value))
    path = places[int(rng.integers(len(places)))]
    holder = copy
    for part in path[:-1]:
        holder = holder[part]
    kind = int(rng.integers(8))
    if kind == 0:
        del holder[path[-1]]
    elif kind == 1 and isinstance(holder, dict):
        holder["surprise"] = holder[path[-1]]
    elif kind == 2 and isinstance(holder, list):
        holder.append(holder[path[-1]])
    else:
        holder[path[-1]] = HOSTILE[int(rng.integers(len(HOSTILE)))]
    return copy


def _places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every value within lists and tables."""
    parts = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in parts:
        yield (*path, key)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*path, key))
