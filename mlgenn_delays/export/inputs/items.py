"""What a network takes, and the examples of arrays and events; what does not fit is rejected.

Shapes: T steps of a trial, C channels of the network, N examples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlgenn_delays.data.arrays import check_raster, check_size, check_start, rows_at_once
from mlgenn_delays.data.dataset import RawFormat
from mlgenn_delays.data.encode.audio import (
    MOST_SAMPLES,
    check_samples,
    formats_in_words,
    suffixes,
)
from mlgenn_delays.data.encode.cochlea import N_CHANNELS
from mlgenn_delays.data.events import event_columns, event_losses, event_spikes, event_steps
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.registry import (
    dataset,
    dataset_encoding,
    dataset_shape,
)
from mlgenn_delays.data.sets.npz import NpzOptions
from mlgenn_delays.data.sets.shd import CochleaOptions
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About
from mlgenn_delays.settings import Count, PositiveTime, check

ARRAYS, EVENTS = (".npy", ".npz"), (".h5", ".hdf5")


@dataclass(frozen=True)
class InputSpec:
    """What a network takes."""

    about: About  # above all the data that it was trained on
    n_inputs: int  # C, its input channels
    dt: float  # length of a step [ms]
    currents: bool  # whether its input is currents, not spikes

    def __post_init__(self) -> None:
        check("n_inputs", self.n_inputs, Count)
        check("dt", self.dt, PositiveTime)

    @property
    def n_steps(self) -> int:
        """T, length of a trial."""
        return self.about.n_steps

    @property
    def options(self) -> Any:
        """The options of the data set, None if that is not known."""
        return self.about.options

    @cached_property
    def raw(self) -> RawFormat | None:
        """What an example of the data set is before it is encoded, None if it is not known."""
        return None if self.options is None else dataset(self.about.data["dataset"]).raw

    @property
    def kind(self) -> str:
        """The kind of `raw`, or an empty text."""
        return "" if self.raw is None else self.raw.kind

    @property
    def counts(self) -> bool:
        """Whether events become currents, as their number in each step and channel."""
        return self.currents and isinstance(self.options, CochleaOptions)

    @property
    def unit_width(self) -> int:
        """How many neighbouring units of a file of SHD or SSC are one channel."""
        return N_CHANNELS // self.n_inputs if isinstance(self.options, CochleaOptions) else 1

    @property
    def time_unit(self) -> float:
        """What a time of 1 in a .npz is [ms], as in those that the network was trained on."""
        return self.options.time_unit if isinstance(self.options, NpzOptions) else 1.0

    @property
    def trial(self) -> float:
        """Length of a trial [ms]."""
        return self.n_steps * self.dt

    @property
    def sample_rate(self) -> int | None:
        """Rate of the recordings that it takes [Hz], None if it takes none."""
        return self.options.sample_rate if self.kind == "recording" else None

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of files that it can read end with."""
        return (*(suffixes() if self.kind == "recording" else ()), *self._of_arrays)

    @property
    def files_in_words(self) -> str:
        """The same in words, without the rare formats of recordings."""
        arrays = ", ".join(self._of_arrays)
        return f"{arrays}, {formats_in_words()}" if self.kind == "recording" else arrays

    @property
    def _of_arrays(self) -> tuple[str, ...]:
        return (*ARRAYS, *(() if self.currents and not self.counts else EVENTS))

    @property
    def rows(self) -> str:
        """What the values of each channel each step are, in words."""
        numbers = "frames" if self.kind == "frames" else "currents"
        return numbers if self.currents else "spikes as 0 and 1"

    @property
    def arrays(self) -> str:
        """The shapes of arrays that it takes, in words."""
        rows = f"(steps, {self.n_inputs}) or (examples, steps, {self.n_inputs}) {self.rows}"
        if self.kind == "recording":
            return f"(n,) samples at {self.sample_rate} Hz, or {rows}"
        if self.raw is not None and self.kind == "image":
            high, wide = self.raw.size
            n = high * wide
            return (
                f"({high}, {wide}), ({n},), (examples, {n}) or (examples, {high}, {wide}) "
                f"brightness 0..{self.raw.white:g}, or {rows}"
            )
        return rows

    def check_raw(self, where: str) -> None:
        """Require that the data set, once encoded, is what the network takes."""
        name = str(self.about.data["dataset"])
        shape = dataset_shape(name, self.options)
        currents = dataset_encoding(name, self.options) == "currents"
        # Where only files know the classes, options may know the channels all the same.
        n = getattr(self.options, "n_channels", self.n_inputs) if shape is None else shape[0]
        # The shape of "frames" is only what was published: files may have other channels.
        fits = self.kind == "frames" or n == self.n_inputs
        if currents != self.currents or not fits:
            raise InputError(
                f"{where} cannot be encoded: the model says that its data are "
                f"{_channels(n, currents)}, got a network that takes "
                f"{_channels(self.n_inputs, self.currents)}; export the model again"
            )


