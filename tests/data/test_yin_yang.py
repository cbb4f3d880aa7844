"""Yin-Yang: the figure, its symmetries and areas, the time code, and what is refused."""

import numpy as np

from mlgenn_delays.data.registry import dataset_shape, load_dataset
from mlgenn_delays.data.sets.yin_yang import (
    DOT,
    LABEL_NAMES,
    YANG,
    YIN,
    classify,
    draw_points,
)
from tests.data.spike_helpers import counts

SMALL = {"train": 60, "validation": 30, "test": 31}


def in_disc(n: int, seed: int = 0) -> np.ndarray:
    """Return points uniform in the disc."""
    points = np.random.default_rng(seed).random((n, 2))
    return points[np.hypot(*(points - 0.5).T) <= 0.5]


KNOWN = [
    (0.25, 0.5, DOT),
    (0.84, 0.5, DOT),
    (0.25, 0.595, DOT),
    (0.25, 0.61, YANG),  # around the left dot
    (0.25, 0.39, YANG),  # below the middle, but within the left circle
    (0.5, 0.95, YANG),
    (0.05, 0.4, YANG),
    (0.02, 0.4, YIN),  # just outside the left circle
]


def test_classes_of_known_points_and_of_their_reflections() -> None:
    points = np.array([(x, y) for x, y, _ in KNOWN])
    labels = np.array([label for *_, label in KNOWN])
    np.testing.assert_array_equal(classify(points), labels)
    np.testing.assert_array_equal(classify(1 - points), np.array([YANG, YIN, DOT])[labels])


def test_reflection_at_the_centre_swaps_yin_and_yang() -> None:
    points = in_disc(20_000)
    there, back = classify(points), classify(1 - points)
    np.testing.assert_array_equal(back, np.array([YANG, YIN, DOT])[there])


def test_areas() -> None:
    labels = classify(in_disc(400_000))
    share = np.bincount(labels) / len(labels)
    dots = 2 * 0.1**2 / 0.5**2
    np.testing.assert_allclose(share, [(1 - dots) / 2, (1 - dots) / 2, dots], atol=0.004)


def test_points_are_balanced_uniform_and_in_the_disc() -> None:
    points, labels = draw_points(np.random.default_rng(1), 9000)
    assert np.abs(np.bincount(labels) - 3000).max() < 200
    np.testing.assert_array_equal(classify(points), labels)
    assert (np.hypot(*(points - 0.5).T) <= 0.5).all()
    # Moments within a class as by rejection from the whole disc.
    others = in_disc(200_000, seed=2)
    for label in range(3):
        expected = others[classify(others) == label]
        np.testing.assert_allclose(points[labels == label].mean(0), expected.mean(0), atol=0.02)
        np.testing.assert_allclose(points[labels == label].std(0), expected.std(0), atol=0.02)


def test_time_code() -> None:
    data = load_dataset("yin-yang", options=SMALL | {"early": 5.0, "late": 25.0}, dt=0.5)
    train = data["train"]
    assert counts(data) == SMALL
    assert train.n_channels == 5 and train.label_names == LABEL_NAMES and train.n_steps == 120
    assert dataset_shape("yin-yang") == (train.n_channels, train.n_classes)
    np.testing.assert_array_equal(np.diff(train.start), 1)
    x, y, x_left, y_left, bias = train.time.reshape(-1, 5).T
    assert (bias == 40).all()
    for one, other in ((x, x_left), (y, y_left)):
        assert (np.abs(one + other - 60) <= 1).all() and one.min() >= 10 and one.max() <= 50
    # The steps are those of points of the class, to half a step.
    points = np.stack([x, y], axis=1) / 40 - 0.25
    assert (classify(points) == train.labels).mean() > 0.85


def test_splits_and_seeds_are_of_their_own() -> None:
    data = load_dataset("yin-yang", options=SMALL, dt=0.1)
    again = load_dataset("yin-yang", options=SMALL | {"test": 5}, dt=0.1)
    np.testing.assert_array_equal(data["train"].time, again["train"].time)
    assert not np.array_equal(data["train"].time[:150], data["validation"].time)
    other = load_dataset("yin-yang", options=SMALL | {"seed": 1}, dt=0.1)
    assert not np.array_equal(data["train"].time, other["train"].time)
