"""What engines differ in: a simulation runs batches forwards and back, on what a context holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from mlgenn_delays.data.types import Batch, examples
from mlgenn_delays.engines.ranks import ALONE, Ranks, Share, make_share
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import ParameterLayout, Plan, make_plan, write_constants
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Rule
from mlgenn_delays.learning.losses import Loss, SpikeTimeLoss
from mlgenn_delays.machine import CHUNKS, Workers, chunks
from mlgenn_delays.network import Network, Projection

if TYPE_CHECKING:  # with its kernels, it takes long to import
    from mlgenn_delays.engines.shared.scoring import Scores
    from mlgenn_delays.engines.shared.spike_trains import Filter


@dataclass
class SimulationContext:
    """What a simulation works on; plan, layout and parameters are replaced with the structure."""

    network: Network
    rule: Rule
    loss: Loss
    workers: Workers
    plan: Plan
    layout: ParameterLayout
    parameters: Parameters
    # Filters of target spike trains, by the steps of a trial.
    filters: "dict[int, Filter]" = field(default_factory=dict)
    ranks: Ranks = ALONE

    def spread(self, n: int, task: Callable[[int, int], None]) -> None:
        """Run task(low, high) over parts of range(n), whose cut does not matter."""
        self.spread_over(0, n, task)

    def spread_over(self, low: int, high: int, task: Callable[[int, int], None]) -> None:
        """Run task(low, high) over parts of range(low, high), whose cut does not matter."""
        if low < high:
            parts = chunks(high - low, self.workers.threads)
            self.workers.run(lambda k: task(low + parts[k][0], low + parts[k][1]), len(parts))

    def renew(self, simulation: "Simulation") -> None:
        """Quantise what was learned, and let a simulation read it."""
        self.parameters.quantise()
        simulation.refresh()

    def renew_constants(self) -> None:
        """Write what kernels read of learned parameters of neurons to the plan."""
        for name, neurons in self.parameters.neurons.items():
            write_constants(self.plan, self.layout, name, neurons.constants())
        for group in self.parameters.synapses.values():
            own = self.layout.neurons[group.population]
            decay, scale = group.constants()
            self.plan.decay[group.group, own], self.plan.scale[group.group, own] = decay, scale

    def share(self, size: int, *, most: int = CHUNKS, whole: bool = False) -> Share:
        """Return how ranks share a batch; every one runs all of it if it is to run `whole`."""
        return make_share(ALONE if whole else self.ranks, size, most)

    def over_chunks(
        self, parts: Sequence[tuple[Any, ...]], pool: "SimpleQueue[Any]",
        task: Callable[..., None],
    ) -> None:  # fmt: skip
        """Run task(*part, buffers) over parts of a batch, such as the chunks of a `Share`."""

        def one(k: int) -> None:
            buffers = pool.get()
            try:
                task(*parts[k], buffers)
            finally:
                pool.put(buffers)

        self.workers.run(one, len(parts))

    def sum_groups(
        self, share: Share, sums: np.ndarray, total: np.ndarray, begin: int = 0,
        end: int | None = None,
    ) -> None:  # fmt: skip
        """Write the sum of (groups, S) float32 of all ranks to total (S,), in the groups' order.

        If asked for, only columns begin..end-1.
        """
        from mlgenn_delays.engines.shared.numerics import sum_chunks

        first, last = share.groups_of[share.ranks.rank]
        share.fold(
            total[begin:end],
            lambda low, high: self.spread_over(
                begin + low, begin + high, lambda a, b: sum_chunks(sums, first, last, a, b, total)
            ),
        )

    def read_out(self, voltage: np.ndarray) -> np.ndarray:
        """Return the logits (B, K) of output voltages (B, K, T)."""
        from mlgenn_delays.engines.shared.scoring import read_out

        return read_out(self.plan.readout, voltage, self.spread)

    def score(self, voltage: np.ndarray, batch: Batch, *, learns: bool) -> "Scores":
        """Return the scores of a batch with output voltages (B, K, T)."""
        from mlgenn_delays.engines.shared.scoring import score

        readout, dt = self.plan.readout, self.network.dt
        return score(
            self.loss, readout, dt, voltage, batch, self.spread, learns=learns,
            trains=self._filter(voltage.shape[2]),
        )  # fmt: skip

    def score_shared(
        self, share: Share, voltage: np.ndarray, batch: Batch, *, learns: bool
    ) -> "Scores":
        """Return the scores of a batch, of which this rank has the voltages of its examples.

        Of dL/dV, too, it has only those.
        """
        from mlgenn_delays.engines.shared.scoring import gather_scores

        low, high = share.own
        if (low, high) == (0, len(batch)):
            own: Scores | None = self.score(voltage, batch, learns=learns)
        elif low < high:
            part = examples(batch, low, high)
            own = self.score(voltage[low:high], part, learns=learns)
        else:
            own = None
        found = gather_scores(share.ranks, share.examples_of, own, batch, voltage.shape[1])
        if own is None or own.drive is None or len(own.drive) == len(voltage):
            return found._replace(drive=own.drive if own else voltage[:0])
        drive = np.empty_like(voltage)
        drive[low:high] = own.drive
        return found._replace(drive=drive)

    def _filter(self, steps: int) -> "Filter | None":
        if not isinstance(self.loss, SpikeTimeLoss):
            return None
        if steps not in self.filters:
            from mlgenn_delays.engines.shared.spike_trains import Filter

            self.filters[steps] = Filter(self.network, steps)
        return self.filters[steps]

    def spike_count_gradient(self, counts: np.ndarray) -> np.ndarray:
        """Return dL/d(spike count) of the regularisation, (N,) float32: added at each spike."""
        settings = self.rule.spike_count
        mean = counts.sum(0) / len(counts)
        return (settings.strength * (mean - settings.target)).astype(np.float32)


class ForwardResult(NamedTuple):
    """Result of the forward pass of a batch of B examples."""

    scores: "Scores | None"  # what the loss says of its outputs, where that was asked for
    counts: np.ndarray  # (B, N) int64 spikes of every neuron, 0 for those that do not spike


class Simulation(Protocol):
    """Runs batches forwards and back."""

    def refresh(self) -> None:
        """Read changed weights, delays and structure from the context: what acts of them, which is
        ``acting_weight`` and ``acting_delay`` of its parameters.
        """

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch.

        `spike_scale` is that of each neuron's spikes, (B, N) or (1, N) float32; `width` that of
        the delay kernel in training [steps], None in evaluation. With `pending`, `backward` of the
        batch before is still to come, which a pipelined rule allows. Without `scored`, the loss is
        left alone, and so are labels.
        """

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return dL/dw and dL/dd [1/step], each (S,), summed over the oldest batch that ran and
        did not go back yet.
        """

    def keep_statistics(self, size: int) -> None:
        """Update running statistics, if any, with those of the last batch, of `size` examples."""
        return

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return candidate gradients of all pairs of projection q for the last batch.

        They are dL/dw of synapses of weight 0 and delay first + k [steps], k = 0..size-1, as
        (n_pre, n_post, size) float32; `first` is (n_pre, n_post) int64.
        """

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""


