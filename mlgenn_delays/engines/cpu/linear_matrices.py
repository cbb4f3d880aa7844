"""The matrices of neurons that are linear between spikes as kernels take them, and parameters from
the gradients of the matrices.
"""

from typing import Any

import numpy as np

from mlgenn_delays.engines.cpu.linear_neurons import Linear, LinearBuffers
from mlgenn_delays.engines.shared.neuron_parameters import LearnedNeurons
from mlgenn_delays.engines.shared.numerics import MIN_SLOPE
from mlgenn_delays.engines.shared.plan import Plan
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.learning import Rule
from mlgenn_delays.network import LIF, LeakyIntegrator, Network
from mlgenn_delays.neurons.declare import OUTPUT, Neuron
from mlgenn_delays.neurons.linear import Affine, limit_of, slopes, step_of


def make_linear(context: SimulationContext) -> Linear:
    """The matrices of all populations that need them: no LIF or integrator that stays as it is."""
    plan, names = context.plan, context.layout.names
    models = {name: _model(context, name) for name in names}
    own = {name: model for name, model in models.items() if model is not None}
    size = max((len(model.equations.states) for model in own.values()), default=0)
    n, kinds = (len(plan.bias) if own else 0), len(names)
    out = Linear(
        own=np.array([name in own for name in names]),
        states=np.zeros(kinds, np.int64),
        strict=np.array([name in own and own[name].equations.strict for name in names]),
        output=np.zeros(kinds, np.int64),
        distance=np.zeros((n, size + 2), np.float32),
        quiet=np.zeros((n, size, size + 2), np.float32),
        spike=np.zeros((n, size, size + 2), np.float32),
        flow=np.zeros((n, size, size + 2), np.float32),
        reset=np.zeros((n, size, size + 1), np.float32),
        normal=np.zeros((n, size + 1), np.float32),
        least=np.zeros(n, np.float32),
    )
    for name, model in own.items():
        _fill(out, names.index(name), context.layout.neurons[name], model, context.network.dt)
    return out


def has_matrices(network: Network, name: str, rule: Rule) -> bool:
    """Whether a population runs by its matrices: it is no plain LIF, or has learned parameters."""
    population = network.populations[name]
    if not isinstance(population.model, Neuron):
        return False
    learns = population.learn or any(
        getattr(p.synapse, "learn", False) for p in network.incoming(name)
    )
    # Not what inherits from them: its equations may be others.
    plain = type(population.model) in (LIF, LeakyIntegrator)
    return not plain or bool(learns and rule.neurons is not None)


def _model(context: SimulationContext, name: str) -> Neuron | None:
    if not has_matrices(context.network, name, context.rule):
        return None
    learned = context.parameters.neurons.get(name)
    if learned is not None and context.rule.neurons is not None:
        return learned.current()
    model: Any = context.network.populations[name].model
    found: Neuron = model
    return found


def _fill(out: Linear, p: int, own: slice, model: Neuron, dt: float) -> None:
    step, limit, m = step_of(model, dt), limit_of(model, dt), len(model.equations.states)
    out.states[p] = m
    out.output[p] = 0 if model.spiking else model.equations.states.index(OUTPUT)
    out.distance[own] = _packed(step.distance, out)[:, 0]
    out.quiet[own, :m], out.spike[own, :m] = _packed(step.quiet, out), _packed(step.spike, out)
    flow = _packed(Affine(limit.a * dt, limit.b * dt, limit.c * dt), out)
    out.flow[own, :m] = flow
    out.reset[own, :m, :m], out.reset[own, :m, m] = limit.reset, limit.kick
    out.normal[own, :m], out.normal[own, m] = limit.normal, limit.theta
    if model.spiking:
        out.least[own] = MIN_SLOPE * limit.fall(dt)


def _packed(part: Affine, out: Linear) -> np.ndarray:
    """A function as (n, r, M+2): matrix, by_current, rest."""
    n, r, m = part.matrix.shape
    found = np.zeros((n, r, out.quiet.shape[2]))
    found[:, :, :m], found[:, :, -2], found[:, :, -1] = part.matrix, part.by_current, part.rest
    return found


def linear_buffers(plan: Plan, linear: Linear, lanes: int, steps: int) -> LinearBuffers:
    """Room for neurons of which all steps are kept; none if no population needs it."""
    size = linear.quiet.shape[1]
    lanes, steps = (lanes, steps) if size else (0, 0)
    return LinearBuffers(
        state=np.zeros((lanes, steps, size), np.float32),
        current=np.zeros((lanes, steps), np.float32),
        inner=np.zeros((int(plan.groups.max()), lanes, steps), np.float32),
        mark=np.zeros((lanes, steps), np.uint8),
    )


def take_gradients(
    context: SimulationContext, by_matrix: np.ndarray, by_synapse: np.ndarray
) -> None:
    """Take the gradients of learned parameters from those of the matrices and synapses."""
    for group in context.parameters.synapses.values() if len(by_synapse) else ():
        group.take_gradients(by_synapse[context.layout.neurons[group.population], group.group])
    for name, neurons in context.parameters.neurons.items():
        if len(by_matrix):
            _take(neurons, by_matrix[context.layout.neurons[name]], context.network.dt)


def _take(neurons: LearnedNeurons, by_matrix: np.ndarray, dt: float) -> None:
    model, size = neurons.current(), (by_matrix.shape[1] - 1) // 2
    known = model.values()
    parts = (by_matrix[:, :1], by_matrix[:, 1 : 1 + size], by_matrix[:, 1 + size :])
    for name, each in neurons.learned.items():
        slope = slopes(model, dt, known, name)
        total = np.zeros(model.n)
        for found, part in zip((slope.distance, slope.quiet, slope.spike), parts, strict=True):
            r, m = found.matrix.shape[1:]
            total += (found.matrix * part[:, :r, :m]).sum((1, 2))
            total += (found.by_current * part[:, :r, -2]).sum(1)
            total += (found.rest * part[:, :r, -1]).sum(1)
        each.by_value = total
