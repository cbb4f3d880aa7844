"""A batch through a network in GeNN, forwards and back; see `engines.shared.simulation`.

Examples run one after another, or side by side where the backend can; while one goes forwards the
one before goes back. That is one of the same batch, so that a batch has the gradient it has on the
CPU engine; under a pipelined rule, one of the batch before, with the weights that it had. The
readouts, the loss and the optimiser step are the CPU engine's.
"""

from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch, examples
from mlgenn_delays.engines.genn.checks import check_network
from mlgenn_delays.engines.genn.compiler import Target
from mlgenn_delays.engines.genn.equation_code import constant_gradient
from mlgenn_delays.engines.genn.neuron_code import learned_values, words
from mlgenn_delays.engines.genn.running import Running, draw_raster, ordered_spikes
from mlgenn_delays.engines.genn.tape import synapse_sums
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.engines.shared.candidate_gradients import correlate
from mlgenn_delays.engines.shared.plan import INPUT
from mlgenn_delays.engines.shared.scoring import Scores, joined
from mlgenn_delays.engines.shared.simulation import ForwardResult, Simulation, SimulationContext
from mlgenn_delays.engines.shared.traces import (
    RowLayout,
    Traces,
    keep_spikes,
    make_row_layout,
    make_traces,
    max_shift_of,
    show_input,
    spike_starts,
)
from mlgenn_delays.learning import EventProp
from mlgenn_delays.network import CurrentInput


@dataclass
class _Trial:
    """A batch that is on the tapes."""

    batch: Batch
    spike_scale: np.ndarray  # that of its forward pass
    first: int  # where on the tapes its first example lies
    weight: np.ndarray  # of the synapses that it ran with
    lows: range  # where its examples that run side by side start


