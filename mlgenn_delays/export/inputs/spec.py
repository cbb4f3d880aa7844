"""What a network takes, in one place."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mlgenn_delays.data.dataset import RawFormat
from mlgenn_delays.data.registry import (
    dataset,
    dataset_encoding,
    dataset_shape,
)
from mlgenn_delays.data.sets.npz import NpzOptions
from mlgenn_delays.data.sets.shd import CochleaOptions
from mlgenn_delays.data.sets.shd_files import N_CHANNELS
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About
from mlgenn_delays.settings import Count, PositiveTime, check

ARRAYS, WAVS, EVENTS = (".npy", ".npz"), (".wav",), (".h5", ".hdf5")


@dataclass(frozen=True)
class InputSpec:
    """What a network takes.

    Attributes:
        about: What is known of it, above all the data that it was trained on.
        n_inputs: C, its input channels.
        dt: Length of a step [ms].
        currents: Whether its input is currents, not spikes.

    Raises:
        InputError: No channel, or no positive step.
    """

    about: About
    n_inputs: int
    dt: float
    currents: bool

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
        """Require that the data set, once encoded, is what the network takes.

        Arguments:
            where: What would have to be encoded.

        Raises:
            InputError: It is not.
        """
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
