"""EventProp as one would write it in Numba first, for the CPU engine to be compared with.

An example at a time on one thread, forward and backward in plain loops: each step updates every
neuron, and each spike adds its synapses' weights to a ring buffer of the steps to come; backwards a
ring buffer holds the adjoints of the steps before, from which each spike takes its gradients.
Nothing is vectorised by hand, skipped or blocked, and only input spikes are sorted, by step. The
equations are those of `tests/reference/eventprop.py`, for neurons without a refractory period and
an output with the readout "expweighted".
"""

from typing import NamedTuple

import numba
import numpy as np

from mlgenn_delays import LIF, LeakyIntegrator, Network
from mlgenn_delays.data.types import SpikeBatch

plain = numba.njit(nogil=True, error_model="numpy")


class Synapses(NamedTuple):
    """Synapses of a projection, row after row of its presynaptic neurons, and their gradients."""

    indptr: np.ndarray  # (n_pre + 1,)
    post: np.ndarray  # (S,)
    weight: np.ndarray
    lag: np.ndarray  # delay [steps], rounded
    by_weight: np.ndarray
    by_delay: np.ndarray


class Neurons(NamedTuple):
    """Constants of a population, of which all synapses have the same time constant."""

    n: int
    a: np.float32  # exp(-dt/tau_mem)
    e: np.float32  # exp(-dt/tau_syn)
    scale: np.float32  # (tau_syn/dt)(1 - e)
    tau_mem: np.float32  # [steps]
    threshold: np.float32


@plain
def place(ring, t):
    """Return where a ring buffer has a step; not signed, for Numba checks signs of indices."""
    return np.uint64(t & (len(ring) - 1))


@plain
def send(synapses, i, ring, t):
    """Add the weights of presynaptic neuron i to the steps in which its spike of step t arrives."""
    for s in range(synapses.indptr[i], synapses.indptr[i + 1]):
        when, j = t + synapses.lag[s] + 1, synapses.post[s]
        ring[place(ring, when), j] += synapses.weight[s]


@plain
def gather(synapses, i, ring, t):
    """Add the gradients by one spike of step t, and return how the loss grows with its time."""
    total = np.float32(0.0)
    for s in range(synapses.indptr[i], synapses.indptr[i + 1]):
        when, j = t + synapses.lag[s] + 1, synapses.post[s]
        r = ring[place(ring, when), j]
        later = synapses.weight[s] * (ring[place(ring, when + 1), j] - r)
        synapses.by_weight[s] += r
        synapses.by_delay[s] += later
        total += later
    return total


@plain
def integrate(neurons, in_syn, v, arrived, current):
    """Bring neurons a step further; `arrived` is emptied, `current` (n,) is written."""
    one = np.float32(1.0)
    for j in range(neurons.n):
        in_syn[j] += arrived[j]
        arrived[j] = 0.0
        current[j] = in_syn[j] * neurons.scale
        in_syn[j] *= neurons.e
        v[j] = neurons.a * v[j] + (one - neurons.a) * current[j]


@plain
def forward(events, hidden, output, synapses, size, fired, current, voltage):
    """Simulate one example: write its spikes and currents (T, H), and the voltages (T, K).

    `events` are its input spikes by step: bounds (T+1,) and channels. Rings have `size` steps.
    """
    (start, channel), (into, across, out) = events, synapses
    to_hidden = np.zeros((size, hidden.n), np.float32)
    to_output = np.zeros((size, output.n), np.float32)
    in_hidden, v = np.zeros(hidden.n, np.float32), np.zeros(hidden.n, np.float32)
    in_output, u = np.zeros(output.n, np.float32), np.zeros(output.n, np.float32)
    ignored = np.empty(output.n, np.float32)
    for t in range(len(voltage)):
        integrate(hidden, in_hidden, v, to_hidden[t & (size - 1)], current[t])
        integrate(output, in_output, u, to_output[t & (size - 1)], ignored)
        voltage[t] = u
        for k in range(start[t], start[t + 1]):
            send(into, channel[k], to_hidden, t)
        for j in range(hidden.n):
            fired[t, j] = v[j] >= hidden.threshold
            if fired[t, j]:
                v[j] = 0.0
                send(across, j, to_hidden, t)
                send(out, j, to_output, t)


