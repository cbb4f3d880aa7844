"""A network folded for inference answers as the normalised one does."""

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, Gaussian, SurrogateBPTT
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Uniform,
)


def batch(seed: int) -> CurrentBatch:
    rng = np.random.default_rng(seed)
    values = rng.normal(0.5, 1.0, (12, 40, 6)).astype(np.float32)
    return CurrentBatch(values, rng.integers(0, 3, 12), np.arange(12))


def trained(seed: int, plain: bool) -> Network:
    """Return a network whose normalisation has learned something, gains of 0 included."""
    net = Network(dt=1.0, seed=seed)
    net.add("input", CurrentInput(6))
    neuron, output = (
        (LIF(9, 12.0), LeakyIntegrator(3, 12.0)) if plain else (EulerLIF(9), EulerLI(3))
    )
    synapse = Exponential(3.0) if plain else Delta()
    net.add("hidden", neuron, bias=0.1, normalise=True)
    net.add("output", output, normalise=True)
    for source, target in (("input", "hidden"), ("hidden", "output")):
        net.connect(
            source, target, synapse, weight=Uniform(-0.5, 1.0), delay=Uniform(0, 5), max_delay=6,
            density=0.7, signs="synapse",
        )  # fmt: skip
    rule = SurrogateBPTT(weights=Adam(0.05), kernel=Gaussian(3.0, 0.23, 2))
    compiled = compile_network(net, rule, total_steps=20, threads=1)
    compiled.train_epoch([batch(k) for k in range(20)], epoch=1)
    learned = compiled.pull().copy()
    hidden = learned.populations["hidden"].normalisation
    assert hidden is not None
    assert not np.allclose(hidden.gain, 1.0)
    assert not np.allclose(hidden.mean, 0.0)
    hidden.gain[0] = 0.0
    return learned


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_folded_answers_the_same(seed: int, plain: bool) -> None:
    net = trained(seed, plain)
    folded = net.folded()
    assert all((p.weight * p.sign >= 0).all() for p in folded.projections.values())
    assert all(p.normalisation is None for p in folded.populations.values())
    assert all(p.normalisation is not None for p in net.populations.values() if p.name != "input")
    rule = SurrogateBPTT(weights=None, delays=None)
    data = batch(99)
    one, other = (
        compile_network(each, rule, total_steps=1, threads=1).record(data) for each in (net, folded)
    )
    assert len(one.time["hidden"]) > 20
    assert np.array_equal(one.start["hidden"], other.start["hidden"])
    assert np.array_equal(one.time["hidden"], other.time["hidden"])
    assert np.allclose(one.voltage, other.voltage, rtol=1e-4, atol=1e-5)


def test_another_bias_is_not_taken() -> None:
    folded = trained(0, False).folded()
    compiled = compile_network(folded, SurrogateBPTT(), total_steps=1, threads=1)
    other = folded.copy()
    other.populations["hidden"].bias[2] += 1.0
    with pytest.raises(InputError, match="bias of population 'hidden'.*compile it anew"):
        compiled.push(other)


def test_folding_keeps_signs() -> None:
    folded = trained(0, False).folded()
    for projection in folded.projections.values():
        assert projection.sign is not None
        assert (projection.weight * projection.sign >= 0).all()


def test_nothing_to_fold() -> None:
    net = Network()
    net.add("input", CurrentInput(2))
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "output", Exponential(5.0), weight=1.0)
    folded = net.folded()
    assert np.array_equal(
        folded.projections["input->output"].weight, net.projections["input->output"].weight
    )