def _channels(n: int, currents: bool) -> str:
    return f"{'currents' if currents else 'spikes'} of {n} channels"


ItemKind = Literal["recording", "image", "frames", "currents", "raster", "events"]


@dataclass(frozen=True)
class Item:
    """One example, checked and not yet encoded, so that many of them take little memory."""

    name: str  # a file, "file.npz[3]", "input[0]", or a time of a stream
    kind: ItemKind  # what `raw` is
    # See `mlgenn_delays.data.dataset.RawFormat`; "currents": (steps, C) as the network takes them;
    # "raster": (steps, C) of 0 and 1; "events": channels and steps of the spikes, two arrays of
    # int64.
    raw: Any
    # What is cut or merged, before it is encoded; None if nothing can be.
    losses: Losses | None = None


_ENCODE = "the network takes spikes: encode the values as in its training data"
MOST_EXAMPLES = 10**6  # of one array or file
_PCM = {"int8": (0, 2**7), "uint8": (2**7, 2**7), "int16": (0, 2**15), "int32": (0, 2**31)}


def array_items(
    spec: InputSpec, where: str, array: np.ndarray, *, encoded: bool = False
) -> list[Item]:
    """The examples of an array; see `Reader`. Encoded ones go in as they are."""
    if array.dtype.kind not in "biuf":
        raise InputError(
            f"values of {where} must be real numbers, got type {array.dtype}; save them with "
            ".astype('float32')"
        )
    if not array.size:
        raise InputError(
            f"{where} must have {spec.arrays}, got shape {array.shape} without any value; "
            "remove it or give data"
        )
    if not encoded and spec.kind == "recording" and array.ndim == 1:
        return [recording_item(spec, where, array)]
    if not encoded and spec.raw is not None and spec.kind == "image":
        one = (spec.raw.size, (math.prod(spec.raw.size),))
        # With as many channels as pixels, rows of spikes look like images: those go as .npz.
        if array.shape in one or array.shape[1:] in one:
            images = array.reshape(-1, *one[1])
            return _image_items(spec, where, images, several=array.shape not in one)
    return row_items(spec, where, array, encoded=encoded)


def recording_item(spec: InputSpec, where: str, samples: np.ndarray) -> Item:
    """A recording from samples (n,) at the network's rate, floating point or PCM."""
    spec.check_raw(where)
    if samples.size > MOST_SAMPLES:
        raise InputError(
            f"{where} must have at most {MOST_SAMPLES} samples, got {samples.size}; "
            "cut it into shorter recordings"
        )
    if samples.dtype.kind == "f":
        check_samples(where, samples)
        return Item(where, "recording", samples.astype(np.float32), _lasting(spec, samples))
    if samples.dtype.name not in _PCM:
        raise InputError(
            f"{where} must have samples of type float32 (full scale at 1) or PCM of type "
            f"{', '.join(_PCM)}, got {samples.dtype}; save them with .astype"
        )
    middle, scale = _PCM[samples.dtype.name]
    scaled = (samples.astype(np.float32) - middle) / np.float32(scale)
    return Item(where, "recording", scaled, _lasting(spec, samples))


