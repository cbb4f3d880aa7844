"""The process in which HDF5 files are opened: it reads requests, and answers with plain arrays.

`hdf5` starts it as a script of its own: nothing of the package is imported here, and what damage
to a file does to the HDF5 library stays here. Standard input is a connection: a request is a
message of JSON, an answer another, and then one message for each array.
"""

import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection

import h5py
import numpy as np

_FILTERS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, 32000)
_GREATEST_RATIO = 1100  # deflate reaches 1032
_SMALL = 2**16  # bytes that an array may have without any in the file
_ROWS = 64  # arrays of variable length that are read at once
_MEMORY = 2**28  # bytes that the library may take besides the content


class Refused(Exception):
    """The file holds what it must not."""


class Walk:
    """One file's content as a tree of JSON, and its arrays, within `hdf5.Limits`."""

    def __init__(self, limits: dict[str, int], only: Sequence[str] = ()) -> None:
        self.limits, self.only = limits, set(only)
        self.arrays: list[np.ndarray] = []
        self.nodes, self.bytes = 0, 0

    def group(self, group: h5py.Group, depth: int) -> dict[str, object]:
        """What a group holds."""
        if depth > self.limits["depth"]:
            raise Refused(f"it has groups more than {self.limits['depth']} deep")
        found: dict[str, object] = {}
        for name in group:
            if depth == 0 and self.only and name not in self.only:
                continue
            self.count()
            if group.get(name, getlink=True).__class__ is not h5py.HardLink:
                raise Refused(f"{name[:100]!r} is a link to another place")
            found[name] = self.item(name, group[name], depth)
        return {"group": found}

    def look(self, file: h5py.File, names: list[str]) -> dict[str, object]:
        """What is at some places of a file, without reading it, and at its top."""
        found: dict[str, object] = {}
        for name in names:
            item = self.at(file, name)
            if isinstance(item, h5py.Dataset) and item.shape is not None:
                inner = h5py.check_vlen_dtype(item.dtype)
                found[name] = {
                    "type": str(item.dtype)[:100],
                    "rows": str(np.dtype(inner)) if isinstance(inner, np.dtype) else None,
                    "shape": list(item.shape),
                }
        return {"top": [name[:100] for name in file][:5], "found": found}

    def part(self, file: h5py.File, name: str, rows: list[int] | None) -> dict[str, object]:
        """An array, or some rows of it."""
        item = self.at(file, name)
        if not isinstance(item, h5py.Dataset):
            raise Refused(f"it has no array {name!r}")
        return self.dataset(name, item, rows)

    def at(self, file: h5py.File, name: str) -> object:
        """What is at a place, None if there is nothing."""
        item: object = file
        for each in name.split("/"):
            if not isinstance(item, h5py.Group) or each not in item:
                return None
            if item.get(each, getlink=True).__class__ is not h5py.HardLink:
                raise Refused(f"{name!r} is a link to another place")
            item = item[each]
        return item

    def item(self, name: str, item: object, depth: int) -> dict[str, object]:
        """A member of a group."""
        if isinstance(item, h5py.Group):
            return self.group(item, depth + 1)
        if not isinstance(item, h5py.Dataset):
            raise Refused(f"{name[:100]!r} is neither a group nor an array")
        return self.dataset(name[:100], item)

    def count(self, n: int = 1) -> None:
        """Note that there are n more things."""
        self.nodes += n
        if self.nodes > self.limits["nodes"]:
            raise Refused(f"it has more than {self.limits['nodes']} arrays and texts")

    def grow(self, n: int) -> None:
        """Note that there are n more bytes."""
        self.bytes += n
        if self.bytes > self.limits["bytes"]:
            raise Refused(f"it has more than {self.limits['bytes'] >> 20} MiB of numbers")

    def dataset(
        self, name: str, data: h5py.Dataset, rows: list[int] | None = None
    ) -> dict[str, object]:
        """An array or text; of one of variable length some rows, if given."""
        properties, kind = data.id.get_create_plist(), data.dtype
        virtual = properties.get_layout() == h5py.h5d.VIRTUAL
        if data.shape is None or virtual or properties.get_external_count():
            raise Refused(f"{name!r} has its numbers elsewhere, or none")
        filters = [properties.get_filter(k)[0] for k in range(properties.get_nfilters())]
        if not all(code in _FILTERS for code in filters):
            raise Refused(f"{name!r} is compressed in a way that is not read")
        size = self.size(name, data, kind)
        if h5py.check_string_dtype(kind) is not None:
            return self.text(name, data)
        varying = h5py.check_vlen_dtype(kind)
        if varying is not None:
            return self.varying(name, data, np.dtype(varying), rows)
        self.grow(size)
        return self.keep(name, np.asarray(data[()]))

    def size(self, name: str, data: h5py.Dataset, kind: np.dtype) -> int:
        """The bytes of an array, which the file must be able to hold."""
        size = math.prod(data.shape) * kind.itemsize
        stored = data.id.get_storage_size() if size > _SMALL else 0
        if size > _SMALL + _GREATEST_RATIO * stored:
            raise Refused(f"{name!r} must have {size} bytes of numbers, but stores {stored}")
        return size

    def keep(self, name: str, array: np.ndarray) -> dict[str, object]:
        """Note an array of numbers and give its place."""
        kind = array.dtype
        if kind.kind not in "iufb" or kind.itemsize > 8:
            raise Refused(f"{name!r} must have plain numbers or text, got {str(kind)[:100]}")
        array = np.array(array, kind.newbyteorder("<"), order="C", copy=None)
        self.arrays.append(array)
        return {"array": array.dtype.str, "shape": list(array.shape)}

    def text(self, name: str, data: h5py.Dataset) -> dict[str, object]:
        """A text, or a list of them."""
        self.count(math.prod(data.shape))
        found = data[()]
        listed = found.tolist() if isinstance(found, np.ndarray) else found
        return {"text": self.decoded(name, listed)}

    def decoded(self, name: str, found: object) -> object:
        """Bytes as text, and lists of them likewise."""
        if isinstance(found, list):
            return [self.decoded(name, each) for each in found]
        if not isinstance(found, bytes):
            raise Refused(f"{name!r} must have text, got {type(found).__name__}")
        self.grow(len(found))
        try:
            return found.decode()
        except UnicodeDecodeError as error:
            raise Refused(f"{name!r} must have text of UTF-8") from error

    def varying(
        self, name: str, data: h5py.Dataset, kind: np.dtype, asked: list[int] | None
    ) -> dict[str, object]:
        """A list of arrays of numbers, the requested rows or all."""
        if data.ndim != 1:
            raise Refused(f"{name!r} must have one array per row, got shape {data.shape}")
        begin, end = asked or (0, len(data))
        self.count(end - begin)
        rows: list[np.ndarray] = [np.zeros(0, kind)]
        for first in range(begin, end, _ROWS):
            some = [np.asarray(each, kind) for each in data[first : min(first + _ROWS, end)]]
            self.grow(sum(each.nbytes for each in some))
            rows += some
        lengths = [len(each) for each in rows[1:]]
        return self.keep(name, np.concatenate(rows)) | {"rows": lengths}


