"""What a network takes, one example as it was given, and how several become a batch.

Shapes: T steps of a trial, C channels, B examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from mlgenn_delays.data.dataset import RawFormat
from mlgenn_delays.data.losses import Losses
from mlgenn_delays.data.registry import (
    dataset,
    dataset_encoding,
    dataset_shape,
)
from mlgenn_delays.data.sets.npz import NpzOptions
from mlgenn_delays.data.sets.shd import CochleaOptions
from mlgenn_delays.data.sets.shd_files import N_CHANNELS
from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About
from mlgenn_delays.settings import Count, PositiveTime, check

ARRAYS, WAVS, EVENTS = (".npy", ".npz"), (".wav",), (".h5", ".hdf5")


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
        wavs = WAVS if self.kind == "recording" else ()
        return (*wavs, *ARRAYS, *(() if self.currents and not self.counts else EVENTS))

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


def currents_batch(examples: Sequence[np.ndarray], n_steps: int) -> CurrentBatch:
    """Currents (steps, C) of any length as a batch, cut or padded with zeros, with -1 as labels."""
    values = np.zeros((len(examples), n_steps, examples[0].shape[1]), np.float32)
    for row, example in zip(values, examples, strict=True):
        kept = example[:n_steps]
        row[: len(kept)] = kept
    return CurrentBatch(values, _no_labels(len(values)), np.arange(len(values)))


def events_batch(
    examples: Sequence[tuple[np.ndarray, np.ndarray]], n_channels: int, n_steps: int, dt: float
) -> SpikeBatch:
    """Events (channels, steps), in any order, as a batch with -1 as labels.

    Repeats within a step are merged, events after the trial cut.
    """
    n = len(examples)
    data = SpikeData.from_events(
        list(examples),
        np.zeros(n, np.int64),
        n_channels=n_channels,
        n_steps=n_steps,
        dt=dt,
        label_names=("",),
    )
    return SpikeBatch(data.start, data.time, _no_labels(n), np.arange(n), n_steps)


def raster_events(raster: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The (channels, steps) at which a raster (steps, C) is not 0, up to ``n_steps``."""
    steps, channels = np.nonzero(raster[:n_steps])
    return channels, steps


def joined(batches: Sequence[Batch]) -> Batch:
    """Batches of one kind and length as one, counted anew."""
    if len(batches) == 1:
        return batches[0]
    n = sum(len(each) for each in batches)
    labels, index = np.concatenate([each.labels for each in batches]), np.arange(n)
    currents = [each.values for each in batches if isinstance(each, CurrentBatch)]
    if currents:
        return CurrentBatch(np.concatenate(currents), labels, index)
    return replace(_end_to_end(batches), labels=labels, index=index)


def _end_to_end(batches: Sequence[Any]) -> SpikeBatch:
    offsets = np.cumsum([0] + [len(each.time) for each in batches])
    starts = [each.start + offset for each, offset in zip(batches, offsets, strict=False)]
    times = np.concatenate([each.time for each in batches])
    return replace(batches[0], start=np.concatenate(starts), time=times)


def _no_labels(n: int) -> np.ndarray:
    return np.full(n, -1, np.int64)