def _lasting(spec: InputSpec, samples: np.ndarray) -> Losses:
    return Losses.of_lengths([1000.0 * len(samples) / (spec.sample_rate or 1)], np.ones(1))


def row_items(
    spec: InputSpec, where: str, array: np.ndarray, *, encoded: bool = False
) -> list[Item]:
    """The examples of an array (steps, C) or (N, steps, C); encoded frames are currents already."""
    if array.ndim not in (2, 3) or array.shape[-1] != spec.n_inputs:
        raise InputError(
            f"{where} must have {spec.arrays}, got shape {array.shape}; "
            "give data of the kind that the model was trained on"
        )
    examples = array[None] if array.ndim == 2 else array
    frames = spec.kind == "frames" and not encoded
    if frames:
        spec.check_raw(where)
    kind: ItemKind = "frames" if frames else "currents" if spec.currents else "raster"
    if kind == "raster":
        check_raster(where, examples[:, : spec.n_steps], _ENCODE, several=array.ndim == 3)
    else:
        scale = spec.options.scale if frames else 1.0
        _check_currents(where, examples[:, : spec.n_steps], scale, array.ndim == 3)
    length = examples.shape[1] * spec.dt
    return _numbered(where, kind, examples, array.ndim == 3, length)


def _image_items(spec: InputSpec, where: str, images: np.ndarray, *, several: bool) -> list[Item]:
    """The examples of images (N, pixels)."""
    assert spec.raw is not None
    spec.check_raw(where)
    if images.dtype.kind == "b":
        raise InputError(
            f"{where} must be numbers as brightness, got type bool; save it with "
            f".astype('float32') * {spec.raw.white:g}"
        )
    step = rows_at_once(images.shape)
    for first in range(0, len(images), step):
        some = images[first : first + step]
        wrong = ~((some >= 0) & (some <= spec.raw.white))
        if wrong.any():
            row, pixel = np.argwhere(wrong)[0]
            raise InputError(
                f"pixels of {where} must be of brightness 0..{spec.raw.white:g}, got "
                f"{some[row, pixel]} in image {first + row} (pixel {pixel}); black is 0, "
                f"scale white to {spec.raw.white:g}"
            )
    return _numbered(where, "image", images, several)


def _numbered(
    where: str, kind: ItemKind, examples: np.ndarray, several: bool, length: float = 0.0
) -> list[Item]:
    """Examples of a length [ms] under the name of their array, numbered if several."""
    check_number_of_examples(where, len(examples))
    losses = Losses.of_lengths([length], np.ones(1))
    return [
        Item(f"{where}[{row}]" if several else where, kind, each, losses)
        for row, each in enumerate(examples)
    ]


def check_number_of_examples(where: str, n: int) -> None:
    """Reject more examples than can be kept at once."""
    if n > MOST_EXAMPLES:
        raise InputError(
            f"{where} must have at most {MOST_EXAMPLES} examples, got {n}; split it into several"
        )


def _check_currents(where: str, values: np.ndarray, scale: float, several: bool) -> None:
    """Reject values (N, steps, C) that are not finite numbers of float32 when scaled."""
    if values.dtype.kind == "b":
        raise InputError(
            f"currents of {where} must be numbers, got type bool; save it with .astype('float32')"
        )
    example = "example {}".format if several else None
    check_size(f"values of {where}", values, scale=scale, example=example)


_SECOND = 1000.0  # ms


