"""The learned numbers of a network in plan order, and the optimiser's state beside them."""

from collections.abc import Iterator

import numpy as np

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.engines.shared.neuron_parameters import (
    Learned,
    LearnedNeurons,
    LearnedSynapses,
)
from mlgenn_delays.engines.shared.plan import ParameterLayout
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network
from mlgenn_delays.network.delays import longest_steps, to_ms
from mlgenn_delays.network.models import Normalisation
from mlgenn_delays.quantisation import Quantisation, integers_of, nearest, to_floats
from mlgenn_delays.tensors import not_finite

# Adam's state beside each learned number; what grows starts with 0 of each.
MOMENTS = (
    "weight_first", "weight_second", "weight_steps", "delay_first", "delay_second", "delay_steps",
)  # fmt: skip
FIELDS = ("weight", "delay", *MOMENTS)
_STEPS = ("weight_steps", "delay_steps")
_NORMALISATION = ("mean", "variance", "gain", "offset")
_NORM_MOMENTS = ("gain_first", "gain_second", "offset_first", "offset_second")
_NORM_FIELDS = (*_NORMALISATION, *_NORM_MOMENTS)


class Norm:
    """A population's normalisation while it is learned, arrays (n,) float32."""

    mean: np.ndarray  # running mean
    variance: np.ndarray  # running variance
    # see `network.models`; Adam's moments are ``gain_first``, ``gain_second``
    gain: np.ndarray
    offset: np.ndarray  # likewise
    by_gain: np.ndarray  # gradient of the last batch, summed over it
    by_offset: np.ndarray  # likewise

    def __init__(self, n: int) -> None:
        for key in (*_NORM_FIELDS, "by_gain", "by_offset"):
            setattr(self, key, np.zeros(n, np.float32))


