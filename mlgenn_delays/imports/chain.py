"""A chain of layers as a network: what the importers of state dicts and checkpoints make."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import LIF, Delta, Network, Projection, SpikeCounter
from mlgenn_delays.network.models import (
    CurrentInput,
    Exponential,
    Normalisation,
    SpikeInput,
    SynapseModel,
)
from mlgenn_delays.neurons.declare import READOUTS, ReadoutNeuron
from mlgenn_delays.settings import LONGEST

SPIKES = "spikes"
OUTPUTS = (*READOUTS, SPIKES)  # what is read of the last layer: its voltage, or its spikes
BIAS = "bias"


@dataclass
class Pairs:
    """Synapses between two populations, at most one per pair.

    Attributes:
        weight: (n_post, n_pre); there is no synapse where it is 0.
        delay: (n_post, n_pre) [steps], None if it has no delays.
        max_delay: [steps]
    """

    weight: np.ndarray
    delay: np.ndarray | None = None
    max_delay: float = 0.0


@dataclass
class Layer:
    """One layer of n neurons.

    Attributes:
        model: Its neurons, of which the last layer's may be a `ReadoutNeuron`.
        pairs: Synapses from the layer before.
        synapse: Of all that reaches it.
        gain: (n,) or a number: what weights and bias are multiplied by.
        bias: (n,) constant input of every step, or None.
        recurrent: Synapses from itself.
        normalisation: Of its current.
    """

    model: Any
    pairs: list[Pairs]
    synapse: SynapseModel = field(default_factory=Delta)
    gain: np.ndarray | float = 1.0
    bias: np.ndarray | None = None
    recurrent: list[Pairs] = field(default_factory=list)
    normalisation: Normalisation | None = None


def exact_tau(decay: np.ndarray | float, dt: float) -> np.ndarray:
    """The time constant [ms] with which what is left after a step of dt [ms] is `decay`, < 1."""
    return np.minimum(-dt / np.log(np.asarray(decay, np.float64)), LONGEST)


def current_gain(tau_syn: np.ndarray | float, dt: float) -> np.ndarray:
    """By what an `Exponential` synapse divides for its current to jump by the weight."""
    tau = np.asarray(tau_syn, np.float64)
    return dt / tau / -np.expm1(-dt / tau)


def network_of(layers: list[Layer], dt: float, *, currents: bool) -> Network:
    """The network of a chain of layers; its last neurons that spike are counted."""
    network = Network(dt=dt)
    n_inputs = layers[0].pairs[0].weight.shape[1]
    kind = CurrentInput if currents else SpikeInput
    before = network.add("input", kind(n_inputs)).name
    for k, layer in enumerate(layers, 1):
        last = isinstance(layer.model, ReadoutNeuron)
        name = "output" if last else f"hidden{k}"
        network.add(name, layer.model).normalisation = layer.normalisation
        for source, several in ((before, layer.pairs), (name, layer.recurrent)):
            for pairs in several:
                _connect(network, source, name, layer, pairs)
        if layer.bias is not None and layer.bias.any():
            _add_bias(network, name, k, layer)
        before = name
    if before != "output":
        network.add("output", SpikeCounter(layers[-1].model.n))
        network.connect(
            before, "output", Delta(), weight=1.0, one_to_one=True, granularity="fixed",
            frozen=True,
        )  # fmt: skip
    network.order()
    return network


def _add_bias(network: Network, name: str, depth: int, layer: Layer) -> None:
    """Drive a layer by a neuron that spikes in every step, from the step of its first input on."""
    if BIAS not in network.populations:
        network.add(BIAS, LIF(1, tau_mem=network.dt), bias=4.0)  # so that it spikes in each step
    assert layer.bias is not None
    pairs = Pairs(layer.bias[:, None])
    projection = _connect(network, BIAS, name, layer, pairs)
    projection.delay = np.array([(depth - 1) * network.dt])
    projection.max_delay = float(projection.delay[0])


def _connect(network: Network, source: str, target: str, layer: Layer, pairs: Pairs) -> Projection:
    gain = np.broadcast_to(np.asarray(layer.gain, np.float64), (layer.model.n,))
    weight = (pairs.weight * gain[:, None]).T  # by presynaptic neuron, as synapses lie
    n_pre, n_post = weight.shape
    pre, post = np.nonzero(weight)
    with np.errstate(over="ignore"):
        values = weight[pre, post].astype(np.float32)
    name, k = f"{source}->{target}", 1
    while name in network.projections:
        name, k = f"{source}->{target} {k + 1}", k + 1
    if not len(pre):
        raise InputError(f"weights of {name!r} must not all be 0; it has no synapses")
    synapse = layer.synapse
    if isinstance(synapse, Exponential):
        synapse = synapse.drawn(target, n_post, network.dt, np.random.default_rng(0))
    delays: dict[str, Any] = {"delay": np.zeros(1), "max_delay": 0.0, "granularity": "fixed"}
    if pairs.delay is not None:
        delay = pairs.delay.T[pre, post] * network.dt
        delays = {"delay": delay, "max_delay": pairs.max_delay * network.dt}
    counts = np.bincount(pre, minlength=n_pre)
    projection = Projection(
        name, source, target, synapse, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        post.astype(np.int32), values, **delays,
    )  # fmt: skip
    projection.check(n_pre, n_post)
    network.projections[name] = projection
    return projection
