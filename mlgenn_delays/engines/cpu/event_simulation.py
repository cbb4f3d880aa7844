"""A batch through the network example by example, from spike to spike, for `EventProp`.

Shapes: B examples, H entries (n+1 per spiking population), K output neurons, T steps, G synapse
groups, L neurons worked on together (all of a recurrent population, else `BLOCK`).
"""

from queue import SimpleQueue

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.cpu import currents, eventprop_backward, eventprop_forward, synapses
from mlgenn_delays.engines.cpu.eventprop_forward import EventBuffers, SpikeStore
from mlgenn_delays.engines.cpu.frequency_domain import no_spectra
from mlgenn_delays.engines.cpu.gradient_sums import GradientSums
from mlgenn_delays.engines.cpu.input_gradient import input_gradient
from mlgenn_delays.engines.cpu.linear_matrices import linear_buffers, make_linear, take_gradients
from mlgenn_delays.engines.cpu.linear_neurons import Linear
from mlgenn_delays.engines.cpu.synapses import QUAD, Recurrent
from mlgenn_delays.engines.ranks import Share
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.candidate_gradients import correlate
from mlgenn_delays.engines.shared.lanes import BLOCK, LANES, PAIR
from mlgenn_delays.engines.shared.plan import INPUT, SPIKING, Plan
from mlgenn_delays.engines.shared.scoring import Scores
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.engines.shared.taps import Taps, gather_gradient, make_taps, placed
from mlgenn_delays.engines.shared.traces import (
    RowLayout,
    Traces,
    events_of,
    keep_spikes,
    make_row_layout,
    make_thread_buffers,
    make_traces,
    max_shift_of,
    show_input,
    spike_starts,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import CurrentInput

FIRST_CAPACITY = 1024  # spikes per example; grows as needed


class EventSimulation(Simulation):
    """A `Simulation` of `EventProp`, spike to spike; it `keeps` adjoints for `correlate`."""

    def __init__(self, context: SimulationContext, *, keeps: bool = False) -> None:
        self.context = context
        self._capacity = FIRST_CAPACITY
        self._store: SpikeStore | None = None
        self._scores: Scores | None = None  # of the batch just run
        self._share: Share  # how ranks shared it
        self._buffers: SimpleQueue[EventBuffers] = SimpleQueue()
        self._row_layout: RowLayout
        self._traces: Traces
        self._taps: Taps
        self._current = self._address = np.zeros(0)
        self._steps = 0
        self._counts = np.zeros((0, 0), np.int64)
        self._currents = isinstance(context.network.input().model, CurrentInput)
        self._keeps = keeps or self._currents
        self._linear = make_linear(context)
        self._allocate_per_synapse()

    def _allocate_per_synapse(self) -> None:
        n = len(self.context.plan.pre)
        self._offset = np.zeros(n, np.uint32)
        self._recurrent: Recurrent
        self._spare: list[np.ndarray] = []  # for the gradients of chunks
        self._sum = np.zeros((2, n), np.float32)

    def refresh(self) -> None:
        """Read changed weights and delays: round the delays to whole steps."""
        if len(self._offset) != len(self.context.plan.pre):
            self._allocate_per_synapse()
        p, steps = self.context.parameters, self._steps
        self.context.spread(
            len(self._offset),
            lambda low, high: synapses.round_delays(
                p.acting_delay, self.context.layout.delay_of, p.highest, steps, low, high,
                self._offset,
            ),
        )  # fmt: skip
        self._recurrent = synapses.make_recurrent(
            self.context.plan, p.acting_weight, self._offset, self._line()[1]
        )
        if self.context.parameters.neurons or self.context.parameters.synapses:
            self._linear = make_linear(self.context)

    # Memory

    def _fit(self, batch: Batch) -> SpikeStore:
        """Return memory that fits a batch; what depends on the trial's length is made anew."""
        if batch.n_steps != self._steps:
            self._steps, self._store = batch.n_steps, None  # freed before the new one is made
            self.refresh()
        size, plan, classes = len(batch), self.context.plan, self.context.network.output().n
        if self._store is None or len(self._store.needed) < size:
            entries = int(np.sum(np.where(plan.kind == SPIKING, plan.n + 1, 0)))
            self._store = SpikeStore(
                start=np.zeros((size, entries), np.uint64),
                time=np.empty(size * self._capacity, np.uint32),
                slope=np.empty(size * self._capacity, np.float32),
                release=np.empty(size * self._capacity, np.float32),
                voltage=np.empty((size, classes, self._steps), np.float32),
                needed=np.zeros(size, np.int64),
            )
            self._buffers = SimpleQueue()
            for _ in range(self.context.workers.threads):
                self._buffers.put(self._make_buffers())
            self._make_rows(size, classes)
        return self._store

    def _make_rows(self, size: int, classes: int) -> None:
        """Make rows for a `CurrentInput` and for adjoints that are kept; empty ones otherwise."""
        plan = self.context.plan
        event_driven = (plan.kind != INPUT) | (not self._currents)
        max_shift = max_shift_of(self.context.parameters, self._steps)
        self._row_layout = make_row_layout(plan, self._steps, max_shift, event_driven)
        self._traces = make_traces(plan, self._row_layout, size if self._keeps else 0, classes)

    def _length(self) -> int:
        """Steps of a row: of the trial and of what arrives after it."""
        # Odd: rows of a power-of-two length would fight for the same sets of the cache.
        return self._steps + self._max_shift() | 1

    def _max_shift(self) -> int:
        """Return the most steps from a spike to its arrival."""
        highest = self.context.parameters.highest
        return min(int(np.ceil(highest.max(initial=0))), self._steps) + 1

    def _line(self) -> tuple[int, int]:
        """Return how far recurrent synapses reach in steps, and the widest recurrent population.

        The latter is in whole blocks.
        """
        recurrent = self.context.plan.recurrent_population
        widest = int(self.context.plan.n[recurrent].max(initial=0))
        return self._max_shift() + 1, -(-widest // BLOCK) * BLOCK

    def _make_buffers(self) -> EventBuffers:
        plan, steps, length = self.context.plan, self._steps, self._length()
        reach, width = self._line()
        lanes, groups = max(BLOCK, width), int(plan.groups.max())
        if reach * width > np.iinfo(np.uint32).max:  # what holds places: see `Recurrent`
            most, got = 2**32 // reach // BLOCK * BLOCK, plan.n[plan.recurrent_population].max()
            raise InputError(
                f"a population that projects to itself must have at most {most} neurons with "
                f"delays of up to {reach - 2} steps under EventProp, got {got}; make it smaller, "
                "lower max_delay, or take SurrogateBPTT"
            )
        # Of LIF neurons, adjoints of all steps are at hand for one block at a time.
        kept = lanes if np.any(self._linear.own & plan.recurrent_population) else BLOCK
        return EventBuffers(
            rows=np.zeros((groups + self._currents, lanes // LANES, length * LANES), np.float32),
            adjoint=np.zeros((groups, kept // QUAD, length * QUAD * PAIR), np.float32),
            line=np.zeros((groups, 2 * reach if width else 0, width), np.float32),
            fired=np.zeros((lanes // BLOCK, steps), np.uint32),
            resting=np.zeros((lanes // BLOCK, steps), np.uint32),
            listed=np.empty(BLOCK * steps + 2, np.uint32),
            outgoing=np.empty(self._capacity, np.float32),
            kept=linear_buffers(plan, self._linear, lanes, steps),
            nothing=linear_buffers(plan, self._linear, 0, 0),
        )

    def _products(self, parts: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums for what parts of a batch add to the gradients of parameters of neurons."""
        plan, size = self.context.plan, self._linear.quiet.shape[1]
        p, every = self.context.parameters, len(plan.bias)
        n, m = every if p.neurons else 0, every if p.synapses else 0
        groups = plan.decay.shape[0]
        return np.zeros((parts, n, 1 + 2 * size, size + 2)), np.zeros((parts, m, groups, 2))

    # Running

    def _special(self) -> tuple[Linear | None, Recurrent | None]:
        """Return what kernels need for general neurons and recurrent synapses, if there are any."""
        linear = self._linear if self._linear.own.any() else None
        return linear, self._recurrent if self.context.plan.recurrent_population.any() else None

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch, with more memory if its spikes need it; no spike is ever left out."""
        starts, times = events_of(batch)
        context = self.context
        share = self._share = context.share(len(batch), whole=not scored)
        while True:
            store = self._fit(batch)

            self._bring_currents(batch, spike_scale)

            def task(
                k: int, low: int, high: int, buffers: EventBuffers, store: SpikeStore = store
            ) -> None:
                linear, recurrent = self._special()
                eventprop_forward.run_chunk(
                    context.plan, linear, self._row_layout, context.parameters.acting_weight,
                    self._offset, recurrent, starts, times, spike_scale, self._current, store,
                    low, high, self._steps, buffers,
                )  # fmt: skip

            context.over_chunks(share.own_chunks(), self._buffers, task)
            needed = int(store.needed[slice(*share.own)].max(initial=0))
            if needed <= self._capacity:
                self._counts = self._spikes(store, len(batch))
                share.gather(self._counts)
                voltage, learns = store.voltage[: len(batch)], width is not None
                self._scores = None
                if scored:
                    self._scores = context.score_shared(share, voltage, batch, learns=learns)
                return ForwardResult(self._scores, self._counts)
            self._capacity = max(2 * self._capacity, needed + needed // 4)
            self._store = None

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `Simulation`."""
        assert self._store is not None and self._scores is not None
        store, context, drive = self._store, self.context, self._scores.drive
        share, most = self._share, len(self._share.chunks)
        count_gradient = context.spike_count_gradient(self._counts)
        starts, times = events_of(batch)

        by_matrix, by_synapse = self._products(most)
        sums = GradientSums(share, self._sum, self._spare)
        kept = self._traces.adjoint if self._keeps else None

        def task(k: int, low: int, high: int, buffers: EventBuffers) -> None:
            gradients, (linear, recurrent) = sums.take(), self._special()
            eventprop_backward.back_chunk(
                context.plan, linear, self._row_layout, context.parameters.acting_weight,
                self._offset, recurrent, starts, times, spike_scale, drive, count_gradient,
                self._current, store, low, high, self._steps, gradients, buffers,
                kept, by_matrix[k], by_synapse[k],
            )  # fmt: skip
            sums.give(k, gradients)

        context.over_chunks(share.own_chunks(), self._buffers, task)
        sums.finish()
        self._sum[1] *= context.parameters.acting_weight
        share.gather_chunks(by_matrix)
        share.gather_chunks(by_synapse)
        take_gradients(context, by_matrix.sum(0), by_synapse.sum(0))
        if self._currents:
            self._add_current_gradients(batch, spike_scale)
        if self._keeps:
            self._keep_spikes()
        return self._sum[0], self._sum[1]

    # Currents

    def _bring_currents(self, batch: Batch, spike_scale: np.ndarray) -> None:
        """Write the currents that a `CurrentInput` brings to every neuron."""
        self._current = np.zeros(0, np.float32)
        if not self._currents:
            return
        context, traces, layout = self.context, self._traces, self._row_layout
        show_input(context.plan, layout, batch, traces, *self._share.own)
        plan, p_ = self._of_currents(), context.parameters
        longest, order = p_.longest, context.layout.delay_of
        self._taps = make_taps(p_.acting_delay, order, longest, self._steps, 0.0, learning=True)
        coef, self._address = placed(context.plan, layout, self._taps, p_.acting_weight)
        taps, address, (starts, times) = self._taps, self._address, events_of(batch)
        spectra, places = no_spectra(len(plan.source)), len(traces.time) * layout.neurons
        own: np.ndarray = np.zeros(places * layout.length, np.float32)
        for p in range(len(plan.kind)):
            if plan.kind[p] == INPUT:
                continue

            def task(low: int, high: int, p: int = p) -> None:
                buffers = make_thread_buffers(plan, layout)
                currents.run_rows(
                    plan, layout, p, taps.size, taps.first, coef, address, starts, times,
                    spike_scale, spectra, traces, low, high, buffers, own,
                )  # fmt: skip

            context.spread_over(*self._share.own, task)
        self._current = own

    def _of_currents(self) -> Plan:
        """Return a plan in which only the projections of the input have a target."""
        plan = self.context.plan
        return plan._replace(target=np.where(plan.kind[plan.source] == INPUT, plan.target, -1))

    def _add_current_gradients(self, batch: Batch, spike_scale: np.ndarray) -> None:
        plan, layout, traces, taps = self._of_currents(), self._row_layout, self._traces, self._taps
        (starts, times), parts = events_of(batch), self._share.own_chunks()
        sums = np.zeros((len(self._share.chunks), len(self._address)), np.float32)
        spectra, nothing = no_spectra(len(plan.source)), np.zeros(0, np.float32)

        def task(at: int) -> None:
            k, low, high = parts[at]
            for e in range(low, high):
                neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
                for p in np.flatnonzero(plan.kind != INPUT):
                    at = (e * layout.neurons + layout.neuron_row[p]) * layout.length
                    currents.collect(
                        plan, layout, p, taps.size, taps.first, self._address, starts[e], times,
                        neuron_scale, spectra, traces, e, traces.adjoint, at, nothing, sums[k],
                    )  # fmt: skip

        self.context.workers.run(task, len(parts))
        total = np.empty(sums.shape[1], np.float32)
        self.context.sum_groups(self._share, sums, total)
        by_weight, by_delay = np.empty(self._sum.shape, np.float32)
        gather_gradient(taps, self.context.parameters.acting_weight, total, by_weight, by_delay)
        self._sum[0] += by_weight
        self._sum[1] += by_delay

    def keep_adjoints(self) -> None:
        """Keep the adjoints of batches from the next one on."""
        if not self._keeps:
            self._keeps, self._store = True, None

    def input_gradient(self, batch: Batch) -> np.ndarray:
        """Return dL/dx of the batch just gone back, whose adjoints were kept, (B, T, C)."""
        p = self.context.parameters
        taps = make_taps(
            p.acting_delay, self.context.layout.delay_of, p.longest, self._steps, 0.0,
            learning=False,
        )  # fmt: skip
        return input_gradient(self.context, self._row_layout, self._traces, taps, len(batch))

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of all pairs of a projection; see `Simulation`."""
        if not self._keeps:
            self.keep_adjoints()
            self.forward(batch, spike_scale, width=0.0)
            self.backward(batch, spike_scale)
        return correlate(
            self.context, self._row_layout, self._traces, batch, spike_scale, q, first, size,
            self._share,
        )  # fmt: skip

    def _spikes(self, store: SpikeStore, size: int) -> np.ndarray:
        """Return the spikes of every neuron, (size, N) int64."""
        plan = self.context.plan
        counts = np.zeros((size, int(plan.first[-1])), np.int64)
        for p in np.flatnonzero(plan.kind == SPIKING):
            start = store.start[:size, plan.spike_offset[p] : plan.spike_offset[p] + plan.n[p] + 1]
            counts[:, plan.first[p] : plan.first[p + 1]] = np.diff(start.astype(np.int64))
        return counts

    def _times(self, name: str, first: int, end: int) -> np.ndarray:
        """Return the steps of a population's spikes in some examples, by neuron, uint32."""
        assert self._store is not None
        p, plan = self.context.layout.names.index(name), self.context.plan
        places = [plan.spike_offset[p], plan.spike_offset[p] + plan.n[p]]
        ends = self._store.start[first:end, places]
        return np.concatenate([self._store.time[:0], *(self._store.time[a:b] for a, b in ends)])

    def _keep_spikes(self) -> None:
        first, end = self._share.own
        for name in self.context.layout.spiking:
            row = self._row_layout.neuron_row[self.context.layout.names.index(name)]
            count = self._counts[first:end, self.context.layout.neurons[name]]
            times = self._times(name, first, end)
            keep_spikes(self._row_layout, self._traces, row, count, times, first)

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        assert self._store is not None
        store, size, layout = self._store, len(batch), self.context.layout
        time = {name: self._times(name, 0, size).astype(np.int32) for name in layout.spiking}
        start = {name: spike_starts(self._counts[:, layout.neurons[name]]) for name in time}
        voltage = store.voltage[:size].copy()
        return Recording(start, time, voltage, self.context.read_out(voltage))
