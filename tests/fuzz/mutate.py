"""Mutations of files: blind ones of bytes, and such of each format that keep it well-formed."""

import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.tensors import pack, read

Rng = np.random.Generator
Mutation = Callable[[bytes, Rng], bytes]

HOSTILE = (
    -1, 0, 1, 2**31, 2**63, 2**64, 10**40, 1e308, -1e308, 1e-320, float("nan"), float("inf"), "",
    "../../../etc/passwd", "/dev/zero", "C:\\x", "a\x00b", "\ud800", "x" * 10_000, None, True, [],
    {}, [[]] * 50, "__import__('os')", [1] * 5000,
)  # fmt: skip


def blind(content: bytes, rng: Rng) -> bytes:
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


def hostile(value: Any, rng: Rng) -> Any:
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


# What stands in for a number in a text.
NUMBERS = (
    "-1", "0", "1", "2147483648", "-9223372036854775809", "18446744073709551616", "9" * 400,
    "9" * 5000, "0x" + "f" * 400, "1e308", "-1e308", "1e-320", "1e999", "nan", "inf", "-inf",
    "NaN", "Infinity", "true", "null", '""', '"text"', "[]", "{}", "[" * 200 + "]" * 200,
    "[" * 5000, '{"a":' * 3000, "1.5", "²", "٣", "1979-05-27", "07:32:00", "'\x1b[31m'",
)  # fmt: skip
WORDS = (
    "", r"\x00", r"\u0000", r"\ud800", r"\U00110000", r"\U0001f600", "x" * 100_000,
    r"\u001b[2J", "\x1b[31m", "../../../etc/passwd", "/dev/zero", "$(id)", "\u202eabc",
    "\u00e9" * 300,
)  # fmt: skip


