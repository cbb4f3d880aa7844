"""Exact event-driven simulation in continuous time, the yardstick of the EventProp gradients.

    tau_mem V' = -V + I + bias,   tau_syn I' = -I,   an arrival makes I jump by w
    V = v_thresh: spike, V = 0 for tau_refrac while I goes on

Between events, with A = I tau_syn / (tau_syn - tau_mem) and C = V - bias - A at the last event:

    V(u) = bias + C exp(-u/tau_mem) + A exp(-u/tau_syn)

which has at most one extremum, so its two monotone pieces show every crossing. The loss is the
cross-entropy of the exact time mean of the readout's V, which is linear in the arrivals. Gradients
are central differences; they need spike counts that do not change within the difference.

To match the stepped model, an input spike of step t of dt ms comes at (t + 1) dt and V[t] is the
voltage at (t + 1) dt.
"""

import heapq
import math
from dataclasses import dataclass, field
from itertools import count

import numpy as np
from scipy.optimize import brentq

from mlgenn_delays.network import LIF, Exponential, Network
from tests.reference.forward import cross_entropy


@dataclass
class Neuron:
    """A LIF neuron between events.

    Attributes:
        tau_mem, tau_syn, bias, v_thresh, tau_refrac: Its constants [ms].
        time: Time of the last event [ms].
        v, i: Voltage and synaptic current then.
        rests_until: End of its refractory period [ms].
        version: Number of changes, which outdates the spike predicted before.
    """

    tau_mem: float
    tau_syn: float
    bias: float
    v_thresh: float
    tau_refrac: float
    time: float = 0.0
    v: float = 0.0
    i: float = 0.0
    rests_until: float = 0.0
    version: int = 0
    spikes: list[float] = field(default_factory=list)

    def _coefficients(self) -> tuple[float, float]:
        """Return A and C of the closed form from the last event on."""
        a = self.i * self.tau_syn / (self.tau_syn - self.tau_mem)
        return a, self.v - self.bias - a

    def _voltage(self, u: float) -> float:
        """Return V a time u after the last event, no spike or refractory period in between."""
        a, c = self._coefficients()
        return self.bias + c * math.exp(-u / self.tau_mem) + a * math.exp(-u / self.tau_syn)

    def advance(self, time: float) -> None:
        """Go on to a time before which there is no spike or arrival."""
        if self.time < self.rests_until:
            stop = min(time, self.rests_until)
            self.i *= math.exp(-(stop - self.time) / self.tau_syn)
            self.time, self.v = stop, 0.0
        if time > self.time:
            u = time - self.time
            self.v = self._voltage(u)
            self.i *= math.exp(-u / self.tau_syn)
            self.time = time

    def spike(self, time: float) -> None:
        self.advance(time)
        self.v, self.rests_until = 0.0, time + self.tau_refrac
        self.spikes.append(time)

    def next_spike(self, end: float) -> float:
        """Return the time of the next spike if nothing arrives, infinity if none before `end`."""
        ahead = Neuron(**{**self.__dict__, "spikes": []})
        ahead.advance(max(ahead.time, min(ahead.rests_until, end)))
        span = end - ahead.time
        if span <= 0:
            return math.inf

        def above(u: float) -> float:
            return ahead._voltage(u) - ahead.v_thresh

        pieces = [0.0, span]
        a, c = ahead._coefficients()
        if a * c < 0:
            ratio = -(a * ahead.tau_mem) / (c * ahead.tau_syn)
            extremum = math.log(ratio) / (1 / ahead.tau_syn - 1 / ahead.tau_mem)
            if 0 < extremum < span:
                pieces.insert(1, extremum)
        for low, high in zip(pieces, pieces[1:], strict=False):
            if above(low) < 0 <= above(high):
                return ahead.time + brentq(above, low, high, xtol=1e-14, rtol=1e-15)
        return math.inf


@dataclass(frozen=True)
class Outcome:
    """One exact trial: spike times [ms] by population, logits (K,) and loss."""

    spikes: dict[str, list[list[float]]]
    logits: np.ndarray
    loss: float

    def counts(self) -> list[int]:
        return [len(times) for neurons in self.spikes.values() for times in neurons]


