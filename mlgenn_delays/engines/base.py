"""What every engine offers, and the results it hands back.

Shapes: B examples of a batch, N of a data set, K classes, S synapses, T steps.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning import Rule, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from mlgenn_delays.rewiring import Rewiring


@dataclass(frozen=True)
class BatchResult:
    """One batch of training.

    Attributes:
        loss: Mean cross-entropy.
        correct: Examples answered correctly.
        n: Examples.
        spikes: Mean spikes a neuron and example, by LIF population.
    """

    loss: float
    correct: int
    n: int
    spikes: dict[str, float]


@dataclass(frozen=True)
class EpochResult:
    """One epoch of training, measured while the network changed.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Correct / total.
        n: Examples.
        spikes: Mean spikes a neuron and example, by LIF population.
        silent: Neurons without a spike in the whole epoch, by LIF population.
        grown: Synapses that rewiring grew in the epoch, None without rewiring.
    """

    loss: float
    accuracy: float
    n: int
    spikes: dict[str, float]
    silent: dict[str, int]
    grown: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """What a network answers on a data set, in the order in which the batches came.

    Attributes:
        loss: Mean cross-entropy.
        accuracy: Correct / total.
        n: N.
        labels: (N,) int64.
        predictions: (N,) int64.
        logits: (N, K) float32.
        spikes: Mean spikes a neuron and example, by LIF population.
        silent: Neurons without any spike, by LIF population.
    """

    loss: float
    accuracy: float
    n: int
    labels: np.ndarray
    predictions: np.ndarray
    logits: np.ndarray
    spikes: dict[str, float]
    silent: dict[str, int]

    @property
    def confusion(self) -> np.ndarray:
        """(K, K) int64: how often the class of the row was answered with that of the column."""
        k = self.logits.shape[1]
        return np.bincount(self.labels * k + self.predictions, minlength=k * k).reshape(k, k)


@dataclass(frozen=True)
class Gradients:
    """Gradients of the mean loss of one batch, before clipping; zero where nothing is learned.

    Attributes:
        loss: Mean cross-entropy.
        weight: (S,) float32 by projection, in CSR order.
        delay: [1/step] float32 by projection, in the shape of its delays.
        gain: (n,) float32 of the normalisation, by population.
        offset: (n,) float32 of the normalisation, by population.
    """

    loss: float
    weight: dict[str, np.ndarray]
    delay: dict[str, np.ndarray]
    gain: dict[str, np.ndarray] = field(default_factory=dict)
    offset: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Everything that happened in one batch.

    Attributes:
        start: By LIF population, (B, n+1) int64: neuron j of example b spiked at
            ``time[population][start[b, j]:start[b, j+1]]``.
        time: By LIF population, int32 [steps].
        voltage: (B, K, T) float32, V of the output population after each step.
        logits: (B, K) float32.
    """

    start: dict[str, np.ndarray]
    time: dict[str, np.ndarray]
    voltage: np.ndarray
    logits: np.ndarray


class CompiledNetwork(Protocol):
    """A network made ready to run, with the optimiser's state.

    The trial length is that of the batches it is given. Everything learned lives in here until
    `pull` copies it to the network.
    """

    network: Network

    def train_epoch(
        self,
        batches: Iterable[Batch],
        *,
        epoch: int,
        on_batch: Callable[[BatchResult], None] | None = None,
    ) -> EpochResult:
        """Learn from every batch in turn.

        Raises:
            DivergedError: Loss or gradients are not finite; the state is no longer of use.
        """

    def evaluate(self, batches: Iterable[Batch]) -> Evaluation:
        """Answer every batch, learning nothing and with no dropout."""

    def gradients(self, batch: Batch, *, epoch: int | None = None) -> Gradients:
        """Return the gradients of one batch, learning nothing and with no dropout.

        Arguments:
            batch: The batch; normalisation takes its statistics.
            epoch: Delay kernels are as wide as in this epoch; None for after their annealing.
        """

    def candidates(
        self, batch: Batch, projection: str, delay: np.ndarray | None = None,
        *, epoch: int | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Return candidate gradients: dL/dw that a synapse of weight 0 would have at each pair.

        Arguments:
            batch: As of `gradients`.
            projection: Its name.
            delay: (n_pre, n_post) delay of each pair [ms], or None for every whole step.
            epoch: As of `gradients`.

        Returns:
            (n_pre, n_post) float32, or with None (n_pre, n_post, D) for delays of 0..D-1 steps.
        """

    def record(self, batch: Batch) -> Recording:
        """Return the spikes and output voltages of one batch, whatever its labels."""

    def pull(self) -> Network:
        """Copy what was learned, structure included, into `network` and return it."""

    def push(self, network: Network) -> None:
        """Take what was learned from a network of the same populations and synapse counts."""

    def state(self) -> dict[str, np.ndarray]:
        """Return all that training needs to go on bit for bit: parameters, moments, steps."""

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up a state.

        Raises:
            InputError: It is of a network of another structure.
        """


ENGINES = ("cpu", "genn")


def compile_network(
    network: Network,
    rule: Rule,
    *,
    rewiring: Rewiring | None = None,
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
    """Make a network ready to run on an engine.

    Arguments:
        network: The network; it stays as it is until `CompiledNetwork.pull`.
        rule: What is learned and how.
        rewiring: How structure is learned, or None to keep it.
        total_steps: Optimiser steps of the whole training, for the schedules.
        epoch_steps: Those of an epoch: rewiring after each then takes the candidate gradients of
            its last batches only. None if not known, then of all batches.
        seed: Seed of dropout and rewiring.
        engine: ``"cpu"`` or ``"genn"``.
        threads: Threads, all cores if None; results do not depend on it. GeNN's CPU backend runs
            on one whatever this is.
        backend: Of GeNN, ``"single_threaded_cpu"`` or ``"cuda"``.
        batch_size: Examples that CUDA runs side by side; those of a larger batch run in turn.
        communicator: Of GeNN, ``"mpi"`` to share every batch among the ranks of an MPI program.
        learns: Whether it will learn; False lets GeNN run a network with normalisation, folded, and
            whatever the surrogate.

    Raises:
        InputError: The engine is unknown, not installed, or cannot run the network or the rule.
    """
    if engine not in ENGINES:
        raise InputError(
            f"there is no engine {engine!r}{nearest(engine, ENGINES)}; known: {', '.join(ENGINES)}"
        )
    from mlgenn_delays.engines.compiled import Compiled
    from mlgenn_delays.engines.cpu.passes import cpu_passes

    make: Callable[..., Any] = cpu_passes
    if communicator is not None and engine != "genn":
        raise InputError(
            f"a communicator must be with the engine 'genn', got {communicator!r} with "
            f"{engine!r}; the CPU engine takes threads"
        )
    if engine == "genn":
        from mlgenn_delays.engines.genn import genn_passes

        make = genn_passes(backend, batch_size, communicator)
        if not learns:
            network, rule = network.folded(), _forwards(rule)
    return Compiled(
        network, rule, make, rewiring=rewiring, total_steps=total_steps, epoch_steps=epoch_steps,
        seed=seed, threads=threads,
    )  # fmt: skip


def _forwards(rule: Rule) -> Rule:
    """Return a rule for evaluation alone: with one batch at a time and a surrogate of GeNN's."""
    if isinstance(rule, SurrogateBPTT) and not rule.surrogate.compact:
        rule = replace(rule, surrogate=Triangle())
    return replace(rule, pipelined=False)
