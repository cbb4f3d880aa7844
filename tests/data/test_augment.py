"""Laws of augmentation."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.augment.augment import Augment, augment
from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.rng import generator
from tests.data.spike_helpers import CHANNELS, STEPS, check_batch, events_of, spike_data

QUICK = settings(max_examples=40, deadline=None)
SETTINGS = st.builds(
    Augment,
    shift=st.integers(0, 5),
    jitter=st.sampled_from([0.0, 0.5, 20.0]),
    drop=st.sampled_from([0.0, 0.3, 1.0]),
    time_shift=st.sampled_from([0.0, 4.0, 100.0]),
    group=st.sampled_from([0, 4, 6, 12]),
    mask_time=st.sampled_from([0.0, 5.0, 100.0]),
    mask_channels=st.sampled_from([0, 3, 50]),
)


def make_data(seed: int = 0, n: int = 6) -> SpikeData:
    """Return random spikes, with one example silent."""
    random = np.random.default_rng(seed)
    sizes = random.integers(0, 80, n) * (np.arange(n) != 2)
    events = [(random.integers(0, CHANNELS, s), random.integers(0, STEPS, s)) for s in sizes]
    return spike_data(events, np.arange(n))


def repeated(example: tuple[np.ndarray, np.ndarray], n: int) -> SpikeBatch:
    """Return a batch of the same example n times."""
    return spike_data([example] * n).batch(np.arange(n))


# Every channel spikes in every step.
GRID = np.divmod(np.arange(CHANNELS * STEPS), STEPS)


@QUICK
@given(settings=SETTINGS, seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_sorted_in_range_without_repeats(settings: Augment, seed: int, epoch: int) -> None:
    batch = make_data(seed).batch(np.arange(6))
    result = augment(batch, settings, 1.0, seed, epoch)
    check_batch(result, batch)
    for row in range(6):
        assert len(events_of(result, row)) <= len(events_of(batch, row))


@QUICK
@given(settings=SETTINGS, order=st.permutations(range(6)), cut=st.integers(1, 5))
def test_independent_of_batch_layout(settings: Augment, order: list[int], cut: int) -> None:
    data = make_data()
    whole = augment(data.batch(np.arange(6)), settings, 1.0, 3, 1)
    for part in (order[:cut], order[cut:]):
        result = augment(data.batch(np.array(part)), settings, 1.0, 3, 1)
        for row, index in enumerate(part):
            assert events_of(result, row) == events_of(whole, index)


def test_identity_settings_give_the_same_batch() -> None:
    batch = make_data().batch(np.arange(6))
    assert augment(batch, Augment(group=4), 1.0, 0, 0) is batch


def test_draws_differ_by_seed_epoch_and_example() -> None:
    batch = make_data().batch(np.array([0, 0, 1]))
    settings = Augment(jitter=3.0)
    results = [
        augment(batch, settings, 1.0, seed, epoch) for seed, epoch in ((0, 0), (1, 0), (0, 1))
    ]
    assert events_of(results[0], 0) == events_of(results[0], 1)
    assert events_of(results[0], 0) != events_of(results[1], 0)
    assert events_of(results[0], 0) != events_of(results[2], 0)


def test_drop_and_jitter_have_the_given_size() -> None:
    batch = repeated((np.arange(CHANNELS), np.full(CHANNELS, STEPS // 2)), 200)
    kept = len(augment(batch, Augment(drop=0.3), 1.0, 0, 0).time) / len(batch) / CHANNELS
    assert kept == pytest.approx(0.7, abs=0.03)
    jittered = augment(batch, Augment(jitter=1.0), 0.5, 0, 0).time - STEPS // 2
    assert jittered.std() == pytest.approx(2.0, abs=0.1)
    assert jittered.mean() == pytest.approx(0.0, abs=0.1)
    assert not len(augment(batch, Augment(drop=1.0), 1.0, 0, 0).time)


def test_draws_are_in_the_order_they_always_were() -> None:
    # Shift, shift over time, noise, drops: another order, or draws in between, change every run.
    batch = make_data().batch(np.array([4, 1]))
    settings = Augment(shift=3, jitter=2.0, drop=0.3, time_shift=4.0, group=6)
    result = augment(batch, settings, 0.5, 11, 7)
    for row, index in enumerate((4, 1)):
        before = events_of(batch, row)
        random = generator(11, "augment", 7, index)
        shift = int(random.integers(-3, 3, endpoint=True))
        late = random.uniform(-1.0, 1.0) * 4.0 / 0.5
        noise = random.standard_normal(len(before), dtype=np.float32) * np.float32(2.0 / 0.5)
        words = np.frombuffer(random.bytes(4 * len(before)), "<u4")
        expected = set()
        for (c, t), more, word in zip(before, noise, words, strict=True):
            step = math.floor(t + late + more + 0.5)
            if word >= 0.3 * 2**32 and (c + shift) // 6 == c // 6 and 0 <= step < STEPS:
                expected.add((c + shift, step))
        assert events_of(result, row) == sorted(expected)


@QUICK
@given(
    seed=st.integers(0, 20),
    group=st.sampled_from([0, 4]),
    steps=st.sampled_from([0, 6, STEPS, 99]),
    channels=st.sampled_from([0, 1, 3, 99]),
)
def test_masks_drop_one_run_and_nothing_else(
    seed: int, group: int, steps: int, channels: int
) -> None:
    batch = repeated(GRID, 20)
    settings = Augment(mask_time=steps * 0.5, mask_channels=channels, group=group)
    result = augment(batch, settings, 0.5, seed, 0)
    size = group or CHANNELS
    whole = set(events_of(batch, 0))
    for row in range(20):
        gone = whole - set(events_of(result, row))
        times = sorted({t for t in range(STEPS) if all((c, t) in gone for c in range(CHANNELS))})
        bands = sorted({c for c in range(size) if all((c, t) in gone for t in range(STEPS))})
        for run, most in ((times, steps), (bands, channels)):
            assert run == list(range(run[0], run[-1] + 1)) if run else True
            # What is gone entirely says nothing of how it went.
            assert len(run) <= most or gone == whole
        assert gone == {(c, t) for c, t in whole if t in times or c % size in bands}


def test_masks_are_of_all_widths_and_places() -> None:
    batch = repeated(GRID, 300)
    result = augment(batch, Augment(mask_time=3.0), 1.0, 0, 0)
    gone = [set(range(STEPS)) - {t for _, t in events_of(result, row)} for row in range(300)]
    assert {len(run) for run in gone} == {0, 1, 2, 3}
    assert set().union(*gone) == set(range(STEPS))


def test_empty_batch() -> None:
    batch = make_data().batch(np.zeros(0, np.int64))
    assert len(augment(batch, Augment(jitter=1.0, drop=0.5), 1.0, 0, 0)) == 0
