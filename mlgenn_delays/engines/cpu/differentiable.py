"""A network as a function that another program differentiates: it has the loss and the optimiser.

The simulations are those that training uses. What they ask of a loss, dL/dV of the output, is given
after the forward pass: they read it on the way back only. Shapes: B examples, K output neurons, T
steps, N neurons, C channels, S synapses of a projection.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.checks import check_batch, check_rule
from mlgenn_delays.engines.cpu.event_simulation import EventSimulation
from mlgenn_delays.engines.cpu.timestep_simulation import TimestepSimulation
from mlgenn_delays.engines.shared.neuron_parameters import Learned
from mlgenn_delays.engines.shared.parameters import Norm, Parameters
from mlgenn_delays.engines.shared.plan import make_plan
from mlgenn_delays.engines.shared.scoring import Scores
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Adam, EventProp, Rule, SpikeCount
from mlgenn_delays.machine import Workers
from mlgenn_delays.network import Network

STATISTICS = ("mean", "variance")  # of a normalisation; they follow the batches
_AFFINE = ("gain", "offset")


class Outputs(NamedTuple):
    """What a batch gave."""

    voltage: np.ndarray  # (B, K, T) float32, V of the output after each step
    spikes: np.ndarray  # (N,) float32, mean spikes per example of each neuron


@dataclass
class _Context(SimulationContext):
    """A context whose loss, and gradient by spike counts, come from outside."""

    by_count: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def spike_count_gradient(self, counts: np.ndarray) -> np.ndarray:
        """Return dL/d(spike count), (N,) float32."""
        return self.by_count


def check_outside(rule: Rule) -> None:
    """Reject a rule with settings that are a loss's or an optimiser's."""
    reasons = {
        "l1": rule.l1 != 0.0,
        "operations": rule.operations != 0.0,
        "revive": rule.revive != 0.0,
        "pipelined": rule.pipelined,
        "spike_count": rule.spike_count != SpikeCount(),
    }
    for name, off in reasons.items():
        if off:
            raise InputError(
                f"a rule whose loss and optimiser are PyTorch's must be without {name}, got "
                f"{getattr(rule, name)}; leave it out, and add what it does to the loss"
            )


class DifferentiableNetwork:
    """Runs a network with given values of its parameters, and goes back from dL/dV.

    Parameters are arrays by key: ``projection/weight`` (S,) in CSR order, ``projection/delay``
    [steps] in the shape of its delays (unless they are fixed), ``population/normalisation/gain``
    and ``offset``, ``population/NAME`` of learned parameters of neurons, and
    ``population/synapse0/tau_syn`` of groups of synapses. Frozen projections have gradients too.

    Arguments:
        network: The network; a copy is taken.
        rule: Which gradient; its optimisers do not count.
        threads: Threads, all cores if None.

    Raises:
        InputError: The rule cannot learn the network, or has a loss or an optimiser's settings.
    """

    def __init__(self, network: Network, rule: Rule, threads: int | None = None) -> None:
        check_outside(rule)
        own = network.copy()
        self._signs = {n: p.sign for n, p in own.projections.items() if not p.frozen}
        for projection in own.projections.values():
            projection.frozen = False
        moves = any(p.learns_delay for p in own.projections.values())
        rule = replace(rule, weights=Adam(), delays=Adam() if moves else None, neurons=Adam())
        check_rule(own, rule)
        plan, layout = make_plan(own)
        self._context = context = _Context(
            own, rule, self._no_loss, Workers(threads), plan, layout, Parameters(own, layout)
        )
        events = isinstance(rule, EventProp)
        self._simulation: EventSimulation | TimestepSimulation = (
            EventSimulation(context) if events else TimestepSimulation(context)
        )
        self.network = own
        self.neurons = layout.neurons  # slices of N, by population
        self.spiking = tuple(layout.spiking)
        self._rest = self._others()
        self._batch: tuple[Batch, np.ndarray, Scores]
        self._voltage: np.ndarray
        self._inputs = False

    # Parameters

    def parameters(self) -> dict[str, np.ndarray]:
        """Return copies of the values of all parameters by key, float32."""
        return {key: self._get(key).copy() for key in (*self._of_projections(), *self._rest)}

    def statistics(self) -> dict[str, np.ndarray]:
        """Return copies of the running statistics, by ``population/normalisation/mean``..."""
        norms = self._context.parameters.norms.items()
        return {
            f"{name}/normalisation/{field}": getattr(norm, field).copy()
            for name, norm in norms
            for field in STATISTICS
        }

    def _of_projections(self) -> list[str]:
        keys = []
        for name, projection in self.network.projections.items():
            keys += [f"{name}/weight"] + [f"{name}/delay"] * projection.learns_delay
        return keys

    def _others(self) -> dict[str, tuple[Norm, str] | Learned]:
        """What learns beside weights and delays, by key."""
        p = self._context.parameters
        found: dict[str, tuple[Norm, str] | Learned] = {
            f"{name}/normalisation/{field}": (norm, field)
            for name, norm in p.norms.items()
            for field in _AFFINE
        }
        return found | {f"{owner}/{name}": each for (owner, name), each in p.learned()}

    def kind(self, key: str) -> str:
        """Return which optimiser of a rule a parameter has: weights, delays or neurons."""
        if isinstance(self._rest.get(key), Learned):
            return "neurons"
        return "delays" if key.endswith("/delay") else "weights"

    def _get(self, key: str) -> np.ndarray:
        owner = self._rest.get(key)
        if owner is None:
            name, _, field = key.rpartition("/")
            return self._context.parameters.take(field, name)
        return owner.value if isinstance(owner, Learned) else getattr(*owner)

    def clip(self, key: str, values: np.ndarray) -> None:
        """Move values of a parameter into their range, in place.

        Delays are kept in 0..max_delay, parameters of neurons in their range; a weight that has a
        sign never acts with the other one, and a gain is not below 0.
        """
        name, _, field = key.rpartition("/")
        owner = self._rest.get(key)
        if isinstance(owner, Learned):
            np.clip(values, *owner.ends(), out=values)
        elif owner is not None:
            if field == "gain":
                np.maximum(values, 0.0, out=values)
        elif field == "delay":
            highest = self.network.projections[name].max_delay / self.network.dt
            np.clip(values, 0.0, np.float32(highest), out=values)
        elif self._signs.get(name) is not None:
            values[values * self._signs[name] < 0] = 0.0

    def _put(self, values: Mapping[str, np.ndarray]) -> None:
        p = self._context.parameters
        for key, given in values.items():
            if not np.isfinite(given).all():
                raise DivergedError(f"{key} is not finite")
            own = np.array(given, np.float32)
            self.clip(key, own)
            name, _, field = key.rpartition("/")
            if field in STATISTICS and name.endswith("/normalisation"):
                getattr(p.norms[name.rpartition("/")[0]], field)[:] = own
            elif key in self._rest:
                self._get(key)[:] = own
            else:
                p.put(field, name, own)
        self._context.renew_constants()
        self._simulation.refresh()

    def write(self, values: Mapping[str, np.ndarray], network: Network) -> None:
        """Copy values of parameters and statistics into a network of the same structure."""
        self._put(values)
        self._context.parameters.write(network)

    # Running

    def _no_loss(self, voltage: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Note the voltages; return a loss of 0, and room for the derivative of another one."""
        self._voltage = voltage
        return np.zeros(len(voltage), np.float32), np.zeros(voltage.shape, np.float32)

    def width(self, epoch: int) -> float:
        """Return the width of the delay kernel in an epoch of training [steps]."""
        rule = self._context.rule
        return 0.0 if isinstance(rule, EventProp) else rule.kernel.width(epoch)

    def forward(
        self, values: Mapping[str, np.ndarray], batch: Batch, spike_scale: np.ndarray | None = None,
        *, width: float | None, inputs: bool = False, keep: bool = False,
    ) -> Outputs:  # fmt: skip
        """Run a batch.

        Arguments:
            values: Of parameters and statistics, by key; those left out stay.
            batch: The examples; labels and targets do not count.
            spike_scale: Of each neuron's spikes, (B, N) float32: a dropout mask, None for 1.
            width: Of the delay kernel [steps], for `backward`; None for evaluation.
            inputs: Whether `backward` shall find dL/dx of the input.
            keep: Whether the running statistics take in the batch.

        Raises:
            InputError: The batch does not fit the network.
            DivergedError: A parameter is not finite.
        """
        labels = np.zeros(len(batch), np.int64)
        batch = replace(batch, labels=labels, targets=None)
        check_batch(self.network, batch, None)
        self._put(values)
        if inputs:
            self._simulation.keep_adjoints()
        if spike_scale is None:
            spike_scale = np.ones((1, int(self._context.plan.first[-1])), np.float32)
        scores, counts = self._simulation.forward(batch, spike_scale, width=width)
        assert scores is not None
        if keep:
            self._simulation.keep_statistics(len(batch))
        self._batch, self._inputs = (batch, spike_scale, scores), inputs
        return Outputs(self._voltage.copy(), counts.mean(0).astype(np.float32))

    def backward(
        self, by_voltage: np.ndarray, by_spikes: np.ndarray | None = None
    ) -> tuple[dict[str, np.ndarray], np.ndarray | None]:
        """Return dL/d(parameter) by key, and dL/dx of the input, (B, T, C), if asked for.

        L is the loss of the whole batch. Call it once per `forward`.

        Arguments:
            by_voltage: dL/dV of the output, (B, K, T).
            by_spikes: dL/d(mean spikes) of each neuron, (N,), or None.
        """
        batch, spike_scale, scores = self._batch
        context, p = self._context, self._context.parameters
        assert scores.drive is not None
        scores.drive[:] = by_voltage
        if by_spikes is None:
            by_spikes = np.zeros(int(context.plan.first[-1]))
        context.by_count = (by_spikes / len(batch)).astype(np.float32)
        by_weight, by_delay = self._simulation.backward(batch, spike_scale)
        if not p.per_synapse:
            by_delay = np.bincount(context.layout.delay_of, by_delay, len(p.delay))
        found = {}
        for key in self._of_projections():
            name, _, field = key.rpartition("/")
            found[key] = p.take(field, name, by_weight if field == "weight" else by_delay)
        for key, owner in self._rest.items():
            if isinstance(owner, Learned):
                found[key] = owner.by_value
            else:
                found[key] = getattr(owner[0], f"by_{owner[1]}")
        by_input = self._simulation.input_gradient(batch) if self._inputs else None
        return {key: each.astype(np.float32) for key, each in found.items()}, by_input
