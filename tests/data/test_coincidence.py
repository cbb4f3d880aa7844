"""Coincidences: planted delays bring spikes together, noise is noise, and what is refused."""

import numpy as np

from mlgenn_delays.data.registry import dataset_shape, load_dataset, parse_options
from mlgenn_delays.data.sets.coincidence import CoincidenceOptions, planted_delays
from tests.data.spike_helpers import counts

SMALL = {"train": 200, "validation": 50, "test": 51}
CLEAN = SMALL | {"jitter": 0.0, "noise": 0.0}


def arrivals(options: dict, dt: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, K, C) arrivals [ms] at neurons with planted delays, and the labels."""
    data = load_dataset("coincidence", options=options, dt=dt)["train"]
    times = data.time.reshape(len(data), 1, -1) * dt
    return times + planted_delays(parse_options("coincidence", options)), data.labels


def test_planted_delays_bring_the_class_together() -> None:
    times, labels = arrivals(CLEAN)
    spread = times.max(2) - times.min(2)
    own = np.arange(5) == labels[:, None]
    assert spread[own].max() <= 0.1 + 1e-9 and spread[~own].min() > 5


def test_jitter_is_bounded() -> None:
    times, labels = arrivals(CLEAN | {"jitter": 0.5})
    own = times[np.arange(len(labels)), labels]
    assert 0.5 < (own.max(1) - own.min(1)).max() <= 1.1 + 1e-9


def test_the_base_is_random_and_all_is_within_the_trial() -> None:
    options = CLEAN | {"base_max": 39.0, "jitter": 0.5}  # fills the trial of 60 ms to its end
    data = load_dataset("coincidence", options=options, dt=0.1)["train"]
    np.testing.assert_array_equal(np.diff(data.start), 1)
    first = data.time.reshape(len(data), -1).min(1)
    assert first.min() < 30 and first.max() > 350 and data.time.max() < 600


def test_planted_delays_are_a_function_of_the_options() -> None:
    options = CoincidenceOptions(patterns=4, channels=7, delay_max=12.0)
    delays = planted_delays(options)
    assert delays.shape == (4, 7) and 0 <= delays.min() and 8 < delays.max() <= 12
    np.testing.assert_array_equal(delays, planted_delays(options))
    other = planted_delays(CoincidenceOptions(patterns=4, channels=7, delay_max=12.0, seed=1))
    assert not np.array_equal(delays, other)
    assert planted_delays().shape == (5, 10)


def test_noise_has_its_rate() -> None:
    data = load_dataset("coincidence", options=SMALL | {"noise": 20.0}, dt=0.1)["train"]
    noise = len(data.time) / (len(data) * data.n_channels) - 1
    np.testing.assert_allclose(noise, 20.0 * 0.06, rtol=0.1)
    assert data.time.max() > 580


def test_sizes_classes_and_seeds() -> None:
    data = load_dataset("coincidence", options=SMALL)
    assert counts(data) == SMALL
    assert np.ptp(np.bincount(data["test"].labels)) <= 1
    test = data["test"]
    assert dataset_shape("coincidence", SMALL) == (test.n_channels, test.n_classes) == (10, 5)
    assert not np.array_equal(data["train"].time[:200], data["validation"].time[:200])
    again = load_dataset("coincidence", options=SMALL)
    np.testing.assert_array_equal(data["train"].time, again["train"].time)