class Parameters:
    """Weights (S,), delays [steps] (D,) and Adam's moments, as float32 in plan order.

    Beside the moments, ``weight_steps`` (S,) and ``delay_steps`` (D,) int32 count the updates that
    each parameter has had: those of the whole training, fewer where a synapse grew.

    ``acting_weight`` (S,) and ``acting_delay`` (D,) are what simulations run with: the same arrays,
    or with a `quantisation` what `quantise` makes of them.
    """

    def __init__(
        self, network: Network, layout: ParameterLayout, quantisation: Quantisation | None = None
    ) -> None:
        self.layout = layout
        self.quantisation = quantisation
        self.step = 0  # optimiser steps made so far
        synapses = sum(network.projections[p].n_synapses for p in layout.projections)
        delays = sum(network.projections[p].n_delays() for p in layout.projections)
        self.weight, self.weight_first, self.weight_second = np.zeros((3, synapses), np.float32)
        self.delay, self.delay_first, self.delay_second = np.zeros((3, delays), np.float32)
        self.weight_steps = np.zeros(synapses, np.int32)
        self.delay_steps = np.zeros(delays, np.int32)
        self.acting_weight, self.acting_delay = self.weight, self.delay
        self._grids: dict[str, np.ndarray] = {}
        # Target, its size and the postsynaptic neurons of quantised projections.
        self._onto: dict[str, tuple[str, int, np.ndarray]] = {}
        if quantisation is not None:
            self._prepare(quantisation, network)
        self.sign = np.zeros(synapses, np.int8)  # -1 or 1 where a weight must keep it, else 0
        self.norms = {
            p.name: Norm(p.n) for p in network.populations.values() if p.normalisation is not None
        }
        self.neurons = {
            p.name: LearnedNeurons(p, network.dt) for p in network.populations.values() if p.learn
        }
        self.synapses = LearnedSynapses.of(network)
        self.highest = np.zeros(delays, np.float32)  # largest delay [steps]
        self.longest = np.zeros(delays, np.int64)  # the same in whole steps
        self.learnable = np.zeros(delays, bool)  # not those of granularity "fixed", or frozen
        self.per_synapse = True  # whether all are learnable, and one per synapse
        # Slices of the synapses whose weights stay.
        self.frozen = [
            layout.synapses[p] for p in layout.projections if network.projections[p].frozen
        ]
        for name in layout.projections:
            projection, own = network.projections[name], layout.delays[name]
            self.highest[own] = projection.max_delay / network.dt
            self.longest[own] = longest_steps(projection.max_delay, network.dt)
            self.learnable[own] = projection.learns_delay
            self.per_synapse &= projection.granularity == "synapse" and not projection.frozen
        self.read(network)

    def read(self, network: Network) -> None:
        """Read weights and delays from a network of the same structure."""
        for name in self.layout.projections:
            projection = network.projections[name]
            self.put("weight", name, projection.weight)
            self.put("delay", name, projection.delay / network.dt)
            signs = None if projection.frozen else projection.sign
            self.sign[self.layout.synapses[name]] = (
                0 if signs is None else signs[self.layout.csr[name]]
            )
        for name, norm in self.norms.items():
            source = network.populations[name].normalisation
            if source is None:
                raise InputError(f"population {name!r} must have a normalisation, got none")
            for key in _NORMALISATION:
                getattr(norm, key)[:] = getattr(source, key)
        for name, own in self.neurons.items():
            own.read(network.populations[name])
        for group in self.synapses.values():
            group.read(network)
        self.quantise()

    def _prepare(self, quantisation: Quantisation, network: Network) -> None:
        """Make room for what acts, and the grids of delays."""
        if quantisation.weights != FLOAT:
            self.acting_weight = self.weight.copy()
            for name in self.layout.projections:
                p = network.projections[name]
                self._onto[name] = p.target, network.populations[p.target].n, p.post
        if quantisation.has_grid:
            self.acting_delay = self.delay.copy()
            for name in self.layout.projections:
                longest = network.projections[name].max_delay
                self._grids[name] = quantisation.grid(name, longest, network.dt)

    def quantise(self) -> None:
        """Write what acts, if that is something else than what is learned.

        Weights are quantised as inference has them: with normalisation folded in, by the running
        statistics. Gradients by what acts are taken for those by what is learned (the
        straight-through estimator).
        """
        for name in self._onto:
            self.put("weight", name, self._quantised(name), self.acting_weight)
        for name, grid in self._grids.items():
            own = self.layout.delays[name]
            self.acting_delay[own] = nearest(self.delay[own], grid)

    def _quantised(self, name: str) -> np.ndarray:
        """The weights of a projection that act, (S,) in CSR order."""
        assert self.quantisation is not None
        kind, per = self.quantisation.weights, self.quantisation.per
        (target, n, post), weight = self._onto[name], self.take("weight", name)
        norm = self.norms.get(target)
        if norm is None:
            return to_floats(*integers_of(weight, post, n, kind, per), post)
        factor = Normalisation(*(getattr(norm, key) for key in _NORMALISATION)).factor()[post]
        q, scale = integers_of(weight * factor, post, n, kind, per)
        # What a gain of 0 lets nobody see stays as it is, for the gradient of the gain.
        return np.divide(to_floats(q, scale, post), factor, out=weight, where=factor > 0)

    def write(self, network: Network) -> None:
        """Copy the weights and delays that act into the network."""
        for name in self.layout.projections:
            projection = network.projections[name]
            projection.weight = self.take("weight", name, self.acting_weight)
            delay = self.take("delay", name, self.acting_delay)
            # What did not move keeps the digits that float32 does not have.
            same = (projection.delay / network.dt).astype(np.float32) == delay
            if not (projection.frozen and same.all()):
                projection.delay = to_ms(delay, network.dt, projection.max_delay)
        for name, norm in self.norms.items():
            target = network.populations[name].normalisation
            assert target is not None
            for key in _NORMALISATION:
                setattr(target, key, getattr(norm, key).copy())
        for name, own in self.neurons.items():
            own.write(network.populations[name])
        for group in self.synapses.values():
            group.write(network)

    def state(self) -> dict[str, np.ndarray]:
        """Return everything, by ``projection/field`` in CSR order, and the step.

        Counts of updates are left out where all are the step.
        """
        arrays = {f"{n}/{f}": self.take(f, n) for n in self.layout.projections for f in FIELDS}
        for key in [key for key in arrays if key.endswith(_STEPS)]:
            if (arrays[key] == self.step).all():
                del arrays[key]
        for name, norm in self.norms.items():
            arrays |= {f"{name}/normalisation/{f}": getattr(norm, f).copy() for f in _NORM_FIELDS}
        arrays |= {key: array.copy() for key, array in self._learned()}
        arrays["step"] = np.array([self.step], np.int64)
        return arrays

    def not_finite(self) -> str | None:
        """Return the key in `state` of an array that holds NaN or infinity, None if none does."""
        arrays = {
            f"{name}/{field}": getattr(self, field)[self._where(field, name)[0]]
            for name in self.layout.projections
            for field in FIELDS
        }
        for name, norm in self.norms.items():
            arrays |= {f"{name}/normalisation/{f}": getattr(norm, f) for f in _NORM_FIELDS}
        return not_finite(arrays | dict(self._learned()))

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned; reject arrays of another shape or type."""
        step = int(_expect(state, "step", np.zeros(1, np.int64))[0])
        for name in self.layout.projections:
            for field in FIELDS:
                own, key = self.take(field, name), f"{name}/{field}"
                uniform = field in _STEPS and key not in state
                self.put(field, name, own * 0 + step if uniform else _expect(state, key, own))
        for name, norm in self.norms.items():
            for field in _NORM_FIELDS:
                own = getattr(norm, field)
                own[:] = _expect(state, f"{name}/normalisation/{field}", own)
        for key, own in self._learned():
            own[:] = _expect(state, key, own)
        self.step = step

    def _learned(self) -> Iterator[tuple[str, np.ndarray]]:
        """Values and moments of neurons' parameters, by key of the state."""
        for (owner, name), each in self.learned():
            for field in ("value", "value_first", "value_second"):
                yield f"{owner}/{name}/{field}", getattr(each, field)

    def learned(self) -> Iterator[tuple[tuple[str, str], Learned]]:
        """Learned parameters by population, or group of synapses (``population/synapse0``), and
        name.
        """
        for population, own in self.neurons.items():
            for name, each in own.learned.items():
                yield (population, name), each
        for key, group in self.synapses.items():
            yield (key, "tau_syn"), group.learned

    def take(self, field: str, name: str, source: np.ndarray | None = None) -> np.ndarray:
        """Return a projection's part of a field (or of an array like it) in CSR order."""
        array = getattr(self, field) if source is None else source
        own, order = self._where(field, name)
        out = np.empty_like(array[own])
        out[order] = array[own]
        return out

    def put(
        self, field: str, name: str, values: np.ndarray, target: np.ndarray | None = None
    ) -> None:
        """Set a projection's part of a field (or of an array like it) from CSR order."""
        array = getattr(self, field) if target is None else target
        own, order = self._where(field, name)
        array[own] = values[order]

    def _where(self, field: str, name: str) -> tuple[slice, np.ndarray]:
        """Return a projection's slice of a field, and the CSR index of each of its entries."""
        if field.startswith("weight"):
            return self.layout.synapses[name], self.layout.csr[name]
        return self.layout.delays[name], self.layout.delay_order[name]


def _expect(state: dict[str, np.ndarray], key: str, like: np.ndarray) -> np.ndarray:
    got = state.get(key)
    if got is None or got.shape != like.shape or got.dtype != like.dtype:
        found = "nothing" if got is None else f"{got.dtype} {got.shape}"
        raise InputError(
            f"the training state must have {key} as {like.dtype} {like.shape}, got {found}; "
            "it is of another network"
        )
    return got
