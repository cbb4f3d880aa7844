"""The network as a model of GeNN: code of its neurons and synapses, for inference alone.

As a program it generates that code, in a process of its own, for GeNN ends the process where CUDA
fails: ``python -m mlgenn_delays.export.genn.model NETWORK FOLDER BACKEND BATCH``.

GeNN's own step is 1, so that t is the row of a step in the series. A synapse's current is
Scale inSyn, and inSyn *= Decay afterwards; for `Delta` Scale is 1 and Decay 0.
"""

import sys
from pathlib import Path
from typing import Any

from pygenn import (
    GeNNModel,
    VarAccess,
    create_neuron_model,
    create_postsynaptic_model,
    create_weight_update_model,
    init_postsynaptic,
    init_weight_update,
)

from mlgenn_delays.export.genn.layout import DeviceArrays, current_of
from mlgenn_delays.export.step_code import indented
from mlgenn_delays.network import CurrentInput, Network, Population, Projection, SpikeInput
from mlgenn_delays.neurons.declare import OUTPUT, Neuron, ReadoutNeuron

BLOCK = 64  # threads that run neurons or synapses side by side on a GPU
KERNELS = 12  # for which GeNN takes a block size


def make_model(layout: DeviceArrays, backend: str) -> Any:
    """The `pygenn.GeNNModel` of a network."""
    preferences: dict[str, Any] = {}
    if backend == "cuda":
        from pygenn.cuda_backend import BlockSizeSelect, DeviceSelect

        preferences = {
            "block_size_select_method": BlockSizeSelect.MANUAL,
            "manual_block_sizes": [BLOCK] * KERNELS,
            "device_select_method": DeviceSelect.MANUAL,
            "manual_device_id": 0,
        }
    model = GeNNModel("float", "delaysnn", backend=backend, optimize_code=True, **preferences)
    model.dt = 1.0
    model.batch_size = layout.batch_size
    # GeNN does not keep what it is given.
    model.kept = []
    groups = {
        p.name: _add_population(model, layout, k, p) for k, p in enumerate(layout.populations)
    }
    for k, projection in enumerate(layout.projections):
        _add_projection(model, layout, k, projection, groups)
    return model


def _add_population(model: Any, layout: DeviceArrays, k: int, population: Population) -> Any:
    code, threshold = _neuron(layout, k, population)
    own = {a.name: a for a in layout.arrays.values() if a.name.endswith(f"_p{k}")}
    variables = [
        (name, a.c_type, VarAccess.READ_ONLY if a.kind == "CONSTANT" else VarAccess.READ_WRITE)
        for name, a in own.items()
        if a.kind != "SERIES" and not name.startswith("spk")
    ]
    neuron = create_neuron_model(
        f"Neuron{k}",
        vars=variables,
        extra_global_params=[(n, f"{a.c_type}*") for n, a in own.items() if a.kind == "SERIES"],
        sim_code=code,
        threshold_condition_code=threshold,
    )
    model.kept.append(neuron)
    initial = {name: 0.0 for name, *_ in variables}
    return model.add_neuron_population(f"p{k}", population.n, neuron, {}, initial)


def _neuron(layout: DeviceArrays, k: int, population: Population) -> tuple[str, str]:
    """The code of a step of a population, and when it spikes."""
    here = f"[((((int)t * {layout.batch_size}) + (int)batch) * num_neurons) + id]"
    model = population.model
    if isinstance(model, SpikeInput):
        return "", f"Input_p{k}{here} != 0"
    if isinstance(model, CurrentInput):
        return f"Value_p{k} = Input_p{k}{here};", f"Value_p{k} != 0"
    bias = f" + Bias_p{k}" if f"Bias_p{k}" in layout.arrays else ""
    lines = [f"const scalar current = Isyn{bias};", *layout.steps[k].lines]
    if isinstance(model, ReadoutNeuron):
        voltage = layout.steps[k].names[OUTPUT]
        return "\n".join([*lines, f"Voltage_p{k}{here} = {voltage};"]), ""
    assert isinstance(model, Neuron)
    rest = model.refractory_steps(layout.network.dt)
    if rest:
        lines = [
            f"if (Wait_p{k} > 0) {{", f"    Wait_p{k}--;", "}", "else {", *indented(lines),
            "    if (spike) {", f"        Wait_p{k} = {rest};", "    }", "}",
        ]  # fmt: skip
    lines = ["int spike = 0;", *lines, f"Fired_p{k}{here} = (uint8_t)spike;"]
    return "\n".join(lines), f"Fired_p{k}{here} != 0" if f"spk_p{k}" in layout.arrays else ""


