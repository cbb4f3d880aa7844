"""Networks refuse what cannot be, and say what must hold and what they got."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import (
    LIF,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)


def base() -> Network:
    """Return three populations without projections."""
    network = Network(dt=0.5, seed=3)
    network.add("input", SpikeInput(4))
    network.add("hidden", LIF(5))
    network.add("output", LeakyIntegrator(2))
    return network


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Network(dt="1"), "Network.dt must be a number"),
        (lambda: Network(dt=0.0), "Network.dt must be a number >= 1e-06 ms, got 0.0"),
        (lambda: Network(seed=1.5), "Network.seed must be a whole number >= 0, got 1.5"),
        (lambda: Network().add("a", 3), "model of 'a' must be one of SpikeInput, .*, got 3"),
        (lambda: Network().add(3, LIF(3)), "the name of a population must be printable.*, got 3"),
        (lambda: Network().add("a", LIF(3), bias="x"), "bias of 'a' must be a number, an array"),
        (lambda: pair().connect("a", "b", 5.0, weight=1.0), "synapse of 'a->b' must be one of"),
        (lambda: pair().connect("a", "b", Delta(), weight="x"), "weight of 'a->b' must be a numb"),
        (lambda: pair().connect("a", "b", Delta(), weight=1.0, density="x"), "density must be in"),
        (
            lambda: pair().connect("a", "b", Delta(), weight=1.0, max_delay="9"),
            "max_delay of .*'9'",
        ),
        (
            lambda: pair().connect("a", "b", Delta(), weight=1.0, synapses=2.5),
            "synapses must be in",
        ),
    ],
)
def test_networks_refuse_other_types(make: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def pair() -> Network:
    """Return a network of two populations."""
    net = Network()
    net.add("a", SpikeInput(3))
    net.add("b", LIF(2))
    return net


@pytest.mark.parametrize(
    ("name", "model", "bias", "says"),
    [
        ("hidden", LIF(2), 0.0, "must be new, got 'hidden'"),
        ("", LIF(2), 0.0, "without '/', got ''"),
        ("a/b", LIF(2), 0.0, "without '/', got 'a/b'"),
        ("more", LIF(2), np.zeros(3), r"shape \(2,\), got \(3,\)"),
        ("more", LIF(2), np.array([0.0, np.nan]), "finite"),
    ],
)
def test_populations_are_checked(name: str, model: object, bias: object, says: str) -> None:
    with pytest.raises(InputError, match=says):
        base().add(name, model, bias)


@pytest.mark.parametrize(
    ("ends", "settings_", "says"),
    [
        (("inptu", "hidden"), {}, "no population 'inptu'; did you mean 'input'"),
        (("input", "nowhere"), {}, "no population 'nowhere'"),
        (("output", "hidden"), {}, "a population that spikes, got 'output'"),
        (("hidden", "input"), {}, "neurons, got the input 'input'"),
        (("input", "hidden"), {"density": 0.0}, r"density must be in \(0, 1\], got 0.0"),
        (("input", "hidden"), {"density": 1.5}, r"density must be in \(0, 1\], got 1.5"),
        (
            ("input", "hidden"),
            {"density": 0.5, "synapses": 3},
            "synapses must come without a density, got 3 with density 0.5",
        ),
        (("input", "hidden"), {"density": 0.01}, "at least one of 4 x 5 synapses, got 0.01"),
        (("input", "hidden"), {"granularity": "dendrite"}, "granularity .*'dendrite'"),
        (
            ("input", "hidden"),
            {"delay": -1.0},
            r"in 0\.\.0 ms, got -1.*; no spike arrives before it",
        ),
        (
            ("input", "hidden"),
            {"delay": -1.0, "max_delay": 5.0},
            r"delay .* must be in 0\.\.5 ms, got -1",
        ),
        (("input", "hidden"), {"delay": 9.0, "max_delay": 5.0}, r"0\.\.5 ms, got 9.*; raise max"),
        (("input", "hidden"), {"delay": np.zeros(3)}, r"shape \(20,\), got \(3,\)"),
        (("input", "hidden"), {"weight": np.ones(3)}, r"shape \(20,\), got \(3,\)"),
        (("input", "hidden"), {"weight": np.inf}, "finite"),
        (("input", "hidden"), {"max_delay": np.inf}, "max_delay .* got inf"),
        (("input", "hidden"), {"max_delay": -1.0}, r"max_delay .* in \[0, 1e\+09\] ms, got -1.0"),
        (
            ("input", "hidden"),
            {"max_delay": 2e9},
            r"in \[0, 1e\+09\] ms, got 2000000000.0",
        ),
        (
            ("input", "hidden"),
            {"delay": 2e9},
            r"in \[0, 1e\+09\] ms, got 2000000000.0",
        ),
        (("input", "hidden"), {"name": "a/b"}, "without '/', got 'a/b'"),
        (("input", "hidden"), {"one_to_one": True}, "of one size, got 4 and 5 neurons"),
        (("hidden", "hidden"), {"one_to_one": True, "density": 0.5}, "be left out with one_to_one"),
        (("hidden", "hidden"), {"one_to_one": True, "synapses": 5}, "be left out with one_to_one"),
        (("input", "hidden"), {"one_to_one": 1}, "one_to_one of 'input->hidden' must be true or"),
        (("input", "hidden"), {"frozen": "yes"}, "frozen of projection .* must be true or false"),
    ],
)
def test_projections_are_checked(ends: tuple, settings_: dict, says: str) -> None:
    network = base()
    with pytest.raises(InputError, match=says):
        network.connect(*ends, Exponential(), **{"weight": 1.0, **settings_})
    assert not network.projections


def test_neurons_one_to_one() -> None:
    network = base()
    p = network.connect("hidden", "hidden", Exponential(), weight=np.arange(5.0), one_to_one=True)
    assert p.pre().tolist() == p.post.tolist() == p.weight.tolist() == [0, 1, 2, 3, 4]
    assert not p.frozen and "frozen" not in repr(network)
    p = network.connect("input", "output", Exponential(), weight=1.0, frozen=True)
    assert p.frozen and network.copy().projections["input->output"].frozen
    assert repr(network).endswith("delays 0..0 ms a synapse, frozen")


def test_a_second_projection_needs_a_name_of_its_own() -> None:
    network = base()
    network.connect("input", "hidden", Exponential(), weight=1.0)
    with pytest.raises(InputError, match="must be new"):
        network.connect("input", "hidden", Delta(), weight=1.0)
    network.connect("input", "hidden", Delta(), weight=1.0, name="fast")
    assert [p.name for p in network.incoming("hidden")] == ["input->hidden", "fast"]
    assert network.n_synapses() == 40


@given(
    density=st.floats(0.05, 1.0),
    n_pre=st.integers(3, 20),
    n_post=st.integers(7, 20),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_density_counts(density: float, n_pre: int, n_post: int, seed: int) -> None:
    network = Network(seed=seed)
    network.add("input", SpikeInput(n_pre))
    network.add("hidden", LIF(n_post))
    p = network.connect("input", "hidden", Exponential(), weight=1.0, density=density)
    assert p.n_synapses == int(np.floor(density * n_pre * n_post + 1e-9))
    assert len(set(zip(p.pre(), p.post, strict=True))) == p.n_synapses
    p.check(n_pre, n_post)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"post": [1, 0]}, "ascending in each row"),
        ({"post": [0, 0]}, "without repeats"),
        ({"post": [0, 9]}, r"post .* must be in 0\.\.4, got 0\.\.9"),
        ({"post": [-1, 0]}, r"post .* must be in 0\.\.4"),
        ({"indptr": [0, 2, 1, 2, 2]}, "indptr .* ascending"),
        ({"indptr": [0, 1, 1, 1, 1]}, "indptr .* from 0 to the 2"),
        ({"indptr": [0, 2, 2]}, r"indptr .* of shape \(5,\), got \(3,\)"),
        ({"weight": [1.0]}, r"weight .* of shape \(2,\), got \(1,\)"),
        ({"weight": [1.0, np.nan]}, "weight .* finite"),
        ({"delay": [0.0, 1.0, 2.0]}, r"delay .* of shape \(2,\), got \(3,\)"),
        ({"sign": [1, 0]}, "sign .* -1 or 1"),
    ],
)
def test_damaged_structure_is_refused(change: dict, says: str) -> None:
    network = base()
    p = network.connect("input", "hidden", Exponential(), weight=1.0, density=0.1, max_delay=9.0)
    p.indptr, p.post = np.array([0, 2, 2, 2, 2]), np.array([0, 3], np.int32)
    p.check(4, 5)
    for key, value in change.items():
        setattr(p, key, np.array(value))
    with pytest.raises(InputError, match=says):
        p.check(4, 5)


def test_granularity_gives_the_number_of_delays() -> None:
    for granularity, n in (("synapse", 20), ("axon", 4), ("fixed", 1)):
        p = base().connect(
            "input", "hidden", Exponential(), weight=1.0, delay=Uniform(0.0, 8.0), max_delay=6.0,
            granularity=granularity,
        )  # fmt: skip
        assert p.delay.shape == (n,)
        assert p.delay.max() <= 6.0
        each = p.delay_per_synapse()
        assert each.shape == (20,)
        if granularity == "axon":
            np.testing.assert_array_equal(each, p.delay[p.pre()])


def test_order_is_topological_and_refuses_circles() -> None:
    network = Network()
    for name, model in (("out", LeakyIntegrator(2)), ("b", LIF(3)), ("a", LIF(3))):
        network.add(name, model)
    network.add("in", SpikeInput(2))
    for source, target in (("in", "a"), ("a", "a"), ("a", "b"), ("b", "out"), ("in", "out")):
        network.connect(source, target, Exponential(), weight=1.0)
    assert [p.name for p in network.order()] == ["in", "a", "b", "out"]
    network.connect("b", "a", Exponential(), weight=1.0)
    with pytest.raises(InputError, match="circle"):
        network.order()


def test_one_input_and_one_output() -> None:
    network = base()
    assert network.input().name == "input"
    assert network.output().name == "output"
    network.add("second", SpikeInput(2))
    network.add("answer", LeakyIntegrator(2))
    with pytest.raises(InputError, match="one input population, got 2"):
        network.input()
    with pytest.raises(InputError, match="readout neurons.*got 2"):
        network.output()


def test_seed_and_name_decide_the_values() -> None:
    def weights(seed: int, name: str) -> np.ndarray:
        network = Network(seed=seed)
        network.add("input", SpikeInput(4))
        network.add("hidden", LIF(5))
        return network.connect(
            "input", "hidden", Exponential(), weight=Normal(0.0, 1.0), name=name
        ).weight

    np.testing.assert_array_equal(weights(1, "a"), weights(1, "a"))
    assert not np.array_equal(weights(1, "a"), weights(2, "a"))
    assert not np.array_equal(weights(1, "a"), weights(1, "b"))


@pytest.mark.parametrize("count", [3, 20, 21, 60, 399, 400])
def test_every_neuron_is_reached_if_there_are_enough_synapses(count: int) -> None:
    def connected(reach_all: bool) -> tuple[np.ndarray, np.ndarray]:
        network = Network(seed=1)
        network.add("input", SpikeInput(20))
        network.add("hidden", LIF(20))
        made = network.connect(
            "input", "hidden", Delta(), weight=1.0, synapses=count, reach_all=reach_all
        )
        assert made.n_synapses == count
        return np.bincount(made.post, minlength=20), made.pre()

    (free, pre), (reached, pre_reached) = connected(False), connected(True)
    assert (reached > 0).sum() == min(count, 20)
    np.testing.assert_array_equal(pre, pre_reached)  # only targets move
    # No more than needed move: those onto neurons without any.
    assert np.abs(reached - free).sum() == 2 * max(0, min(count, 20) - (free > 0).sum())
    if count < 400:
        assert free.sum() == reached.sum() and (count > 100 or (free == 0).any())


def test_copies_are_independent() -> None:
    network = base()
    network.connect("input", "hidden", Exponential(), weight=1.0)
    copy = network.copy()
    copy.projections["input->hidden"].weight[:] = 7.0
    assert (network.projections["input->hidden"].weight == 1.0).all()


@pytest.mark.parametrize(
    ("tau_refrac", "dt", "steps"), [(0.0, 1.0, 0), (1.0, 1.0, 1), (0.3, 0.1, 3), (2.1, 1.0, 3)]
)
def test_refractory_steps(tau_refrac: float, dt: float, steps: int) -> None:
    assert LIF(1, tau_refrac=tau_refrac).refractory_steps(dt) == steps


matrices = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.sampled_from([np.nan, np.nan, -1.5, 0, 2]))
)


def two(n_pre: int, n_post: int) -> Network:
    """Return two populations of these sizes without a projection."""
    network = Network()
    network.add("a", SpikeInput(n_pre))
    network.add("b", LIF(n_post))
    return network


@given(matrices, st.integers(0, 9))
def test_a_matrix_of_weights_comes_back(weights: np.ndarray, seed: int) -> None:
    network = two(*weights.shape)
    delays = np.random.default_rng(seed).uniform(0, 9, weights.shape)
    settings_ = {"weight": weights, "delay": delays, "max_delay": 20.0}
    if np.isnan(weights).all():
        with pytest.raises(InputError, match="weight of 'a->b' must have at least one synapse, go"):
            network.connect("a", "b", Exponential(), **settings_)
        return
    projection = network.connect("a", "b", Exponential(), **settings_)
    assert projection.n_synapses == np.isfinite(weights).sum()
    expected = np.where(np.isnan(weights), np.nan, delays)
    assert np.array_equal(network.weight_matrix("a->b"), weights, equal_nan=True)
    assert np.array_equal(network.delay_matrix("a->b"), expected, equal_nan=True)
    again = two(*weights.shape)
    settings_ = {"weight": network.weight_matrix("a->b"), "delay": network.delay_matrix("a->b")}
    copy = again.connect("a", "b", Exponential(), max_delay=20.0, **settings_)
    for key in ("indptr", "post", "weight", "delay"):
        assert np.array_equal(getattr(copy, key), getattr(projection, key))


def test_matrices_of_delays_that_synapses_share() -> None:
    for granularity, delay in (("fixed", 3.0), ("axon", np.arange(4.0))):
        network = base()
        network.connect(
            "input", "hidden", Exponential(), weight=1.0, delay=delay, density=0.5,
            granularity=granularity,
        )  # fmt: skip
        there = np.isfinite(network.weight_matrix("input->hidden"))
        expected = np.broadcast_to(np.reshape(delay, (-1, 1)), (4, 5))[there]
        assert np.array_equal(network.delay_matrix("input->hidden")[there], expected)
        assert there.sum() == 10


class Tensor:
    """What NumPy cannot read before it is detached, as a tensor that is learned."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __array__(self, *_: object, **__: object) -> np.ndarray:
        raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> np.ndarray:
        return self.values


