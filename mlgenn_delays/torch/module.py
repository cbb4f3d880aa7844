"""A network as a module of PyTorch: its loss, optimiser and other layers are PyTorch's.

Forward is the CPU engine's simulation, backward its gradients, those of `Trainer`. Shapes: B
examples, T steps, C channels, K output neurons.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.cpu.differentiable import DifferentiableNetwork
from mlgenn_delays.engines.shared.simulation import connectivity_arrays
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp, Rule
from mlgenn_delays.network import CurrentInput, Network
from mlgenn_delays.settings import Count, check, one_of
from mlgenn_delays.torch.tensors import as_batch, check_tensor

try:
    import torch
except ImportError as error:
    raise InputError(
        'delaysnn.torch needs the package torch; pip install "delaysnn[torch]"'
    ) from error

OUTPUTS = ("logits", "voltage", "all")


class Outputs(NamedTuple):
    """All that a `DelayNetwork` gives; a loss may use any of it.

    Attributes:
        logits: (B, K), what the readout makes of the voltage.
        voltage: (B, K, T), V of the output after each step.
        spikes: (n,) by spiking population: mean spikes per example of each neuron.
    """

    logits: Any
    voltage: Any
    spikes: dict[str, Any]


@dataclass(eq=False)
class _Pass:
    """A batch that runs, or ran, through an engine."""

    engine: DifferentiableNetwork
    keys: list[str]  # of the tensors behind the input
    statistics: dict[str, np.ndarray]
    batch: Batch
    spike_scale: np.ndarray | None
    width: float | None
    inputs: bool  # whether dL/dx is wanted

    def run(self, tensors: Sequence[Any], keep: bool) -> tuple[np.ndarray, np.ndarray]:
        """Run the batch with parameters as they are in tensors."""
        values = {k: t.detach().numpy() for k, t in zip(self.keys, tensors, strict=True)}
        return self.engine.forward(
            values | self.statistics, self.batch, self.spike_scale, width=self.width,
            inputs=self.inputs, keep=keep,
        )  # fmt: skip


class _Run(torch.autograd.Function):
    """Output voltages and mean spikes of a batch."""

    @staticmethod
    def forward(ctx: Any, owner: "DelayNetwork", call: _Pass, given: Any, *tensors: Any) -> Any:
        """Run the batch."""
        ctx.owner, ctx.call = owner, call
        ctx.save_for_backward(given, *tensors)  # PyTorch says if one of them is changed since
        voltage, spikes = call.run(tensors, owner.training)
        owner._last = call
        return torch.from_numpy(voltage), torch.from_numpy(spikes)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, by_voltage: Any, by_spikes: Any) -> Any:
        """Go back through the batch, which runs again if another one has run since."""
        owner, call = ctx.owner, ctx.call
        _, *tensors = ctx.saved_tensors
        if call.width is None:
            raise InputError(
                "gradients of a network with normalisation must be taken in training mode, got "
                "one in evaluation mode; call train() before the batch"
            )
        if owner._last is not call:
            call.run(tensors, False)
        owner._last = None  # the way back uses up what the way forward left
        found, by_input = call.engine.backward(by_voltage.numpy(), by_spikes.numpy())
        by_given = None if by_input is None else torch.from_numpy(by_input)
        return None, None, by_given, *(torch.from_numpy(found[key]) for key in call.keys)


def _name(key: str) -> str:
    """Return the name of a parameter in PyTorch, which allows no dots; no name has slashes."""
    return key.replace(".", "//")


class DelayNetwork(torch.nn.Module):
    """A network as a module whose weights, delays and time constants are parameters.

    The parameters, in `named_parameters`, are ``PROJECTION/weight`` (S,), of the synapses that
    exist in the order of `Projection`; ``PROJECTION/delay`` [steps of dt], in the shape of its
    delays; ``POPULATION/NAME`` (n,) of learned parameters of neurons, in their units (ms, say);
    ``POPULATION/synapse0/tau_syn`` [ms]; and ``POPULATION/normalisation/gain`` and ``offset``,
    whose running statistics are buffers. Those of frozen projections do not require gradients;
    fixed delays are none. A dot in a name becomes ``//``.

    After a step of an optimiser, the next forward pass moves parameters that left their range back
    into it, as the trainer does: delays into 0..max_delay, a weight that crossed to the wrong side
    of its sign to 0. In training mode there is dropout, as the rule says, with masks of PyTorch's
    generator, normalisation is by the batch, and a `Gaussian` kernel has the width of the epoch
    (`set_epoch`). Gradients are those of the trainer. L1, revival and spike counts are for the loss
    to add.

    Where the input requires gradients, it has them: dL/dx of each step and channel, x a current, or
    how much a spike counts, for spikes of 0 and 1 that another layer makes. A second batch before
    the first went back costs the first one another forward pass.

    Arguments:
        network: The network; the module has a copy.
        rule: `EventProp` or `SurrogateBPTT`: which gradients. Its optimisers are not used.
        output: What the module returns: ``"logits"`` (B, K), ``"voltage"`` (B, K, T), or ``"all"``,
            `Outputs`.
        threads: Threads, all cores if None; results do not depend on it.

    Raises:
        InputError: An argument is off, or the rule cannot learn the network.

    Example:
        >>> import torch
        >>> from delaysnn import Exponential, LeakyIntegrator, Network, SpikeInput
        >>> from delaysnn.torch import DelayNetwork
        >>> network = Network(dt=1.0)
        >>> _ = network.add("in", SpikeInput(5)), network.add("out", LeakyIntegrator(3))
        >>> _ = network.connect("in", "out", Exponential(), weight=0.5, max_delay=20.0)
        >>> net = DelayNetwork(network)
        >>> logits = net(torch.ones(8, 50, 5))
        >>> torch.nn.functional.cross_entropy(logits, torch.zeros(8).long()).backward()
        >>> {name: tuple(p.grad.shape) for name, p in net.named_parameters()}
        {'in->out/weight': (15,), 'in->out/delay': (15,)}
    """

    epoch: Any  # a buffer

    def __init__(
        self, network: Network, rule: Rule | None = None, *, output: str = "logits",
        threads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(network, Network):
            raise InputError(f"network must be a Network, got {type(network).__name__}")
        if rule is not None and not isinstance(rule, Rule):
            raise InputError(f"rule must be EventProp(...) or SurrogateBPTT(...), got {rule!r}")
        check("output", output, Annotated[str, one_of(*OUTPUTS)])
        self._network, self._rule, self.output = network.copy(), rule or EventProp(), output
        self._threads = threads
        self._engine: DifferentiableNetwork | None = None
        self._last: _Pass | None = None
        engine = self._compiled()
        frozen = {name for name, p in network.projections.items() if p.frozen}
        self._keys = {_name(key): key for key in engine.parameters()}
        for key, values in engine.parameters().items():
            learns = key.rpartition("/")[0] not in frozen
            parameter = torch.nn.Parameter(torch.from_numpy(values), requires_grad=learns)
            self.register_parameter(_name(key), parameter)
        self._statistics = {_name(key): key for key in engine.statistics()}
        for key, values in engine.statistics().items():
            self.register_buffer(_name(key), torch.from_numpy(values))
        self.register_buffer("epoch", torch.tensor(1))

    def _compiled(self) -> DifferentiableNetwork:
        if self._engine is None:
            self._engine = DifferentiableNetwork(self._network, self._rule, self._threads)
        return self._engine

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, counted from 1, by which a `Gaussian` kernel of delays narrows."""
        check("epoch", epoch, Count)
        self.epoch.fill_(epoch)

    def parameter_groups(
        self, weights: float = 1e-3, delays: float = 0.1, neurons: float = 1e-2
    ) -> list[dict[str, Any]]:
        """Return parameters with learning rates of their own, as optimisers of PyTorch take them.

        Arguments:
            weights: Rate of weights and of what normalisation learns.
            delays: Rate of delays, in steps of dt.
            neurons: Rate of parameters of neurons and synapses, in their own units (ms, say).

        Example:
            >>> import torch
            >>> from delaysnn import Exponential, LeakyIntegrator, Network, SpikeInput
            >>> from delaysnn.torch import DelayNetwork
            >>> network = Network(dt=1.0)
            >>> _ = network.add("in", SpikeInput(5)), network.add("out", LeakyIntegrator(3))
            >>> _ = network.connect("in", "out", Exponential(), weight=0.5, max_delay=20.0)
            >>> groups = DelayNetwork(network).parameter_groups(weights=5e-3)
            >>> [group["lr"] for group in torch.optim.Adam(groups).param_groups]
            [0.005, 0.1]
        """
        rates = {"weights": weights, "delays": delays, "neurons": neurons}
        groups: dict[str, list[Any]] = {kind: [] for kind in rates}
        for name, key in self._keys.items():
            parameter = getattr(self, name)
            if parameter.requires_grad:
                groups[self._compiled().kind(key)].append(parameter)
        return [{"params": own, "lr": rates[kind]} for kind, own in groups.items() if own]

    def _values(self) -> dict[str, Any]:
        """Return the tensors of all parameters by key, those that left their range back in it."""
        engine, found = self._compiled(), {}
        for name, key in self._keys.items():
            tensor = found[key] = getattr(self, name)
            check_tensor(f"the parameter {name!r}", tensor)
            if name in self._parameters:
                engine.clip(key, tensor.detach().numpy())  # the memory of the parameter itself
        return found

    def _noted(self) -> dict[str, np.ndarray]:
        """Return the running statistics by key."""
        for name in self._statistics:
            check_tensor(f"the buffer {name!r}", getattr(self, name))
        return {key: getattr(self, name).numpy() for name, key in self._statistics.items()}

    def _dropout(self, size: int) -> np.ndarray | None:
        """Return masks of dropped neurons of a batch, None if there are none."""
        chances = {name: p for name, p in self._rule.dropout.items() if p > 0.0}
        if not (self.training and chances):
            return None
        neurons = self._compiled().neurons
        scale = torch.ones(size, max(own.stop for own in neurons.values()))
        for name, chance in chances.items():
            own = scale[:, neurons[name]]
            scale[:, neurons[name]] = torch.nn.functional.dropout(own, chance)
        return np.asarray(scale.numpy())

    def forward(self, given: Any) -> Any:
        """Run a batch.

        Arguments:
            given: A tensor (B, T, C): spikes, 0 or 1, for a `SpikeInput`, or currents, float32, for
                a `CurrentInput`; or a batch of a data set, such as ``data.batch(range(16))``.

        Returns:
            What `output` says.

        Raises:
            InputError: The input does not fit the network, or a tensor is not float32 on the CPU.
            DivergedError: A parameter is not finite.
        """
        engine, values = self._compiled(), self._values()
        currents = isinstance(self._network.input().model, CurrentInput)
        batch, tensors = as_batch(given, currents=currents), list(values.values())
        given = given if isinstance(given, torch.Tensor) else None
        inputs = given is not None and given.requires_grad and torch.is_grad_enabled()
        learns = inputs or torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        width = engine.width(int(self.epoch)) if self.training else None
        if width is None and learns and not self._statistics:
            width = 0.0  # a delay acts in one step, rounded, and has a gradient
        call = _Pass(
            engine, list(values), self._noted(), batch, self._dropout(len(batch)), width, inputs
        )
        voltage, spikes = _Run.apply(self, call, given, *tensors)
        if self.training:
            for (name, _), array in zip(
                self._statistics.items(), engine.statistics().values(), strict=True
            ):
                getattr(self, name).copy_(torch.from_numpy(array))
        if self.output == "voltage":
            return voltage
        logits = _read_out(self._network.output().model, voltage)
        if self.output == "logits":
            return logits
        return Outputs(logits, voltage, {n: spikes[engine.neurons[n]] for n in engine.spiking})

    def to_network(self) -> Network:
        """Return the network with the parameters as they are, to be saved, exported or analysed."""
        network = self._network.copy()
        values = {key: tensor.detach().numpy() for key, tensor in self._values().items()}
        self._compiled().write(values | self._noted(), network)
        self._last = None
        return network

    # Saving and copying

    def __getstate__(self) -> dict[str, Any]:
        """Leave the engine out: it has threads, and is compiled anew where it is needed."""
        return self.__dict__ | {"_engine": None, "_last": None}

    def get_extra_state(self) -> Any:
        """Return a checksum of which synapses there are."""
        arrays = connectivity_arrays(self._network)
        text = b"".join(key.encode() + arrays[key].tobytes() for key in sorted(arrays))
        return torch.tensor(zlib.crc32(text))

    def set_extra_state(self, state: Any) -> None:
        """Reject parameters of a network with other synapses."""
        if int(state) != int(self.get_extra_state()):
            raise InputError(
                "the state must be of a network with the same synapses, got one with others; make "
                "the module of the network that was saved (to_network().save(PATH))"
            )

    def extra_repr(self) -> str:
        """Return a text for `repr`."""
        return f"{self._network}\n{type(self._rule).__name__}, output={self.output!r}"


def _read_out(model: Any, voltage: Any) -> Any:
    """Return the logits (B, K) of voltages (B, K, T), added up in float64 as the engine does."""
    kind = model.readout
    if kind == "max":
        return voltage.max(2).values
    if kind == "softmax-sum":
        return voltage.softmax(1).double().sum(2).float()
    whole = voltage.double()
    if kind == "expweighted":
        steps = voltage.shape[2]
        whole = whole * torch.exp(-torch.arange(steps, dtype=torch.float64) / steps)
    return (whole.sum(2) if kind == "sum" else whole.mean(2)).float()
