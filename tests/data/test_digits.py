"""The digits: splits, coding, and what is refused."""

import numpy as np
import pytest

from mlgenn_delays.data.sets.digits import latency_steps, load_digits_data
from mlgenn_delays.data.split import stratified
from mlgenn_delays.errors import InputError
from tests.data.spike_helpers import counts

PINNED = {
    "validation": ("5", "43", "47", "56", "59"),
    "test": ("21", "24", "28", "34", "35"),
}


def test_splits_are_stratified_disjoint_and_fixed() -> None:
    data = load_digits_data()
    assert counts(data) == {"train": 1257, "validation": 180, "test": 360}
    names = [name for split in data.values() for name in split.names]
    assert sorted(map(int, names)) == list(range(1797))
    share = np.bincount(np.concatenate([split.labels for split in data.values()])) / 1797
    for split in data.values():
        assert np.abs(np.bincount(split.labels) - share * len(split)).max() < 1.5
    # Pinned: another split would make published accuracies incomparable.
    assert data["test"].names[:5] == PINNED["test"]
    assert data["validation"].names[:5] == PINNED["validation"]


def test_brighter_is_earlier_and_black_is_silent() -> None:
    steps = latency_steps(np.array([[0, 1, 8, 15, 16]]), 31)
    assert steps.tolist() == [[-1, 30, 16, 2, 0]]


@pytest.mark.parametrize("both", [False, True])
def test_spikes_code_the_images(both: bool) -> None:
    from sklearn.datasets import load_digits

    images = load_digits().data
    data = load_digits_data(duration=40.0, dt=0.5, window=20.0, both=both)["validation"]
    assert data.n_channels == (128 if both else 64) and data.n_steps == 80 and data.dt == 0.5
    assert data.time.max() == 39
    for row in (0, 7):
        image = images[int(data.names[row])]
        expected = latency_steps(np.concatenate([image, 16 - image])[: data.n_channels], 40)
        for channel, step in enumerate(expected):
            first, last = data.start[row, channel : channel + 2]
            assert data.time[first:last].tolist() == ([] if step < 0 else [step])


def test_window_of_one_step() -> None:
    assert load_digits_data(duration=5.0, window=1.0)["test"].time.max() == 0


@pytest.mark.parametrize(
    ("labels", "size"), [([0, 1, 2], 1), ([0, 0, 0, 1], 2), ([0, 0, 1, 1], 3), ([0, 0], 0), ([], 0)]
)
def test_too_few_examples_to_split(labels: list[int], size: int) -> None:
    with pytest.raises(InputError, match=f"cannot split {size} of {len(labels)} examples"):
        stratified(np.array(labels, np.int64), size)


@pytest.mark.parametrize("seed", range(6))
def test_splits_are_those_of_scikit_learn(seed: int) -> None:
    """Runs made with it go on, and their results stay comparable."""
    from sklearn.model_selection import train_test_split

    random = np.random.default_rng(seed)
    labels = random.permutation(np.repeat(np.arange(5) * 3, random.integers(7, 40, 5)))
    size = int(random.integers(5, len(labels) - 5))
    rest, part = train_test_split(
        np.arange(len(labels)), test_size=size, stratify=labels, random_state=0
    )
    found = stratified(labels, size)
    assert found[0].tolist() == sorted(rest) and found[1].tolist() == sorted(part)