class GeNNSimulation(Simulation):
    """A `Simulation` in GeNN; it `keeps` adjoints for `correlate`."""

    def __init__(
        self, context: SimulationContext, *, keeps: bool, rewired: bool, target: Target
    ) -> None:
        check_network(context.network, context.rule, target.backend)
        self.context = context
        self.target = target
        self._keeps, self._rewired = keeps, rewired
        self._running: Running | None = None
        self._pipelined = context.rule.pipelined
        self._stale, self._width = True, 0.0
        self._count_gradient = np.zeros(0, np.float32)
        # (B, N) spikes of the whole batch just run, also where other ranks ran a part of it.
        self.counts = np.zeros((0, 0), np.int64)
        self._now: _Trial  # the batch just run
        self._waits: _Trial | None = None  # what ran to be learned and has not gone back
        self._back: _Trial | None = None  # what has gone back and was not asked for
        self._early: tuple[np.ndarray, np.ndarray] | None = None  # its gradients, if taken before
        self._row_layout: RowLayout
        self._traces: Traces | None = None
        self._kept = False
        self._input = context.network.input().name
        self._output = context.network.output().name
        self._currents = isinstance(context.network.input().model, CurrentInput)

    def refresh(self) -> None:
        """Read changed weights, delays and structure; see `Simulation`."""
        self._stale = True

    # What runs

    def _fit(self, batch: Batch) -> Running:
        context = self.context
        if self._running is None or not self._running.fits(context.network):
            self._close()
            self._running = Running(
                context.network, context.rule, keeps=self._keeps, rewired=self._rewired,
                target=self.target,
            )  # fmt: skip
            self._stale = True
        running = self._running
        running.steps = batch.n_steps
        sizes = {
            (name, array): int(np.prod(self._shape(batch, name, array)))
            for name in context.network.populations
            for array in running.arrays(name)
        }
        self._stale |= running.make_room(sizes)
        return running

    def _close(self) -> None:
        if self._running is not None:
            self._running.close()
        self._running = None

    def _slots(self, batch: Batch) -> int:
        return -(-len(batch) // self.target.batch_size) * self.target.batch_size

    def _shape(self, batch: Batch, name: str, array: str) -> tuple[int, int, int]:
        """Return the shape of an array of a population, (slots, T, values of a step).

        Under a pipelined rule two batches are on the tapes. Output voltages and dL/dV of one are
        read before those of the next come.
        """
        n = self.context.network.populations[name].n
        two = self._pipelined and name != self._output
        slots = self._slots(batch) * (2 if two else 1)
        return slots, batch.n_steps, words(n) if array == "Raster" else n

    def _rows(self, batch: Batch, name: str, array: str) -> np.ndarray:
        """Return the host's view of an array of a population, from where the batch just run lies
        on; see `_shape`.
        """
        assert self._running is not None
        shape = self._shape(batch, name, array)
        whole = self._running.room(name, array, int(np.prod(shape))).reshape(shape)
        return whole if name == self._output else whole[self._now.first :][: self._slots(batch)]

    def _renew(self, running: Running, width: float) -> None:
        """Send changed weights, delays and structure to GeNN."""
        if self._stale or width != self._width:
            running.put_structure(self.context.network)
            running.put_parameters(self.context.network, self.context.parameters, width)
            for name, neurons in self.context.parameters.neurons.items():
                running.put_variables(name, learned_values(neurons, self.context.rule))
            for group in self.context.parameters.synapses.values():
                running.put_synapses(group)
            self._stale, self._width = False, width

    def _show(self, running: Running, batch: Batch) -> None:
        array = "Value" if isinstance(batch, CurrentBatch) else "Raster"
        rows = self._rows(batch, self._input, array)
        rows[len(batch) :] = 0
        if isinstance(batch, CurrentBatch):
            rows[: len(batch)] = batch.values
        else:
            draw_raster(self.context, batch, rows)
        running.array_to_device(self._input, array)

    def _side(self, batch: Batch, low: int) -> slice:
        return slice(low, min(low + self.target.batch_size, len(batch)))

    def _point(
        self, running: Running, trial: _Trial | None, low: int | None, *, back: bool
    ) -> tuple[int, int] | None:
        """Prepare examples from `low` on to go forwards, or back; return an argument of `go`."""
        if trial is None or low is None:
            return None
        here, spike_scale = self._side(trial.batch, low), trial.spike_scale
        many = here.stop - low
        variable = "GainBack" if back else "Gain"
        for name in self.context.layout.spiking:
            own = self.context.layout.neurons[name]
            if running.has(name, variable):
                view = running.variable(name, variable)
                view[:many] = spike_scale[here if len(spike_scale) > 1 else slice(0, 1), None, own]
                view[many:] = 1.0
                running.to_device(name, variable)
            if back:  # what only fills up those side by side must bring no gradient
                view = running.variable(name, "CountGradient")
                view[:many], view[many:] = self._count_gradient[own], 0.0
                running.to_device(name, "CountGradient")
        return trial.first, low

    # Forwards and back

    def forward(
        self, batch: Batch, spike_scale: np.ndarray, *, width: float | None, pending: bool = False,
        scored: bool = True,
    ) -> ForwardResult:  # fmt: skip
        """Run a batch; see `Simulation`."""
        if not pending:
            self._waits = self._back = self._early = None
        before = self._waits
        if before is not None and (
            self._slots(before.batch) != self._slots(batch) or before.batch.n_steps != batch.n_steps
        ):
            # Room for longer trials may cost all that is on the device.
            self._early, before = self.backward(before.batch, before.spike_scale), None
        running, size, learns = self._fit(batch), len(batch), width is not None
        if before is not None:
            running.update("KeepLate")
        self._renew(running, width or 0.0)
        first = self._slots(batch) if before is not None and before.first == 0 else 0
        weight = self.context.parameters.acting_weight
        weight = weight.copy() if self._pipelined else weight
        now = self._now = _Trial(
            batch, spike_scale, first, weight, range(0, size, self.target.batch_size)
        )
        self._show(running, batch)
        if before is not None:
            self._begin(running, before)
        self.counts = np.zeros((size, int(self.context.plan.first[-1])), np.int64)
        scores: list[Scores] = []
        back, returning = before, [*before.lows] if before is not None else []
        # What the spike counts of the whole batch pull at must be known before any backward pass.
        if learns and not self._pipelined and self.context.rule.spike_count.strength == 0:
            self._begin(running, now)
            back, returning = now, [None, *now.lows]
        for low, other in zip_longest(now.lows, returning):
            self._go(running, now, low, back, other)
            if low is not None:
                running.array_from_device(self._output, "Voltage")
                if scored:
                    scores.append(self._score(running, batch, self._side(batch, low), learns))
        self._waits = now if learns and back is not now else None
        return ForwardResult(joined(scores) if scored else None, self.counts)

    def _return(self, trial: _Trial) -> None:
        """Go back through a batch that has run, alone."""
        running = self._running
        assert running is not None
        if self._pipelined:
            running.update("KeepLate")
        self._begin(running, trial)
        for low in trial.lows:
            self._go(running, None, None, trial, low)
        self._waits = None

    def _begin(self, running: Running, trial: _Trial) -> None:
        running.update("Clear")
        self._count_gradient, self._back = self.context.spike_count_gradient(self.counts), trial

    def _go(
        self, running: Running, now: _Trial | None, low: int | None, before: _Trial | None,
        back: int | None,
    ) -> None:  # fmt: skip
        """Run examples of one batch from `low` on forwards, of another from `back` on back."""
        forward = self._point(running, now, low, back=False)
        running.go(forward, self._point(running, before, back, back=True))
        if now is not None and low is not None:
            here = self._side(now.batch, low)
            for name in self.context.layout.spiking:
                counts = running.from_device(name, "Count")[: here.stop - low]
                self.counts[here, self.context.layout.neurons[name]] = counts

    def _score(self, running: Running, batch: Batch, here: slice, learns: bool) -> Scores:
        """Score the examples that went forwards; send dL/dV to GeNN if they go back."""
        rows = self._rows(batch, self._output, "Voltage")[here]
        voltage = np.empty((len(rows), rows.shape[2], rows.shape[1]), np.float32)

        def turn(low: int, high: int) -> None:
            voltage[low:high] = rows[low:high].transpose(0, 2, 1)

        self.context.spread(len(rows), turn)
        part = examples(batch, here.start, here.stop)
        scores = self.context.score(voltage, part, learns=learns)
        if scores.drive is not None:
            drive, by_voltage = self._rows(batch, self._output, "Drive"), scores.drive

            def turn_back(low: int, high: int) -> None:
                into = drive[here.start + low : here.start + high]
                into[:] = by_voltage[low:high].transpose(0, 2, 1)

            self.context.spread(len(rows), turn_back)
            drive[here.stop : here.start + self.target.batch_size] = 0.0
            running.array_to_device(self._output, "Drive")
        return scores

    def backward(self, batch: Batch, spike_scale: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of a batch; see `Simulation`."""
        if self._early is not None:
            early, self._early = self._early, None
            return early
        running, context = self._running, self.context
        if self._back is None and self._waits is not None:
            self._return(self._waits)
        trial, self._back = self._back, None
        assert running is not None and trial is not None
        if self.target.batch_size > 1:
            running.update("Reduce")
        by_weight = np.zeros(len(context.parameters.weight), np.float32)
        by_delay = np.zeros_like(by_weight)
        for name in context.layout.projections:
            own, order = context.layout.synapses[name], context.layout.csr[name]
            weight, delay = running.gradients(name)
            by_weight[own] = weight[order]
            if delay is not None:
                by_delay[own] = delay[order]
        by_delay *= trial.weight
        for name, neurons in context.parameters.neurons.items():
            sums = [constant_gradient(constant) for constant in neurons.names]
            neurons.take_gradients(running.neuron_sums(name, sums))
        for group in context.parameters.synapses.values():
            sums = synapse_sums(group.group)
            group.take_gradients(running.neuron_sums(group.population, sums).T)
        self._kept = False
        return by_weight, by_delay

    # What is kept

    def _fired(self, batch: Batch, name: str) -> np.ndarray:
        """Return where a population spiked, (B, T, n) bool."""
        assert self._running is not None
        self._running.array_from_device(name, "Tape")
        tape = self._rows(batch, name, "Tape")[: len(batch)]
        model: Any = self.context.network.populations[name].model
        strict = isinstance(self.context.rule, EventProp) or model.equations.strict
        return tape > 0 if strict else tape >= 0

    def _keep(self, running: Running, batch: Batch) -> None:
        """Copy spikes, input and adjoints to the rows that `correlate` reads."""
        context, size, steps = self.context, len(batch), batch.n_steps
        plan, classes = context.plan, context.network.output().n
        if (
            self._traces is None
            or self._row_layout.steps != steps
            or len(self._traces.counts) < size
        ):
            event_driven = (plan.kind != INPUT) | (not self._currents)
            max_shift = max_shift_of(context.parameters, steps)
            self._row_layout = make_row_layout(plan, steps, max_shift, event_driven)
            self._traces = make_traces(plan, self._row_layout, size, classes)
        layout, traces = self._row_layout, self._traces
        show_input(plan, layout, batch, traces, 0, size)
        for name in context.layout.names:
            p = context.layout.names.index(name)
            if plan.kind[p] == INPUT:
                continue
            rows = slice(layout.neuron_row[p], layout.neuron_row[p] + plan.n[p])
            for g in range(plan.groups[p]):
                running.array_from_device(name, f"Adjoint{g}")
                own = self._rows(batch, name, f"Adjoint{g}")
                places = traces.adjoint[g][: size * layout.neurons * layout.length]
                kept = places.reshape(size, layout.neurons, layout.length)

                def task(
                    low: int, high: int, own: np.ndarray = own, kept: np.ndarray = kept,
                    rows: slice = rows,
                ) -> None:  # fmt: skip
                    kept[low:high, rows, :steps] = own[low:high].transpose(0, 2, 1)

                context.spread(size, task)
            if name in context.layout.spiking:
                spikes = ordered_spikes(self._fired(batch, name))
                keep_spikes(layout, traces, rows.start, *spikes)
        self._kept = True

    def correlate(
        self, batch: Batch, spike_scale: np.ndarray, q: int, first: np.ndarray, size: int
    ) -> np.ndarray:
        """Return the adjoints of a projection's pairs; see `Simulation`."""
        if not self._keeps:
            self._keeps = True
            self._close()
            counts = self.counts
            self.forward(batch, spike_scale, width=self._width)
            self.counts = counts  # of the whole batch
            self.backward(batch, spike_scale)
        assert self._running is not None
        if not self._kept:
            self._keep(self._running, batch)
        assert self._traces is not None
        return correlate(
            self.context, self._row_layout, self._traces, batch, spike_scale, q, first, size,
            self.context.share(len(batch), whole=True),
        )  # fmt: skip

    def recording(self, batch: Batch) -> Recording:
        """Return spikes and voltages of the batch just run."""
        start, time = {}, {}
        for name in self.context.layout.spiking:
            count, time[name] = ordered_spikes(self._fired(batch, name))
            start[name] = spike_starts(count)
        rows = self._rows(batch, self._output, "Voltage")[: len(batch)]
        voltage = np.ascontiguousarray(rows.transpose(0, 2, 1))
        return Recording(start, time, voltage, self.context.read_out(voltage))