def test_lists_and_tensors_are_matrices_too() -> None:
    weights = np.arange(20.0).reshape(4, 5)
    for given_ in (weights.tolist(), weights.astype(np.float32), Tensor(weights)):
        network = base()
        network.connect("input", "hidden", Exponential(), weight=given_)
        assert np.array_equal(network.weight_matrix("input->hidden"), weights)


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"weight": np.ones((5, 4))}, r"shape \(4, 5\) as a matrix, .* got \(5, 4\); transpose"),
        ({"weight": np.ones((4, 4))}, r"shape \(4, 5\) as a matrix, .* got \(4, 4\)$"),
        ({"weight": np.ones((1, 4, 5))}, r"got \(1, 4, 5\)"),
        ({"weight": np.full((4, 5), np.inf)}, "weight .* must be finite"),
        ({"weight": np.ones((4, 5)), "density": 0.5}, "left out with a matrix of weights, got den"),
        ({"weight": np.ones((4, 5)), "synapses": 5}, "left out with a matrix of weights, .*ses 5"),
        ({"weight": [[1.0], [2.0, 3.0]]}, "weight .* must be a number, an array or a distribution"),
        ({"delay": np.full((4, 5), np.nan)}, "delay of 'input->hidden' must be finite, got NaN"),
        ({"delay": np.ones((5, 4))}, r"delay .* shape \(4, 5\) as a matrix"),
        ({"delay": np.ones((4, 5)), "granularity": "axon"}, "be one per axon, got a matrix"),
        ({"delay": [99.0] * 20, "max_delay": 9.0}, r"in 0\.\.9 ms, got 99.*; raise max_delay"),
        ({"density": 1.0, "synapses": 10}, "must come without a density, got 10 with density 1.0"),
    ],
)
def test_other_matrices_are_refused(settings_: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        base().connect("input", "hidden", Exponential(), **{"weight": 1.0} | settings_)


def test_one_to_one_takes_no_matrix() -> None:
    with pytest.raises(InputError, match="one number per neuron with one_to_one, got a matrix"):
        base().connect("hidden", "hidden", Delta(), weight=np.eye(5), one_to_one=True)


def test_matrices_are_of_projections_that_there_are() -> None:
    network = base()
    network.connect("input", "hidden", Exponential(), weight=1.0)
    for read in (network.weight_matrix, network.delay_matrix):
        with pytest.raises(
            InputError, match="no projection 'input->hiden'; did you mean 'input->h"
        ):
            read("input->hiden")


def test_parts_of_a_network_fit_a_line() -> None:
    network = base()
    found = network.connect("input", "hidden", Exponential(), weight=1.0, delay=3.0, synapses=7)
    assert repr(found) == (
        "Projection('input->hidden', 7 synapses, Exponential(tau_syn=5.0), delays 0..3 ms a "
        "synapse)"
    )
    assert repr(network.populations["input"]) == "Population('input', SpikeInput(n=4))"
    added = network.add("more", LIF(300), normalise=True, learn="tau_mem")
    assert repr(added).startswith("Population('more', LIF(") and len(repr(added)) < 150
    assert repr(added).endswith("normalised, learns tau_mem)")
