"""A spiking network with synaptic delays in PyTorch. delaysnn made it; nothing of that is needed.

    from model import load

    net = load()           # with weights.safetensors, which lies beside this file
    logits = net(x)        # x (batch, steps, channels): spikes, 0 or 1, or currents
    out = net.run(x)       # logits, voltage and spikes: see `Outputs`

The network is `Model`; its parameters can be learned as those of any module. The derivative of a
spike with respect to V is replaced by that of an arctangent, slope / 2 at the threshold; nothing
flows through a reset. A delay [steps] acts in one step, rounded; its gradient is the difference
that one step more would make. What an optimiser moves out of 0..max_delay, the next forward pass
moves back. Bias is learned too; time constants and thresholds are if they are told to, by
``requires_grad_()``.

Shapes: B examples, T steps, C channels, K outputs, n neurons of a population, S synapses of a
projection, D steps that its delays may take.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import conv1d, pad

SLOPE = 5.0  # of the surrogate derivative


class Spike(torch.autograd.Function):
    """1 where V is at or above the threshold (above it, if strict), with a surrogate derivative."""

    @staticmethod
    def forward(ctx: Any, above: Tensor, strict: bool) -> Tensor:
        """Return the spikes, from V less the threshold."""
        ctx.save_for_backward(above)
        return (above > 0 if strict else above >= 0).to(above.dtype)

    @staticmethod
    def backward(ctx: Any, by_spike: Tensor) -> Any:
        """Return dL/d(V)."""
        (above,) = ctx.saved_tensors
        return by_spike * (SLOPE / 2) / (1 + (math.pi / 2 * SLOPE * above) ** 2), None


# Of the network

DT = 1.0  # length of a step [ms]
STEPS = 0  # of a trial as it was trained; others may be longer or shorter
LABELS: tuple[str, ...] = ()  # of the outputs
READOUT = "mean"  # of the output's voltage
CURRENTS = False  # whether the input is currents, not spikes
# Name, neurons and model of each population, each after those that project to it.
POPULATIONS: tuple[tuple[str, int, Any], ...] = ()
# Name, source, target, synapse of the target, synapses and largest delay [steps].
PROJECTIONS: tuple[tuple[str, int, int, int, int, int], ...] = ()
# Synapses of each population: whether they decay exponentially, and values of the time constant.
SYNAPSES: tuple[tuple[tuple[bool, int], ...], ...] = ()

# For any network


class Outputs(NamedTuple):
    """What a batch gave."""

    logits: Tensor  # (B, K)
    voltage: Tensor  # (B, K, T), V of the output after each step
    spikes: dict[str, Tensor]  # (B, T, n) of 0 and 1, by population that spikes


class Projection(nn.Module):
    """Synapses, each with a weight and a delay [steps]."""

    pre: Tensor
    post: Tensor

    def __init__(self, n_pre: int, n_post: int, synapses: int, max_delay: int) -> None:
        super().__init__()
        self.n_pre, self.n_post, self.max_delay = n_pre, n_post, max_delay
        self.register_buffer("pre", torch.zeros(synapses, dtype=torch.int64))
        self.register_buffer("post", torch.zeros(synapses, dtype=torch.int64))
        self.weight = nn.Parameter(torch.zeros(synapses))
        self.delay = nn.Parameter(torch.zeros(synapses))

    def kernel(self) -> Tensor:
        """Return the weight of each pair at each delay, (D + 1, n_pre, n_post)."""
        self.delay.data.clamp_(0, self.max_delay)
        tap = torch.floor(self.delay.detach() + 0.5).clamp(max=self.max_delay).long()
        moved = self.delay - self.delay.detach()  # 0, with a slope of 1
        pairs = self.n_pre * self.n_post
        place = (tap * self.n_pre + self.pre) * self.n_post + self.post
        flat = self.weight.new_zeros((self.max_delay + 2) * pairs)
        flat = flat.index_put((place,), self.weight * (1 - moved), accumulate=True)
        flat = flat.index_put((place + pairs,), self.weight * moved, accumulate=True)
        return flat.reshape(self.max_delay + 2, self.n_pre, self.n_post)

    def forward(self, sent: Tensor) -> Tensor:
        """Return what arrives, (B, T, n_post), of what was sent in each step, (B, T, n_pre)."""
        steps = sent.shape[1]
        kernel = self.kernel()[:steps]
        taps = kernel.flip(0).permute(2, 1, 0)
        given = pad(sent.transpose(1, 2), (len(kernel), 0))
        return conv1d(given, taps)[:, :, :steps].transpose(1, 2)


class Synapse(nn.Module):
    """Turns arrivals into a current: as they are, or decaying exponentially."""

    def __init__(self, decays: bool, values: int) -> None:
        super().__init__()
        self.decays = decays
        if decays:
            shape = (values,) if values else ()
            self.tau_syn = nn.Parameter(torch.ones(shape), requires_grad=False)  # [ms]

    def constants(self) -> tuple[Tensor, Tensor] | None:
        """Return decay and scale."""
        if not self.decays:
            return None
        tau = self.tau_syn.double()
        return torch.exp(-DT / tau).float(), (tau / DT * -torch.expm1(-DT / tau)).float()


class Population(nn.Module):
    """n neurons with their synapses."""

    def __init__(self, n: int, neuron: nn.Module, synapses: tuple[tuple[bool, int], ...]) -> None:
        super().__init__()
        self.n, self.neuron = n, neuron
        self.synapses = nn.ModuleList(Synapse(*each) for each in synapses)
        self.bias = nn.Parameter(torch.zeros(n))

    def forward(self, arrivals: list[Tensor], loops: list[tuple[int, Tensor]]) -> Tensor:
        """Return spikes, or V of the output, (B, T, n).

        Arguments:
            arrivals: What arrives in each step, (B, T, n) by synapse.
            loops: Synapse and kernel (D + 1, n, n) of projections onto the population itself.
        """
        size, steps, n = arrivals[0].shape
        neuron: Any = self.neuron
        synapses: Any = self.synapses
        decays = [synapse.constants() for synapse in synapses]
        zero = arrivals[0].new_zeros(size, n)
        states, traces = [zero] * neuron.STATES, [zero] * len(arrivals)
        rest = torch.zeros_like(zero)
        longest = max((len(kernel) for _, kernel in loops), default=0)
        past = zero.new_zeros(size, longest, n)  # spikes, the last ones first
        constants, out = neuron.constants(), []
        for t in range(steps):
            current: Tensor = zero + self.bias
            for k, own in enumerate(decays):
                arrived = arrivals[k][:, t]
                for synapse, kernel in loops:
                    if synapse == k:
                        flat = past[:, : len(kernel)].reshape(size, -1)
                        arrived = arrived + flat @ kernel.reshape(-1, n)
                if own is None:
                    current = current + arrived
                else:
                    traces[k] = own[0] * traces[k] + arrived
                    current = current + own[1] * traces[k]
            value, after = neuron.step(current, states, constants)
            if neuron.REFRACTORY:  # a neuron stays as it is for so long after a spike
                resting = rest > 0
                value = torch.where(resting, zero, value)
                after = [torch.where(resting, a, b) for a, b in zip(states, after, strict=True)]
                waits = torch.full_like(rest, neuron.REFRACTORY)
                rest = torch.where(value.detach() > 0, waits, (rest - 1).clamp(min=0))
            states = after
            out.append(value)
            if longest:
                past = torch.cat([value[:, None], past[:, :-1]], 1)
        return torch.stack(out, 1)


class Model(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.populations = nn.ModuleList(
            Population(n, neuron(), synapses)
            for (_, n, neuron), synapses in zip(POPULATIONS, SYNAPSES, strict=True)
            if neuron is not None
        )
        self.projections = nn.ModuleList(
            Projection(POPULATIONS[source][1], POPULATIONS[target][1], synapses, longest)
            for _, source, target, _, synapses, longest in PROJECTIONS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of a batch (B, T, C)."""
        return self.run(x).logits

    def run(self, x: Tensor) -> Outputs:
        """Return all that a batch (B, T, C) of spikes, 0 or 1, or of currents gives."""
        if x.ndim != 3 or x.shape[2] != POPULATIONS[0][1]:
            raise ValueError(
                f"x must have shape (batch, steps, {POPULATIONS[0][1]}), got {tuple(x.shape)}"
            )
        projections: Any = self.projections
        sent, spikes = [x.float()], {}
        for p, population in enumerate(self.populations, 1):
            name, n, neuron = POPULATIONS[p]
            none = sent[0].new_zeros(*x.shape[:2], n)
            arrivals, loops = [none] * len(SYNAPSES[p]), []
            for (_, source, target, synapse, *_), projection in zip(
                PROJECTIONS, projections, strict=True
            ):
                if target == p == source:
                    loops.append((synapse, projection.kernel()))
                elif target == p:
                    arrivals[synapse] = arrivals[synapse] + projection(sent[source])
            sent.append(population(arrivals or [none], loops))
            if neuron.SPIKES:
                spikes[name] = sent[p]
        voltage = sent[-1].transpose(1, 2)
        return Outputs(read_out(voltage), voltage, spikes)


def read_out(voltage: Tensor) -> Tensor:
    """Return the logits (B, K) of the output's voltage (B, K, T)."""
    if READOUT == "max":
        return voltage.max(2).values
    if READOUT == "softmax-sum":
        return voltage.softmax(1).sum(2)
    if READOUT == "expweighted":
        steps = voltage.shape[2]
        weight = torch.exp(-torch.arange(steps, device=voltage.device) / steps)
        return (weight * voltage).mean(2)
    return voltage.sum(2) if READOUT == "sum" else voltage.mean(2)


def load(path: str | Path | None = None) -> Model:
    """Return the network with the weights of a file, by default of the one beside this."""
    model = Model()
    model.load_state_dict(load_file(path or Path(__file__).with_name("weights.safetensors")))
    return model
