"""From files and Python objects to what a network takes.

What a file says of its size is checked before any memory is taken for it, and nothing in a file
is ever run: arrays of objects are rejected.
"""

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays import npy
from mlgenn_delays.data.arrays import LAYOUTS
from mlgenn_delays.data.encode.audio import is_recording, read_recording
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.types import (
    Batch,
    CurrentBatch,
    CurrentData,
    SpikeBatch,
    SpikeData,
    StreamedSpikes,
)
from mlgenn_delays.errors import InputError, unreadable
from mlgenn_delays.export.inputs.items import (
    EVENTS,
    InputSpec,
    Item,
    ItemKind,
    array_items,
    event_item,
    hdf5_events,
    npz_events,
    recording_item,
)
from mlgenn_delays.files import list_files

MOST_BYTES = 2**28  # of a recording, or of an array of a .npz


class Reader(InputSpec):
    """What turns inputs into examples for one model.

    Whatever the input, examples longer than a trial are cut, and shorter ones padded with
    silence. With C the channels of the network, an input may be:

    - a recording (WAV, FLAC, OGG, MP3 or another that libsndfile reads), of any rate and
      channels, for a model trained on recordings: encoded as in training; for one of SHD or SSC,
      by the cochlea that made these.
    - An array, or a ``.npy`` with one:

      - for a model trained on recordings, (n,) samples at the sample rate of its data, floating
        point with full scale at 1 or integer PCM (int8, uint8, int16, int32);
      - for a model trained on images, brightness (black at 0) of one image, (8, 8) or (64,), or
        of several, (N, 8, 8) or (N, 64), for the digits: encoded as in training. An array of such
        a shape is images, even if it could be spikes;
      - (steps, C) for one example, or (N, steps, C) for several, a value per channel and
        step: for spikes 0 and 1 (bool or numbers); for currents real numbers, which flow in as
        they are. Only for a model trained on frames (RawHD) they are frames as in the files of
        its data, and multiplied by the scale that it was trained with.

    - A ``.npz`` with ``values`` or ``raster``, (steps, C) or (N, steps, C): what the network
      takes, never scaled or encoded; or, for spikes, with events: ``times`` (E,) [ms, or
      ``data.time_unit`` of the training] and ``channels`` (E,), and with ``start`` (N+1,) several
      examples, of which example i has the events ``start[i]:start[i+1]``. Other arrays in it are
      ignored.
    - An HDF5 file as SHD and SSC come, for spikes: ``/spikes/times`` [s] and ``/spikes/units``.
    - In Python also `SpikeData`, `SpikeBatch`, `CurrentData` and `CurrentBatch`, taken as they
      are; a tuple (channels, times [ms]) of events; a list of any of these.

    An event at a time goes to the step ``floor(time / dt)``; several of a channel in one step are
    one.

    Arguments:
        about: What is known of the model; its data set says how raw data are encoded.
        n_inputs: C.
        dt: Length of a step [ms].
        currents: Whether the network takes currents, not spikes.

    Raises:
        InputError: No channel, or no positive step.
    """

    def files(self, paths: Sequence[Path | str]) -> list[Path]:
        """List the files to read: of a folder, all in it and in its folders that can be read."""
        if not paths:
            raise InputError("inputs must have at least one file or folder, got none")
        found: list[Path] = []
        for path in map(Path, paths):
            if stat.S_ISDIR(_stat(path).st_mode):
                found += self._folder(path)
            else:
                self._check_suffix(path)
                found.append(path)
        return found

    def read(self, path: Path | str) -> list[Item]:
        """Read the examples of a file, at least one.

        A ``.npy`` is mapped into memory, so it must stay as it is while its examples are in use.
        """
        path = Path(path)
        size = check_file(path)
        self._check_suffix(path)
        suffix = path.suffix.lower()
        if is_recording(path.name):
            assert self.sample_rate is not None
            if size > MOST_BYTES:
                raise InputError(
                    f"{path} must have at most {MOST_BYTES} bytes, got {size}; "
                    "cut it into shorter recordings"
                )
            samples = read_recording(path, self.sample_rate)
            return [recording_item(self, str(path), samples)]
        if suffix == ".npy":
            return array_items(self, str(path), _map_npy(path))
        return hdf5_events(self, path) if suffix in EVENTS else self._npz(path)

    def _folder(self, folder: Path) -> list[Path]:
        there = list_files(folder)
        found = [each for each in there if each.name.lower().endswith(self.suffixes)]
        if not found:
            others = sorted({each.suffix or each.name for each in there})
            got = f"only {', '.join(others[:5])}" if others else "none"
            raise InputError(
                f"{folder} must have files ending with {self.files_in_words} for this model, "
                f"got {got}; give a folder of the kind of data that the model was trained on"
            )
        return found

    def _check_suffix(self, path: Path) -> None:
        if not path.name.lower().endswith(self.suffixes):
            raise InputError(
                f"{path} must end with {self.files_in_words} for this model, got "
                f"{path.suffix or 'no suffix'!r}; convert it, or give data of the kind that the "
                "model was trained on"
            )

    def of(self, x: Any) -> list[Item]:
        """The examples of a Python object, see `Reader`; of a path, those of the file or folder."""
        if not isinstance(x, list):
            return self._of(x, "input")
        if not x:
            raise InputError("input must have at least one example, got an empty list")
        return [item for i, each in enumerate(x) for item in self._of(each, f"input[{i}]")]

    def items(self, inputs: Iterable[Path | str]) -> Iterator[Item]:
        """Yield the examples of files and folders one after the other, reading as it goes."""
        for path in self.files(list(inputs)):
            yield from self.read(path)

    def as_batch(self, items: Sequence[Item]) -> Batch:
        """Join examples, at least one, into one batch in their order, with -1 as their labels.

        Their number bounds the memory: T x C numbers per example.
        """
        if not items:
            raise InputError("items must have at least one example, got none")
        runs = groupby(items, key=lambda item: item.kind)
        return _joined([self._encode(kind, [each.raw for each in run]) for kind, run in runs])

    def _encode(self, kind: ItemKind, raws: list[Any]) -> Batch:
        if kind == "currents":
            return _currents_batch(raws, self.n_steps)
        if kind in ("raster", "events"):
            if kind == "raster":
                raws = [np.nonzero(each[: self.n_steps])[::-1] for each in raws]
            return self._events_batch(raws)
        assert self.raw is not None
        return self.raw.encode(self.options, raws, self.dt, self.n_steps)

    def _events_batch(self, examples: list[tuple[np.ndarray, np.ndarray]]) -> SpikeBatch:
        """Join (channels, steps) in any order; repeats within a step are merged, later ones cut."""
        n = len(examples)
        data = SpikeData.from_events(
            examples,
            np.zeros(n, np.int64),
            n_channels=self.n_inputs,
            n_steps=self.n_steps,
            dt=self.dt,
            label_names=("",),
        )
        return SpikeBatch(data.start, data.time, _no_labels(n), np.arange(n), self.n_steps)

    def _npz(self, path: Path) -> list[Item]:
        arrays = npy.read_npz(path, [*LAYOUTS, "channels", "start"], most=MOST_BYTES)
        found = [name for name in LAYOUTS if name in arrays]
        if len(found) != 1 or ("channels" in arrays) != ("times" in arrays):
            raise InputError(
                f"{path} must have either times and channels, or values, or raster, got "
                f"{', '.join(arrays) or 'none of these'}; save it with numpy.savez under one of "
                "these names"
            )
        if found == ["times"]:
            return npz_events(self, path, arrays)
        return array_items(self, str(path), arrays[found[0]], encoded=True)

    def _of(self, x: Any, where: str) -> list[Item]:
        if isinstance(x, (str, os.PathLike)):
            return list(self.items([os.fspath(x)]))
        if isinstance(x, StreamedSpikes):
            x = x.load()
        if isinstance(x, (SpikeData, SpikeBatch)):
            return self._spikes(x, where)
        if isinstance(x, (CurrentData, CurrentBatch)):
            return self._currents(x, where)
        if isinstance(x, tuple) and len(x) == 2:
            return [event_item(self, where, *x)]
        if hasattr(x, "__array__"):
            return array_items(self, where, np.asarray(x))
        raise InputError(
            f"{where} must be a path, an array, SpikeData, CurrentData, a batch, events "
            f"(channels, times) or a list of these, got {type(x).__name__}; "
            "make numbers an array with numpy.asarray"
        )

    def _spikes(self, x: SpikeData | SpikeBatch, where: str) -> list[Item]:
        data = x
        if isinstance(data, SpikeBatch):  # data check themselves, batches do not
            labels = np.zeros(len(x), np.int64)
            data = SpikeData(data.start, data.time, labels, data.n_steps, self.dt, ("",))
        self._check_data(where, data, currents=False)
        channels = np.arange(data.n_channels)
        items = []
        for name, start in zip(_names(x, where), data.start, strict=True):
            steps = data.time[start[0] : start[-1]].astype(np.int64)
            last = (int(steps.max()) + 1) * self.dt if len(steps) else 0.0
            lost = Losses.of_events(len(steps), int((steps >= self.n_steps).sum()), 0, last)
            items.append(Item(name, "events", (np.repeat(channels, np.diff(start)), steps), lost))
        return items

    def _currents(self, x: CurrentData | CurrentBatch, where: str) -> list[Item]:
        data = x
        if isinstance(data, CurrentBatch):
            data = CurrentData(data.values, np.zeros(len(x), np.int64), self.dt, ("",))
        self._check_data(where, data, currents=True)
        losses = Losses.of_lengths([data.n_steps * self.dt], np.ones(1))
        pairs = zip(_names(x, where), data.values, strict=True)
        return [Item(name, "currents", values, losses) for name, values in pairs]

    def _check_data(self, where: str, data: SpikeData | CurrentData, *, currents: bool) -> None:
        kinds = {True: "currents", False: "spikes"}
        wanted = f"{kinds[self.currents]} of {self.n_inputs} channels, dt = {self.dt:g} ms"
        got = f"{kinds[currents]} of {data.n_channels} channels, dt = {data.dt:g} ms"
        if wanted != got or not len(data):
            none = "" if len(data) else ", no example"
            raise InputError(
                f"{where} must have {wanted}, got {got}{none}; "
                "give data of the kind that the model was trained on"
            )


