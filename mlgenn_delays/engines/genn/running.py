"""A network while it runs in GeNN: arrays and spikes put there and taken back, steps of a trial."""

import os
import platform
from collections.abc import Iterable

import numpy as np

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.engines.genn.build import build, code_folder, load
from mlgenn_delays.engines.genn.compiler import (
    CURRENTS,
    DYNAMIC,
    CompileState,
    Target,
    compiler_of,
    identifiers,
    translate,
)
from mlgenn_delays.engines.genn.synapse_code import norm_and_mean
from mlgenn_delays.engines.genn.tape import WORD
from mlgenn_delays.engines.shared.neuron_parameters import LearnedSynapses
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import pair_shape, synapse_groups
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Rule
from mlgenn_delays.machine import as_text
from mlgenn_delays.network import Network, Projection
from mlgenn_delays.network.delays import round_steps


def draw_raster(context: SimulationContext, batch: SpikeBatch, rows: np.ndarray) -> None:
    """Write a batch's spikes as bits to rows (slots, T, words) uint32, at most one per channel."""
    channels = np.arange(batch.n_channels)

    def task(low: int, high: int) -> None:
        for b in range(low, high):
            start = batch.start[b]
            channel = np.repeat(channels, np.diff(start))
            place = batch.time[start[0] : start[-1]] * rows.shape[2] + channel // WORD
            drawn = np.bincount(place, 2.0 ** (channel % WORD), rows[b].size)
            rows[b] = drawn.reshape(rows[b].shape)

    context.spread(len(batch), task)


