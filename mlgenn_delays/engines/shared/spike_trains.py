"""Target spike trains as the output would see them: filtered by its synapses and its neurons.

A linear output answers a spike of weight 1 that arrives in step 0 with h[t] more than the v[t] that
it has without input, so one that had the target spikes s alone as its input, with delays of 0,
would have V*[t] = v[t] + sum over s < t of h[t - s - 1].
"""

from collections.abc import Callable

import numpy as np

from mlgenn_delays.engines.shared.plan import of_synapse, synapse_groups
from mlgenn_delays.engines.shared.readout import filter_examples
from mlgenn_delays.network import Exponential, Network
from mlgenn_delays.neurons.declare import OUTPUT, Neuron

# Runs task(low, high) over parts of range(n), whose cut does not matter.
Spread = Callable[[int, Callable[[int, int], None]], None]


def at_once(n: int, task: Callable[[int, int], None]) -> None:
    """Run a task over all of range(n)."""
    task(0, n)


class Filter:
    """What the output of a network makes of spike trains in trials of so many steps."""

    def __init__(self, network: Network, steps: int) -> None:
        self.silent = _answer(network, steps, 0.0)
        self.response = _answer(network, steps, 1.0) - self.silent

    def filtered(self, spikes: np.ndarray, spread: Spread = at_once) -> np.ndarray:
        """Return the voltages (B, K, T) float32 for spikes (B, K, T).

        `spread` runs a task over parts of the examples.
        """
        out = np.empty(spikes.shape, np.float32)
        spread(
            len(spikes),
            lambda low, high: filter_examples(spikes, self.silent, self.response, out, low, high),
        )
        return out


def _answer(network: Network, steps: int, arrival: float) -> np.ndarray:
    """Return V (K, T) float64 of the output, to which so much arrives in the first step."""
    population = network.output()
    model, n = population.model, population.n
    assert isinstance(model, Neuron)
    (synapse,) = synapse_groups(network, population.name)
    decay, scale = np.zeros(n), np.ones(n)
    if isinstance(synapse, Exponential):
        decay[:], scale[:] = of_synapse(np.asarray(synapse.tau_syn, np.float64), network.dt)
    constants, inner = model.constants(network.dt), np.full(n, arrival)
    state = {name: np.zeros(n) for name in model.equations.states}
    out = np.empty((n, steps))
    for t in range(steps):
        known, _ = model.equations.step(state, scale * inner + population.bias, constants)
        out[:, t], inner = known[OUTPUT], decay * inner
        state = {name: known[name] for name in state}
    return out
