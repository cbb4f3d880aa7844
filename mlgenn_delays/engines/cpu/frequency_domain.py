"""What `TimestepSimulation` does in the frequency domain: memory, and work for threads."""

from collections.abc import Callable
from math import prod

import numpy as np

from mlgenn_delays.engines.ranks import Share
from mlgenn_delays.engines.shared import spectra as kernels
from mlgenn_delays.engines.shared import spectral_sums
from mlgenn_delays.engines.shared.fourier import Transform, make_transform
from mlgenn_delays.engines.shared.fourier_code import BLOCK
from mlgenn_delays.engines.shared.plan import SPIKING, Plan, pair_shape
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.engines.shared.spectra import Spectra
from mlgenn_delays.engines.shared.taps import Taps, gaussian_size
from mlgenn_delays.engines.shared.traces import RowLayout, Traces
from mlgenn_delays.engines.shared.vector import LANES
from mlgenn_delays.learning import SurrogateBPTT
from mlgenn_delays.network import CurrentInput, Network

# Sums of ranks over a batch, which are passed from one to the next, take at most so much memory.
RANKS_BYTES = 2**27
_NO_INDEX, _NO_VALUE = np.zeros(0, np.int64), np.zeros(0, np.float32)


def no_spectra(projections: int) -> Spectra:
    """Return spectra of which no projection makes use."""
    transform = Transform(0, _NO_INDEX, _NO_VALUE)
    none, adjoint = np.zeros(projections, bool), np.zeros((1, 0), np.float32)
    return Spectra(none, none, transform, none, _NO_VALUE, _NO_VALUE, adjoint, *[_NO_INDEX] * 4)


