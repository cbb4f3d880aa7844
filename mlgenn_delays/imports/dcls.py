"""State dicts of SNN-delays (github.com/Thvnvtos/SNN-delays), whose delays are those of DCLS.

A layer is a `Dcls1d` (DCLS.construct.modules) of n_pre channels, which correlates over time with
kernels of K taps: the tap m weighs what came K - 1 - m steps ago. Element k of a kernel lies at
P + K // 2, so its delay is K - 1 - K // 2 - P steps. There follow batch normalisation, and
SpikingJelly's LIFNode or ParametricLIFNode without `decay_input`:

    V = (1 - 1/tau) V + x,  a spike where V >= v_threshold, which resets V to 0

The last layer has neither normalisation nor, but for spike counts, a threshold.
"""

import warnings
from typing import Annotated, Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.imports.chain import OUTPUTS, SPIKES, Layer, Pairs, network_of
from mlgenn_delays.imports.state import Module, read_modules, unknown
from mlgenn_delays.network import EulerLI, Network
from mlgenn_delays.network.models import Normalisation
from mlgenn_delays.neurons.models.discrete_lif import DiscreteLIF
from mlgenn_delays.settings import Count, Positive, PositiveTime, one_of, says, settings

_NORM = ("weight", "bias", "running_mean", "running_var")
_WIDE = 0.5  # SIG [steps] above which rounding a delay is no small change


@settings(kw_only=True)
class SNNDelays:
    """What a state dict of SNN-delays does not say.

    Each element of a kernel becomes a synapse of its delay, rounded to whole steps when it is run,
    as SNN-delays' own `round_pos` does. Batch normalisation is folded into weights and bias. With
    `normalise` it stays, for training on; what it adds then acts on the k-th layer from the first
    step of a trial, k steps before the first input does, so that the first spikes may differ.

    Example:
        >>> from mlgenn_delays.imports import SNNDelays
        >>> SNNDelays(kernel_size=25, tau_mem=10.05).readout
        'softmax-sum'
    """

    kernel_size: Annotated[Count, says("Taps of a kernel, `max_delay` of its config.")]
    tau_mem: Annotated[
        PositiveTime | None, says("Time constant of LIFNode; ParametricLIFNode has its own.")
    ] = None
    v_thresh: Annotated[Positive, says("Threshold.")] = 1.0
    output_v_thresh: Annotated[Positive, says("Threshold of the last layer, of spikes.")] = 2.0
    readout: Annotated[
        str, one_of(*OUTPUTS), says("Its `loss`: softmax-sum is 'sum', spikes 'spike_count'.")
    ] = "softmax-sum"
    currents: Annotated[
        bool, says("Whether the input has counts or real values, not at most one spike a step.")
    ] = False

    normalise: Annotated[bool, says("Whether batch normalisation stays.")] = False

    def network(self, source: Any, dt: float) -> Network:
        """The network of a state dict, for steps of dt [ms]."""
        blocks = self._blocks(read_modules(source))
        layers: list[Layer] = []
        for k, (conv, norm, tau) in enumerate(blocks, 1):
            n_pre = layers[-1].model.n if layers else None
            layers.append(self._layer(conv, norm, tau, n_pre, dt, last=k == len(blocks)))
        return network_of(layers, dt, currents=self.currents)

    def _blocks(self, modules: list[Module]) -> list[list[Module | None]]:
        """Of each layer its Dcls1d, its normalisation and its ParametricLIFNode."""
        blocks: list[list[Module | None]] = []
        for module in modules:
            last: list[Module | None] = blocks[-1] if blocks else [None, module, module]
            if module.has(("weight", "P"), ("SIG", "bias")):
                blocks.append([module, None, None])
            elif module.has(_NORM, ("num_batches_tracked",)) and last[1:] == [None, None]:
                last[1] = module
            elif module.has(("w",)) and last[2] is None and module.arrays["w"].size == 1:
                last[2] = module
            else:
                raise unknown(module, "a Dcls1d, or after one a BatchNorm1d or a ParametricLIFNode")
        return blocks

    def _layer(
        self, conv: Any, norm: Module | None, tau: Module | None, n_pre: int | None, dt: float,
        *, last: bool,
    ) -> Layer:  # fmt: skip
        n, tau_mem = len(conv.arrays["weight"]), self.tau_mem
        if tau is not None:
            with np.errstate(over="ignore"):  # a time constant too long is refused
                tau_mem = dt * (1.0 + float(np.exp(-tau.each("w", 1)[0])))
        if tau_mem is None:
            raise InputError(
                f"the network has LIFNode after {conv.name}, whose time constant no state dict "
                "has; give tau_mem [ms]"
            )
        pairs, bias = self._pairs(conv, n_pre), conv.bias(n)
        normalisation = None
        if norm is not None:
            normalisation, bias = _normalisation(norm, n, bias, pairs), None
            if not self.normalise:
                factor, bias = normalisation.factor(), normalisation.shift()
                for each in pairs:
                    each.weight = each.weight * factor[:, None]
                normalisation = None
        if last and self.readout != SPIKES:
            model: Any = EulerLI(n, tau_mem, self.readout)
        else:
            threshold = self.output_v_thresh if last else self.v_thresh
            model = DiscreteLIF(n, tau_mem, threshold)
        return Layer(model, pairs, bias=bias, normalisation=normalisation)

    def _pairs(self, conv: Module, n_pre: int | None) -> list[Pairs]:
        """The synapses of each element of the kernels."""
        weight, position = conv.arrays["weight"], conv.arrays["P"]
        width = conv.arrays.get("SIG", position)
        fits = position.shape == width.shape == (1, *weight.shape)
        if weight.ndim != 3 or not weight.size or not fits:
            raise InputError(
                f"{conv.name} must be a Dcls1d: weight of shape (n_post, n_pre, elements), P and "
                f"SIG of (1, n_post, n_pre, elements), got {weight.shape}, {position.shape} and "
                f"{width.shape}"
            )
        conv.check_width("weight", n_pre)
        half, longest = self.kernel_size // 2, self.kernel_size - 1
        reach = float(np.abs(position).max())
        if reach > half + 1e-3:
            raise InputError(
                f"kernel_size must be at least {2 * int(np.ceil(reach))}, for {conv.name}.P "
                f"reaches {reach:g}, got {self.kernel_size}; give `max_delay` of its config"
            )
        sigma = float(np.abs(width).max()) if "SIG" in conv.arrays else 0.0
        if sigma > _WIDE:
            warnings.warn(
                f"kernels of {conv.name} are wide still (SIG {sigma:g} steps): here each delay is "
                "rounded to one step, which computes something else",
                stacklevel=2,
            )
        delay = np.clip(longest - half - position[0].astype(np.float64), 0.0, longest)
        return [
            Pairs(weight[:, :, k].astype(np.float64), delay[:, :, k], longest)
            for k in range(weight.shape[2])
        ]


def _normalisation(
    norm: Module, n: int, bias: np.ndarray | None, pairs: list[Pairs]
) -> Normalisation:
    """The normalisation of a layer; a neuron whose gain is < 0 gets the opposite weights."""
    gain, offset, mean, variance = (norm.each(key, n) for key in _NORM)
    if variance.min() < 0:
        raise InputError(f"{norm.name}.running_var must be >= 0, got {variance.min():g}")
    mean = mean - (0.0 if bias is None else bias)
    sign = np.where(gain < 0, -1.0, 1.0)
    for each in pairs:
        each.weight = each.weight * sign[:, None]
    found = (sign * mean, variance, np.abs(gain), offset)
    return Normalisation(*(array.astype(np.float32) for array in found))