@plain
def loss_by_voltage(voltage, label, share):
    """Return the loss of one example, and write its derivative by the voltages over them."""
    n_steps, n_classes = voltage.shape
    logits = np.zeros(n_classes)
    for t in range(n_steps):
        for k in range(n_classes):
            logits[k] += share[t] * voltage[t, k]
    chance = np.exp(logits - logits.max())
    chance /= chance.sum()
    loss = -np.log(chance[label])
    chance[label] -= 1.0
    for t in range(n_steps):
        for k in range(n_classes):
            voltage[t, k] = share[t] * chance[k]
    return loss


@plain
def backward(events, hidden, output, synapses, size, fired, current, by_voltage):
    """Add the gradients of one example to those of its synapses."""
    (start, channel), (into, across, out) = events, synapses
    # Adjoints of the synaptic currents, 0 from the end of the trial on.
    of_hidden = np.zeros((size, hidden.n), np.float32)
    of_output = np.zeros((size, output.n), np.float32)
    p, q = np.zeros(hidden.n, np.float32), np.zeros(output.n, np.float32)
    gain = (np.float32(1.0) - hidden.a) * hidden.scale
    gain_output = (np.float32(1.0) - output.a) * output.scale
    least = np.float32(1e-6) * hidden.threshold
    for t in range(len(fired) - 1, -1, -1):
        now, after = t & (size - 1), (t + 1) & (size - 1)
        for j in range(hidden.n):
            if fired[t, j]:
                sent = gather(out, j, of_output, t) + gather(across, j, of_hidden, t)
                slope = max(current[t, j] - hidden.threshold, least)
                p[j] = (p[j] * current[t, j] - hidden.tau_mem * sent) / slope
            of_hidden[now, j] = gain * p[j] + hidden.e * of_hidden[after, j]
            p[j] *= hidden.a
        for k in range(output.n):
            q[k] += by_voltage[t, k]
            of_output[now, k] = gain_output * q[k] + output.e * of_output[after, k]
            q[k] *= output.a
        for k in range(start[t], start[t + 1]):
            gather(into, channel[k], of_hidden, t)


@plain
def by_step(bounds, time, n_steps):
    """Return the spikes of one example by step: bounds (T+1,) and channels."""
    start = np.zeros(n_steps + 1, np.int64)
    for k in range(bounds[0], bounds[-1]):
        start[time[k] + 1] += 1
    start = np.cumsum(start)
    filled, channel = start.copy(), np.empty(start[-1], np.int32)
    for c in range(len(bounds) - 1):
        for k in range(bounds[c], bounds[c + 1]):
            channel[filled[time[k]]] = c
            filled[time[k]] += 1
    return start, channel


@plain
def run_batch(start, time, labels, n_steps, hidden, output, synapses, size, fired):
    """Return the mean loss of a batch; write its spikes (B, T, H) and add up gradients."""
    share = np.exp(-np.arange(n_steps) / n_steps) / n_steps
    current = np.empty((n_steps, hidden.n), np.float32)
    voltage = np.empty((n_steps, output.n), np.float32)
    total = 0.0
    for b in range(len(labels)):
        events = by_step(start[b], time, n_steps)
        forward(events, hidden, output, synapses, size, fired[b], current, voltage)
        total += loss_by_voltage(voltage, labels[b], share)
        backward(events, hidden, output, synapses, size, fired[b], current, voltage)
    return total / len(labels)


