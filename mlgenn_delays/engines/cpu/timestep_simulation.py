"""A batch through the network population by population, for `SurrogateBPTT`.

Every population's currents, voltages and adjoints are kept for the whole batch, for normalisation
is over batch and time, and the surrogate derivative needs every voltage.
"""

from queue import SimpleQueue

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.cpu import currents, normalise, surrogate_backward, surrogate_forward
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
from mlgenn_delays.engines.shared.plan import INPUT, SPIKING
from mlgenn_delays.engines.shared.simulation import Outcome
from mlgenn_delays.engines.shared.taps import Taps, gather_gradient, make_taps, place_outgoing
from mlgenn_delays.engines.shared.threads import CHUNK_BYTES, CHUNKS
from mlgenn_delays.engines.shared.traces import (
    Frame,
    Scratch,
    Series,
    make_frame,
    make_scratch,
    make_series,
)
from mlgenn_delays.learning import Atan, SurrogateBPTT, Triangle
from mlgenn_delays.network import CurrentInput
from mlgenn_delays.network.normalisation import EPSILON

MOMENTUM = 0.1  # share of a batch in the running statistics


class SeriesPasses:
    """See `passes.Passes`.

    Arguments:
        core: What it works on.
    """

    def __init__(self, core: Core) -> None:
        self.core = core
        self._steps = 0
        self._series: Series | None = None
        self._frame: Frame
        self._scratch: SimpleQueue[Scratch] = SimpleQueue()
        self._taps: dict[float | None, tuple[Taps, np.ndarray, np.ndarray]] = {}
        self._width: float | None = None
        self._batch_stats: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._counts = np.zeros((0, 0), np.int64)
        self._current_input = isinstance(core.network.input().model, CurrentInput)
        rule = core.rule
        self._surrogate = rule.surrogate if isinstance(rule, SurrogateBPTT) else Atan()
        self._plan = core.plan

    # Memory

    def refresh(self) -> None:
        """Take note of changed weights, delays and structure."""
        self._taps.clear()
        self._plan = self.core.plan

    def _fit(self, batch: Batch) -> Series:
        """Return memory that fits a batch."""
        plan, size = self._plan, len(batch)
        if batch.n_steps != self._steps:
            self._steps, self._series = batch.n_steps, None
            self._taps.clear()
        if self._series is None or len(self._series.loss) < size:
            compact = self._surrogate.compact
            walked = (plan.kind == SPIKING) | ((plan.kind == INPUT) & (not self._current_input))
            reach = reach_of(self.core.parameters, self._steps)
            self._frame = make_frame(plan, self._steps, reach, walked & compact)
            classes = self.core.network.output().n
            self._series = make_series(plan, self._frame, size, classes)
            self._scratch = SimpleQueue()
            for _ in range(self.core.workers.threads):
                self._scratch.put(make_scratch(plan, self._frame, classes))
        return self._series

    def _tapped(self, width: float | None) -> tuple[Taps, np.ndarray, np.ndarray]:
        """Return the taps of all synapses, and their coefficients and places."""
        if width not in self._taps:
            self._taps.clear()
            p, layout = self.core.parameters, self.core.layout
            learning = width is not None and self.core.rule.delays is not None
            taps = make_taps(
                p.delay, layout.delay_of, longest_steps(p), self._steps, width or 0.0, learning
            )
            self._taps[width] = taps, *placed(self._plan, self._frame, taps, p.weight)
        return self._taps[width]

    # Forwards

    def forward(
        self, batch: Batch, gains: np.ndarray, *, width: float | None, late: bool = False
    ) -> Outcome:
        """Run a batch; see `passes.Passes`."""
        series, plan, size = self._fit(batch), self._plan, len(batch)
        self._width = width
        taps, coef, address = self._tapped(width)
        show_input(plan, self._frame, batch, series)
        starts, times = events_of(batch)
        for p in range(len(plan.kind)):
            if plan.kind[p] == INPUT:
                continue

            def charge(k: int, low: int, high: int, scratch: Scratch, p: int = p) -> None:
                currents.run_currents(
                    plan, self._frame, p, taps.size, taps.first, coef, address, starts, times,
                    gains, series, low, high, scratch,
                )  # fmt: skip

            self._over_chunks(size, charge)
            factor, shift = self._affine(p, size, width is not None)

            def fire(
                k: int, low: int, high: int, scratch: Scratch, p: int = p,
                factor: np.ndarray = factor, shift: np.ndarray = shift,
            ) -> None:  # fmt: skip
                surrogate_forward.run_neurons(
                    plan, self._frame, p, factor, shift, taps.size, taps.first, coef, gains,
                    batch.labels, series, low, high, scratch,
                )  # fmt: skip

            self._over_chunks(size, fire)
        self._counts = self._spikes(size)
        return Outcome(series.logits[:size], series.loss[:size], self._counts)

    def _over_chunks(self, size: int, task: object, most: int = CHUNKS) -> int:
        """Run a task over the chunks of a batch."""
        return self.core.over_chunks(size, most, self._scratch, task)  # type: ignore[arg-type]

    def _affine(self, p: int, size: int, training: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return what each neuron's current is multiplied by and added to, (N,) float32 each."""
        plan, name = self._plan, self.core.layout.names[p]
        factor, shift = np.ones(len(plan.bias), np.float32), plan.bias.copy()
        norm = self.core.parameters.norms.get(name)
        if norm is None:
            return factor, shift
        own = slice(plan.first[p], plan.first[p + 1])
        mean, variance = norm.mean.astype(np.float64), norm.variance.astype(np.float64)
        if training:
            mean, variance = self._statistics(p, size)
            self._batch_stats[name] = mean, variance
        root = np.sqrt(variance + EPSILON)
        factor[own] = norm.gain / root
        shift[own] += (norm.offset - mean * (norm.gain / root)).astype(np.float32)
        return factor, shift

    def _statistics(self, p: int, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and variance of the currents over batch and time, (n,) float64 each."""
        frame, n = self._frame, int(self._plan.n[p])
        sums, series = np.empty((2, size, n)), self._series
        assert series is not None
        self._over_chunks(
            size,
            lambda k, low, high, scratch: normalise.add_up(
                frame, frame.neuron_row[p], n, series.current, series.current, low, high, sums
            ),
        )
        count = size * self._steps
        mean, square = sums.sum(1) / count
        return mean, np.maximum(square - mean * mean, 0.0)

    def keep_statistics(self, size: int) -> None:
        """Let the last batch's statistics into the running ones."""
        count = size * self._steps
        for name, (mean, variance) in self._batch_stats.items():
            norm = self.core.parameters.norms[name]
            unbiased = variance * (count / max(1, count - 1))
            norm.mean += np.float32(MOMENTUM) * (mean.astype(np.float32) - norm.mean)
            norm.variance += np.float32(MOMENTUM) * (unbiased.astype(np.float32) - norm.variance)

    def _spikes(self, size: int) -> np.ndarray:
        """Return the spikes of every neuron, (size, N) int64."""
        plan, frame = self._plan, self._frame
        counts = np.zeros((size, int(plan.first[-1])), np.int64)
        assert self._series is not None
        for p in np.flatnonzero(plan.kind == SPIKING):
            row = frame.neuron_row[p]
            own = self._series.counts[:size, row : row + plan.n[p]]
            counts[:, plan.first[p] : plan.first[p + 1]] = own
        return counts

    # Backwards

    def _shape(self) -> tuple[int, np.float32, np.float32, bool]:
        """Return the surrogate as the kernels take it."""
        s = self._surrogate
        if isinstance(s, Atan):
            return surrogate_backward.ATAN, np.float32(s.slope), np.float32(0.0), False
        kind = surrogate_backward.TRIANGLE if isinstance(s, Triangle) else surrogate_backward.BOXCAR
        return kind, np.float32(s.width), np.float32(s.height), True

    def backward(self, batch: Batch, gains: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the batch just run; see `passes.Passes`."""
        assert self._series is not None
        series, plan, size, p_ = self._series, self._plan, len(batch), self.core.parameters
        taps, _, address = self._tapped(self._width)
        places = len(plan.out_synapse) * taps.size
        out_coef, out_address = np.empty(places, np.float32), np.empty(places, np.int64)
        place_outgoing(plan, self._frame, taps, p_.weight, out_coef, out_address)
        starts, times = events_of(batch)
        pull, shape = self.core.pull(self._counts), self._shape()
        room = max(1, CHUNK_BYTES // max(4, 4 * len(address)))
        sums = np.zeros((min(CHUNKS, room, (size + 1) // 2), len(address)), np.float32)
        for p in range(len(plan.kind) - 1, -1, -1):
            if plan.kind[p] == INPUT:
                continue

            def neurons_back(k: int, low: int, high: int, scratch: Scratch, p: int = p) -> None:
                surrogate_backward.back_neurons(
                    plan, self._frame, p, shape, taps.size, out_coef, out_address, gains,
                    batch.labels, pull, series, low, high, scratch,
                )  # fmt: skip

            self._over_chunks(size, neurons_back)
            self._normalise_back(p, size)

            def arrivals_back(k: int, low: int, high: int, scratch: Scratch, p: int = p) -> None:
                surrogate_backward.back_arrivals(
                    plan, self._frame, p, taps.size, taps.first, address, starts, times, gains,
                    series, low, high, sums[k],
                )  # fmt: skip

            self._over_chunks(size, arrivals_back, len(sums))
        total = np.empty(len(address), np.float32)
        self.core.spread(
            len(total), lambda low, high: adam.sum_chunks(sums, len(sums), low, high, total)
        )
        by_weight, by_delay = np.empty((2, len(p_.weight)), np.float32)
        gather_gradient(taps, p_.weight, total, by_weight, by_delay)
        return by_weight, by_delay

    def _normalise_back(self, p: int, size: int) -> None:
        """Take dL/dI of a normalised population back through its normalisation."""
        name = self.core.layout.names[p]
        if name not in self.core.parameters.norms:
            return
        norm, series, frame = self.core.parameters.norms[name], self._series, self._frame
        mean, variance = self._batch_stats[name]
        assert series is not None
        root, n, row = np.sqrt(variance + EPSILON), int(self._plan.n[p]), frame.neuron_row[p]
        sums = np.empty((2, size, n))
        self._over_chunks(
            size,
            lambda k, low, high, scratch: normalise.add_up(
                frame, row, n, series.voltage, series.current, low, high, sums
            ),
        )
        by_offset, by_product = sums.sum(1)
        by_gain = (by_product - mean * by_offset) / root
        norm.by_gain, norm.by_offset = by_gain.astype(np.float32), by_offset.astype(np.float32)
        count, factor = size * self._steps, norm.gain / root
        by_current = -factor / root * (by_gain / count)
        rest = -factor * (by_offset / count) - by_current * mean
        linear = [a.astype(np.float32) for a in (by_current, factor, rest)]
        self._over_chunks(
            size,
            lambda k, low, high, scratch: normalise.combine(
                frame, row, n, *linear, series, low, high
            ),
        )

    def correlate(
        self, batch: Batch, gains: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of all pairs of a projection; see `passes.Passes`."""
        assert self._series is not None
        return correlate(self.core, self._frame, self._series, batch, gains, q, first, size)

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        assert self._series is not None
        series, size = self._series, len(batch)
        start, time = {}, {}
        for name in self.core.layout.spiking:
            p = self.core.layout.names.index(name)
            row = self._frame.neuron_row[p]
            count = series.counts[:size, row : row + self._plan.n[p]]
            ends = np.cumsum(count.ravel()).reshape(count.shape)
            start[name] = np.concatenate([ends[:, :1] - count[:, :1], ends], axis=1)
            held = np.arange(self._steps) < count[:, :, None]
            time[name] = series.time[:size, row : row + self._plan.n[p]][held].astype(np.int32)
        return Recording(start, time, series.voltage_out[:size].copy(), series.logits[:size].copy())
