"""The taps of delays against their definition in the twin."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.engines.shared.taps import gather_gradient, gaussian_size, make_taps
from mlgenn_delays.learning import Dirac, Gaussian, SurrogateBPTT
from tests.engines.helpers import compiled, relative
from tests.reference import nets, steps, surrogate
from tests.reference.nets import StepRecipe

WIDTHS = [0.27, 0.5, 0.77, 1.0, 2.3, 5.0, 12.27, 40.0]


def spread(values: np.ndarray, first: int, last: int) -> np.ndarray:
    """Return what taps (W,) say of the steps 0..last; nothing may be beyond."""
    out = np.zeros(max(last + 1, first + len(values)))
    out[first : first + len(values)] = values
    assert not out[last + 1 :].any()
    return out[: last + 1]


def made(
    delay: list[float], longest: list[int], width: float, learning: bool = True, trial: int = 10**6
):
    n = len(delay)
    given = np.array(delay, np.float32), np.arange(n), np.array(longest, np.int64)
    return make_taps(*given, trial, width, learning)


@given(
    longest=st.integers(0, 60),
    other=st.integers(0, 60),
    share=st.sampled_from([0.0, 1.0]) | st.floats(0, 1),
    width=st.sampled_from(WIDTHS),
    trial=st.integers(1, 80),
)
def test_gaussian_taps_equal_the_twin(
    longest: int, other: int, share: float, width: float, trial: int
) -> None:
    # A second synapse with another largest delay: all synapses hold as many taps.
    delay = float(np.float32(share * longest))
    taps = made([delay, other / 3], [longest, other], width, trial=trial)
    k, slope = steps.taps(delay, longest, width), surrogate.tap_slopes(delay, longest, width)
    # What is past the trial counts in the sum of all, and is not held.
    first, last = int(taps.first[0]), min(longest, trial)
    assert first >= 0 and taps.acting.dtype == np.float32
    assert taps.size <= max(last, min(other, trial)) + 1
    got = spread(taps.acting[0], first, last)
    np.testing.assert_allclose(got, k[: last + 1], atol=3e-7)
    moving = spread(taps.moving[0], first, last)
    np.testing.assert_allclose(moving, slope[: last + 1], atol=3e-6 / width)
    if last == longest:
        assert got.sum() == pytest.approx(1, abs=1e-6)
        assert moving.sum() == pytest.approx(0, abs=3e-6 / width)


@pytest.mark.parametrize("width", WIDTHS)
def test_taps_that_are_not_held_are_lost_in_rounding(width: float) -> None:
    size = gaussian_size(width, 10_000)
    taps = made([5000.4], [10_000], width)
    assert taps.size == size < 11.5 * width + 2
    outside = steps.taps(5000.4, 10_000, width)
    outside[taps.first[0] : taps.first[0] + size] = 0
    assert outside.max() < 2e-7
    # At the ends of the range none that matters is missing either.
    for centre in (0.0, 10_000.0):
        at_end = made([centre], [10_000], width)
        k = steps.taps(centre, 10_000, width)
        got = spread(at_end.acting[0], int(at_end.first[0]), 10_000)
        np.testing.assert_allclose(got, k, atol=3e-7)


@given(
    longest=st.integers(0, 30),
    delay=st.floats(-2, 40) | st.integers(-1, 31).map(lambda k: k + 0.5),
    learning=st.booleans(),
    trial=st.integers(1, 40),
)
def test_dirac_taps_equal_the_twin(longest: int, delay: float, learning: bool, trial: int) -> None:
    delay = float(np.float32(delay))
    taps = made([delay], [longest], 0.0, learning, trial)
    assert taps.size == 1 + learning
    if longest > trial:  # then it acts behind the trial: in a step there is not
        longest = trial
    first = int(taps.first[0])
    acting = np.append(taps.acting[0], 0)[: longest + 1 - first]
    np.testing.assert_array_equal(spread(acting, first, longest), steps.taps(delay, longest, 0.0))
    np.testing.assert_array_equal(taps.moving[0], [-1, 1] if learning else [0])


def test_a_delay_may_belong_to_many_synapses() -> None:
    delay, of = np.array([1.3, 4.0], np.float32), np.array([1, 0, 0, 1])
    for width in (0.0, 1.5):
        shared = make_taps(delay, of, np.array([6, 9]), 50, width, True)
        for s, d in enumerate(of):
            one = make_taps(delay, np.array([d]), np.array([6, 9]), 50, width, True)
            assert shared.first[s] == one.first[0]
            np.testing.assert_array_equal(shared.acting[s], one.acting[0])
            np.testing.assert_array_equal(shared.moving[s], one.moving[0])


def test_gradients_are_sums_over_taps() -> None:
    rng = np.random.default_rng(0)
    taps = made([2.2, 0.0, 7.0], [7, 7, 7], 1.1)
    sums, weight = rng.normal(size=(3, taps.size)), rng.normal(size=3)
    by_weight, by_delay = np.empty((2, 3), np.float32)
    given = weight.astype(np.float32), sums.astype(np.float32).ravel()
    gather_gradient(taps, *given, by_weight, by_delay)
    np.testing.assert_allclose(by_weight, (taps.acting * sums).sum(1), rtol=1e-5)
    np.testing.assert_allclose(by_delay, weight * (taps.moving * sums).sum(1), rtol=1e-5)


@pytest.mark.parametrize("width", [0.0, 3.0])
@pytest.mark.parametrize("longest", [0.0, 12.0, 14.0, 60.0])
@pytest.mark.parametrize("current", [False, True])
def test_delays_about_as_long_as_the_trial(current: bool, longest: float, width: float) -> None:
    recipe = StepRecipe(301, steps=13, current=current, max_delay=longest, recurrent=True)
    net, batch = nets.step_network(recipe), nets.step_data(recipe).batch(np.arange(4))
    ends = net.projections["input->hidden0"].delay
    ends[::3], ends[1::3] = 0.0, longest
    rule = SurrogateBPTT(kernel=Gaussian(width, width) if width else Dirac())
    wide = rule.kernel.width(1)
    wanted = surrogate.gradients(net, batch, rule.surrogate, kernel_width=wide)
    assert (wanted.trace.tie == recipe.steps).all()
    got = compiled(net, rule).gradients(batch, epoch=1)
    for name, by_weight in wanted.weight.items():
        assert relative(got.weight[name], by_weight) < 1e-5
        # The gradient of a delay that is all but past the trial is of what is left over.
        size = np.linalg.norm(wanted.delay[name])
        assert np.linalg.norm(got.delay[name] - wanted.delay[name]) < 1e-5 * size + 1e-7