def _names(data: Any, where: str) -> list[str]:
    names = getattr(data, "names", ())
    if len(names) == len(data):
        return list(names)
    return [f"{where}[{row}]" for row in range(len(data))]


def _currents_batch(examples: Sequence[np.ndarray], n_steps: int) -> CurrentBatch:
    """Currents (steps, C) of any length as a batch, cut or padded with zeros, with -1 as labels."""
    values = np.zeros((len(examples), n_steps, examples[0].shape[1]), np.float32)
    for row, example in zip(values, examples, strict=True):
        kept = example[:n_steps]
        row[: len(kept)] = kept
    return CurrentBatch(values, _no_labels(len(values)), np.arange(len(values)))


def _joined(batches: Sequence[Batch]) -> Batch:
    """Batches of one kind and length as one, counted anew."""
    if len(batches) == 1:
        return batches[0]
    n = sum(len(each) for each in batches)
    labels, index = np.concatenate([each.labels for each in batches]), np.arange(n)
    currents = [each.values for each in batches if isinstance(each, CurrentBatch)]
    if currents:
        return CurrentBatch(np.concatenate(currents), labels, index)
    spikes = [each for each in batches if isinstance(each, SpikeBatch)]
    offsets = np.cumsum([0] + [len(each.time) for each in spikes])
    start = [each.start + offset for each, offset in zip(spikes, offsets, strict=False)]
    times = np.concatenate([each.time for each in spikes])
    return SpikeBatch(np.concatenate(start), times, labels, index, spikes[0].n_steps)


def _no_labels(n: int) -> np.ndarray:
    return np.full(n, -1, np.int64)


def check_file(path: Path) -> int:
    """The size of a file [bytes], which must be there and not empty."""
    found = _stat(path)
    if not stat.S_ISREG(found.st_mode):
        raise InputError(f"{path} must be a file, got a folder or a device; give a file")
    if not found.st_size:
        raise InputError(f"{path} is empty (0 bytes); replace or remove it")
    return found.st_size


def _map_npy(path: Path) -> np.ndarray:
    try:
        return npy.map_npy(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
