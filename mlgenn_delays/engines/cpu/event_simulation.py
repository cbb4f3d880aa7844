"""A batch through the network example by example, from spike to spike, for `EventProp`."""

from queue import SimpleQueue

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.cpu import currents, eventprop_backward, eventprop_forward
from mlgenn_delays.engines.cpu.store import (
    LANES,
    Recurrent,
    Store,
    Work,
    keep_spikes,
    make_store,
    make_work,
)
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared import adam
from mlgenn_delays.engines.shared.context import Core
from mlgenn_delays.engines.shared.correlate import (
    correlate,
    events_of,
    longest_steps,
    placed,
    reach_of,
    show_input,
)
from mlgenn_delays.engines.shared.plan import INPUT, SPIKING, Plan
from mlgenn_delays.engines.shared.simulation import Outcome
from mlgenn_delays.engines.shared.taps import Taps, gather_gradient, make_taps
from mlgenn_delays.engines.shared.threads import CHUNKS, chunks
from mlgenn_delays.engines.shared.traces import Frame, Series, make_frame, make_scratch, make_series
from mlgenn_delays.network import CurrentInput

FIRST_CAPACITY = 1024  # spikes an example; grows as needed


class EventPasses:
    """See `passes.Passes`.

    Arguments:
        core: What it works on.
        keeps: Whether adjoints are kept, for `correlate`.
    """

    def __init__(self, core: Core, *, keeps: bool = False) -> None:
        self.core = core
        self._capacity = FIRST_CAPACITY
        self._store: Store | None = None
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._frame: Frame
        self._series: Series
        self._taps: Taps
        self._current = self._address = np.zeros(0)
        self._steps = 0
        self._counts = np.zeros((0, 0), np.int64)
        self._currents = isinstance(core.network.input().model, CurrentInput)
        self._keeps = keeps or self._currents
        self._structured()

    def _structured(self) -> None:
        """Make what has the size of the structure."""
        synapses = len(self.core.plan.pre)
        self._offset = np.zeros(synapses, np.uint32)
        self._recurrent = Recurrent(np.zeros(0, np.float32), np.zeros(0, np.uint32))
        self._grads = np.zeros((0, 2, synapses), np.float32)
        self._sum = np.zeros((2, synapses), np.float32)

    def refresh(self) -> None:
        """Take note of changed weights and delays: round the delays to whole steps."""
        if len(self._offset) != len(self.core.plan.pre):
            self._structured()
        p, steps = self.core.parameters, self._steps
        self.core.spread(
            len(self._offset),
            lambda low, high: adam.round_delays(
                p.delay, self.core.layout.delay_of, p.highest, steps, low, high, self._offset
            ),
        )
        order = self.core.plan.out_synapse
        self._recurrent = Recurrent(p.weight[order], self._offset[order])

    # Memory

    def _fit(self, batch: Batch) -> Store:
        """Return memory that fits a batch; what depends on the trial's length is made anew."""
        if batch.n_steps != self._steps:
            self._steps = batch.n_steps
            self._store = None
            self.refresh()
        size, plan = len(batch), self.core.plan
        if self._store is None or len(self._store.needed) < size:
            held = int(np.sum(np.where(plan.kind == SPIKING, plan.n + 1, 0)))
            classes = self.core.network.output().n
            self._store = make_store(size, held, self._capacity, classes, self._steps)
            self._make_work(classes)
            self._make_rows(size, classes)
        return self._store

    def _make_rows(self, size: int, classes: int) -> None:
        """Make rows for a `CurrentInput` and for adjoints that are kept; empty ones otherwise."""
        plan = self.core.plan
        by_events = (plan.kind != INPUT) | (not self._currents)
        reach = reach_of(self.core.parameters, self._steps)
        self._frame = make_frame(plan, self._steps, reach, by_events)
        self._series = make_series(plan, self._frame, size if self._keeps else 0, classes)
        if not self._keeps:
            self._series = self._series._replace(adjoint=self._series.adjoint[:, :0].copy())

    def _make_work(self, classes: int) -> None:
        """Give every thread its scratch memory."""
        plan = self.core.plan
        wide = [int(n) for n, r in zip(plan.n, plan.recurrent, strict=True) if r]
        highest = self.core.parameters.highest
        reach = min(int(np.ceil(highest.max(initial=0))), self._steps) + 1
        lanes, groups = max([LANES, *wide]), int(plan.groups.max())
        self._work = SimpleQueue()
        for _ in range(self.core.workers.threads):
            self._work.put(make_work(groups, lanes, self._steps, reach, classes, self._capacity))

    # Running

    def forward(
        self, batch: Batch, gains: np.ndarray, *, width: float | None, late: bool = False
    ) -> Outcome:
        """Run a batch, with more memory if its spikes need it; no spike is ever left out."""
        starts, times = events_of(batch)
        core = self.core
        while True:
            store = self._fit(batch)

            self._bring_currents(batch, gains)

            def task(k: int, low: int, high: int, work: Work, store: Store = store) -> None:
                eventprop_forward.run_chunk(
                    core.plan, self._frame, core.parameters.weight, self._offset, self._recurrent,
                    starts, times, gains, batch.labels, self._current, store, low, high,
                    self._steps, work,
                )  # fmt: skip

            core.over_chunks(len(batch), CHUNKS, self._work, task)
            size = len(batch)
            needed = int(store.needed[:size].max())
            if needed <= self._capacity:
                self._counts = self._spikes(store, size)
                return Outcome(store.logits[:size], store.loss[:size], self._counts)
            self._capacity = max(2 * self._capacity, needed + needed // 4)
            self._store = None

    def backward(self, batch: Batch, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `passes.Passes`."""
        assert self._store is not None
        store, core = self._store, self.core
        most = min(CHUNKS, (len(batch) + 1) // 2)
        if len(self._grads) < most:
            self._grads = np.empty((most, *self._sum.shape), np.float32)
        pull = core.pull(self._counts)
        starts, times = events_of(batch)

        def task(k: int, low: int, high: int, work: Work) -> None:
            eventprop_backward.back_chunk(
                core.plan, self._frame, core.parameters.weight, self._offset, self._recurrent,
                starts, times, gains, batch.labels, pull, store, low, high, self._steps,
                self._grads[k], work, self._series.adjoint,
            )  # fmt: skip

        n = core.over_chunks(len(batch), CHUNKS, self._work, task)

        def add_up(low: int, high: int) -> None:
            for kind in range(2):
                adam.sum_chunks(self._grads[:, kind], n, low, high, self._sum[kind])

        core.spread(self._sum.shape[1], add_up)
        self._sum[1] *= core.parameters.weight
        if self._currents:
            self._add_current_gradients(batch, gains)
        if self._keeps:
            keep_spikes(core.plan, self._frame, store, len(batch), self._series)
        return self._sum[0], self._sum[1]

    # Currents

    def _bring_currents(self, batch: Batch, gains: np.ndarray) -> None:
        """Write the currents that a `CurrentInput` brings to every neuron."""
        self._current = np.zeros(0, np.float32)
        if not self._currents:
            return
        core, series, frame = self.core, self._series, self._frame
        show_input(core.plan, frame, batch, series)
        plan, p_ = self._of_currents(), core.parameters
        longest, order = longest_steps(p_), core.layout.delay_of
        self._taps = make_taps(p_.delay, order, longest, self._steps, 0.0, learning=True)
        coef, self._address = placed(core.plan, frame, self._taps, p_.weight)
        taps, address, (starts, times) = self._taps, self._address, events_of(batch)
        for p in range(len(plan.kind)):
            if plan.kind[p] == INPUT:
                continue

            def task(low: int, high: int, p: int = p) -> None:
                scratch = make_scratch(plan, frame, 0)
                currents.run_currents(
                    plan, frame, p, taps.size, taps.first, coef, address, starts, times, gains,
                    series, low, high, scratch,
                )  # fmt: skip

            core.spread(len(batch), task)
        self._current = series.current

    def _of_currents(self) -> Plan:
        """Return a plan in which only the projections of the input have a target."""
        plan = self.core.plan
        return plan._replace(target=np.where(plan.kind[plan.source] == INPUT, plan.target, -1))

    def _add_current_gradients(self, batch: Batch, gains: np.ndarray) -> None:
        """Add the gradients of the input's synapses, from the adjoints that were kept."""
        plan, frame, series, taps = self._of_currents(), self._frame, self._series, self._taps
        starts, times = events_of(batch)
        parts = chunks(len(batch), min(CHUNKS, (len(batch) + 1) // 2))
        sums = np.zeros((len(parts), len(self._address)), np.float32)

        def task(k: int) -> None:
            for e in range(*parts[k]):
                gain = gains[e if len(gains) > 1 else 0]
                for p in np.flatnonzero(plan.kind != INPUT):
                    currents.collect(
                        plan, frame, p, taps.size, taps.first, self._address, starts[e], times,
                        gain, series, e, sums[k],
                    )  # fmt: skip

        self.core.workers.run(task, len(parts))
        by_weight, by_delay = np.empty(self._sum.shape, np.float32)
        gather_gradient(taps, self.core.parameters.weight, sums.sum(0), by_weight, by_delay)
        self._sum[0] += by_weight
        self._sum[1] += by_delay

    def correlate(
        self, batch: Batch, gains: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of all pairs of a projection; see `passes.Passes`."""
        if not self._keeps:
            self._keeps, self._store = True, None
            self.forward(batch, gains, width=None)
            self.backward(batch, gains)
        return correlate(self.core, self._frame, self._series, batch, gains, q, first, size)

    def keep_statistics(self, size: int) -> None:
        """Do nothing: there is no normalisation."""

    def _spikes(self, store: Store, size: int) -> np.ndarray:
        """Return the spikes of every neuron, (size, N) int64."""
        plan = self.core.plan
        counts = np.zeros((size, int(plan.first[-1])), np.int64)
        for p in np.flatnonzero(plan.kind == SPIKING):
            start = store.start[:size, plan.held[p] : plan.held[p] + plan.n[p] + 1]
            counts[:, plan.first[p] : plan.first[p + 1]] = np.diff(start.astype(np.int64))
        return counts

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        assert self._store is not None
        store, size, plan = self._store, len(batch), self.core.plan
        start, time = {}, {}
        for name in self.core.layout.spiking:
            p = self.core.layout.names.index(name)
            entries = slice(plan.held[p], plan.held[p] + plan.n[p] + 1)
            own = store.start[:size, entries].astype(np.int64)
            kept = [store.time[s[0] : s[-1]] for s in own]
            time[name] = np.concatenate(kept).astype(np.int32)
            sizes = own[:, -1] - own[:, 0]
            base = np.cumsum(sizes) - sizes
            start[name] = own - own[:, :1] + base[:, None]
        return Recording(start, time, store.voltage[:size].copy(), store.logits[:size].copy())