def run(network: Network, events: list[tuple[float, int]], total: float, label: int = 0) -> Outcome:
    """Return one trial of `total` ms driven by input spikes (time [ms], channel).

    Delays are real-valued; a LIF population needs one time constant for all its synapses.
    """
    output, source = network.output(), network.input().name
    tau_mem = output.model.tau_mem
    neurons = {
        name: [_neuron(network, name, j) for j in range(p.n)]
        for name, p in network.populations.items()
        if isinstance(p.model, LIF)
    }
    fan = {name: _fan_out(network, name) for name in [*neurons, source]}
    integral = total * output.bias.astype(np.float64)
    at_end = -np.expm1(-total / tau_mem) * output.bias.astype(np.float64)
    queue: list[tuple] = []
    order = count()  # what happens at one time happens in the order in which it was caused

    def emit(name: str, i: int, time: float) -> None:
        for target, j, weight, delay, tau in fan[name][i]:
            arrival = time + delay
            if arrival >= total:
                continue
            if target == output.name:
                area, last = _readout_kernel(total - arrival, tau, tau_mem)
                integral[j] += weight * area
                at_end[j] += weight * last
            else:
                heapq.heappush(queue, (arrival, next(order), target, j, weight, -1))

    def predict(name: str, j: int) -> None:
        neuron = neurons[name][j]
        neuron.version += 1
        when = neuron.next_spike(total)
        if when < total:
            heapq.heappush(queue, (when, next(order), name, j, 0.0, neuron.version))

    for time, channel in sorted(events):
        emit(source, channel, time)
    for name, group in neurons.items():
        for j in range(len(group)):
            predict(name, j)
    while queue:
        time, _, name, j, weight, version = heapq.heappop(queue)
        neuron = neurons[name][j]
        if version < 0:
            neuron.advance(time)
            neuron.i += weight
        elif version == neuron.version:
            neuron.spike(time)
            emit(name, j, time)
        else:
            continue  # predicted before something else arrived
        predict(name, j)
    spikes = {name: [n.spikes for n in group] for name, group in neurons.items()}
    # tau_mem V' = -V + I + bias, integrated over the trial
    logits = (integral - tau_mem * at_end) / total
    return Outcome(spikes, logits, cross_entropy(logits, label))


def _neuron(network: Network, name: str, j: int) -> Neuron:
    """Return neuron j of a LIF population at rest."""
    population = network.populations[name]
    model = population.model
    assert isinstance(model, LIF)
    taus = {p.synapse.tau_syn for p in network.incoming(name)}
    assert len(taus) == 1, "the closed form is of one synaptic time constant"
    (tau_syn,) = taus
    assert tau_syn != model.tau_mem
    bias = float(population.bias[j])
    return Neuron(model.tau_mem, tau_syn, bias, model.v_thresh, model.tau_refrac)


def _fan_out(network: Network, name: str) -> list[list[tuple[str, int, float, float, float]]]:
    """Return (target, neuron, weight, delay [ms], tau_syn) of each synapse by neuron."""
    out: list[list[tuple[str, int, float, float, float]]] = [
        [] for _ in range(network.populations[name].n)
    ]
    for q in network.projections.values():
        if q.source == name:
            assert isinstance(q.synapse, Exponential)
            for s, (i, delay) in enumerate(zip(q.pre(), q.delay_per_synapse(), strict=True)):
                edge = (q.target, int(q.post[s]), float(q.weight[s]), delay, q.synapse.tau_syn)
                out[i].append(edge)
    return out


def _readout_kernel(u: float, tau_syn: float, tau_mem: float) -> tuple[float, float]:
    """Return the integral of I over u ms after an arrival of weight 1, and V at their end."""
    area = -tau_syn * math.expm1(-u / tau_syn)
    gain = tau_syn / (tau_syn - tau_mem)
    return area, gain * (math.exp(-u / tau_syn) - math.exp(-u / tau_mem))


def gradients(
    network: Network,
    events: list[tuple[float, int]],
    total: float,
    label: int,
    step: float = 1e-4,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the gradients by weight and delay [1/ms] by projection, by central differences.

    Delays must be >= `step`. Raises AssertionError if a spike appears or vanishes in between.
    """
    base = run(network, events, total, label).counts()
    work = network.copy()
    by_weight, by_delay = {}, {}
    for name, q in work.projections.items():
        q.weight = q.weight.astype(np.float64)
        for store, array in ((by_weight, q.weight), (by_delay, q.delay)):
            out = np.zeros(len(array))
            for s in range(len(array) if array is q.weight or q.granularity != "fixed" else 0):
                kept, losses = array[s], []
                for shift in (step, -step):
                    array[s] = kept + shift
                    outcome = run(work, events, total, label)
                    assert outcome.counts() == base, f"spikes change with {name}[{s}]"
                    losses.append(outcome.loss)
                array[s] = kept
                out[s] = (losses[0] - losses[1]) / (2 * step)
            store[name] = out
    return by_weight, by_delay


def as_steps(events: list[tuple[float, int]], dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return (channels, steps) of input spikes in steps of `dt` ms: step t ends at (t + 1) dt."""
    channels = np.array([c for _, c in events], dtype=np.int64)
    steps = np.array([round(t / dt) - 1 for t, _ in events], dtype=np.int64)
    return channels, steps
