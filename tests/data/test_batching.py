"""Batches of an epoch."""

import numpy as np
import pytest

from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.data.batching import epoch_batches, epoch_order
from mlgenn_delays.data.types import CurrentBatch, CurrentData, SpikeData
from mlgenn_delays.errors import InputError


@pytest.fixture
def data() -> SpikeData:
    random = np.random.default_rng(0)
    events = [(random.integers(0, 5, 20), random.integers(0, 9, 20)) for _ in range(10)]
    return SpikeData.from_events(
        events, np.arange(10) % 3, n_channels=5, n_steps=9, dt=1.0, label_names=tuple("abc")
    )


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 3, 10, 99])
def test_every_example_once(data: SpikeData, size: int, shuffle: bool) -> None:
    batches = list(epoch_batches(data, size, seed=1, epoch=2, shuffle=shuffle))
    assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
    index = np.concatenate([batch.index for batch in batches])
    assert sorted(index) == list(range(10))
    assert (index.tolist() == list(range(10))) is not shuffle
    np.testing.assert_array_equal(
        np.concatenate([batch.labels for batch in batches]), data.labels[index]
    )
    np.testing.assert_array_equal(index, epoch_order(10, seed=1, epoch=2, shuffle=shuffle))


def test_order_is_of_seed_and_epoch_alone() -> None:
    orders = [epoch_order(50, seed=s, epoch=e).tolist() for s, e in ((0, 0), (0, 1), (1, 0))]
    assert orders[0] == epoch_order(50, seed=0, epoch=0).tolist()
    assert len({tuple(order) for order in orders}) == 3


def test_augmented_reproducibly(data: SpikeData) -> None:
    settings = Augment(jitter=2.0, drop=0.2)
    runs = [list(epoch_batches(data, 4, seed=1, epoch=0, augment=settings)) for _ in range(2)]
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first.time, second.time)
        np.testing.assert_array_equal(first.start, second.start)
    plain = next(iter(epoch_batches(data, 4, seed=1, epoch=0)))
    assert plain.index.tolist() == runs[0][0].index.tolist()
    assert plain.time is data.time


@pytest.fixture
def currents() -> CurrentData:
    values = np.random.default_rng(1).random((10, 9, 5), dtype=np.float32)
    return CurrentData(values, np.arange(10) % 3, 1.0, tuple("abc"))


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [1, 3, 99])
def test_currents_come_in_the_order_of_spikes(
    data: SpikeData, currents: CurrentData, size: int, shuffle: bool
) -> None:
    keys = {"seed": 1, "epoch": 2, "shuffle": shuffle}
    batches = list(epoch_batches(currents, size, **keys))
    for batch, spikes in zip(batches, epoch_batches(data, size, **keys), strict=True):
        assert isinstance(batch, CurrentBatch)
        np.testing.assert_array_equal(batch.index, spikes.index)
        np.testing.assert_array_equal(batch.labels, currents.labels[batch.index])
        np.testing.assert_array_equal(batch.values, currents.values[batch.index])


def test_augmented_currents_do_not_depend_on_the_batch_size(currents: CurrentData) -> None:
    settings = Augment(shift=1, time_shift=2.0, noise=0.1, scale=0.2, mask_time=3.0)

    def run(size: int) -> np.ndarray:
        batches = list(epoch_batches(currents, size, seed=1, epoch=4, augment=settings))
        order = np.argsort(np.concatenate([batch.index for batch in batches]))
        return np.concatenate([batch.values for batch in batches])[order]

    np.testing.assert_array_equal(run(1), run(10))
    np.testing.assert_array_equal(run(3), run(10))
    assert not np.array_equal(run(10), currents.values)


def test_augmentation_of_another_kind_is_refused_at_once(
    data: SpikeData, currents: CurrentData
) -> None:
    with pytest.raises(InputError, match="augmentation.noise must be 0 for spikes"):
        epoch_batches(data, 4, seed=0, epoch=0, augment=Augment(noise=1.0))
    with pytest.raises(InputError, match="augmentation.jitter must be 0 for currents"):
        epoch_batches(currents, 4, seed=0, epoch=0, augment=Augment(jitter=1.0))


@pytest.mark.parametrize("size", [0, -1, 2.5, None])
def test_bad_batch_size(data: SpikeData, size: object) -> None:
    with pytest.raises(InputError, match="batch_size must be"):
        epoch_batches(data, size, seed=0, epoch=0)  # type: ignore[arg-type]
