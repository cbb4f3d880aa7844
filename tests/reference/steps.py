"""Float64 twin of the step equations over a batch, in plain loops; imports nothing from any engine.

What `forward` leaves out, for surrogate gradients: sampled currents as input, delay kernels of
several taps, normalisation, `EulerLIF` and `EulerLI`, dropout. One step t, delays in steps,
a = exp(-dt/tau_mem), leak = 1 - dt/tau_mem, x_i[t] what neuron i emits times its dropout gain:

    arrivals_j[t + k + 1] += w K[k] x_i[t],  taps k = 0 .. M,  M = floor(max_delay/dt + 0.5)
    Dirac           K[k] = 1 at k = clamp(floor(d + 0.5), 0, M)
    Gaussian        K[k] = exp(-((k - d)/width)^2 / 2) / sum of the same over 0 .. M
    normalised      I' = gain (I - mean) / sqrt(variance + 1e-5) + offset
    LIF             u = a V + (1 - a)(I' + bias);  u >= theta: spike, V = 0;  else V = u
    LIF, waiting    V stays
    EulerLIF         V > theta: spike, V = 0;  else V = leak V + I' + bias
    LeakyIntegrator V = a V + (1 - a)(I' + bias)
    EulerLI          V = leak V + I' + bias
    SpikeCounter    V = I' + bias

Mean and (biased) variance are of all examples and steps in training, the running ones otherwise.

Shapes: B examples, T steps, n neurons, C channels, K classes, M+1 taps, S synapses.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlgenn_delays.network import (
    LIF,
    EulerLI,
    EulerLIF,
    LeakyIntegrator,
    Network,
    Population,
    Projection,
    SpikeCounter,
)
from tests.reference import equations
from tests.reference import forward as single
from tests.reference.forward import TIE

EPSILON = 1e-5
# Neurons whose steps are written out below, so that nothing but this file says what they are.
BY_HAND = (LIF, EulerLIF, LeakyIntegrator, EulerLI, SpikeCounter)
MOMENTUM = 0.1
Spike = Callable[[np.ndarray], np.ndarray]
Statistics = tuple[np.ndarray, np.ndarray]


@dataclass
class Layer:
    """What one population did, each (B, T, n).

    Attributes:
        current: Synaptic current, mean over the step.
        drive: The same after normalisation, without the bias.
        tested: V as compared with the threshold: LIF's u, EulerLIF's V before the step.
        after: V after the step, so after any reset.
        fired: Where V is reset, bool.
        still: Where a neuron is refractory, bool.
        value: What is emitted, before the dropout gain: 0 and 1 of spikes, or the input's data.
        states: Of neurons that have equations alone, each state after the step.
    """

    current: np.ndarray
    drive: np.ndarray
    tested: np.ndarray
    after: np.ndarray
    fired: np.ndarray
    still: np.ndarray
    value: np.ndarray
    states: dict[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def zeros(*shape: int) -> "Layer":
        current, drive, tested, after, value = (np.zeros(shape) for _ in range(5))
        fired, still = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
        return Layer(current, drive, tested, after, fired, still, value)


@dataclass(frozen=True)
class Trace:
    """One batch.

    Attributes:
        layers: By population.
        gains: By population, (B, n), the dropout gain of its neurons.
        width: Of the delay kernel [steps]; 0 is Dirac.
        statistics: Mean and variance (n,) that normalised, by normalised population.
        running: Running mean and variance (n,) after this batch.
        logits: (B, K).
        losses: (B,) cross-entropy of the softmax of the logits.
        spiking: Names of the populations that spike, but for the input.
        tie: (B,) first step in which some |V - v_thresh| < 1e-5, T if none: from there on float32
            may fall either way, and with normalisation it may in every example.
    """

    layers: dict[str, Layer]
    gains: dict[str, np.ndarray]
    width: float
    statistics: dict[str, Statistics]
    running: dict[str, Statistics]
    logits: np.ndarray
    losses: np.ndarray
    spiking: tuple[str, ...]
    tie: np.ndarray

    @property
    def loss(self) -> float:
        """Mean over the batch."""
        return float(self.losses.mean())

    @property
    def spikes(self) -> dict[str, np.ndarray]:
        """Where each of them spikes, (B, T, n) bool."""
        return {name: self.layers[name].fired for name in self.spiking}

    def sent(self, name: str) -> np.ndarray:
        """Return what a population emits, times the dropout gain, (B, T, n)."""
        return self.layers[name].value * self.gains[name][:, None, :]


def stimulus(batch: Any) -> np.ndarray:
    """Return the data of a batch of spikes or currents, (B, T, C)."""
    if hasattr(batch, "values"):
        return np.asarray(batch.values, dtype=np.float64)
    return np.stack([single.stimulus(batch, b) for b in range(len(batch))])


def longest(projection: Projection, dt: float) -> int:
    """Return M, the largest whole delay of a projection [steps]."""
    return math.floor(projection.max_delay / dt + 0.5)


def taps(delay: float, last: int, width: float) -> np.ndarray:
    """Return K, (M+1,), of one delay [steps]."""
    out = np.zeros(last + 1)
    if width == 0.0:
        out[min(max(math.floor(delay + 0.5), 0), last)] = 1.0
        return out
    exponent = np.array([-(((k - delay) / width) ** 2) / 2 for k in range(last + 1)])
    out[:] = np.exp(exponent - exponent.max())
    return out / out.sum()


def kernel(projection: Projection, dt: float, width: float) -> np.ndarray:
    """Return w K[k] of every pair of neurons, (M+1, n_pre, n_post)."""
    last = longest(projection, dt)
    n_post = int(projection.post.max(initial=0)) + 1
    out = np.zeros((last + 1, len(projection.indptr) - 1, n_post))
    delays = projection.delay_per_synapse() / dt
    for s, (i, j) in enumerate(zip(projection.pre(), projection.post, strict=True)):
        out[:, i, j] = float(projection.weight[s]) * taps(delays[s], last, width)
    return out


def send(arrivals: np.ndarray, weights: np.ndarray, x: np.ndarray, t: int) -> None:
    """Add what x (B, n_pre) of step t brings to the arrivals (B, T, n) of later steps."""
    n_post = weights.shape[2]
    for k in range(len(weights)):
        if t + k + 1 < arrivals.shape[1]:
            arrivals[:, t + k + 1, :n_post] += x @ weights[k]


def normalise(
    population: Population, current: np.ndarray, training: bool
) -> tuple[np.ndarray, Statistics, Statistics]:
    """Return I', the statistics that gave it, and the running ones after this batch."""
    kept = population.normalisation
    assert kept is not None
    n = current.shape[0] * current.shape[1]
    running = kept.mean.astype(np.float64), kept.variance.astype(np.float64)
    used = running
    if training:
        mean = current.sum(axis=(0, 1)) / n
        variance = ((current - mean) ** 2).sum(axis=(0, 1)) / n
        used = mean, variance
        running = (
            (1 - MOMENTUM) * running[0] + MOMENTUM * mean,
            (1 - MOMENTUM) * running[1] + MOMENTUM * variance * n / (n - 1),
        )
    standard = (current - used[0]) / np.sqrt(used[1] + EPSILON)
    return kept.gain.astype(np.float64) * standard + kept.offset, used, running


