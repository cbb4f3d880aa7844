"""Sums over long trials are as exact as those over short ones."""

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentBatch, SpikeBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.shared.readout import read_out
from mlgenn_delays.learning import EventProp, SurrogateBPTT
from mlgenn_delays.network import (
    CurrentInput,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeInput,
)
from mlgenn_delays.neurons.declare import READOUTS


def wanted(readout: str, voltage: np.ndarray) -> np.ndarray:
    """Return the logits (K,) of V (K, T) in float64."""
    v, steps = voltage.astype(np.float64), voltage.shape[1]
    if readout == "softmax-sum":
        share = np.exp(v - v.max(0))
        return (share / share.sum(0)).sum(1)
    if readout == "max":
        return v.max(1)
    weight = np.exp(-np.arange(steps) / steps) if readout == "expweighted" else np.ones(steps)
    return (v * weight).sum(1) / (1 if readout == "sum" else steps)


@pytest.mark.parametrize("readout", READOUTS)
def test_a_readout_of_a_million_steps(readout: str) -> None:
    rng = np.random.default_rng(5)
    voltage = (0.3 + 0.1 * rng.random((3, 1_000_000))).astype(np.float32)
    logits = np.empty(3, np.float32)
    read_out(READOUTS.index(readout), voltage, logits)
    np.testing.assert_allclose(logits, wanted(readout, voltage), rtol=3e-7)


@pytest.mark.parametrize("rule", [EventProp(), SurrogateBPTT()], ids=["event", "timestep"])
@pytest.mark.parametrize("readout", READOUTS)
def test_a_trial_of_ten_thousand_steps(readout: str, rule: object) -> None:
    net = Network()
    net.add("input", SpikeInput(1))
    net.add("output", LeakyIntegrator(2, readout=readout), bias=np.array([0.1, 0.3]))
    net.connect("input", "output", Exponential(5.0), weight=1.0, max_delay=2.0)
    start = np.array([[0, 1]], np.int64)
    batch = SpikeBatch(start, np.array([3], np.int32), np.array([0]), np.array([0]), 10_000)
    found = compile_network(net, rule, total_steps=1).record(batch)
    np.testing.assert_allclose(found.logits[0], wanted(readout, found.voltage[0]), rtol=3e-7)


def test_statistics_of_a_current_far_from_zero() -> None:
    """The variance is a difference of two sums that are almost equal."""
    values = np.random.default_rng(6).normal(1000.0, 1.0, (2, 60_000, 1)).astype(np.float32)
    net = Network()
    net.add("input", CurrentInput(1))
    net.add("output", LeakyIntegrator(2), normalise=True)
    net.connect("input", "output", Delta(), weight=1.0)
    labels = np.zeros(2, np.int64)
    engine = compile_network(net, SurrogateBPTT(weights=None, delays=None), total_steps=1)
    engine.train_epoch([CurrentBatch(values, labels, np.arange(2))], epoch=1)
    current = values[:, :, 0].astype(np.float64)
    current = np.pad(current[:, :-1], ((0, 0), (1, 0)))  # it acts a step later
    after = engine.pull().populations["output"].normalisation
    assert after is not None
    np.testing.assert_allclose(after.variance, 0.9 + 0.1 * current.var(ddof=1), rtol=1e-6)
    np.testing.assert_allclose(after.mean, 0.1 * current.mean(), rtol=1e-6)