def bytes_of_spectra(
    network: Network, rule: SurrogateBPTT, rows: tuple[int, int, int], examples: int, steps: int,
    longest: int, threads: int, *, tables: bool,
) -> int:  # fmt: skip
    """Return the memory that spectra of a batch take, at the first width of delay kernels.

    `rows` are those of sources and of neurons per example, and groups of synapses. With `tables`
    there are candidate gradients, too.
    """
    width, places = rule.kernel.width(1), kernels.count_places(steps, longest)
    size = gaussian_size(width, longest) if width > 0 else 2
    span, taps = -(-steps // LANES) * LANES, 0
    for projection in network.projections.values():
        source, target = (network.populations[n] for n in (projection.source, projection.target))
        currents = isinstance(source.model, CurrentInput)
        if projection.recurrent or (rule.surrogate.compact and not currents):
            continue
        synapses, spiking = projection.n_synapses, source is not network.input()
        if any(
            kernels.pays(
                source.n, target.n, synapses, spiking=spiking, size=size, span=span, places=places
            )
        ):
            taps = network.n_synapses() * places
    if not (taps or tables):
        return 0
    widest = max((p.n for p in network.populations.values() if p is not network.input()), default=0)
    tiles = min(spectral_sums.TILE, examples) * (widest + rows[2] * spectral_sums.AT_ONCE) * places
    pairs = network.n_synapses()
    if tables:
        pairs = max(prod(pair_shape(network, p)) for p in network.projections.values())
    sums = threads * max(tiles, min(spectral_sums.SUMS, pairs * places))
    return 4 * (examples * (rows[0] + rows[1] * rows[2]) * places + taps + sums)


class FrequencyDomain:
    """Spectra of batches of one length; `longest` is the longest delay [steps]."""

    def __init__(
        self, context: SimulationContext, layout: RowLayout, traces: Traces, longest: int
    ) -> None:
        self._context, self._layout, self._traces = context, layout, traces
        self._places = kernels.count_places(layout.steps, longest)
        self._made: Transform | None = None
        self._sources = self._taps = _NO_VALUE
        self._adjoint = np.zeros((1, 0), np.float32)
        self._shown: set[int] = set()  # populations whose spectra of this batch are there
        self._back: set[tuple[int, int]] = set()  # groups whose adjoints are
        self._share: Share  # of the batch
        self._spike_scale: np.ndarray

    # Memory: pages that nothing is written to take none

    def _allocate(self) -> Transform:
        if self._made is None:
            layout, places = self._layout, self._places
            self._made = make_transform(places)
            examples, groups = len(self._traces.counts), len(self._traces.adjoint)
            self._sources = np.empty(examples * layout.sources * places, np.float32)
            self._adjoint = np.empty((groups, examples * layout.neurons * places), np.float32)
        return self._made

    def _spectra(self, chosen: np.ndarray, back: np.ndarray) -> Spectra:
        transform = self._allocate()
        return no_spectra(0)._replace(
            chosen=chosen,
            back=back,
            transform=transform,
            dense=np.zeros_like(chosen),
            sources=self._sources,
            adjoint=self._adjoint,
        )

    # Taps, currents

    def prepare(self, plan: Plan, taps: Taps, coef: np.ndarray) -> Spectra:
        """Return spectra with those of taps, whose coefficients are given, where they are used."""
        chosen, back = kernels.choose(plan, self._layout, taps.size, self._places)
        if not (chosen | back).any():
            return no_spectra(len(plan.source))
        layout, places, synapses = self._layout, self._places, len(plan.pre)
        if len(self._taps) != synapses * places:
            self._taps = np.empty(synapses * places, np.float32)
        pre, out_post = plan.pre.astype(np.int64), plan.out_post.astype(np.int64)
        own, out_own = np.arange(synapses) * BLOCK, plan.out_synapse.astype(np.int64) * BLOCK
        spectra = self._spectra(chosen, back)._replace(
            taps=self._taps, own=own, pre=pre, out_own=out_own, out_post=out_post
        )
        for q in range(len(chosen)):
            low, high = synapses_of(plan, q)
            spectra.dense[q] = _has_all(plan, q)
            pre[low:high] += layout.source_row[plan.source[q]]
            if plan.out_first[q] >= 0:
                begin = plan.out_first[q]
                a, b = int(plan.out[begin]), int(plan.out[begin + plan.n[plan.source[q]]])
                out_post[a:b] += layout.neuron_row[plan.target[q]]
            if chosen[q] or back[q]:
                self._transform_taps(spectra, taps, coef, low, high)
        pre *= BLOCK
        out_post *= BLOCK
        return spectra

    def _transform_taps(
        self, spectra: Spectra, taps: Taps, coef: np.ndarray, begin: int, end: int
    ) -> None:
        self._context.spread(
            end - begin,
            lambda low, high: kernels.transform_taps(
                spectra, taps.size, taps.first, coef, begin + low, begin + high
            ),
        )

    def begin(self, share: Share, spike_scale: np.ndarray) -> None:
        """Begin a batch that ranks share so; `spike_scale` is that of `Simulation.forward`."""
        self._share, self._spike_scale = share, spike_scale
        self._shown.clear()
        self._back.clear()

    def transform_sources(self, plan: Plan, spectra: Spectra, p: int) -> None:
        """Write the spectra of what population p receives over chosen projections."""
        for q in np.flatnonzero(spectra.chosen & (plan.target == p)):
            self._transform(plan, spectra, int(plan.source[q]))

    def _transform(self, plan: Plan, spectra: Spectra, source: int) -> None:
        if source in self._shown:
            return
        self._shown.add(source)
        self._context.spread_over(
            *self._share.own,
            lambda low, high: kernels.transform_sources(
                spectra, plan, self._layout, source, self._spike_scale, self._traces, low, high
            ),
        )

    # Gradients, when adjoints are there

    def add_gradients(
        self, plan: Plan, spectra: Spectra, taps: Taps, p: int, total: np.ndarray
    ) -> None:
        """Write the correlations at each tap of chosen projections onto population p to total."""
        for q in np.flatnonzero((spectra.chosen | spectra.back) & (plan.target == p)):
            self._back.add((p, int(plan.group[q])))
        for q in np.flatnonzero(spectra.chosen & (plan.target == p)):
            rows, dense = _rows(plan, int(q)), bool(spectra.dense[q])
            self._correlate(
                plan, spectra, int(q), rows, spectra.pre, dense, taps.first, taps.size, total
            )

    def _correlate(
        self, plan: Plan, spectra: Spectra, q: int, rows: np.ndarray, pre: np.ndarray,
        dense: bool, first: np.ndarray, taps: int, out: np.ndarray,
    ) -> None:  # fmt: skip
        parts = self._share.own_chunks()
        edges = np.array([low for _, low, _ in parts] + [high for *_, high in parts[-1:]], np.int64)
        if not self._share.ranks.several:
            self._context.spread(
                len(rows) - 1,
                lambda low, high: spectral_sums.correlate_lags(
                    plan, self._layout, spectra, q, rows, pre, dense, edges, first, taps, low, high,
                    out,
                ),
            )  # fmt: skip
            return
        begin, end = int(rows[0]), int(rows[-1])
        at_once = max(1, RANKS_BYTES // (4 * self._places))
        for low in range(begin, end, at_once):
            sums = np.zeros((min(at_once, end - low), self._places), np.float32)
            self._add_by_ranks(plan, spectra, q, rows, pre, dense, edges, low, sums)
            self._context.spread_over(
                low, low + len(sums),
                lambda a, b, low=low, sums=sums: kernels.write_lags(  # type: ignore[misc]
                    spectra, self._layout.steps, first, taps, a, b, low, sums.reshape(-1),
                    self._places, BLOCK, out,
                ),
            )  # fmt: skip

    def _add_by_ranks(
        self, plan: Plan, spectra: Spectra, q: int, rows: np.ndarray, pre: np.ndarray,
        dense: bool, edges: np.ndarray, base: int, sums: np.ndarray,
    ) -> None:  # fmt: skip
        """Add the spectra of all ranks, in their order, to those of the synapses from `base` on."""

        def add(low: int, high: int) -> None:
            spectral_sums.add_correlations(
                plan, self._layout, spectra, q, rows, pre, dense, edges, low, high, base,
                sums.reshape(-1), self._places, BLOCK,
            )  # fmt: skip

        self._share.fold(
            sums,
            lambda low, high: self._context.spread_over(base + low, base + high, add),
        )

    def table(
        self, plan: Plan, q: int, first: np.ndarray, taps: int, counts: np.ndarray,
        show_adjoints: Callable[[int, Spectra], None],
    ) -> np.ndarray | None:  # fmt: skip
        """Return candidate gradients as `Simulation.correlate` does, None where that costs more.

        `counts` (B, N) are the spikes of the batch; ``show_adjoints(p, spectra)`` writes the
        spectra of a population's adjoints.
        """
        source, target = int(plan.source[q]), int(plan.target[q])
        own = counts[:, plan.first[source] : plan.first[source + 1]]
        events = float(own.mean()) if plan.kind[source] == SPIKING else self._layout.steps
        group = int(plan.group[q])
        if not kernels.choose_table(
            plan, self._layout, q, self._places, taps, events, (target, group) in self._back
        ):
            return None
        none, (n_pre, n_post) = np.zeros(len(plan.source), bool), first.shape
        spectra = self._spectra(none, none)
        self._transform(plan, spectra, source)
        if (target, group) not in self._back:
            self._back.update((target, g) for g in range(int(plan.groups[target])))
            show_adjoints(target, spectra)
        rows = np.arange(n_post + 1) * n_pre
        pre = np.tile((self._layout.source_row[source] + np.arange(n_pre)) * BLOCK, n_post)
        out = np.empty(n_post * n_pre * taps, np.float32)
        self._correlate(
            plan, spectra, q, rows.astype(np.uint64), pre, True, first.T.ravel(), taps, out
        )
        return out.reshape(n_post, n_pre, taps).transpose(1, 0, 2)


def _rows(plan: Plan, q: int) -> np.ndarray:
    first = plan.row_first[q]
    return plan.row[first : first + plan.n[plan.target[q]] + 1]


def _has_all(plan: Plan, q: int) -> bool:
    """Return whether projection q has one synapse of each pair, in the same order everywhere."""
    (low, high), source, begin = synapses_of(plan, q), plan.source[q], plan.out_first[q]
    n_pre, n_post = int(plan.n[source]), int(plan.n[plan.target[q]])
    if high - low != n_pre * n_post or not n_pre * n_post:
        return False
    every = (plan.pre[low:high].reshape(n_post, n_pre) == np.arange(n_pre)).all()
    if begin >= 0:
        a, b = int(plan.out[begin]), int(plan.out[begin + n_pre])
        every &= (plan.out_post[a:b].reshape(n_pre, n_post) == np.arange(n_post)).all()
    return bool(every)


def synapses_of(plan: Plan, q: int) -> tuple[int, int]:
    """Return the first synapse of projection q, and the one behind the last."""
    rows = _rows(plan, q)
    return int(rows[0]), int(rows[-1])