_KEYS = ("indptr", "post", "sign")


def connectivity_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return copies of the arrays that say which synapses there are, by ``projection/key``."""
    return {
        f"{name}/{key}": getattr(projection, key).copy()
        for name, projection in network.projections.items()
        for key in _KEYS
        if getattr(projection, key) is not None
    }


def copy_connectivity(source: Network, target: Network) -> None:
    """Give the projections of a network the synapses of another one's."""
    arrays = connectivity_arrays(source)
    for name, projection in target.projections.items():
        for key in _KEYS:
            setattr(projection, key, arrays.get(f"{name}/{key}"))


def replan(context: SimulationContext) -> None:
    """Replace plan, layout and parameters after the network's structure changed.

    Normalisation and step stay. The rest starts from the network, with moments of 0.
    """
    before = context.parameters
    context.plan, context.layout = make_plan(context.network)
    context.parameters = Parameters(context.network, context.layout, before.quantisation)
    context.parameters.norms, context.parameters.step = before.norms, before.step
    context.parameters.neurons, context.parameters.synapses = before.neurons, before.synapses
    context.renew_constants()


def set_connectivity(context: SimulationContext, arrays: dict[str, np.ndarray]) -> None:
    """Set which synapses there are; projections without an array keep theirs.

    Rejects arrays of a network with other populations or numbers of synapses.
    """
    changed = {}
    for name, projection in context.network.projections.items():
        own = _of_projection(projection, arrays)
        if any(not np.array_equal(getattr(projection, key), own[key]) for key in own):
            populations = context.network.populations
            changed[name] = replace(projection, **own)
            changed[name].check(populations[projection.source].n, populations[projection.target].n)
    if changed:
        context.network.projections.update(changed)
        replan(context)


def _of_projection(projection: Projection, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the arrays of one projection by key, those it has use for."""
    out = {}
    for key in _KEYS:
        before, got = getattr(projection, key), arrays.get(f"{projection.name}/{key}")
        if before is None or (got is None and f"{projection.name}/post" not in arrays):
            continue
        if got is None or got.shape != before.shape:
            found = "none" if got is None else f"shape {got.shape}"
            raise InputError(
                f"projection {projection.name!r} must have {key} of shape {before.shape}, got "
                f"{found}; it is of another network"
            )
        out[key] = got.astype(before.dtype)
    return out
