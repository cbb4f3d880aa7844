"""Laws of augmentation of currents."""

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.augment.augment import Augment, augment, check_kind
from mlgenn_delays.data.types import CurrentBatch, CurrentData, SpikeData
from mlgenn_delays.errors import InputError
from tests.needs import needs

N, STEPS, CHANNELS = 6, 15, 12
QUICK = settings(max_examples=40, deadline=None)
SETTINGS = st.builds(
    Augment,
    shift=st.integers(0, 5),
    time_shift=st.sampled_from([0.0, 4.0, 100.0]),
    group=st.sampled_from([0, 4, 6, 12]),
    noise=st.sampled_from([0.0, 0.5]),
    scale=st.sampled_from([0.0, 0.3, 1.0]),
    mask_time=st.sampled_from([0.0, 5.0, 100.0]),
    mask_channels=st.sampled_from([0, 3, 50]),
)


def make(seed: int = 0, n: int = N) -> CurrentData:
    """Return random currents, none of them zero."""
    values = 1 + np.random.default_rng(seed).random((n, STEPS, CHANNELS), dtype=np.float32)
    return CurrentData(values, np.zeros(n, np.int64), 1.0, ("a",))


def ones(n: int) -> CurrentBatch:
    """Return n examples of ones."""
    data = CurrentData(
        np.ones((n, STEPS, CHANNELS), np.float32), np.zeros(n, np.int64), 1.0, ("a",)
    )
    return data.batch(np.arange(n))


