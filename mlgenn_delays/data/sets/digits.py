"""Handwritten digits of scikit-learn (1797 images of 8 x 8 pixels), coded by latency.

The data set that needs no download. A pixel of brightness 1..16 spikes once, the brighter the
earlier: at ``(16 - brightness) / 15`` of the window. Black pixels are silent. With ``both``, 64
channels more carry the inverted image in the same way.
"""

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from mlgenn_delays.data.dataset import RawFormat, Space, Splits
from mlgenn_delays.data.events import single_spikes
from mlgenn_delays.data.fields import Spikes, TrialLength, check_at_most, count_steps
from mlgenn_delays.data.sets.generated import generated
from mlgenn_delays.data.split import stratified
from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.settings import PositiveTime, says, settings

LABEL_NAMES = tuple("0123456789")
WHITE = 16
N_PIXELS = 64

_TEST, _VALIDATION = 0.2, 0.1


@settings
class DigitsOptions:
    """Options of the digits, see `load_digits_data`."""

    group: ClassVar[int] = 8
    space: ClassVar[Space] = (("row", 8), ("column", 8))

    duration: TrialLength = 50.0
    window: Annotated[
        PositiveTime, says("Time by which the darkest pixels that spike have spiked.")
    ] = 30.0
    both: Annotated[bool, says("Whether the inverted image spikes too, on channels 64..127.")] = (
        False
    )
    encoding: Spikes = "spikes"

    def __post_init__(self) -> None:
        check_at_most(self, "window", self.duration, "duration")


def load_digits_data(
    *, duration: float = 50.0, dt: float = 1.0, window: float = 30.0, both: bool = False
) -> dict[str, SpikeData]:
    """Load the digits as spikes.

    Arguments:
        duration: Length of a trial [ms].
        dt: Length of a step [ms].
        window: Time by which the darkest pixels that spike have spiked [ms].
        both: Whether the inverted image spikes too, on channels 64..127.

    Returns:
        "train" (1257), "validation" (180) and "test" (360), stratified and always the same;
        ``names`` are the images' numbers in scikit-learn's order. Channels are pixels row by row.

    Raises:
        InputError: The window is longer than the trial, or a setting is out of range.

    Example:
        >>> from mlgenn_delays.data import load_digits_data
        >>> len(load_digits_data()["test"])
        360
    """
    DigitsOptions(duration=duration, window=window, both=both)
    n_steps = count_steps(duration, dt)
    images, labels = _images()
    steps = _steps(images, min(count_steps(window, dt), n_steps), both)
    rest, test = stratified(labels, math.ceil(_TEST * len(labels)))
    train, validation = stratified(labels[rest], round(_VALIDATION * len(labels)))
    parts = {"train": rest[train], "validation": rest[validation], "test": test}
    data = {}
    for split, index in parts.items():
        start, time = single_spikes(steps[index])
        names = tuple(map(str, index))
        data[split] = SpikeData(start, time, labels[index], n_steps, dt, LABEL_NAMES, names)
    return data


def _images() -> tuple[np.ndarray, np.ndarray]:
    """Return the images (N, 64) and labels of scikit-learn, whose import would take a second."""
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            rows = np.loadtxt(file, delimiter=",")
            return rows[:, :-1], rows[:, -1].astype(np.int64)
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images, labels


def latency_steps(images: np.ndarray, window: int) -> np.ndarray:
    """Return the step in which each pixel spikes, (N, P) int64 below `window`, -1 for a silent one.

    Images are (N, P) of brightness 0..16, and the window is at least 1 step long.
    """
    brightness = np.asarray(images, np.float64)
    late = (WHITE - brightness) / (WHITE - 1)
    steps = np.floor(late * (window - 1) + 0.5).astype(np.int64)
    return np.where(brightness > 0, steps, -1)


def _steps(images: np.ndarray, window: int, both: bool) -> np.ndarray:
    """Return the step in which each channel spikes, (N, C) int64, or -1 for a silent one."""
    steps = latency_steps(images, window)
    if not both:
        return steps
    return np.concatenate([steps, latency_steps(WHITE - images, window)], axis=1)


def _load(options: DigitsOptions, dt: float) -> Splits:
    return load_digits_data(
        duration=options.duration, dt=dt, window=options.window, both=options.both
    )


def _encode(options: DigitsOptions, images: Sequence[Any], dt: float, n_steps: int) -> SpikeBatch:
    """Encode images (64,) as `load_digits_data` encodes the digits."""
    n, brightness = len(images), np.stack(images).astype(np.float64)
    steps = _steps(brightness, min(count_steps(options.window, dt), n_steps), options.both)
    start, time = single_spikes(steps)
    return SpikeBatch(start, time, np.full(n, -1, np.int64), np.arange(n), n_steps)


DATASET = generated(
    "digits",
    "Handwritten digits of scikit-learn, by latency",
    DigitsOptions,
    _load,
    lambda options: (N_PIXELS * (2 if options.both else 1), len(LABEL_NAMES)),
    RawFormat("image", _encode, size=(8, 8), white=float(WHITE)),
    origin="comes with scikit-learn",
)
