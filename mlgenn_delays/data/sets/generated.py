"""What the generated data sets share: a generator per split, and one spike per channel."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np
from pydantic import Field

from mlgenn_delays.data.dataset import SPLITS, Dataset, RawFormat, Space, Splits
from mlgenn_delays.data.events import single_spikes
from mlgenn_delays.data.fields import Spikes, TrialLength
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import Integer, says, settings

D = TypeVar("D", bound=SpikeData | CurrentData)
Examples = Annotated[Integer, Field(ge=1, le=10_000_000)]


@settings
class GeneratedOptions:
    """Options of every generated data set."""

    space: ClassVar[Space] = ()  # channels have no order

    train: Annotated[Examples, says("Number of training examples.")] = 1000
    validation: Annotated[Examples, says("Number of validation examples.")] = 500
    test: Annotated[Examples, says("Number of test examples.")] = 500
    seed: Annotated[Integer, Field(ge=0, le=2**53), says("Seed of the examples.")] = 0
    duration: TrialLength = 60.0
    encoding: Spikes = "spikes"

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: none does."""
        return 1


def generate_splits(
    purpose: str,
    options: GeneratedOptions,
    make: Callable[[np.random.Generator, int], D],
) -> dict[str, D]:
    """Make every split with a generator of its own: the size of one changes nothing in another."""
    return {
        split: make(generator(options.seed, purpose, split), getattr(options, split))
        for split in SPLITS
    }


def balanced_labels(rng: np.random.Generator, n: int, n_classes: int) -> np.ndarray:
    """Return (n,) int64 classes in random order, of each as many as of another, or one more."""
    return rng.permutation(np.arange(n, dtype=np.int64) % n_classes)


def to_steps(times: np.ndarray, dt: float, n_steps: int) -> np.ndarray:
    """Return times [ms] as steps, int64, the half rounded up, kept within ``0 .. n_steps - 1``."""
    return np.clip(np.floor(times / dt + 0.5).astype(np.int64), 0, n_steps - 1)


def one_spike_each(
    times: np.ndarray, labels: np.ndarray, n_steps: int, dt: float, label_names: tuple[str, ...]
) -> SpikeData:
    """Return examples in which every channel spikes once, at times (N, C) [ms] within the trial."""
    start, time = single_spikes(to_steps(times, dt, n_steps))
    return SpikeData(start, time, labels, n_steps, dt, label_names)


def generated(
    name: str,
    summary: str,
    options: type,
    load: Callable[..., Splits],
    shape: Callable[[Any], tuple[int, int]],
    raw: RawFormat | None = None,
    *,
    origin: str = "is generated",
) -> Dataset:
    """Return a data set that takes no folder; `load` is a function of (options, dt=)."""

    def without_folder(folder: Path | None, options: Any, dt: float, cache: bool) -> Splits:
        if folder is not None:
            raise InputError(
                f"dataset {name!r} must have no folder of data, got {str(folder)!r}; "
                f"it {origin}: leave --data out"
            )
        return load(options, dt=dt)

    return Dataset(summary, options, False, without_folder, shape, raw)