def advance(
    population: Population,
    layer: Layer,
    t: int,
    waiting: np.ndarray,
    dt: float,
    spike: Spike | None,
    held: np.ndarray | None,
) -> None:
    """Move one population on by step t, whose drive is in the layer already.

    Arguments:
        population: The population.
        layer: What it does, filled in here.
        t: The step.
        waiting: (B, n) refractory steps left, counted in place.
        dt: Length of a step [ms].
        spike: What is emitted, given V - v_thresh; the step function if None.
        held: (B, T, n) bool, where V is reset; where it spikes if None.
    """
    model: Any = population.model
    if not isinstance(model, BY_HAND):
        advance_by_equations(model, population.bias, layer, t, waiting, dt, spike, held)
        return
    v = layer.after[:, t - 1] if t else np.zeros_like(waiting, dtype=np.float64)
    drive = layer.drive[:, t] + population.bias.astype(np.float64)
    if isinstance(model, LIF | LeakyIntegrator):
        a = math.exp(-dt / model.tau_mem)
        after = a * v + (1 - a) * drive
    elif isinstance(model, SpikeCounter):
        after = drive
    else:
        after = (1 - dt / model.tau_mem) * v + drive
    if isinstance(model, LIF | EulerLIF):
        still = waiting > 0
        after = np.where(still, v, after)
        tested = after if isinstance(model, LIF) else v
        u = tested - model.v_thresh
        spiked = ~still & (u >= 0 if isinstance(model, LIF) else u > 0)
        fired = spiked if held is None else held[:, t] & ~still
        layer.tested[:, t], layer.still[:, t], layer.fired[:, t] = tested, still, fired
        layer.value[:, t] = spiked if spike is None else np.where(still, 0.0, spike(u))
        rest = model.refractory_steps(dt) if isinstance(model, LIF) else 0
        waiting[:] = np.where(still, waiting - 1, np.where(fired, rest, 0))
        after = np.where(fired, 0.0, after)
    layer.after[:, t] = after


def values_at(model: Any, bias: np.ndarray, layer: Layer, t: int, dt: float) -> dict[str, Any]:
    """Return parameters, dt, states before step t and the current in it."""
    zero = np.zeros_like(layer.drive[:, t])
    before = {name: layer.states[name][:, t - 1] if t else zero for name in layer.states}
    drive = layer.drive[:, t] + bias.astype(np.float64)
    return {**equations.parameters(model), "dt": dt, **before, "I": drive}