def _bound(memory: int) -> None:
    """Give the process no more memory than this, no new file and no core dump."""
    for name, limit in (("RLIMIT_AS", memory), ("RLIMIT_FSIZE", 0), ("RLIMIT_CORE", 0)):
        # Not every system has, or keeps, all of these.
        with suppress(ImportError, AttributeError, ValueError, OSError):
            import resource

            resource.setrlimit(getattr(resource, name), (limit, limit))


def _bound_memory(limits: dict[str, int], size: int) -> None:
    """Bound the process's memory from now on by what a file of a size can need.

    Lengths within the file may be damaged, and the library asks for what they say.
    """
    with suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        content = min(limits["bytes"], _SMALL + _GREATEST_RATIO * size)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (min(taken + _MEMORY + 2 * content, hard), hard))


def _bound_time(seconds: int) -> None:
    """Let the system end the process if it works for longer than this from now on."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + 1 + seconds
        hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
        resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def answer(request: dict[str, object]) -> tuple[dict[str, object], list[np.ndarray]]:
    """The answer to a request, and its arrays."""
    limits: dict[str, int] = request["limits"]  # type: ignore[assignment]
    _bound_time(limits["seconds"])
    walk = Walk(limits, request.get("only", ()))  # type: ignore[arg-type]
    try:
        _bound_memory(limits, os.path.getsize(request["path"]))  # type: ignore[arg-type]
        with h5py.File(request["path"], "r", locking=False) as file:
            if "look" in request:
                return {"look": walk.look(file, request["look"])}, []  # type: ignore[arg-type]
            if "parts" in request:
                parts: dict[str, list[int] | None] = request["parts"]  # type: ignore[assignment]
                tree = {name: walk.part(file, name, rows) for name, rows in parts.items()}
                return {"tree": {"group": tree}}, walk.arrays
            return {"tree": walk.group(file, 0)}, walk.arrays
    except Refused as error:
        return {"refused": str(error)}, []
    except Exception as error:  # whatever the library raises on a damaged file
        return {"damaged": str(error.args[0] if error.args else error)[:300]}, []


def main() -> None:
    """Answer requests until there are no more."""
    pipe = Connection(os.dup(0))
    _bound(int(sys.argv[1]))
    with suppress(EOFError):
        while True:
            header, arrays = answer(json.loads(pipe.recv_bytes()))
            pipe.send_bytes(json.dumps(header).encode())
            for array in arrays:
                pipe.send_bytes(array.ravel().view(np.uint8).data)
            del arrays


if __name__ == "__main__":
    main()
