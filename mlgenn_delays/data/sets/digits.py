"""Handwritten digits of scikit-learn (1797 images of 8 x 8 pixels), coded by latency.

The data set that needs no download. A pixel of brightness 1..16 spikes once, the brighter the
earlier: at ``(16 - brightness) / 15`` of the window. Black pixels are silent. With ``both``, 64
channels more carry the inverted image in the same way.
"""

import math

import numpy as np

from mlgenn_delays.data.option_checks import check_flag, check_number, count_steps
from mlgenn_delays.data.split import stratified
from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.errors import InputError

LABEL_NAMES = tuple("0123456789")
WHITE = 16
N_PIXELS = 64

_TEST, _VALIDATION = 0.2, 0.1


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
    """
    from sklearn.datasets import load_digits

    n_steps = count_steps(duration, dt)
    check_number("window", window, 0.0, unit="ms", open_low=True)
    check_flag("both", both)
    if window > duration:
        raise InputError(f"window must have at most duration = {duration:g} ms, got {window:g} ms")
    images, labels = load_digits(return_X_y=True)
    steps = _steps(images, min(count_steps(window, dt), n_steps), both)
    rest, test = stratified(labels, math.ceil(_TEST * len(labels)))
    train, validation = stratified(labels[rest], round(_VALIDATION * len(labels)))
    parts = {"train": rest[train], "validation": rest[validation], "test": test}
    return {
        split: _spikes(steps[index], labels[index], index, n_steps, dt)
        for split, index in parts.items()
    }


def encode_images(
    images: np.ndarray, *, n_steps: int, dt: float = 1.0, window: float = 30.0, both: bool = False
) -> SpikeBatch:
    """Encode images as `load_digits_data` encodes the digits.

    Arguments:
        images: (N, 64) brightness 0..16, pixels row by row.
        n_steps: T, length of a trial.
        dt: See `load_digits_data`.
        window: See `load_digits_data`.
        both: See `load_digits_data`.

    Returns:
        One example an image, with -1 as its label.
    """
    n, images = len(images), np.asarray(images, np.float64)
    start, time = _events(_steps(images, min(count_steps(window, dt), n_steps), both))
    return SpikeBatch(start, time, np.full(n, -1, np.int64), np.arange(n), n_steps)


def latency_steps(images: np.ndarray, window: int) -> np.ndarray:
    """Return the step in which each pixel spikes.

    Arguments:
        images: (N, P) brightness 0..16.
        window: Length of the window [steps], at least 1.

    Returns:
        (N, P) int64 in ``0 .. window - 1``, or -1 for a silent pixel.
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


def _events(steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one spike a channel that has one, as ``start`` and ``time`` of `SpikeData`."""
    spiking = steps >= 0
    n, channels = steps.shape
    ends = np.concatenate([[0], np.cumsum(spiking.ravel())]).astype(np.int64)
    start = ends[np.arange(n)[:, None] * channels + np.arange(channels + 1)]
    return start, steps[spiking].astype(np.int32)


def _spikes(
    steps: np.ndarray, labels: np.ndarray, index: np.ndarray, n_steps: int, dt: float
) -> SpikeData:
    """Return one spike a channel that has one, as `SpikeData`."""
    start, time = _events(steps)
    names = tuple(str(number) for number in index)
    return SpikeData(start, time, labels.astype(np.int64), n_steps, dt, LABEL_NAMES, names)
