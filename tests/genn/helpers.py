"""What the tests of the GeNN engine share: small nets, rasters as batches, and our gradients."""

from collections.abc import Sequence

import numpy as np

from mlgenn_delays.data.types import Batch, SpikeBatch, SpikeData
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.learning import EventProp
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput


def pairs(dt: float = 1.0, tau_mem: float = 20.0) -> Network:
    """Return two inputs that each make a hidden neuron spike at once, and two outputs.

    Arguments:
        dt: [ms].
        tau_mem: Of the output [ms].
    """
    network = Network(dt=dt)
    network.add("input", SpikeInput(2))
    network.add("hidden", LIF(2, tau_mem=10.0))
    network.add("output", LeakyIntegrator(2, tau_mem=tau_mem))
    network.connect(
        "input", "hidden", Exponential(2.0), weight=np.array([16.0, 0.5, 0.5, 16.0]),
        delay=np.array([0.0, 3.0, 2.0, 5.0]), max_delay=8.0,
    )  # fmt: skip
    network.connect(
        "hidden", "output", Exponential(4.0), weight=np.array([1.5, -0.5, -1.0, 0.8]),
        delay=np.array([0.0, 4.0, 2.0, 1.0]), max_delay=8.0,
    )  # fmt: skip
    return network


def batch_of(
    spikes: Sequence[Sequence[tuple[int, int]]], steps: int, labels: Sequence[int]
) -> SpikeBatch:
    """Return examples of two channels, each given by its spikes (step, channel)."""
    events = [np.array(own, dtype=np.int64).reshape(-1, 2).T[::-1] for own in spikes]
    return SpikeData.from_events(
        [(channel, step) for channel, step in events], np.array(labels), n_channels=2,
        n_steps=steps, dt=1.0, label_names=("a", "b"),
    ).batch(np.arange(len(events)))  # fmt: skip


def compiled(network: Network) -> CompiledNetwork:
    return compile_network(network, EventProp(), engine="genn", total_steps=10)


def ours(network: Network, batch: Batch) -> Gradients:
    return compiled(network).gradients(batch)