def text(content: bytes, rng: Rng) -> bytes:
    """Return a text with a number, a word, a line or its encoding changed."""
    old = content.decode("utf-8", "replace")
    kind = int(rng.integers(9))
    lines = old.split("\n")
    at = int(rng.integers(len(lines)))
    if kind <= 2:
        return _replaced(old, r"-?\d+(\.\d+)?([eE][+-]?\d+)?", NUMBERS, rng)
    if kind == 3:
        return _replaced(old, r"(?<=\")[^\"\n]*(?=\")", WORDS, rng)
    if kind == 4:
        del lines[at]
    elif kind == 5:
        lines.insert(at, lines[int(rng.integers(len(lines)))])
    elif kind == 6:
        lines[at] = lines[at].replace("=", str(rng.choice([".", "==", "= [", "= {", "\0="])), 1)
    elif kind == 7:
        key = str(rng.choice(["surprise", "a." * 400 + "a", "a." * 5000 + "a", "'' . ''", "é"]))
        lines.insert(at, f"{key} = {NUMBERS[int(rng.integers(len(NUMBERS)))]}")
    else:
        return old.encode(str(rng.choice(["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _replaced(old: str, pattern: str, choices: tuple[str, ...], rng: Rng) -> bytes:
    """Return a text with one place that has a pattern changed."""
    places = list(re.finditer(pattern, old))
    if not places:
        return old.encode()
    place = places[int(rng.integers(len(places)))]
    new = choices[int(rng.integers(len(choices)))]
    return (old[: place.start()] + new + old[place.end() :]).encode("utf-8", "surrogatepass")


def jsons(content: bytes, rng: Rng) -> bytes:
    """Return JSON with something hostile in it, well-formed."""
    return json.dumps(hostile(json.loads(content), rng)).encode()


def other_array(array: np.ndarray, rng: Rng) -> np.ndarray:
    """Return an array of another shape, type or content."""
    kind = int(rng.integers(8))
    flat = array.reshape(-1)
    if kind == 0:
        return array[: int(rng.integers(len(array) + 1))].copy() if array.ndim else array[None]
    if kind == 1:
        return np.repeat(array, 2)
    if kind == 2:
        with np.errstate(all="ignore"):
            return _as_type(array, str(rng.choice(["f8", "i8", "u8", "u1", "f2", "?"])))
    if kind == 3:
        return array.reshape(1, *array.shape)
    changed = flat.copy()
    if len(changed):
        changed[int(rng.integers(len(changed)))] = _extreme(array.dtype, rng)
        if kind == 7:
            changed[:] = _extreme(array.dtype, rng)
    return changed.reshape(array.shape)


def _as_type(array: np.ndarray, kind: str) -> np.ndarray:
    """Return an array of another type, as far as its content has one."""
    return array.astype(kind) if array.dtype.kind in "biuf" else np.zeros(array.shape, kind)


def _extreme(dtype: np.dtype, rng: Rng) -> Any:
    """Return a value of a type that nobody expects."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return rng.choice([limits.max, limits.min, 0, 1]).astype(dtype)
    if dtype.kind == "f":
        largest = float(np.finfo(dtype).max)
        return rng.choice([np.nan, np.inf, -np.inf, largest, -largest, 1e-30, 0.0, -1.0])
    return 1 if dtype.kind == "b" else "x\x1b"


def tensors(path: Path) -> Mutation:
    """Return a mutation of safetensors files of ours whose checksum is right all the same.

    Arguments:
        path: Where a file may be written to be read.
    """

    def change(content: bytes, rng: Rng) -> bytes:
        own = path.with_name(f"{path.name}-{os.getpid()}")  # other processes have theirs
        own.write_bytes(content)
        arrays, metadata = read(own)
        metadata.pop("checksum", None)
        if metadata and rng.random() < 0.5:
            key = str(rng.choice(sorted(metadata)))
            metadata[key] = _metadata(metadata[key], rng)
        elif arrays:
            name = str(rng.choice(sorted(arrays)))
            kind = int(rng.integers(6))
            if kind == 0:
                del arrays[name]
            elif kind == 1:
                arrays[name + "x"] = arrays[name]
            else:
                arrays[name] = other_array(arrays[name], rng)
        return pack(arrays, metadata)

    return change


def _metadata(value: str, rng: Rng) -> str:
    """Return another entry of metadata."""
    try:
        return json.dumps(hostile(json.loads(value), rng))
    except (ValueError, TypeError, AttributeError):
        return str(rng.choice(["", "0", "²", "9" * 9999, "-1", "x" * 9999, "\x1b", value]))


def npz(content: bytes, rng: Rng) -> bytes:
    """Return a .npz with other arrays, or members that are no arrays or not what they say."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = str(rng.choice(sorted(members)))
    kind = int(rng.integers(7))
    if kind == 0:
        members[name] = blind(members[name], rng)
    elif kind == 1:
        members[name.removesuffix(".npy")] = members.pop(name)
    elif kind == 2:
        members[name] = _npy(_text_array(rng))
    elif kind == 3:
        members[name] = npy(members[name], rng)
    elif kind == 4:
        members[name] = b"no array at all"
    elif kind == 5:
        del members[name]
    else:
        array = np.lib.format.read_array(io.BytesIO(members[name]))
        members[name] = _npy(other_array(array, rng))
    out = io.BytesIO()
    packed = zipfile.ZIP_DEFLATED if rng.random() < 0.5 else zipfile.ZIP_STORED
    with zipfile.ZipFile(out, "w", packed) as archive:
        for key, member in members.items():
            archive.writestr(key, member)
    return out.getvalue() if rng.random() < 0.8 else blind(out.getvalue(), rng)


def _text_array(rng: Rng) -> np.ndarray:
    """Return an array of texts that no array should be."""
    texts = np.array(["ab", "c"])
    if rng.random() < 0.5:
        texts.view("u4")[:] = rng.choice([0x110000, 0xD800, 0xFFFFFFFF, 0x1B])
    return texts if rng.random() < 0.7 else texts[:0]


def _npy(array: np.ndarray) -> bytes:
    """Return an array as the content of a .npy."""
    out = io.BytesIO()
    np.lib.format.write_array(out, array, allow_pickle=False)
    return out.getvalue()


SHAPES = (
    "(-1,)", "(0,)", "()", "(1000000000000,)", "(2147483648, 2147483648)", "(3.5,)", "('a',)",
    "(10,)", "None", "(1,) * 40", "[" * 300, "(" + "1," * 40 + ")",
)  # fmt: skip
DTYPES = (
    "'|O'", "'<U5'", "'<U1000000000'", "'<f4'", "'<i8'", "'|V100'", "[('a', '<f4')]", "'|S0'",
    "'<U0'", "5", "'<M8[s]'", "'>f8'", "'<c16'", "'<f2'",
)  # fmt: skip


def npy(content: bytes, rng: Rng) -> bytes:
    """Return a .npy whose header says something else."""
    if content[:6] != b"\x93NUMPY" or rng.random() < 0.3:
        return blind(content, rng)
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length].decode("latin1"), content[10 + length :]
    if rng.random() < 0.5:
        shape = SHAPES[int(rng.integers(len(SHAPES)))]
        header = re.sub(r"\('?shape'?.*|'shape': \([^)]*\)", f"'shape': {shape}", header, count=1)
    else:
        dtype = DTYPES[int(rng.integers(len(DTYPES)))]
        header = re.sub(r"'descr': '[^']*'", f"'descr': {dtype}", header, count=1)
    encoded = header.rstrip().encode("latin1") + b"\n"
    return content[:8] + len(encoded).to_bytes(2, "little") + encoded + rest


def wav(content: bytes, rng: Rng) -> bytes:
    """Return a WAV with another number in its header, or other chunks."""
    data = bytearray(content)
    at, size = (
        (4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)
    )[int(rng.integers(9))]  # fmt: skip
    number = int(rng.choice([0, 1, 2, 3, 7, 65535, 65534, 2**31, 2**32 - 1, 2**31 - 1, 44100]))
    kind = int(rng.integers(6))
    if kind == 0:
        data[36:36] = b"LIST" + number.to_bytes(4, "little") + rng.bytes(8)
    elif kind == 1:
        data += b"data" + number.to_bytes(4, "little")
    else:
        data[at : at + size] = (number % 256**size).to_bytes(size, "little")
    return bytes(data)


def hdf5(content: bytes, rng: Rng) -> bytes:
    """Return an HDF5 file of which one array is another."""
    import h5py

    file = io.BytesIO(content)
    with h5py.File(file, "r+") as tree:
        names: list[str] = []
        tree.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        name = str(rng.choice(sorted(names)))
        array = tree[name][()]
        del tree[name]
        kind = int(rng.integers(4))
        if kind and isinstance(array, np.ndarray) and array.dtype != object:
            tree[name] = other_array(array, rng)
        elif kind == 1:
            tree[name] = h5py.SoftLink("/" + name)
        elif kind == 2:
            tree[name] = "text"
        elif kind == 3:
            tree[name] = rng.random(3)
    return file.getvalue()