def _add_projection(
    model: Any, layout: DeviceArrays, k: int, projection: Projection, groups: dict[str, Any]
) -> None:
    source = layout.network.populations[projection.source]
    weights, references = _synapse(layout, k, isinstance(source.model, CurrentInput))
    names = [f"{name}_q{k}" for name in ("g", "d") if f"{name}_q{k}" in layout.arrays]
    dense = layout.network.is_dense(projection)
    currents, params = _currents(layout, k, projection)
    group = model.add_synapse_population(
        f"q{k}",
        "DENSE" if dense else "SPARSE",
        groups[projection.source],
        groups[projection.target],
        init_weight_update(
            weights,
            {},
            dict.fromkeys(names, 0.0),
            pre_var_refs=references,
        ),
        init_postsynaptic(currents, params),
    )
    model.kept += [weights, currents]
    if not dense:
        group.max_connections = layout.stride(projection)
    group.max_dendritic_delay_timesteps = layout.slots
    # So that the argument of GeNN's code that takes it says whose current it is.
    group.set_ps_param_dynamic(f"Decay_q{k}")


def _synapse(layout: DeviceArrays, k: int, currents: bool) -> tuple[Any, dict[str, str]]:
    """The weight update model of a projection, and what it reads of its source."""
    delayed = f"d_q{k}" in layout.arrays
    sent, references = f"g_q{k}", {}
    if currents:
        p = layout.number(layout.projections[k].source)
        sent, references = f"(g_q{k} * Sent_q{k})", {f"Sent_q{k}": f"Value_p{p}"}
    made = create_weight_update_model(
        f"Synapse{k}",
        vars=[
            (name, layout.arrays[name].c_type, VarAccess.READ_ONLY)
            for name in (f"g_q{k}", f"d_q{k}")
            if name in layout.arrays
        ],
        pre_neuron_var_refs=[(name, "float") for name in references],
        pre_spike_syn_code=f"addToPostDelay({sent}, {f'd_q{k}' if delayed else '0'});",
    )
    return made, references


def _currents(layout: DeviceArrays, k: int, projection: Projection) -> tuple[Any, dict[str, float]]:
    """The postsynaptic model of a projection and its parameters."""
    scale, decay = current_of(projection, layout.network.dt)
    made = create_postsynaptic_model(
        f"Current{k}",
        params=["Scale", f"Decay_q{k}"],
        sim_code=f"injectCurrent(Scale * inSyn); inSyn *= Decay_q{k};",
    )
    return made, {"Scale": scale, f"Decay_q{k}": decay}


def write_code(model: Any, folder: Path) -> None:
    """Write the code of a model: what `GeNNModel.build` does before it compiles."""
    from pygenn.genn_model import generate_code

    model._finalise()
    preferences = model._backend_module.Preferences()
    for name, value in model._preference_kwargs.items():
        setattr(preferences, name, value)
    model._backend = model._backend_module._create_backend(
        model, str(folder), model.backend_log_level, preferences
    )
    generate_code(model, model._backend, str(folder), True, False)


def main(network: str, folder: str, backend: str, batch_size: str) -> None:
    """Generate code."""
    layout = DeviceArrays(Network.load(network), int(batch_size))
    write_code(make_model(layout, backend), Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
