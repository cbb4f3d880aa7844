"""Examples encoded in blocks: all in memory, or left on disk until a batch needs them.

A data set that takes long to encode says how some of its examples are encoded and what they depend
on. Blocks go to the user's cache as safetensors files, from which single examples are read by
their places, each checked against its checksum. Where no block can be kept, examples are encoded
again each time.
"""

import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mlgenn_delays.data.cache import cache_key, load_arrays, store_arrays
from mlgenn_delays.data.events import Spikes, end_to_end
from mlgenn_delays.data.losses import WIDTH, Losses
from mlgenn_delays.data.types import SpikeData, StreamedSpikes
from mlgenn_delays.files import cache_folder
from mlgenn_delays.tensors import Place, places

BLOCK = 1000  # examples per file of the cache
_NAMES = ("start", "time", "losses")
_MOST = 2.0**53  # of counts and lengths [ms]
_SPIKES = _NAMES[:2]


@dataclass(frozen=True)
class Blocks:
    """N examples as spikes, encoded some at a time.

    Attributes:
        encode: Function of (first, end) that gives those examples: ``start`` (end - first, C+1),
            counted from 0, and ``time`` (E,), both of whole numbers, and what was lost of each.
        name: The beginning of the cache's file names.
        depends: All that the result depends on, as JSON takes it; None to use no cache.
    """

    n: int
    n_channels: int
    n_steps: int
    encode: Callable[[int, int], Spikes]
    name: str
    depends: dict[str, object] | None = None

    def bounds(self) -> list[tuple[int, int]]:
        """Return first and end of every block."""
        return [(first, min(first + BLOCK, self.n)) for first in range(0, self.n, BLOCK)]

    def load(self) -> Spikes:
        """Return all examples: ``start`` (N, C+1) int64, ``time`` (E,) int32 and their losses."""
        start = np.empty((self.n, self.n_channels + 1), np.int64)
        table = np.empty((self.n, WIDTH))
        time, n = np.empty(0, np.int32), 0
        for first, end in self.bounds():
            some, times, losses = self._block(first, end)
            table[first:end] = losses.table
            if n + len(times) > len(time):
                # In place, and by half of what there is, so that nothing is held twice.
                time.resize(max(n + len(times), len(time) * 3 // 2), refcheck=False)
            time[n : n + len(times)] = times
            np.add(some, n, out=start[first:end], dtype=np.int64)
            n += len(times)
        time.resize(n, refcheck=False)
        return Spikes(start, time, Losses(table))

    def stream(self) -> tuple["Stream", Losses | None]:
        """Return all examples on disk, each block encoded now unless the cache has it whole.

        Their losses are None where they are encoded only when they are read.
        """
        files, losses = [], []
        for first, end in self.bounds():
            key = self._key(first, end)
            if key is None:
                return Stream(self, []), None
            block = self._block(first, end)
            losses.append(block.losses)
            files.append(_BlockFile(cache_folder() / key, block.start, block.time))
        return Stream(self, files), Losses.together(losses)

    def split(
        self,
        labels: np.ndarray,
        *,
        dt: float,
        label_names: tuple[str, ...],
        names: tuple[str, ...] = (),
        stream: bool,
    ) -> SpikeData | StreamedSpikes:
        """Return all examples as a split of a data set, of the classes `labels` (N,) int64."""
        if stream:
            rows, (source, lost) = np.arange(self.n), self.stream()
            shape = self.n_channels, self.n_steps
            return StreamedSpikes(source, rows, labels, *shape, dt, label_names, names, lost)
        start, time, losses = self.load()
        return SpikeData(start, time, labels, self.n_steps, dt, label_names, names, losses)

    def restored(self, number: int, path: Path) -> "_BlockFile | None":
        """Make a block's file anew; None if it cannot be stored."""
        block = self._block(*self.bounds()[number])
        return _BlockFile(path, block.start, block.time) if path.is_file() else None

    def _key(self, first: int, end: int) -> str | None:
        if self.depends is None:
            return None
        settings = [self.n_channels, self.n_steps]
        return cache_key(self.name, rows=[first, end], settings=settings, **self.depends)

    def _block(self, first: int, end: int) -> Spikes:
        key = self._key(first, end)
        arrays = load_arrays(key, _NAMES) if key is not None else None
        if arrays is not None and not self._fits(end - first, **arrays):
            warnings.warn(f"cache file {key} is damaged; recomputing", stacklevel=2)
            arrays = None
        if arrays is None:
            start, time, losses = self.encode(first, end)
            # The narrowest types: half the disk and half the time to read.
            narrow = np.uint16 if self.n_steps <= 2**16 else np.int32
            arrays = {"start": start.astype(np.uint32), "time": time.astype(narrow)}
            arrays["losses"] = losses.table
            if key is not None:
                store_arrays(key, arrays)
        return Spikes(arrays["start"], arrays["time"], Losses(arrays["losses"]))

    def _fits(self, n: int, start: np.ndarray, time: np.ndarray, losses: np.ndarray) -> bool:
        """Return whether arrays are n examples as spikes, so that no kernel leaves them."""
        if start.dtype.kind not in "iu" or time.dtype.kind not in "iu" or time.ndim != 1:
            return False
        if start.shape != (n, self.n_channels + 1) or losses.shape != (n, WIDTH):
            return False
        if losses.dtype != np.float64 or not ((losses >= 0) & (losses <= _MOST)).all():
            return False
        places = start.ravel()
        ascend = places[0] == 0 and places[-1] == len(time) and (places[1:] >= places[:-1]).all()
        within = not len(time) or (time.min() >= 0 and time.max() < self.n_steps)
        return bool(ascend and within)


class _BlockFile:
    """A block's file, from which single examples are read and checked against their checksums."""

    def __init__(self, path: Path, start: np.ndarray, time: np.ndarray) -> None:
        self.path = path
        rows = np.ascontiguousarray(start)
        self._checksums = np.array([_checksum(row, time[row[0] : row[-1]]) for row in rows])
        self._places: dict[str, Place] | None = None

    def example(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds (C+1,) and spikes (S,) of one example, and read no more than that.

        An OSError says that the file cannot be read, a ValueError that it has changed.
        """
        if self._places is None:
            self._places = places(self.path)
        try:
            start, time = (self._places[name] for name in _SPIKES)
            width = start.shape[1]
        except (KeyError, IndexError) as error:
            raise ValueError("it holds no block") from error
        # Unbuffered, and not mapped: mapped pages count as the process's memory.
        with open(self.path, "rb", buffering=0) as file:
            bounds = start.part(file, row * width, width)
            spikes = time.part(file, int(bounds[0]), int(bounds[-1]) - int(bounds[0]))
        if _checksum(bounds, spikes) != self._checksums[row]:
            raise ValueError("its content differs from its checksum")
        return bounds, spikes


def _checksum(bounds: np.ndarray, spikes: np.ndarray) -> int:
    return zlib.crc32(spikes.data, zlib.crc32(bounds.data))


class Stream:
    """Examples that are read when they are asked for; see `SpikeSource`.

    A file of a block that is lost or damaged later is made anew. If that fails, or there are no
    files, each example is encoded when it is read.
    """

    def __init__(self, blocks: Blocks, files: list[_BlockFile]) -> None:
        self.blocks = blocks
        self._files: list[_BlockFile | None] = [*files]

    def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return some examples as ``start`` (B, C+1) int64 and ``time`` (E,) int32."""
        if not len(rows):
            return np.zeros((0, self.blocks.n_channels + 1), np.int64), np.zeros(0, np.int32)
        return end_to_end(map(self._example, rows.tolist()))

    def _example(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        number = row // BLOCK
        file = self._files[number] if self._files else None
        if file is not None:
            try:
                return file.example(row % BLOCK)
            except (OSError, ValueError):
                # Damaged, or the cache was cleared meanwhile.
                file = self._files[number] = self.blocks.restored(number, file.path)
        if file is not None:
            with suppress(OSError, ValueError):
                return file.example(row % BLOCK)
            self._files[number] = None
        start, time, _ = self.blocks.encode(row, row + 1)
        return start[0], time