@QUICK
@given(settings=SETTINGS, seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_shape_type_and_input_stay(settings: Augment, seed: int, epoch: int) -> None:
    data = make(seed)
    batch = data.batch(np.arange(N))
    result = augment(batch, settings, 0.5, seed, epoch)
    assert isinstance(result, CurrentBatch) and result.values.shape == batch.values.shape
    assert result.values.dtype == np.float32 and result.values.flags.c_contiguous
    assert np.isfinite(result.values).all()
    np.testing.assert_array_equal(result.labels, batch.labels)
    np.testing.assert_array_equal(result.index, batch.index)
    np.testing.assert_array_equal(batch.values, data.values)
    assert (result is batch) == settings.is_identity


@QUICK
@given(settings=SETTINGS, order=st.permutations(range(N)), cut=st.integers(1, N - 1))
def test_independent_of_batch_layout(settings: Augment, order: list[int], cut: int) -> None:
    data = make()
    whole = augment(data.batch(np.arange(N)), settings, 1.0, 3, 1)
    for part in (order[:cut], order[cut:]):
        result = augment(data.batch(np.array(part)), settings, 1.0, 3, 1)
        np.testing.assert_array_equal(result.values, whole.values[part])


@pytest.mark.parametrize(
    "settings", [{"noise": 1.0}, {"scale": 0.5}, {"time_shift": 10.0}, {"mask_time": 9.0}]
)
def test_draws_differ_by_seed_epoch_and_example(settings: dict) -> None:
    batch = ones(40)
    results = [
        augment(batch, Augment(**settings), 1.0, seed, epoch).values
        for seed, epoch in ((0, 0), (0, 0), (1, 0), (0, 1))
    ]
    np.testing.assert_array_equal(results[0], results[1])
    assert not np.array_equal(results[0], results[2])
    assert not np.array_equal(results[0], results[3])
    assert len({each.tobytes() for each in results[0]}) > 5


@pytest.mark.parametrize("group", [0, 4])
def test_shifts_and_masks_are_those_of_spikes(group: int) -> None:
    # One value other than zero, where the one spike is, tells where the example went.
    currents = np.zeros((20, STEPS, CHANNELS), np.float32)
    currents[:, 7, 5] = 1.0
    events = [(np.array([5]), np.array([7]))] * 20
    spikes = SpikeData.from_events(
        events, np.zeros(20, int), n_channels=12, n_steps=STEPS, dt=1.0, label_names=("a",)
    )
    settings = Augment(shift=2, time_shift=4.0, mask_time=6.0, mask_channels=3, group=group)
    # So few that none is dropped, but each has its draw.
    dropping = replace(settings, drop=1e-12)
    moved = augment(spikes.batch(np.arange(20)), dropping, 1.0, 5, 2)
    data = CurrentData(currents, np.zeros(20, int), 1.0, ("a",))
    values = augment(data.batch(np.arange(20)), settings, 1.0, 5, 2).values
    for row in range(20):
        channel = np.flatnonzero(np.diff(moved.start[row]))
        step = moved.time[moved.start[row, 0] : moved.start[row, -1]]
        assert np.argwhere(values[row]).tolist() == np.stack([step, channel], 1).tolist()
    assert 0 < len(moved.time) < 20


def test_scale_is_uniform_and_one_a_trial() -> None:
    values = augment(ones(2000), Augment(scale=0.3), 1.0, 0, 0).values
    factors = values[:, 0, 0]
    np.testing.assert_array_equal(values, np.broadcast_to(factors[:, None, None], values.shape))
    assert factors.min() >= 0.7 and factors.max() <= 1.3
    counts = np.histogram(factors, 6, (0.7, 1.3))[0]
    assert counts.min() > 250 and counts.max() < 420


def test_noise_is_normal_and_independent() -> None:
    noise = augment(ones(2000), Augment(noise=0.5), 1.0, 0, 0).values - 1
    flat = np.sort(noise.ravel()) / 0.5
    assert flat.mean() == pytest.approx(0.0, abs=0.01)
    assert flat.std() == pytest.approx(1.0, abs=0.01)
    assert (flat**4).mean() == pytest.approx(3.0, abs=0.1)
    for z, share in ((-3.0, 0.00135), (-2.0, 0.02275), (-1.0, 0.15866), (0.5, 0.69146)):
        assert (flat < z).mean() == pytest.approx(share, abs=0.002)
    correlations = np.corrcoef(noise.reshape(2000, -1).T)
    np.fill_diagonal(correlations, 0.0)
    assert np.abs(correlations).max() < 0.15


def test_noise_comes_after_scale_and_masks_after_noise() -> None:
    data = make()
    batch = data.batch(np.arange(N))
    zero = CurrentBatch(np.zeros_like(batch.values), batch.labels, batch.index)
    both = Augment(shift=2, time_shift=3.0, noise=0.5, scale=0.5)
    alone = augment(zero, both, 1.0, 0, 0).values
    assert alone.all()
    without = augment(batch, Augment(shift=2, time_shift=3.0, scale=0.5), 1.0, 0, 0).values
    np.testing.assert_array_equal(augment(batch, both, 1.0, 0, 0).values, without + alone)
    masked = augment(batch, Augment(noise=0.5, mask_time=9.0), 1.0, 0, 0).values
    assert 0 < (masked == 0).all(axis=2).sum() == (masked == 0).any(axis=2).sum()


def test_empty_batch() -> None:
    batch = make().batch(np.zeros(0, np.int64))
    assert len(augment(batch, Augment(noise=1.0, scale=0.5, shift=1), 1.0, 0, 0)) == 0


SPIKES = SpikeData(np.zeros((2, 3), int), np.zeros(0, int), [0, 0], 9, 1.0, ("a",))


@pytest.mark.parametrize(
    ("key", "data", "kind"),
    [
        ("jitter", make(), "currents"),
        ("drop", make(), "currents"),
        ("noise", SPIKES, "spikes"),
        ("scale", SPIKES, "spikes"),
    ],
)
def test_what_only_one_kind_has(key: str, data: Any, kind: str) -> None:
    for both in ({"shift": 1, "group": 2}, {"time_shift": 1.0}, {"mask_time": 1}):
        check_kind(Augment(**both), data)
    settings = Augment(**{key: 0.5, "shift": 1})  # type: ignore[arg-type]
    message = rf"augmentation\.{key} must be 0 for {kind}, .* got 0\.5"
    for each in (data, data.batch(np.arange(2))):
        with pytest.raises(InputError, match=message):
            check_kind(settings, each)
    with pytest.raises(InputError, match=message):
        augment(data.batch(np.arange(2)), settings, 1.0, 0, 0)


@needs("compiled kernels")
def test_an_epoch_takes_no_time_to_speak_of() -> None:
    data = CurrentData(np.ones((240, 100, 40)), np.zeros(240, int), 10.0, ("a",))
    batch = data.batch(np.arange(240))
    settings = Augment(shift=2, time_shift=50.0, noise=0.1, scale=0.2, mask_time=100.0)
    augment(batch, settings, 10.0, 0, 0)
    times = []
    for epoch in range(5):
        begin = time.process_time()
        augment(batch, settings, 10.0, 0, epoch)
        times.append(time.process_time() - begin)
    # Measured 0.011 s; a loop in Python takes many seconds.
    assert min(times) < 0.3