def ordered_spikes(fired: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the spike counts (B, n) and the steps of all spikes from a raster (B, T, n) bool."""
    by_neuron = fired.transpose(0, 2, 1)
    return by_neuron.sum(2), np.nonzero(by_neuron)[2].astype(np.int32)


# Where rewiring moves synapses, rows have room for the whole target population, unless the
# projection would take more places than this; then for twice the synapses there are.
_PLACES = 2**22
_LARGEST = 2**31 - 1  # values of our arrays, whose index is an int
_REACH = 2**32 - 1  # values of GeNN's own, whose index is an unsigned int


class Running:
    """A network that runs in GeNN.

    With `keeps`, the adjoints of all steps are kept; `rewired` says whether the structure will
    change. `stride` has the places of a row of synapses, by projection that is sparse.
    """

    def __init__(
        self, network: Network, rule: Rule, *, keeps: bool, rewired: bool, target: Target
    ) -> None:
        self.names = identifiers(network)
        self.target = target
        self.stride = {
            name: _room(network, p, rewired)
            for name, p in network.projections.items()
            if not network.is_dense(p)
        }
        compiler = compiler_of(network, rule, keeps, target)
        model = compiler.compile(translate(network), "delaysnn").genn_model
        self._model, own = model, self.names
        self._populations = {n: model.neuron_populations[own[n]] for n in network.populations}
        self._projections = {n: model.synapse_populations[own[n]] for n in network.projections}
        for name, stride in self.stride.items():
            self._projections[name].max_connections = stride
        self._state, self._output = compiler.state, network.output().name
        self._check_sizes(network)
        check_room(network_bytes(network, self._state, self.stride, target.batch_size), target)
        self._folder = code_folder(self._description(network, rule))
        self._libraries = build(model, self._folder, target.backend)
        load(model, self._libraries, self._folder)
        self._places: dict[str, np.ndarray] = {}  # of each synapse in its variables, where sparse
        self._room: dict[tuple[str, str], int] = {}
        self._set: dict[tuple[str, str], int] = {}
        self.steps = 0
        self.put_structure(network)

    def _check_sizes(self, network: Network) -> None:
        """Reject arrays of all examples side by side that GeNN's indices cannot reach."""
        side = self.target.batch_size
        for name, p in network.projections.items():
            n_pre, n_post = pair_shape(network, p)
            synapses = side * n_pre * self.stride.get(name, n_post)
            _check_size(synapses, f"the synapses of projection {name!r}", _REACH)
            delays = side * n_post * (self._state.longest[self.names[name]] + 2)
            _check_size(delays, f"the delays of projection {name!r}", _REACH)

    def _description(self, network: Network, rule: Rule) -> object:
        """Return all that the generated code depends on; other settings show in `sim`."""
        import pygenn

        state, gpu = self._state, gpus.device(0)
        parts = [
            (n, c.sim(), c.params, c.arrays, network.populations[n].n)
            for n, c in zip(network.populations, state.neurons.values(), strict=True)
        ]
        joined = [
            (
                n,
                p.source,
                p.target,
                "differs" if self.names[n] in state.differing else p.synapse,
                state.group[self.names[n]],
                c,
                state.longest[self.names[n]],
                self.stride.get(n),
            )
            for (n, p), c in zip(network.projections.items(), state.synapses.values(), strict=True)
        ]
        here = platform.machine(), os.environ.get("CXX"), os.environ.get("CUDA_PATH"), gpu
        return (
            pygenn.__version__, here, self.target, network.dt, type(rule).__name__, parts, joined
        )  # fmt: skip

    def close(self) -> None:
        """Free what it holds; nothing can be asked of it any more."""
        self._model.unload()

    # Synapses

    def fits(self, network: Network) -> bool:
        """Return whether the synapses of a network have room."""
        return all(
            int(np.diff(network.projections[name].indptr).max(initial=0)) <= stride
            for name, stride in self.stride.items()
        )

    def put_structure(self, network: Network) -> None:
        """Send the connectivity of the sparse projections."""
        for name, stride in self.stride.items():
            projection, group = network.projections[name], self._projections[name]
            lengths = np.diff(projection.indptr)
            first = np.arange(len(lengths)) * stride - projection.indptr[:-1]
            places = np.repeat(first, lengths) + np.arange(projection.n_synapses)
            group._row_lengths.view[:] = lengths
            group._ind.view[places] = projection.post
            group.push_connectivity_to_device()
            # What pygenn remembers of them would be stale.
            group.row_lengths = lengths.astype(np.uint32)
            group.ind = projection.post.copy()
            group.synapse_order = np.arange(projection.n_synapses)
            self._places[name] = places

    def _put(self, name: str, variable: str, values: np.ndarray) -> None:
        own = self._projections[name].vars[variable]
        own._view[self._places.get(name, slice(None))] = values
        own.push_to_device()

    def put_parameters(self, network: Network, parameters: Parameters, width: float) -> None:
        """Write weights and delays, of kernels of a `width` [steps]."""
        for name, p in network.projections.items():
            code = self._state.synapses[self.names[name]]
            self._put(name, "g", parameters.take("weight", name, parameters.acting_weight))
            if "d" not in code.variables:
                continue
            longest = self._state.longest[self.names[name]]
            delay = parameters.take("delay", name, parameters.acting_delay)
            if p.granularity == "axon":
                delay = delay[p.pre()]
            elif p.granularity == "fixed":
                delay = np.repeat(delay, p.n_synapses)
            if code.taps:
                norm, mean = norm_and_mean(delay, longest, width)
                self._put(name, "Norm", norm)
                self._put(name, "Mean", mean)
                self._projections[name].set_dynamic_param_value("KernelWidth", width)
            else:
                delay = round_steps(delay, longest)
            self._put(name, "d", delay)

    def put_variables(self, name: str, values: dict[str, np.ndarray]) -> None:
        """Write variables of a population's neurons, (n,) each, as far as its code has them."""
        for key, value in values.items():
            if self.has(name, key):
                self._populations[name].vars[key].view[:] = value
                self.to_device(name, key)

    def put_synapses(self, group: LearnedSynapses) -> None:
        """Write the time constants of a group of synapses, in all of its projections."""
        for key, own, value in zip(CURRENTS, ("Beta", "ToSyn"), group.constants(), strict=True):
            self.put_variables(group.population, {f"{own}{group.group}": value})
            for name in group.projections:
                self._projections[name].psm_vars[key].view[:] = value
                self._projections[name].psm_vars[key].push_to_device()

    def update(self, group: str) -> None:
        """Run custom updates: "KeepLate" copies weights and delays for the backward pass of a
        pipelined rule, "Clear" empties the sums of gradients, "Reduce" adds them over examples.
        """
        self._model.custom_update(group)

    def gradients(self, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return dL/dw and dL/dd / w of a projection's synapses in CSR order, (S,) each; None in
        place of the latter where delays are not learned.
        """
        learns_delay = "DelayGradient" in self._state.synapses[self.names[name]].sums
        return self._sum(name, "Gradient"), (
            self._sum(name, "DelayGradient") if learns_delay else None
        )

    def neuron_sums(self, name: str, variables: Iterable[str]) -> np.ndarray:
        """Return variables that add up gradients of a population's neurons, (L, n) float64."""
        parts = [self.from_device(name, key) for key in variables]
        return np.array(parts, np.float64).sum(1)

    def _sum(self, name: str, key: str) -> np.ndarray:
        if self.target.batch_size > 1:
            own = self._model.custom_updates[f"Reduce{key}{self.names[name]}"].vars["Sum"]
        else:
            own = self._projections[name].vars[key]
        own.pull_from_device()
        view = own._view.reshape(-1)
        found: np.ndarray = view[self._places[name]] if name in self._places else view.copy()
        return found

    # Neurons

    def has(self, name: str, variable: str) -> bool:
        """Return whether a population has a variable."""
        return variable in self._populations[name].vars

    def variable(self, name: str, variable: str) -> np.ndarray:
        """Return the host's view of a population's variable, (batch, slots, n).

        What synapses read of a population has a slot for each step of the delays onto it.
        """
        view: np.ndarray = self._populations[name].vars[variable].view
        if view.ndim == 2 and self.target.batch_size > 1:
            return view[:, None]
        return view.reshape((1,) * (3 - view.ndim) + view.shape)

    def to_device(self, name: str, variable: str) -> None:
        """Send a variable of a population to the device."""
        self._populations[name].vars[variable].push_to_device()

    def from_device(self, name: str, variable: str) -> np.ndarray:
        """Return a population's variable that synapses do not read, (batch, n)."""
        self._populations[name].vars[variable].pull_from_device()
        return self.variable(name, variable)[:, 0]

    def arrays(self, name: str) -> dict[str, str]:
        """Return the arrays of a population and their element types."""
        return self._state.neurons[self.names[name]].arrays

    def make_room(self, sizes: dict[tuple[str, str], int]) -> bool:
        """Make room in populations' arrays; return whether all that was put in is gone for it.

        GeNN does not free an array that it allocates again, so the network is loaded anew.
        """
        anew = any(0 < self._room.get(key, 0) < size for key, size in sizes.items())
        if anew:
            self._model.unload()
            load(self._model, self._libraries, self._folder)
            self._room.clear()
            self._set.clear()
        new = {
            f"{array} of population {name!r}, over all steps": 4 * size
            for (name, array), size in sizes.items()
            if self._room.get((name, array), 0) < size
        }
        check_room(new, self.target)
        for (name, array), size in sizes.items():
            self.room(name, array, size)
        return anew

    def room(self, name: str, array: str, size: int) -> np.ndarray:
        """Return the host's view of the first `size` places of a population's array."""
        group = self._populations[name]
        own = group.extra_global_params[array]
        if self._room.get((name, array), 0) < size:
            _check_size(size, f"{array} of population {name!r}", _LARGEST)
            runtime = self._model._runtime
            runtime.allocate_array(group, array, size)
            own.set_array(runtime.get_array(group, array))
            self._room[name, array] = size
        return own.view[:size]

    def array_to_device(self, name: str, array: str) -> None:
        """Send an array of a population to the device."""
        self._populations[name].extra_global_params[array].push_to_device()

    def array_from_device(self, name: str, array: str) -> None:
        """Fetch an array of a population from the device."""
        self._populations[name].extra_global_params[array].pull_from_device()

    # Running

    def go(self, forward: tuple[int, int] | None, back: tuple[int, int] | None) -> None:
        """Run trials of the examples side by side, one way or both at once.

        For each way: where on the tapes the batch lies and which of its examples is the first, or
        None. The output's arrays are of one batch alone.
        """
        ways = forward is not None, back is not None
        for name, population in self._populations.items():
            places = [
                low + (first if name != self._output else 0)
                for first, low in (forward or (0, 0), back or (0, 0))
            ]
            for key, value in zip(DYNAMIC, (*ways, self.steps, *places), strict=True):
                if self._set.get((name, key)) != value:
                    self._set[name, key] = value
                    population.set_dynamic_param_value(key, int(value))
        for way, update in zip(ways, ("ResetForward", "ResetBackward"), strict=True):
            if way:
                self._model.custom_update(update)
        self._model.timestep = 0
        step = self._model._runtime.step_time
        for _ in range(self.steps):
            step()


def _check_size(size: int, what: str, largest: int) -> None:
    """Reject an array that GeNN's indices cannot reach."""
    if size > largest:
        raise InputError(
            f"GeNN must have at most {largest} values in an array, got {size} for {what}; "
            "take a smaller batch size"
        )


def _room(network: Network, projection: Projection, rewired: bool) -> int:
    """Return the places of a row of synapses."""
    longest = max(1, int(np.diff(projection.indptr).max(initial=0)))
    n_pre, n_post = pair_shape(network, projection)
    if rewired:
        longest = n_post if n_pre * n_post <= _PLACES else min(n_post, 2 * longest)
    # An odd number of cache lines: rows of a power-of-two length would fight for the same sets.
    return ((longest + 15) // 16 | 1) * 16


# GeNN ends the process where an allocation on a GPU fails, so what is free is asked before.
_BYTES = {"scalar": 4, "int": 4, "uint8_t": 1, "uint16_t": 2}
_MORE = 1.05  # for what is not counted, and what lies between allocations


def network_bytes(
    network: Network, state: CompileState, stride: dict[str, int], side: int
) -> dict[str, int]:
    """Return the memory of neurons and synapses without arrays over time [bytes], by part.

    `stride` has the places of a row of synapses, by projection that is sparse; `side` is the number
    of examples side by side.
    """
    own, found = identifiers(network), {}
    for name, p in network.projections.items():
        code, n_post = state.synapses[own[name]], network.populations[p.target].n
        places = network.populations[p.source].n * stride.get(name, n_post)
        each = sum(_BYTES[kind] for kind in code.types.values())
        each += 4 * (name in stride) + 4 * len(code.sums) * (side + (side > 1))
        found[f"the synapses of projection {name!r}"] = places * each
        slots = state.longest[own[name]] + 2
        found[f"what is under way over projection {name!r}"] = 4 * side * n_post * (slots + 1)
    for name, population in network.populations.items():
        neuron = state.neurons[own[name]]
        values = 4 * len(neuron.variables) + 8 * neuron.sends + 4 * neuron.receives
        for synapse in synapse_groups(network, name):
            max_shift = [
                state.longest[own[p.name]] for p in network.incoming(name) if p.synapse == synapse
            ]
            values += 4 * (max(max_shift) + 3)  # its adjoint, as far back as delays max_shift
        found[f"the neurons of population {name!r}"] = side * population.n * values
    return found


def check_room(parts: dict[str, int], target: Target) -> None:
    """Reject a network whose parts [bytes] are too large for the GPU; the CPU backend takes any."""
    if target.backend != "cuda":
        return
    free = gpus.free_memory(target.device)
    needed = _MORE * sum(parts.values())
    if free is not None and needed > free:
        what = max(parts, key=lambda part: parts[part])
        raise InputError(
            f"the GPU must have {as_text(needed)} free, {as_text(parts[what])} of it for {what}, "
            f"got {as_text(free)}; lower learning.batch_size, data.duration or the sizes of the "
            "layers"
        )
