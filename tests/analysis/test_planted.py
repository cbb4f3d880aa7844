"""Planted delays: what is perfect is found, what is shuffled is not, and what counts at all."""

from itertools import pairwise

import numpy as np
import pytest

from mlgenn_delays.analysis import chance, recovered
from mlgenn_delays.data.sets.coincidence import planted_delays
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput

PLANTED = planted_delays()  # 5 patterns, 10 channels, 0..20 ms
K, C = PLANTED.shape
N = 10
PATTERN = np.arange(N) % K
SPIKES = np.ones(N, np.int64)


def network(delays: np.ndarray, weights: np.ndarray | float = 1.0) -> Network:
    """Return a network with delays (N, C) [ms], whose neuron j answers pattern j % K."""
    net = Network(dt=0.5)
    net.add("input", SpikeInput(C))
    net.add("hidden1", LIF(N))
    net.add("output", LeakyIntegrator(K))
    weights = np.broadcast_to(weights, (N, C))
    net.connect(
        "input", "hidden1", Exponential(1.0), weight=weights.T.ravel(), delay=delays.T.ravel(),
        max_delay=40.0,
    )  # fmt: skip
    outgoing = np.where(np.arange(K) == PATTERN[:, None], 2.0, 0.5)
    net.connect("hidden1", "output", Exponential(1.0), weight=outgoing.ravel())
    return net


def perfect() -> np.ndarray:
    """Return the planted delays of each neuron's pattern, and an offset of its own."""
    return PLANTED[PATTERN] + np.linspace(0, 15, N)[:, None]


def test_all_planted_delays_are_found_whatever_their_offset():
    found = recovered(network(perfect()), PLANTED, SPIKES)
    assert found.share == 1.0 and (found.n_found, found.n_carrying, found.n_idle) == (N * C, 100, 0)
    np.testing.assert_array_equal(found.pattern, PATTERN)
    np.testing.assert_array_equal(found.answer, PATTERN)
    np.testing.assert_allclose(found.offset, np.linspace(0, 15, N), atol=1e-9)
    np.testing.assert_allclose(found.error, 0, atol=1e-9)


def test_shuffled_delays_are_found_as_chance_says():
    rng = np.random.default_rng(1)
    level = chance(network(perfect()), PLANTED, SPIKES, draws=200)
    shares = [
        recovered(network(rng.permuted(perfect(), axis=1)), PLANTED, SPIKES).share
        for _ in range(20)
    ]
    assert 0.1 < level < 0.3 and max(shares) < 0.4
    assert abs(np.mean(shares) - level) < 0.03


def test_errors_are_counted_one_by_one_to_the_tolerance():
    delays = perfect()
    delays[0, :3] += [0.9, 1.1, -5.0]
    found = recovered(network(delays), PLANTED, SPIKES)
    assert found.n_found == 98
    np.testing.assert_array_equal(found.found[0], [True, False, False] + [True] * 7)
    np.testing.assert_allclose(found.error[0, :4], [0.9, 1.1, -5.0, 0], atol=1e-9)
    assert recovered(network(delays), PLANTED, SPIKES, tolerance=1.2).n_found == 99


def test_synapses_without_weight_do_not_count_but_inhibition_does():
    delays, weights = perfect(), np.ones((N, C))
    delays[0, :3] = 0.0, 40.0, 40.0
    weights[0, :3] = 0.09, -0.09, -0.1
    found = recovered(network(delays, weights), PLANTED, SPIKES)
    assert (found.n_found, found.n_carrying, found.n_idle) == (97, 98, 2)
    np.testing.assert_array_equal(np.isnan(found.error[0]), [True, True] + [False] * 8)
    assert not found.found[0, :3].any() and found.found[0, 3:].all()


def test_neurons_without_a_part_in_the_answer_do_not_count():
    net, spikes = network(perfect()), SPIKES.copy()
    spikes[2] = 0
    net.projections["hidden1->output"].weight[3 * K : 4 * K] = 0.0
    found = recovered(net, PLANTED, spikes)
    np.testing.assert_array_equal(found.neuron, [0, 1, 4, 5, 6, 7, 8, 9])
    assert found.silent == 2 and found.n_carrying == 80
    nobody = recovered(net, PLANTED, np.zeros(N))
    assert nobody.share == 0.0 and nobody.silent == N
    assert chance(net, PLANTED, np.zeros(N), draws=3) == 0.0


def test_two_synapses_are_too_few_to_say_anything():
    weights = np.zeros((N, C))
    weights[:, :2] = 1.0
    found = recovered(network(perfect(), weights), PLANTED, SPIKES)
    assert found.n_carrying == 2 * N and found.n_found == 0
    weights[:, 2] = 1.0
    assert recovered(network(perfect(), weights), PLANTED, SPIKES).n_found == 3 * N


@pytest.mark.parametrize(
    ("planted", "spikes", "hidden", "text"),
    [
        (PLANTED[:, 1:], SPIKES, "hidden1", r"planted must have shape \(K, 10\)"),
        (PLANTED, SPIKES[1:], "hidden1", r"spikes must have shape \(10,\)"),
        (PLANTED, SPIKES, "hidden2", "'hidden2' must have one projection onto it, from the input"),
        (PLANTED, SPIKES, "output", "got hidden1->output"),
    ],
)
def test_what_is_refused(planted, spikes, hidden, text):
    with pytest.raises(InputError, match=text):
        recovered(network(perfect()), planted, spikes, hidden=hidden)
    with pytest.raises(InputError, match="draws must be >= 1"):
        chance(network(perfect()), PLANTED, SPIKES, draws=0)


def test_chance_is_a_function_of_its_seed():
    net = network(perfect())
    levels = [chance(net, PLANTED, SPIKES, draws=5, seed=seed) for seed in (0, 0, 1)]
    assert [a == b for a, b in pairwise(levels)] == [True, False]