class PlainEventProp:
    """The kernel with the parameters of a network: input, a hidden population, an output."""

    def __init__(self, network: Network) -> None:
        output = network.output().name
        (hidden,) = (each.name for each in network.spiking())
        self.names = [f"{network.input().name}->{hidden}", f"{hidden}->{hidden}"]
        self.names.append(f"{hidden}->{output}")
        self.hidden, self.output = _neurons(network, hidden), _neurons(network, output)
        self.synapses = tuple(_synapses(network, name, self.hidden.n) for name in self.names)
        longest = max(int(each.lag.max(initial=0)) for each in self.synapses)
        self.size = 2 ** int(np.ceil(np.log2(longest + 3)))

    def run(self, batch: SpikeBatch) -> tuple[float, np.ndarray]:
        """Return the mean loss and the hidden spikes (B, T, H) of a batch."""
        for each in self.synapses:
            each.by_weight[:] = each.by_delay[:] = 0.0
        fired = np.empty((len(batch), batch.n_steps, self.hidden.n), np.bool_)
        data = batch.start, batch.time, batch.labels, batch.n_steps
        loss = run_batch(*data, self.hidden, self.output, self.synapses, self.size, fired)
        for each in self.synapses:
            each.by_weight[:] /= len(batch)
            each.by_delay[:] /= len(batch)
        return loss, fired

    def gradients(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Return the gradients of the last batch by weight and by delay [1/step]."""
        named = zip(self.names, self.synapses, strict=True)
        return {name: (each.by_weight, each.by_delay) for name, each in named if len(each.post)}

    def events(self, batch: SpikeBatch, fired: np.ndarray) -> float:
        """Return how often an example's spikes meet a synapse, forwards and backwards together."""
        into, across, out = (np.diff(each.indptr) for each in self.synapses)
        met = (np.diff(batch.start, axis=1) @ into).sum() + (
            fired.sum(axis=(0, 1)) @ (across + out)
        )
        return 2.0 * float(met) / len(batch)


def _neurons(network: Network, name: str) -> Neurons:
    population, dt = network.populations[name], network.dt
    model = population.model
    (tau_syn,) = {each.synapse.tau_syn for each in network.incoming(name)}
    assert isinstance(model, LIF | LeakyIntegrator) and not population.bias.any()
    assert (
        model.readout == "expweighted"
        if isinstance(model, LeakyIntegrator)
        else not model.tau_refrac
    )
    e = np.exp(-dt / tau_syn)
    values = np.exp(-dt / model.tau_mem), e, tau_syn / dt * (1 - e), model.tau_mem / dt
    return Neurons(
        population.n, *map(np.float32, values), np.float32(getattr(model, "v_thresh", np.inf))
    )


def _synapses(network: Network, name: str, n_pre: int) -> Synapses:
    if name not in network.projections:
        nothing = np.zeros(0, np.float32)
        lag, post = np.zeros(0, np.int32), np.zeros(0, np.uint32)
        return Synapses(np.zeros(n_pre + 1, np.int64), post, nothing, lag, nothing, nothing)
    given = network.projections[name]
    longest = np.floor(given.max_delay / network.dt + 0.5)
    lag = np.clip(np.floor(given.delay_per_synapse() / network.dt + 0.5), 0, longest)
    gradients = np.zeros((2, given.n_synapses), np.float32)
    return Synapses(
        given.indptr.astype(np.int64), given.post.astype(np.uint32),
        given.weight.astype(np.float32), lag.astype(np.int32), *gradients,
    )  # fmt: skip


def largest_difference(compiled: object, network: Network, batch: SpikeBatch) -> tuple[float, int]:
    """Return the largest relative difference of gradients to an engine's, and of how many examples.

    Rounding may bring a voltage just above its threshold in one of them and just below in the
    other; examples with different spikes are left out.
    """
    kernel = PlainEventProp(network)
    _, fired = kernel.run(batch)
    recorded = compiled.record(batch)
    name = network.spiking()[0].name
    start, time = recorded.start[name], recorded.time[name]
    same = []
    for b in range(len(batch)):
        neuron, step = np.nonzero(fired[b].T)
        bounds = start[b, 0] + np.searchsorted(neuron, np.arange(kernel.hidden.n + 1))
        if np.array_equal(bounds, start[b]) and np.array_equal(time[bounds[0] : bounds[-1]], step):
            same.append(b)
    some = SpikeBatch(
        batch.start[same], batch.time, batch.labels[same], batch.index[same], batch.n_steps
    )
    kernel.run(some)
    wanted, worst = compiled.gradients(some), 0.0
    for name, found in kernel.gradients().items():
        for ours, theirs in zip(found, (wanted.weight[name], wanted.delay[name]), strict=True):
            worst = max(worst, float(np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)))
    return worst, len(same)
