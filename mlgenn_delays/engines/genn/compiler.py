"""The mlGeNN compiler of networks with learned delays: EventProp and surrogate-gradient BPTT.

It is mlGeNN's `EventPropCompiler` with models of our own (`neuron_code`, `synapse_code`).
What differs from upstream, and is tested beside it: trials do not leak into one another, spikes of
the last step keep their gradients, nothing can overflow, the gradient has its true scale and that
of delays is per step, the last batch is learned, and any batch size runs on any backend.

The host makes the loss of the recorded output voltages and the optimiser step of the summed
gradients, so mlGeNN's losses, readouts and optimisers have no part in it.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from ml_genn import Connection, Population
from ml_genn import Network as GeNNNetwork
from ml_genn.compilers import CompiledNetwork, EventPropCompiler
from ml_genn.compilers.compiler import create_reset_custom_update
from ml_genn.connectivity import Dense
from ml_genn.connectivity.sparse_base import SparseBase
from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire
from ml_genn.neurons import SpikeInput as GeNNSpikeInput
from ml_genn.synapses import Delta as GeNNDelta
from ml_genn.synapses import Exponential as GeNNExponential
from ml_genn.utils.model import CustomUpdateModel, NeuronModel, WeightUpdateModel
from ml_genn.utils.snippet import ConnectivitySnippet
from pygenn import CustomUpdateVarAccess, VarAccess, create_var_ref, create_wu_var_ref

from mlgenn_delays.engines.genn.neuron_code import neuron_code
from mlgenn_delays.engines.genn.synapse_code import SynapseCode, synapse_code
from mlgenn_delays.engines.genn.tape import EVENT, SPIKE, NeuronCode, synapse_constants
from mlgenn_delays.engines.shared.plan import synapse_groups
from mlgenn_delays.learning import Rule
from mlgenn_delays.network import Exponential, Network
from mlgenn_delays.network.delays import delay_steps, longest_steps
from mlgenn_delays.network.models import InputModel
from mlgenn_delays.neurons.declare import ReadoutNeuron
from mlgenn_delays.settings import is_number


class GivenSparse(SparseBase):
    """Sparse connectivity of given synapses, arrays (S,) each, delays in steps."""

    def __init__(
        self, pre: np.ndarray, post: np.ndarray, weight: np.ndarray, delay: np.ndarray
    ) -> None:
        super().__init__(weight, delay)
        self.pre_ind, self.post_ind = pre, post

    def connect(self, source: Population, target: Population) -> None:
        """Do nothing: the sizes of populations are given."""

    def get_snippet(
        self, connection: Connection, supported_matrix_type: Any
    ) -> ConnectivitySnippet:
        """Return these synapses as GeNN takes them."""
        return self._get_snippet(supported_matrix_type, None)


def identifiers(network: Network) -> dict[str, str]:
    """Return the name that each population and projection has in GeNN.

    GeNN takes letters, digits and underscores; the number keeps them apart. They do not depend on
    the synapses, so that a rewired network needs no new code.
    """
    names = [*network.populations, *network.projections]
    return {name: re.sub(r"\W", "_", f"g{k}_{name}", flags=re.A) for k, name in enumerate(names)}


def translate(network: Network) -> GeNNNetwork:
    """Return a network as mlGeNN's, with its weights and with delays in whole steps.

    Our compiler takes its structure alone; weights and delays are put into what runs.
    """
    out, own = GeNNNetwork(), identifiers(network)
    with out:
        populations = {
            name: Population(_neuron(p.model), p.n, name=own[name])
            for name, p in network.populations.items()
        }
        for name, p in network.projections.items():
            delay = delay_steps(p, network.dt)
            weight = p.weight.astype(np.float32)
            if network.is_dense(p):
                shape = populations[p.source].shape + populations[p.target].shape
                connectivity: Any = Dense(weight.reshape(shape), delay.reshape(shape))
            else:
                connectivity = GivenSparse(p.pre(), p.post, weight, delay)
            synapse: Any = GeNNDelta()
            if isinstance(p.synapse, Exponential):
                # Where it differs, `build_synapse_model` puts the values in.
                tau = p.synapse.tau_syn
                synapse = GeNNExponential(tau if is_number(tau) else 1.0, scale_i=True)
            Connection(
                populations[p.source], populations[p.target], connectivity, synapse,
                name=own[name], max_delay_steps=longest_steps(p.max_delay, network.dt),
            )  # fmt: skip
    return out


def _neuron(model: Any) -> Any:
    if isinstance(model, InputModel):
        return GeNNSpikeInput()
    if isinstance(model, ReadoutNeuron):
        return LeakyIntegrate(readout="avg_var")
    return LeakyIntegrateFire()


FEEDBACK = "RevISyn"
CURRENTS = ("ExpDecay", "IScale")  # mlGeNN's decay and scale of `Exponential` synapses
# What the host sets between trials: which ways to go, T, and where on the tapes each way works.
DYNAMIC = ("Forward", "Backward", "Steps", "Slot", "BackSlot")
REDUCE = {
    "vars": [("Sum", "scalar", CustomUpdateVarAccess.REDUCE_BATCH_SUM)],
    "var_refs": [("Part", "scalar")],
    "update_code": "Sum = Part; Part = 0;",
}


@dataclass(frozen=True)
class Target:
    """Where GeNN runs."""

    backend: str  # ``"single_threaded_cpu"`` or ``"cuda"``
    batch_size: int  # examples side by side
    device: int | None = None  # number of the GPU; None for GeNN's choice


class CompileState:
    """What compiling one network needs, by identifier; see `Compiler.pre_compile` of mlGeNN."""

    def __init__(self, network: Network, rule: Rule, keeps: bool) -> None:
        own = identifiers(network)
        self.neurons: dict[str, NeuronCode] = {
            own[name]: neuron_code(network, p, rule, keeps)
            for name, p in network.populations.items()
        }
        self.longest = {
            own[name]: longest_steps(p.max_delay, network.dt)
            for name, p in network.projections.items()
        }
        self.group = {
            own[name]: synapse_groups(network, p.target).index(p.synapse)
            for name, p in network.projections.items()
        }
        self.differing = {
            own[name]: synapse_constants(p.synapse, network.dt)
            for name, p in network.projections.items()
            if not is_number(getattr(p.synapse, "tau_syn", 0.0))
        }
        self.synapses: dict[str, SynapseCode] = {
            own[name]: synapse_code(network, p, rule) for name, p in network.projections.items()
        }


class DelayCompiler(EventPropCompiler):
    """Compiles networks whose gradients `engines.genn.simulation` runs.

    `compile` is given the translation of the network. With `keeps`, the adjoints of all steps are
    kept, for candidate gradients; `genn_kwargs` are those of `pygenn.GeNNModel`.
    """

    def __init__(
        self, network: Network, rule: Rule, *, keeps: bool, batch_size: int = 1, **genn_kwargs: Any
    ) -> None:
        super().__init__(
            example_timesteps=1, losses="sparse_categorical_crossentropy", dt=network.dt,
            batch_size=batch_size, **genn_kwargs,
        )  # fmt: skip
        self.state = CompileState(network, rule, keeps)

    def pre_compile(self, network: GeNNNetwork, genn_model: Any, **kwargs: Any) -> CompileState:
        """Return the code of every population and projection."""
        return self.state

    def build_neuron_model(
        self, pop: Population, model: NeuronModel, compile_state: CompileState
    ) -> NeuronModel:
        """Return the model of a population."""
        code = compile_state.neurons[pop.name]
        types = code.types
        own = NeuronModel(
            {
                "params": [(n, types.get(n, "scalar")) for n in code.params]
                + [(n, "int") for n in DYNAMIC],
                "vars": [(n, types.get(n, "scalar"), _access(code, n)) for n in code.variables],
                "extra_global_params": list(code.arrays.items()),
                "sim_code": code.sim(),
                "threshold_condition_code": f"Flag & {SPIKE}" if code.sends else "",
            },
            None,
            code.params | dict.fromkeys(DYNAMIC, 0),
            dict(code.variables),
            {},
        )
        for name in DYNAMIC:
            own.set_param_dynamic(name)
        for name in (*code.learned.values(), *([FEEDBACK] if code.receives else [])):
            own.add_additional_input_var(name, "scalar", 0.0)
        return own

    def build_weight_update_model(
        self, conn: Connection, connect_snippet: ConnectivitySnippet, compile_state: CompileState
    ) -> WeightUpdateModel:
        """Return the model of a projection's synapses."""
        code = compile_state.synapses[conn.name]
        values = [("Gain_pre", "scalar"), ("GainBack_pre", "scalar")] if code.values else []
        model = WeightUpdateModel(
            {
                "params": [("KernelWidth", "scalar")] if code.taps else [],
                "vars": [(n, kind, VarAccess.READ_ONLY) for n, kind in code.types.items()]
                + [(n, "scalar") for n in code.sums],
                "pre_neuron_var_refs": [("Flag_pre", "uint8_t"), *values],
                "post_neuron_var_refs": [("LambdaI_post", "scalar")],
                "pre_spike_syn_code": code.forwards,
                "pre_event_threshold_condition_code": f"Flag_pre & {EVENT}",
                "pre_event_syn_code": code.backwards,
            },
            {"KernelWidth": 0.0} if code.taps else {},
            dict.fromkeys([*code.types, *code.sums], 0.0),
            pre_neuron_var_refs={n: n.removesuffix("_pre") for n, _ in values}
            | {"Flag_pre": "Flag"},
            post_neuron_var_refs={"LambdaI_post": f"LambdaI{compile_state.group[conn.name]}"},
        )
        if code.taps:
            model.set_param_dynamic("KernelWidth")
        return model

    def build_synapse_model(self, conn: Connection, model: Any, compile_state: CompileState) -> Any:
        """Return the model of a projection's currents: mlGeNN's, with values per neuron."""
        if conn.name in compile_state.differing:
            model.param_vals |= dict(zip(CURRENTS, compile_state.differing[conn.name], strict=True))
        return model

    def apply_delay(
        self, genn_pop: Any, conn: Connection, delay: Any, compile_state: CompileState
    ) -> None:
        """Give a projection room for its delays and for the step after, which gradients read."""
        genn_pop.max_dendritic_delay_timesteps = compile_state.longest[conn.name] + 2

    def create_compiled_network(
        self, genn_model: Any, neuron_populations: dict[Any, Any],
        connection_populations: dict[Any, Any], compile_state: CompileState,
    ) -> CompiledNetwork:  # fmt: skip
        """Add the updates that reset a trial and that sum gradients over a batch."""
        for conn, group in connection_populations.items():
            if compile_state.neurons[conn.source().name].receives:
                group.pre_target_var = FEEDBACK
            learned = compile_state.neurons[conn.target().name].learned
            if compile_state.group[conn.name] in learned:
                group.post_target_var = learned[compile_state.group[conn.name]]
            self.add_out_post_zero_custom_update(
                genn_model, group, "ResetForward", f"ZeroArrivals{conn.name}"
            )
            code = compile_state.synapses[conn.name]
            sums = code.sums
            clear = create_reset_custom_update(
                [(n, "scalar", 0.0) for n in sums],
                lambda name, group=group: create_wu_var_ref(group, name),
            )
            self.add_custom_update(genn_model, clear, "Clear", f"Clear{conn.name}")
            if code.late:
                copies = " ".join(f"{late} = {name};" for name, late in code.late.items())
                keep = CustomUpdateModel(
                    {"var_refs": [*code.types.items()], "update_code": copies},
                    {}, {}, {name: create_wu_var_ref(group, name) for name in code.types},
                )  # fmt: skip
                self.add_custom_update(genn_model, keep, "KeepLate", f"KeepLate{conn.name}")
            if self.batch_size > 1:
                for name in sums:
                    model = CustomUpdateModel(
                        REDUCE, {}, {"Sum": 0.0}, {"Part": create_wu_var_ref(group, name)}
                    )
                    self.add_custom_update(genn_model, model, "Reduce", f"Reduce{name}{conn.name}")
        for pop, group in neuron_populations.items():
            neuron = compile_state.neurons[pop.name]
            if neuron.sums:
                clear = create_reset_custom_update(
                    [(n, "scalar", 0.0) for n in neuron.sums],
                    lambda name, group=group: create_var_ref(group, name),
                )
                self.add_custom_update(genn_model, clear, "Clear", f"Clear{pop.name}")
            for way in ("forward", "backward"):
                names = getattr(neuron, f"reset_{way}")
                if names:
                    reset = create_reset_custom_update(
                        [(n, neuron.types.get(n, "scalar"), 0) for n in names],
                        lambda name, group=group: create_var_ref(group, name),
                    )
                    self.add_custom_update(
                        genn_model, reset, f"Reset{way.title()}", f"Reset{way.title()}{pop.name}"
                    )
        return CompiledNetwork(
            genn_model, neuron_populations, connection_populations, self.communicator
        )


def _access(code: NeuronCode, name: str) -> VarAccess:
    """Return how a neuron's code uses a variable, and whether each example has its own."""
    if isinstance(code.variables[name], np.ndarray):
        return VarAccess.READ_ONLY
    return VarAccess.READ_ONLY_DUPLICATE if name in code.given else VarAccess.READ_WRITE


def compiler_of(
    network: Network, rule: Rule, keeps: bool, target: Target, **preferences: Any
) -> DelayCompiler:
    """Return the compiler of a network for a target; `preferences` are of GeNN's backend."""
    if target.device is not None:
        from pygenn.cuda_backend import DeviceSelect

        preferences |= {
            "device_select_method": DeviceSelect.MANUAL, "manual_device_id": target.device
        }  # fmt: skip
    return DelayCompiler(
        network, rule, keeps=keeps, batch_size=target.batch_size, backend=target.backend,
        optimize_code=True, **preferences,
    )  # fmt: skip