def advance_by_equations(
    model: Any, bias: np.ndarray, layer: Layer, t: int, waiting: np.ndarray, dt: float,
    spike: Spike | None, held: np.ndarray | None,
) -> None:  # fmt: skip
    """Move a population on by step t by the text of its equations."""
    for name in equations.states(model):
        layer.states.setdefault(name, np.zeros_like(layer.current))
    strict = model.equations.strict

    def crosses(u: np.ndarray) -> np.ndarray:
        return u > 0 if strict else u >= 0

    after, u = equations.step(
        model, values_at(model, bias, layer, t, dt),
        (lambda u: crosses(u)) if held is None else (lambda u: held[:, t]),
        (lambda u: crosses(u).astype(float)) if spike is None else spike,
    )  # fmt: skip
    still = waiting > 0
    for name in equations.states(model):
        before = layer.states[name][:, t - 1] if t else np.zeros_like(layer.drive[:, t])
        layer.states[name][:, t] = np.where(still, before, after[name])
    # In units of a threshold of v_thresh, as of the neurons by hand.
    layer.tested[:, t] = u + model.v_thresh
    fired = (crosses(u) if held is None else held[:, t]) & ~still
    layer.fired[:, t], layer.still[:, t] = fired, still
    layer.value[:, t] = np.where(still, 0.0, after["spike"])
    rest = model.refractory_steps(dt)
    waiting[:] = np.where(still, waiting - 1, np.where(fired, rest, 0))


def run_population(
    network: Network,
    trace: Trace,
    population: Population,
    training: bool,
    spike: Spike | None,
    held: np.ndarray | None,
) -> None:
    """Fill in what one population does, all that project to it being done."""
    dt, name, layer = network.dt, population.name, trace.layers[population.name]
    examples, steps, n = layer.current.shape
    incoming = network.incoming(name)
    weights = {p.name: kernel(p, dt, trace.width) for p in incoming}
    arrivals = {p.name: np.zeros((examples, steps, n)) for p in incoming}
    in_syn = {p.name: np.zeros((examples, n)) for p in incoming}
    waiting = np.zeros((examples, n), dtype=np.int64)
    loops = [p for p in incoming if p.recurrent]
    for p in incoming:
        if not p.recurrent:
            x = trace.sent(p.source)
            for t in range(steps):
                send(arrivals[p.name], weights[p.name], x[:, t], t)
    for t in range(steps):
        for p in incoming:
            layer.current[:, t] += single.synapse_step(
                p, in_syn[p.name], arrivals[p.name][:, t], dt
            )[0]
        if population.normalisation is None:
            layer.drive[:, t] = layer.current[:, t]
            advance(population, layer, t, waiting, dt, spike, held)
        for p in loops:
            send(arrivals[p.name], weights[p.name], layer.value[:, t] * trace.gains[name], t)
    if population.normalisation is not None:
        assert not loops
        layer.drive[:], trace.statistics[name], trace.running[name] = normalise(
            population, layer.current, training
        )
        for t in range(steps):
            advance(population, layer, t, waiting, dt, spike, held)


def forward(
    network: Network,
    batch: Any,
    *,
    kernel_width: float = 0.0,
    gains: dict[str, np.ndarray] | None = None,
    training: bool = True,
    spike: Spike | None = None,
    held: dict[str, np.ndarray] | None = None,
) -> Trace:
    """Return everything that happens in one batch.

    Arguments:
        network: The network.
        batch: `SpikeBatch` or `CurrentBatch`.
        kernel_width: Of the Gaussian delay kernel [steps]; 0 is Dirac.
        gains: Dropout gain (B, n) by population; 1 where not given.
        training: Whether the batch's own statistics normalise.
        spike: What neurons emit, given V - v_thresh: smooth, for finite differences. The step
            function if None.
        held: Where V is reset, (B, T, n) bool by spiking population: with it, all but `spike`
            depends smoothly on the parameters, and nothing goes through the reset. Where V
            crosses the threshold if None.
    """
    given, gains = stimulus(batch), gains or {}
    examples, steps = given.shape[:2]
    layers = {p.name: Layer.zeros(examples, steps, p.n) for p in network.populations.values()}
    layers[network.input().name].value[:] = given
    every = {name: np.ones((examples, layer.value.shape[2])) for name, layer in layers.items()}
    every |= gains
    trace = Trace(
        layers, every, kernel_width, {}, {}, np.zeros((examples, network.output().n)),
        np.zeros(examples), tuple(p.name for p in network.spiking()), np.full(examples, steps),
    )  # fmt: skip
    for population in network.order():
        if population is not network.input():
            reset = None if held is None else held.get(population.name)
            run_population(network, trace, population, training, spike, reset)
    mark_ties(network, trace)
    output: Any = network.output()
    for b in range(examples):
        v = layers[output.name].after[b]
        trace.logits[b] = single.readout(v, output.model.readout)
        trace.losses[b] = single.cross_entropy(trace.logits[b], int(batch.labels[b]))
    return trace


def mark_ties(network: Network, trace: Trace, away: float = 0.0) -> None:
    """Note in the trace where ||V - v_thresh| - away| < 1e-5."""
    for population in network.spiking():
        layer, model = trace.layers[population.name], population.model
        distance = np.abs(np.abs(layer.tested - model.v_thresh) - away)
        for b, t, _ in zip(*np.nonzero((distance < TIE) & ~layer.still), strict=True):
            trace.tie[b] = min(trace.tie[b], t)