def event_item(
    spec: InputSpec, where: str, channels: Any, times: Any, unit: float = 1.0, width: int = 1
) -> Item:
    """One example from its events, of which those after the trial are cut.

    Arguments:
        spec: What the network takes.
        where: What the events are called.
        channels: (E,) whole numbers in ``0..C-1``.
        times: (E,) real numbers >= 0, in any order.
        unit: What a time of 1 is [ms].
        width: How many neighbouring channels of the events are one of the network.
    """
    if spec.currents and not spec.counts:
        raise InputError(
            f"{where} has events, but the model takes currents; give an array of {spec.arrays}"
        )
    # Of files with more channels than the network, neighbours are one.
    channel, time = event_columns(where, channels, times, n_channels=spec.n_inputs * width)
    channel = channel // width
    shape = {"n_channels": spec.n_inputs, "n_steps": spec.n_steps}
    if spec.counts:
        steps = event_steps(where, time, dt=spec.dt, n_steps=spec.n_steps, unit=unit)
        kept = steps < spec.n_steps
        counts = np.zeros((spec.n_steps, spec.n_inputs), np.float32)
        np.add.at(counts, (steps[kept].astype(np.int64), channel[kept]), 1.0)
        losses = event_losses(time, steps, spec.n_steps, unit)
        return Item(where, "currents", counts, losses)
    start, step, losses = event_spikes(where, channel, time, dt=spec.dt, unit=unit, **shape)
    channel = np.repeat(np.arange(spec.n_inputs), np.diff(start))
    return Item(where, "events", (channel, step.astype(np.int64)), losses)


def npz_events(spec: InputSpec, path: Path, arrays: dict[str, np.ndarray]) -> list[Item]:
    """The examples of events in a .npz; see `Reader`."""
    channels, times = arrays["channels"], arrays["times"]
    if "start" not in arrays:
        return [event_item(spec, str(path), channels, times, spec.time_unit)]
    if times.ndim != 1 or times.shape != channels.shape:
        raise InputError(
            f"{path} must have times and channels of one shape (events,), got {times.shape} and "
            f"{channels.shape}; give one of each per event"
        )
    start = arrays["start"]
    check_start(str(path), start, len(times))
    check_number_of_examples(str(path), len(start) - 1)
    return [
        event_item(spec, f"{path}[{row}]", channels[first:end], times[first:end], spec.time_unit)
        for row, (first, end) in enumerate(zip(start[:-1], start[1:], strict=True))
    ]


def hdf5_events(spec: InputSpec, path: Path) -> list[Item]:
    """The examples of an HDF5 file in the layout of SHD and SSC, units grouped as for training.

    ``/spikes/times`` [s] and ``/spikes/units`` hold an array per example.
    """
    from mlgenn_delays.hdf5 import read_hdf5

    spikes = read_hdf5(path, only=("spikes",)).get("spikes")
    found = spikes if isinstance(spikes, dict) else {}
    times, units = (_examples(path, found, name) for name in ("times", "units"))
    if len(times) != len(units) or not len(times):
        raise InputError(
            f"{path} must have times and units of the same examples, at least one, got "
            f"{len(times)} and {len(units)}; copy it again"
        )
    check_number_of_examples(str(path), len(times))
    return [
        event_item(spec, f"{path}[{row}]", unit, time, _SECOND, spec.unit_width)
        for row, (time, unit) in enumerate(zip(times, units, strict=True))
    ]


def _examples(path: Path, spikes: dict[str, Any], name: str) -> Sequence[np.ndarray]:
    found = spikes.get(name)
    arrays = list(found) if isinstance(found, (list, tuple, np.ndarray)) else None
    if arrays is None or not all(isinstance(each, np.ndarray) for each in arrays):
        got = "none" if found is None else "something else"
        raise InputError(
            f"{path} must have /spikes/times and /spikes/units with one array per example, as SHD "
            f"and SSC have, got {got} at /spikes/{name}; give events as .npz with times [ms] and "
            "channels"
        )
    return arrays
