"""Currents and gradients of taps of spikes that are walked one by one, beside plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.engines.cpu.currents import add_events, collect_events
from mlgenn_delays.engines.shared.traces import WAYS
from mlgenn_delays.engines.shared.vector import LANES

N, T, LONGEST = 5, 40, 30
LENGTH = 80  # at least T + LONGEST + 2, whole vectors


@given(st.integers(1, 31), st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_every_tap_of_every_spike(size: int, synapses: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pre = rng.integers(0, N, synapses + 2).astype(np.uint32)
    steps = rng.integers(0, LONGEST + 2 - size, len(pre))
    coef = rng.normal(size=len(pre) * size + LANES).astype(np.float32)
    fires = rng.random((N, T)) < rng.choice([0.05, 0.5, 1.0], N)[:, None]
    events = np.cumsum([0, *fires.sum(1)])
    events, when = np.stack([events[:-1], events[1:]], 1), np.nonzero(fires)[1].astype(np.uint32)
    own = np.where(rng.random(N) < 0.2, 0.0, rng.uniform(0.5, 2.0, N)).astype(np.float32)
    first, last = 1, 1 + synapses
    row = rng.normal(size=3 * LENGTH).astype(np.float32)
    adjoint = np.zeros(3 * LENGTH + LANES, np.float32)
    adjoint[LENGTH : LENGTH + T] = rng.normal(size=T)
    wanted, sums = row.astype(np.float64), np.zeros(len(coef))
    for s in range(first, last):
        for t in when[slice(*events[pre[s]])].astype(int):
            for m in range(size):
                at = LENGTH + t + steps[s] + m + 1
                wanted[at] += float(coef[s * size + m]) * own[pre[s]]
                sums[s * size + m] += float(adjoint[at]) * own[pre[s]]
    got, ways = row.copy(), np.full(WAYS * (LENGTH + LANES), 7.0, np.float32)
    add_events(first, last, pre, size, coef, steps, when, events, own, ways, got, LENGTH, LENGTH)
    np.testing.assert_allclose(got, wanted, atol=1e-4)
    np.testing.assert_array_equal(got[:LENGTH], row[:LENGTH])
    np.testing.assert_array_equal(got[2 * LENGTH :], row[2 * LENGTH :])
    found = np.zeros(len(coef), np.float32)
    collect_events(first, last, pre, size, steps, when, events, own, adjoint, LENGTH, found)
    np.testing.assert_allclose(found, sums, atol=1e-4)


@pytest.mark.parametrize("size", [1, 16, 17])
def test_nothing_is_added_beyond_the_taps(size: int) -> None:
    """Neighbours' coefficients, of which vectors are read, bring nothing."""
    coef = np.full(3 * size + LANES, np.inf, np.float32)
    coef[size : 2 * size] = 1.0
    pre, steps, own = np.zeros(3, np.uint32), np.zeros(3, np.int64), np.ones(1, np.float32)
    when, events = np.array([T - 1], np.uint32), np.array([[0, 1]])
    row, ways = np.zeros(LENGTH, np.float32), np.zeros(WAYS * (LENGTH + LANES), np.float32)
    add_events(1, 2, pre, size, coef, steps, when, events, own, ways, row, 0, LENGTH)
    assert np.flatnonzero(row).tolist() == list(range(T, T + size)) and row.sum() == size
