"""What all engines share: batches, dropout, optimiser steps, rewiring and evaluation.

An engine's `Simulation` runs a batch forwards and back; learning happens here.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mlgenn_delays.data.batches import events_per_channel
from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.checks import (
    check_batch,
    check_counts,
    check_delays,
    check_loss,
    check_rule,
    check_variables,
)
from mlgenn_delays.engines.metrics import ACCURACY, metric_for
from mlgenn_delays.engines.ranks import ALONE, Ranks
from mlgenn_delays.engines.results import BatchResult, EpochResult, Evaluation, Gradients, Recording
from mlgenn_delays.engines.shared.candidate_gradients import candidate_gradients
from mlgenn_delays.engines.shared.dropout import draw_scale
from mlgenn_delays.engines.shared.optimiser import Optimiser, keep_signs
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import make_plan
from mlgenn_delays.engines.shared.rewiring import StructureLearner
from mlgenn_delays.engines.shared.scoring import Scores
from mlgenn_delays.engines.shared.simulation import (
    Simulation,
    SimulationContext,
    connectivity_arrays,
    copy_connectivity,
    set_connectivity,
)
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.learning import Rule, SurrogateBPTT
from mlgenn_delays.learning.losses import as_loss
from mlgenn_delays.machine import Workers
from mlgenn_delays.network import Network
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.rewiring import Rewiring
from mlgenn_delays.tensors import not_finite


class _Pending(NamedTuple):
    """A batch that has run and is still to be learned from."""

    batch: Batch
    spike_scale: np.ndarray
    width: float


class _Tally:
    """Sums of loss and statistics over batches of one kind."""

    def __init__(self) -> None:
        self.n, self.loss, self.metric = 0, 0.0, ACCURACY
        self.statistics = self.last = np.zeros(1)

    def add(self, batch: Batch, scores: Scores) -> float:
        """Add a batch; return its summed loss."""
        self.last, loss = scores.statistics.sum(0), float(scores.loss.sum(dtype=np.float64))
        self.metric = metric_for(batch.targets)
        self.statistics = self.statistics + self.last if self.n else self.last
        self.n, self.loss = self.n + len(batch), self.loss + loss
        return loss

    @property
    def score(self) -> float:
        """The metric over all of them."""
        return self.metric.value(self.statistics, self.n)


class Learner:
    """A network made ready to run; see `engines.base.CompiledNetwork`.

    `make_simulation` is called with the context, whether adjoints must be kept for candidate
    gradients, and whether the structure will change; it returns the engine's simulation. The other
    arguments are those of `compile_network`.
    """

    def __init__(
        self,
        network: Network,
        rule: Rule,
        make_simulation: Callable[[SimulationContext, bool, bool], Simulation],
        *,
        loss: object = "cross-entropy",
        rewiring: Rewiring | None = None,
        hardware: Hardware | None = None,
        quantisation: Quantisation | None = None,
        total_steps: int,
        epoch_steps: int | None = None,
        seed: int = 0,
        threads: int | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.network = network
        self.rule = rule
        self.loss = as_loss(loss)
        self.total_steps = total_steps
        self.seed = seed
        own, workers = network.copy(), Workers(ranks.threads(threads))  # rewiring changes structure
        plan, layout = make_plan(own)
        if quantisation is not None:
            quantisation.check(own)
        parameters = Parameters(own, layout, quantisation)
        self._context = SimulationContext(
            own, rule, self.loss, workers, plan, layout, parameters, ranks=ranks
        )
        check_loss(network, rule, self.loss)
        check_rule(network, rule)
        if hardware is not None:
            hardware.check(network)
        self._structure = (
            StructureLearner(self._context, rewiring, total_steps, seed, epoch_steps, hardware)
            if rewiring is not None
            else None
        )
        growing = self._structure is not None and self._structure.rule.needs_gradient
        self._simulation = make_simulation(self._context, growing, self._structure is not None)
        self._pending: _Pending | None = None
        self._optimiser = Optimiser(self._context, total_steps)
        self._unscaled = np.ones((1, int(plan.first[-1])), np.float32)

    @property
    def parameters(self) -> Parameters:
        """Weights, delays and moments in plan order."""
        return self._context.parameters

    def _width(self, epoch: int | None) -> float:
        """Return the width of the delay kernel in an epoch, or after its annealing [steps]."""
        if not isinstance(self.rule, SurrogateBPTT):
            return 0.0
        return self.rule.kernel.width(2**31 if epoch is None else epoch)

    def _run(
        self, batch: Batch, spike_scale: np.ndarray, width: float | None, pending: bool = False
    ) -> tuple[Scores, np.ndarray]:
        """Run a batch; return its scores and the spikes of its neurons, (B, N)."""
        check_batch(self.network, batch, self.loss)
        scores, counts = self._simulation.forward(batch, spike_scale, width=width, pending=pending)
        assert scores is not None
        return scores, counts

    def _by_population(self, per_neuron: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of an array (N,) that belong to populations that spike."""
        layout = self._context.layout
        return {name: per_neuron[layout.neurons[name]] for name in layout.spiking}

    def _spike_scale(self, batch: Batch, epoch: int) -> np.ndarray:
        """Return the scale of each neuron's spikes: 1, or a dropout mask per example."""
        return draw_scale(self._context, self.seed, batch, epoch)

    # Learning

    def train_epoch(
        self,
        batches: Iterable[Batch],
        *,
        epoch: int,
        on_batch: Callable[[BatchResult], None] | None = None,
    ) -> EpochResult:
        """Learn from every batch in turn; see `engines.base.CompiledNetwork`."""
        total, tally = 0, _Tally()
        counts = np.zeros(int(self._context.plan.first[-1]), np.int64)
        grown = self._structure.grown if self._structure else 0
        self._pending = None
        for batch in batches:
            (scores, spiked), size = self._learn(batch, epoch), len(batch)
            batch_counts, own = spiked.sum(0), tally.add(batch, scores)
            total, counts = total + size, counts + batch_counts
            if on_batch is not None:
                spikes = self._mean_spikes(batch_counts, size)
                on_batch(BatchResult(own / size, size, spikes, tally.metric.name, tally.last))
        self._catch_up()
        if total:
            self._revive(counts)
            if self._structure is not None:
                self._structure.rewire_if_due(self._simulation, self.parameters.step, True)
        broken = self.parameters.not_finite() or not_finite(
            self._structure.state() if self._structure else {}
        )
        if broken is not None:
            raise DivergedError(f"{broken} is not finite")
        silent = {n: int((c == 0).sum()) for n, c in self._by_population(counts).items()}
        n = max(1, total)
        return EpochResult(
            tally.loss / n, tally.metric.name, tally.score, total, self._mean_spikes(counts, n),
            silent, self._structure.grown - grown if self._structure else None,
        )  # fmt: skip

    def _learn(self, batch: Batch, epoch: int) -> tuple[Scores, np.ndarray]:
        spike_scale, width = self._spike_scale(batch, epoch), self._width(epoch)
        scores, counts = self._run(batch, spike_scale, width, pending=self._pending is not None)
        if not np.isfinite(scores.loss).all():
            raise DivergedError("the loss is not finite")
        self._catch_up()
        self._pending = _Pending(batch, spike_scale, width)
        structure = self._structure
        if not self.rule.pipelined or (
            structure and structure.blocks_pipelining(self.parameters.step)
        ):
            self._catch_up()
        return scores, counts

    def _catch_up(self) -> None:
        if self._pending is None:
            return
        (batch, spike_scale, width), self._pending = self._pending, None
        by_weight, by_delay = self._simulation.backward(batch, spike_scale)
        structure, step = self._structure, self.parameters.step
        if structure is not None and structure.needs_candidates(step):
            structure.accumulate(self._simulation, batch, spike_scale, width)
        self._simulation.keep_statistics(len(batch))
        self._optimiser.update(by_weight, by_delay, len(batch))
        self._context.renew(self._simulation)
        if structure is not None:
            structure.rewire_if_due(self._simulation, step + 1, False)

    def _mean_spikes(self, counts: np.ndarray, examples: int) -> dict[str, float]:
        return {
            name: float(own.mean()) / examples for name, own in self._by_population(counts).items()
        }

    def _revive(self, counts: np.ndarray) -> None:
        """Raise the feed-forward input weights of neurons that were silent all epoch."""
        if self.rule.revive == 0 or self.rule.weights is None:
            return
        p, silent = self.parameters, self._by_population(counts == 0)
        for name, projection in self._context.network.projections.items():
            revivable = not (projection.recurrent or projection.frozen)
            if projection.target in silent and revivable:
                weight = p.take("weight", name)
                weight[silent[projection.target][projection.post]] += np.float32(self.rule.revive)
                p.put("weight", name, weight)
        keep_signs(p.weight, p.sign, 0, len(p.weight))
        self._context.renew(self._simulation)

    # Evaluation and gradients

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Run every batch; see `engines.base.CompiledNetwork`."""
        counts = np.zeros(int(self._context.plan.first[-1]), np.int64)
        fed = np.zeros(self._context.network.input().n, np.int64)
        logits, labels, tally = [], [], _Tally()
        for batch in batches:
            scores, spiked = self._run(batch, self._unscaled, None)
            fed += events_per_channel(batch)
            tally.add(batch, scores)
            logits.append(scores.logits)
            labels.append(batch.labels)
            counts += spiked.sum(0)
        if not labels:
            raise InputError("there is no example to evaluate")
        outputs, truth = np.concatenate(logits), np.concatenate(labels)
        if not np.isfinite(outputs).all():
            raise DivergedError("the logits are not finite: weights, or the input, are too large")
        predictions, n = outputs.argmax(1), len(truth)
        return Evaluation(
            loss=tally.loss / n,
            metric=tally.metric.name,
            score=tally.score,
            n=n,
            labels=truth,
            predictions=predictions,
            logits=outputs,
            spikes=self._mean_spikes(counts, n),
            silent={k: int((c == 0).sum()) for k, c in self._by_population(counts).items()},
            statistics=tally.statistics,
            events={self._context.network.input().name: fed} | self._by_population(counts),
        )

    def gradients(self, batch: Batch, *, epoch: int | None = None) -> Gradients:
        """Return the gradients of one batch; see `engines.base.CompiledNetwork`."""
        scores, _ = self._run(batch, self._unscaled, self._width(epoch))
        by_weight, by_delay = self._simulation.backward(batch, self._unscaled)
        size = np.float32(len(batch))
        mean = self._optimiser.weight_gradient(by_weight) / size * (self.rule.weights is not None)
        delay = self._optimiser.delay_gradient(by_delay) / size * (self.rule.delays is not None)
        names, take = self._context.layout.projections, self.parameters.take
        norms = self.parameters.norms.items()
        return Gradients(
            loss=float(scores.loss.mean(dtype=np.float64)),
            weight={name: take("weight", name, mean) for name in names},
            delay={name: take("delay", name, delay) for name in names},
            gain={name: norm.by_gain / size for name, norm in norms},
            offset={name: norm.by_offset / size for name, norm in norms},
            parameter={
                key: (each.by_value / size).astype(np.float32)
                for key, each in self.parameters.learned()
            },
        )

    def candidates(
        self, batch: Batch, projection: str, delay: np.ndarray | None = None,
        *, epoch: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return candidate gradients of one batch; see `engines.base.CompiledNetwork`."""
        if projection not in self.network.projections:
            known = ", ".join(self.network.projections)
            raise InputError(f"there is no projection {projection!r}; known: {known}")
        check_delays(self.network, projection, delay)
        width = self._width(epoch)
        self._run(batch, self._unscaled, width)
        self._simulation.backward(batch, self._unscaled)
        summed = candidate_gradients(
            self._context, self._simulation, batch, self._unscaled, projection, width,
            None if delay is None else np.asarray(delay) / self.network.dt,
        )  # fmt: skip
        return summed / np.float32(len(batch))

    def record(self, batch: Batch, variables: Collection[str] = ()) -> Recording:
        """Return all spikes and output voltages; see `engines.base.CompiledNetwork`."""
        unlabelled = replace(batch, labels=np.zeros(len(batch), np.int64), targets=None)
        check_batch(self.network, unlabelled, None)
        self._simulation.forward(unlabelled, self._unscaled, width=None, scored=False)
        recording = self._simulation.recording(unlabelled)
        if not variables:
            return recording
        from mlgenn_delays.engines.cpu.timestep_simulation import TimestepSimulation

        check_variables(self.network, variables)
        simulation = TimestepSimulation(self._context, keeps=True)
        simulation.forward(unlabelled, self._unscaled, width=None, scored=False)
        return replace(recording, variables=simulation.variables(len(batch), variables))

    # State

    def pull(self) -> Network:
        """Copy what was learned into `network` and return it."""
        copy_connectivity(self._context.network, self.network)
        self.parameters.write(self.network)
        return self.network

    def push(self, network: Network) -> None:
        """Take what was learned from a network of the same populations and projections."""
        for name, own in self._context.network.projections.items():
            if name not in network.projections:
                raise InputError(f"the network must have a projection {name!r}")
            other = network.projections[name]
            if other.n_synapses != own.n_synapses:
                raise InputError(
                    f"projection {name!r} must have {own.n_synapses} synapses, "
                    f"got {other.n_synapses}"
                )
        for name, population in self._context.network.populations.items():
            if not np.array_equal(population.bias, network.populations[name].bias):
                raise InputError(
                    f"the network must have the bias of population {name!r} that was compiled, got "
                    "another; compile it anew"
                )
        set_connectivity(self._context, connectivity_arrays(network))
        self.parameters.read(network)
        self._context.renew_constants()
        if self._structure is not None:
            self._structure.take_signs()
        self._context.renew(self._simulation)

    def state(self) -> dict[str, Any]:
        """Return parameters, moments and step count; see `engines.base.CompiledNetwork`."""
        arrays = self.parameters.state()
        if self._structure is not None:
            arrays |= connectivity_arrays(self._context.network) | self._structure.state()
        return arrays

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore a state; see `engines.base.CompiledNetwork`."""
        check_counts(state, self.total_steps)
        set_connectivity(self._context, state)
        self.parameters.load_state(state)
        self._context.renew_constants()
        if self._structure is not None:
            self._structure.load_state(state)
        self._context.renew(self._simulation)
