"""Compile a network: the only place that knows every engine, and which simulation runs a rule."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.ranks import Ranks
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning import EventProp, Rule, SurrogateBPTT, Triangle
from mlgenn_delays.learning.losses import Loss
from mlgenn_delays.network import Network
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.rewiring import Rewiring


def cpu_simulation(context: SimulationContext, keeps: bool, rewired: bool) -> Simulation:
    """Return the simulation that a rule needs; a structure that changes needs no preparation."""
    if isinstance(context.rule, EventProp):
        from mlgenn_delays.engines.cpu.event_simulation import EventSimulation

        simulation: Simulation = EventSimulation(context, keeps=keeps)
    else:
        from mlgenn_delays.engines.cpu.timestep_simulation import TimestepSimulation

        simulation = TimestepSimulation(context)
    return PipelinedSimulation(simulation) if context.rule.pipelined else simulation


class PipelinedSimulation:
    """Goes back through every batch at once and keeps its gradients until they are asked for."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._kept: list[tuple[np.ndarray, np.ndarray]] = []
        self.refresh, self.keep_statistics = simulation.refresh, simulation.keep_statistics
        self.correlate, self.recording = simulation.correlate, simulation.recording

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch, and back through it in training; see `Simulation`."""
        outcome = self._simulation.forward(batch, spike_scale, width=width, scored=scored)
        self._kept = self._kept if pending else []
        if width is not None:
            by_weight, by_delay = self._simulation.backward(batch, spike_scale)
            self._kept.append((by_weight.copy(), by_delay.copy()))
        return outcome

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the oldest gradients that were kept; see `Simulation`."""
        return self._kept.pop(0)


ENGINES = ("cpu", "genn")


@dataclass(frozen=True)
class EngineChoice:
    """An engine, the backend of GeNN, and why it is this one."""

    engine: str
    backend: str
    reason: str


def choose_engine(network: Network, rule: Rule, *, learns: bool = True) -> EngineChoice:
    """Return GeNN with CUDA where a GPU and all that it takes are there, else the CPU engine.

    Arguments:
        network: The network.
        rule: What is learned and how.
        learns: Whether it will learn; GeNN evaluates more than it can learn.

    Example:
        >>> from mlgenn_delays import EventProp, Exponential, LeakyIntegrator, Network, SpikeInput
        >>> from mlgenn_delays.engines.compile import choose_engine
        >>> network = Network()
        >>> _ = network.add("in", SpikeInput(5)), network.add("out", LeakyIntegrator(3))
        >>> _ = network.connect("in", "out", Exponential(), weight=0.5)
        >>> choose_engine(network, EventProp()).engine in ENGINES
        True
    """
    from mlgenn_delays.engines.genn import checks, gpus

    cpu, cuda = "single_threaded_cpu", "cuda"
    if gpus.count() == 0:
        return EngineChoice("cpu", cpu, "there is no GPU that NVIDIA's driver can use")
    if not learns:
        network, rule = network.folded(), _forwards(rule)
    try:
        checks.check_network(network, rule, cuda)
    except InputError as error:
        return EngineChoice("cpu", cpu, str(error))
    return EngineChoice("genn", cuda, "there is a GPU")


def compile_network(
    network: Network,
    rule: Rule,
    *,
    loss: str | Loss = "cross-entropy",
    rewiring: Rewiring | None = None,
    quantisation: Quantisation | None = None,
    total_steps: int,
    epoch_steps: int | None = None,
    seed: int = 0,
    engine: str = "cpu",
    threads: int | None = None,
    backend: str = "single_threaded_cpu",
    batch_size: int = 1,
    communicator: str | None = None,
    learns: bool = True,
) -> CompiledNetwork:
    """Compile a network for an engine.

    Arguments:
        network: The network; it stays as it is until `CompiledNetwork.pull`.
        rule: What is learned and how.
        loss: A name, such as ``"cross-entropy"``, its settings, or a function; see
            `mlgenn_delays.learning.losses`.
        rewiring: How structure is learned, or None to keep it.
        quantisation: How weights and delays are quantised while they are learned, or None.
        total_steps: Optimiser steps of the whole training, for the schedules.
        epoch_steps: Those of an epoch: rewiring after each then takes the candidate gradients of
            its last batches only. None if not known, then of all batches.
        seed: Seed of dropout and rewiring.
        engine: ``"cpu"`` or ``"genn"``.
        threads: Threads, all cores if None (shared out among the ranks on a machine); results do
            not depend on it. GeNN's CPU backend runs on one whatever this is.
        backend: Of GeNN, ``"single_threaded_cpu"`` or ``"cuda"``.
        batch_size: Examples that CUDA runs side by side; those of a larger batch run in turn.
        communicator: ``"mpi"`` to share every batch among the ranks of an MPI program, each of
            which compiles the same network and calls the same methods; None for this process alone.
        learns: Whether it will learn; False lets GeNN run a network with normalisation, folded, and
            whatever the surrogate.

    Raises:
        InputError: The engine is unknown, not installed, or cannot run the network or the rule.

    Example:
        >>> from mlgenn_delays import Exponential, EventProp, LeakyIntegrator, Network, SpikeInput
        >>> from mlgenn_delays import compile_network, load_dataset
        >>> network = Network()
        >>> _ = network.add("in", SpikeInput(5)), network.add("out", LeakyIntegrator(3))
        >>> projection = network.connect("in", "out", Exponential(), weight=0.5)
        >>> data = load_dataset("yin-yang", options={"test": 30})["test"]
        >>> compiled = compile_network(network, EventProp(), total_steps=100)
        >>> compiled.evaluate([data.batch(range(30))]).logits.shape
        (30, 3)
    """
    if engine not in ENGINES:
        raise InputError(
            f"there is no engine {engine!r}{nearest(engine, ENGINES)}; known: {', '.join(ENGINES)}"
        )
    from mlgenn_delays.engines.learner import Learner

    make: Callable[..., Any] = cpu_simulation
    if engine == "genn":
        from mlgenn_delays.engines.genn import genn_simulation

        make = genn_simulation(backend, batch_size)
        if not learns:
            network, rule = network.folded(), _forwards(rule)
    ranks = Ranks(communicator)  # which starts MPI
    return Learner(
        network, rule, make, loss=loss, rewiring=rewiring, quantisation=quantisation,
        total_steps=total_steps, epoch_steps=epoch_steps, seed=seed, threads=threads, ranks=ranks,
    )  # fmt: skip


def _forwards(rule: Rule) -> Rule:
    """Return a rule for evaluation alone: with one batch at a time and a surrogate of GeNN's."""
    if isinstance(rule, SurrogateBPTT) and not rule.surrogate.compact:
        rule = replace(rule, surrogate=Triangle())
    return replace(rule, pipelined=False)
