"""A batch through the network population by population, for `SurrogateBPTT`.

Every population's currents, voltages and adjoints are kept for the whole batch, for normalisation
is over batch and time, and the surrogate derivative needs every voltage.
"""

from collections.abc import Callable, Collection
from queue import SimpleQueue
from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.cpu import currents
from mlgenn_delays.engines.cpu.frequency_domain import FrequencyDomain, no_spectra, synapses_of
from mlgenn_delays.engines.cpu.input_gradient import input_gradient
from mlgenn_delays.engines.cpu.neuron_code import NeuronKernels, kernels_of
from mlgenn_delays.engines.cpu.normalisation import Normalisation
from mlgenn_delays.engines.cpu.spike_gradient import shape_of
from mlgenn_delays.engines.cpu.spikes import note_spikes
from mlgenn_delays.engines.ranks import Share
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.candidate_gradients import correlate
from mlgenn_delays.engines.shared.plan import INPUT, SPIKING
from mlgenn_delays.engines.shared.scoring import Scores
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.engines.shared.spectra import Spectra
from mlgenn_delays.engines.shared.taps import (
    Taps,
    gather_gradient,
    make_taps,
    place_outgoing,
    placed,
)
from mlgenn_delays.engines.shared.traces import (
    RowLayout,
    Strips,
    ThreadBuffers,
    Traces,
    events_of,
    make_row_layout,
    make_strips,
    make_thread_buffers,
    make_traces,
    max_shift_of,
    rows_of,
    show_input,
    spike_starts,
)
from mlgenn_delays.learning import Atan, SurrogateBPTT
from mlgenn_delays.machine import CHUNK_BYTES, chunks
from mlgenn_delays.network import CurrentInput
from mlgenn_delays.neurons.equations import CURRENT

RUNS = 4  # of chunks, per thread: so few that what a call costs is little, and no thread waits long


class TimestepSimulation(Simulation):
    """A `Simulation` of `SurrogateBPTT`, population by population.

    It `keeps` states if asked. Adjoints at the arrivals are made of dL/dI once more for candidate
    gradients, where no projection before needs them.
    """

    def __init__(self, context: SimulationContext, *, keeps: bool = False) -> None:
        self.context, self._keeps = context, keeps
        self._steps = 0
        self._traces: Traces | None = None
        self._strips: Strips | None = None
        self._row_layout: RowLayout
        self._buffers: SimpleQueue[ThreadBuffers] = SimpleQueue()
        self._frequency_domain: FrequencyDomain | None = None
        self._taps: dict[float | None, tuple[Taps, np.ndarray, np.ndarray, Spectra]] = {}
        self._sums = np.empty(0, np.float32)
        self._width: float | None = None
        self._scores: Scores | None = None  # of the batch just run
        self._share: Share  # how ranks shared it
        self._norms = Normalisation(context)
        self._counts = np.zeros((0, 0), np.int64)
        self._current_input = isinstance(context.network.input().model, CurrentInput)
        rule = context.rule
        self._surrogate = rule.surrogate if isinstance(rule, SurrogateBPTT) else Atan()
        self._plan = context.plan
        self._of_neurons: dict[int, NeuronKernels] = {}
        self._affines: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._linear: dict[int, np.ndarray] = {}  # what `currents.back_synapses` needs of each
        self._shown: set[int] = set()  # populations whose adjoints of this batch are in the traces

    def _kernels(self, p: int) -> NeuronKernels:
        if p not in self._of_neurons:
            network, name = self.context.network, self.context.layout.names[p]
            self._of_neurons[p] = kernels_of(network, name, keeps=self._keeps)
        return self._of_neurons[p]

    def _states(self) -> int:
        """The most states that a population keeps."""
        own = [self._kernels(int(p)).forward for p in np.flatnonzero(self._plan.kind != INPUT)]
        return max(module.STATES * module.KEEPS for module in own)

    # Memory

    def refresh(self) -> None:
        """Read changed weights, delays and structure; see `Simulation`."""
        self._taps.clear()
        self._plan = self.context.plan

    def _fit(self, batch: Batch) -> tuple[Traces, Strips]:
        plan, size = self._plan, len(batch)
        if batch.n_steps != self._steps:
            self._steps, self._traces = batch.n_steps, None
        if self._traces is None or len(self._traces.counts) < size:
            # Freed before the new ones are made: spectra are as large, and hold the traces.
            self._traces = self._strips = self._frequency_domain = None
            self._taps.clear()
            compact = self._surrogate.compact
            walked = (plan.kind == SPIKING) | ((plan.kind == INPUT) & (not self._current_input))
            max_shift = max_shift_of(self.context.parameters, self._steps)
            self._row_layout = make_row_layout(plan, self._steps, max_shift, walked & compact)
            classes = self.context.network.output().n
            self._traces = make_traces(plan, self._row_layout, size, classes)
            self._strips = make_strips(self._row_layout, size, self._states())
            self._frequency_domain = FrequencyDomain(
                self.context, self._row_layout, self._traces, max_shift - 2
            )
            self._buffers = SimpleQueue()
            for _ in range(self.context.workers.threads):
                self._buffers.put(make_thread_buffers(plan, self._row_layout))
        assert self._strips is not None
        return self._traces, self._strips

    @property
    def _frequency(self) -> FrequencyDomain:
        assert self._frequency_domain is not None
        return self._frequency_domain

    def _tapped(self, width: float | None) -> tuple[Taps, np.ndarray, np.ndarray, Spectra]:
        """Return the taps of all synapses, their coefficients and places, and their spectra."""
        if width not in self._taps:
            self._taps.clear()
            p, layout = self.context.parameters, self.context.layout
            learning = width is not None and self.context.rule.delays is not None
            taps = make_taps(
                p.acting_delay, layout.delay_of, p.longest, self._steps, width or 0.0, learning,
                self.context.spread,
            )  # fmt: skip
            coef, address = placed(self._plan, self._row_layout, taps, p.acting_weight)
            spectra = self._frequency.prepare(self._plan, taps, coef)
            self._taps[width] = taps, coef, address, spectra
        return self._taps[width]

    # Forwards

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch; see `Simulation`."""
        (traces, strips), plan, size = self._fit(batch), self._plan, len(batch)
        self._width, learns = width, width is not None
        taps, coef, address, spectra = self._tapped(width)
        room = max(1, CHUNK_BYTES // max(4, 4 * len(address)))
        self._share = share = self.context.share(size, most=room, whole=not scored)
        self._frequency.begin(share, spike_scale)
        self.context.spread_over(
            *share.own,
            lambda low, high: show_input(plan, self._row_layout, batch, traces, low, high),
        )
        starts, times = events_of(batch)
        for p in range(len(plan.kind)):
            if plan.kind[p] == INPUT:
                continue

            sums = self._norms.room(p, size if learns else 0)

            def charge(
                k: int, edges: np.ndarray, buffers: ThreadBuffers, p: int = p,
                sums: np.ndarray = sums,
            ) -> None:  # fmt: skip
                currents.run_currents(
                    plan, self._row_layout, p, taps.size, taps.first, coef, address, starts, times,
                    spike_scale, spectra, traces, strips, edges[0], edges[-1], buffers, sums,
                )  # fmt: skip

            self._frequency.transform_sources(plan, spectra, p)
            self._over_runs(share.own_chunks(), charge)
            factor, shift = self._norms.affine(p, share, self._steps, sums if learns else None)
            self._affines[p], kernels = (factor, shift), self._kernels(p)

            def fire(
                k: int, edges: np.ndarray, buffers: ThreadBuffers, p: int = p,
                factor: np.ndarray = factor, shift: np.ndarray = shift,
                kernels: NeuronKernels = kernels,
            ) -> None:  # fmt: skip
                kernels.forward.run_neurons(
                    plan, self._row_layout, p, factor, shift, taps.size, taps.first, coef,
                    spike_scale, traces, strips, edges[0], edges[-1], buffers,
                )  # fmt: skip

            self._over_runs(share.own_chunks(), fire)
        self._counts = self._spikes(size)
        share.gather(self._counts)
        voltage = traces.voltage_out[:size]
        self._scores = None
        if scored:
            self._scores = self.context.score_shared(share, voltage, batch, learns=learns)
        return ForwardResult(self._scores, self._counts)

    def _over_chunks(self, task: Callable[..., None]) -> None:
        self.context.over_chunks(self._share.own_chunks(), self._buffers, task)

    def _over_runs(self, parts: list[tuple[int, int, int]], task: Callable[..., None]) -> None:
        """Run task(first part, edges, buffers) over runs of consecutive parts, as few as will do.

        ``edges`` are the examples between which a run's parts lie. Each call takes time by itself.
        """
        threads = self.context.workers.threads
        runs = []
        for begin, end in chunks(len(parts), 1 if threads == 1 else RUNS * threads):
            own = parts[begin:end]
            if own:  # a rank may have none
                edges = np.array([*(low for _, low, _ in own), own[-1][2]])
                runs.append((own[0][0], edges))
        self.context.over_chunks(runs, self._buffers, task)

    def keep_statistics(self, size: int) -> None:
        """Update the running statistics with those of the last batch; see `Simulation`."""
        self._norms.keep(size * self._steps)

    def _spikes(self, size: int) -> np.ndarray:
        """Return the spikes of every neuron, (size, N) int64."""
        assert self._traces is not None
        has_rows = np.repeat(self._plan.kind != INPUT, self._plan.n)
        counts = np.zeros((size, len(has_rows)), np.int64)
        counts[:, has_rows] = self._traces.counts[:size]
        return counts

    # Backwards

    def _keeps_adjoints(self, p: int, spectra: Spectra) -> bool:
        """Return whether learning reads the adjoints of population p but for their taps."""
        plan, own = self._plan, self._plan.target == p
        name, groups = self.context.layout.names[p], self.context.parameters.synapses.values()
        return any(group.population == name for group in groups) or bool(
            (own & (plan.kind[plan.source] == SPIKING) & ~spectra.chosen).any()
        )

    def _room(self, groups: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
        """Return room for the gradients of taps in groups of examples, and for their sum."""
        if len(self._sums) < (1 + groups) * taps:
            self._sums = np.empty((1 + groups) * taps, np.float32)
        rows = self._sums[: (1 + groups) * taps].reshape(1 + groups, taps)
        return rows[1:], rows[0]

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `Simulation`."""
        assert self._traces is not None and self._strips is not None and self._scores is not None
        drive, strips = self._scores.drive, self._strips
        traces, plan, size, p_ = self._traces, self._plan, len(batch), self.context.parameters
        taps, _, address, spectra = self._tapped(self._width)
        shape, places = shape_of(self._surrogate), len(plan.out_synapse) * taps.size
        out_coef, out_address = np.empty(places, np.float32), np.empty(places, np.int64)
        place_outgoing(plan, self._row_layout, taps, p_.acting_weight, out_coef, out_address)
        starts, times = events_of(batch)
        count_gradient = self.context.spike_count_gradient(self._counts)
        most = max((len(own.names) for own in p_.neurons.values()), default=0)
        by_constant = np.zeros((len(self._share.chunks), most, len(plan.bias)))
        sums, total = self._room(len(self._share.groups), len(address))
        self._shown.clear()
        for p in range(len(plan.kind) - 1, -1, -1):
            if plan.kind[p] == INPUT:
                continue

            kernels, products = self._kernels(p), self._norms.room(p, size)

            def neurons_back(
                k: int, edges: np.ndarray, buffers: ThreadBuffers, p: int = p,
                kernels: NeuronKernels = kernels, products: np.ndarray = products,
            ) -> None:  # fmt: skip
                kernels.backward.back_neurons(
                    plan, self._row_layout, p, shape, *self._affines[p], taps.size, out_coef,
                    out_address, spike_scale, drive, count_gradient, spectra, traces, strips, edges,
                    buffers, by_constant[k:], products,
                )  # fmt: skip

            self._over_runs(self._share.own_chunks(), neurons_back)
            linear = self._linear[p] = self._norms.back(p, self._share, self._steps, products)
            keeps = self._keeps_adjoints(p, spectra)
            if keeps:
                self._shown.add(p)

            def arrivals_back(
                k: int, edges: np.ndarray, buffers: ThreadBuffers, p: int = p,
                linear: np.ndarray = linear, keeps: bool = keeps,
            ) -> None:  # fmt: skip
                currents.back_arrivals(
                    plan, self._row_layout, p, taps.size, taps.first, address, starts, times,
                    spike_scale, spectra, linear, traces, strips, keeps, edges, buffers, sums[k:],
                )  # fmt: skip

            self._over_runs(self._share.own_groups(), arrivals_back)
            self._frequency.add_gradients(plan, spectra, taps, p, total)
            self._learn_synapses(p, batch, spike_scale, linear)
        self._share.gather_chunks(by_constant)
        for name, neurons in p_.neurons.items():
            own = by_constant.sum(0)[: len(neurons.names), self.context.layout.neurons[name]]
            neurons.take_gradients(own)
        for q in np.flatnonzero(~spectra.chosen):
            begin, end = (taps.size * s for s in synapses_of(plan, int(q)))
            self.context.sum_groups(self._share, sums, total, begin, end)
        by_weight, by_delay = np.empty((2, len(p_.weight)), np.float32)
        gather_gradient(taps, p_.acting_weight, total, by_weight, by_delay)
        return by_weight, by_delay

    def _learn_synapses(
        self, p: int, batch: Batch, spike_scale: np.ndarray, linear: np.ndarray
    ) -> None:
        """Take the gradients of learned time constants of synapses onto population p."""
        assert self._traces is not None and self._strips is not None
        traces, strips, plan = self._traces, self._strips, self._plan
        taps, coef, address, _ = self._tapped(self._width)
        starts, times = events_of(batch)
        for group in self.context.parameters.synapses.values():
            if group.population != self.context.layout.names[p]:
                continue
            sums = np.zeros((len(self._share.chunks), int(plan.n[p]), 2))

            def products(
                k: int, low: int, high: int, buffers: ThreadBuffers, g: int = group.group,
                sums: np.ndarray = sums,
            ) -> None:  # fmt: skip
                currents.add_synapse_products(
                    plan, self._row_layout, p, g, taps.size, taps.first, coef, address, starts,
                    times, spike_scale, linear, traces, strips, low, high, buffers, sums[k],
                )  # fmt: skip

            self._over_chunks(products)
            self._share.gather_chunks(sums)
            group.take_gradients(sums.sum(0))

    def keep_adjoints(self) -> None:
        """Do nothing: adjoints are made once more for those who ask for them."""

    def input_gradient(self, batch: Batch) -> np.ndarray:
        """Return dL/dx of the batch just gone back, (B, T, C)."""
        traces, taps = self._traces, self._tapped(self._width)[0]
        for q in np.flatnonzero(self._plan.kind[self._plan.source] == INPUT):
            self._show_in_traces(int(self._plan.target[q]))
        assert traces is not None
        return input_gradient(self.context, self._row_layout, traces, taps, len(batch))

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of all pairs of a projection; see `Simulation`."""
        assert self._traces is not None
        table = self._frequency.table(self._plan, q, first, size, self._counts, self._show_adjoints)
        if table is not None:
            return table
        self._show_in_traces(int(self._plan.target[q]))
        return correlate(
            self.context, self._row_layout, self._traces, batch, spike_scale, q, first, size,
            self._share,
        )  # fmt: skip

    def _show_in_traces(self, p: int) -> None:
        if p not in self._shown:
            self._show_adjoints(p, no_spectra(len(self._plan.source)))
            self._shown.add(p)

    def _show_adjoints(self, p: int, spectra: Spectra) -> None:
        """Write the adjoints of population p to the traces, or their spectra if there is room."""
        assert self._traces is not None and self._strips is not None
        traces, strips, linear = self._traces, self._strips, self._linear[p]
        there = p in self._shown

        def show(k: int, edges: np.ndarray, buffers: ThreadBuffers) -> None:
            currents.show_adjoints(
                self._plan, self._row_layout, p, there, linear, spectra, strips, traces, edges[0],
                edges[-1], buffers,
            )  # fmt: skip

        self._over_runs(self._share.own_chunks(), show)

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        assert self._traces is not None
        traces, size, layout = self._traces, len(batch), self.context.layout
        start, time = {}, {}
        for name in layout.spiking:
            p = layout.names.index(name)
            row = self._row_layout.neuron_row[p]
            if not (self._row_layout.event_driven[p] or self._plan.recurrent_population[p]):
                note_spikes(self._plan, self._row_layout, p, traces, 0, size)
            count = self._counts[:, layout.neurons[name]]
            start[name] = spike_starts(count)
            valid = np.arange(self._steps) < count[:, :, None]
            time[name] = traces.time[:size, row : row + count.shape[1]][valid].astype(np.int32)
        voltage = traces.voltage_out[:size].copy()
        return Recording(start, time, voltage, self.context.read_out(voltage))

    def variables(self, size: int, names: Collection[str]) -> dict[tuple[str, str], np.ndarray]:
        """Return variables in the batch just run, (size, n, T) by population and name."""
        assert self._strips is not None
        strips, layout, plan, out = self._strips, self._row_layout, self._plan, {}
        for p in map(int, np.flatnonzero(plan.kind != INPUT)):
            population = self.context.layout.names[p]
            model: Any = self.context.network.populations[population].model
            factor, shift = (a[plan.first[p] : plan.first[p + 1], None] for a in self._affines[p])
            own = dict(zip(model.equations.states, strips.kept, strict=False))
            own[CURRENT] = strips.current
            for name in [name for name in own if name in names]:
                found = rows_of(plan, layout, p, own[name])[:size]
                out[population, name] = found * factor + shift if name == CURRENT else found
        return out
