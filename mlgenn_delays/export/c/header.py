"""The C header: how the program is used, and what it takes."""

from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.costs import Costs, PerSpike
from mlgenn_delays.export.c.layout import CProgram
from mlgenn_delays.export.c.text import comment, string

_FUNCTIONS = """\
/* An index of a channel or neuron. */
typedef {index} {prefix}_index;

/* Names of the classes. */
{strings}
/* Begins a trial: everything is 0. The program starts so, too. */
void {prefix}_reset(void);

{step}

/* Answers after {P}_STEPS steps, or before, for what has happened so far.
   logits: room for {P}_OUTPUTS numbers, or NULL.
   Returns the class of the largest. */
int {prefix}_read(float *logits);

/* Tells which neurons spiked in the last step, ascending.
   population: 0 .. {P}_HIDDEN - 1, in the order of {prefix}_populations.
   neurons: room for as many as the population has, at most {P}_LARGEST.
   Returns their number. */
size_t {prefix}_spikes(int population, {prefix}_index *neurons);
"""
_SPIKES = """\
/* One step of {dt} ms.
   channels: those that spike in this step, each once; others than 0 .. {P}_INPUTS - 1 are left
   out. NULL if there are none.
   n: their number. */
void {prefix}_step_spikes(const {prefix}_index *channels, size_t n);"""
_VALUES = """\
/* One step of {dt} ms.
   values: {P}_INPUTS numbers, what flows into each channel in this step. */
void {prefix}_step_values(const float *values);"""


def header(artifact: Artifact, layout: CProgram, made: Costs, prefix: str) -> str:
    """The header file."""
    upper = prefix.upper()
    declarations = layout.strings.declarations(prefix).splitlines(keepends=True)
    words = {"prefix": prefix, "P": upper, "dt": f"{artifact.network.dt:g}"}
    functions = _FUNCTIONS.format(
        **words,
        index=index_type(layout),
        strings="\n/* Names of the populations that spike. */\n".join(declarations),
        step=(_VALUES if layout.currents else _SPIKES).format(**words),
    )
    return (
        f"/*\n{_about(artifact, layout, made)}*/\n#ifndef {upper}_MODEL_H\n"
        f"#define {upper}_MODEL_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
        f"{_macros(artifact, layout, made, upper)}\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
        f"{functions}\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    )


def index_type(layout: CProgram) -> str:
    """The type that holds every index, and every number, of channels and neurons."""
    largest = max([layout.inputs, *(p.n for p in layout.neurons)])
    return "uint16_t" if largest <= 65535 else "uint32_t"


def _about(artifact: Artifact, layout: CProgram, made: Costs) -> str:
    about = artifact.about
    recipe = f" of recipe {comment(about.recipe)}" if about.recipe else ""
    maker = f"delaysnn {comment(about.version)}".rstrip()
    lines = [
        f"A spiking network with delays{recipe}, made by {maker}.",
        "",
        f"{layout.inputs} inputs ({'sampled values' if layout.currents else 'spikes'}), "
        f"{layout.steps} steps of {artifact.network.dt:g} ms, readout {layout.output.readout}.",
        *(f"{comment(p.title)}: {p.n} neurons" for p in layout.neurons),
        f"{made.synapses} synapses, weights {made.weights}",
        "",
        f"Read-only memory: {made.constant_bytes} bytes of constants. "
        f"State: {made.state_bytes} bytes.",
        "",
        "Operations (an addition, multiplication, comparison, division or exponential):",
        f"  a step without spikes and input  {made.silent}",
        *(f"  {_more(each, k, layout)}" for k, each in enumerate(made.spikes)),
        f"  the worst step                   {made.worst}",
        "Cycles of a step: c (silent + sum over its spikes); measure c once on your processor,",
        "as the cycles of a silent step divided by its operations.",
    ]
    for each in about.measured:
        of = f" of {each.n} examples" if each.n else ""
        lines.append(f"Accuracy, {comment(each.split)} split{of}: {ACCURACY.text(each.accuracy)}")
    return "".join(f"   {line}".rstrip() + "\n" for line in lines)


def _more(each: PerSpike, k: int, layout: CProgram) -> str:
    if k == 0 and layout.currents and not each.most:
        return "inputs add nothing: in every step, synapses look back at them"
    if k == 0:
        what = "an input that is not 0" if layout.currents else "an input spike"
    else:
        what = f"a spike of {comment(each.source)}"
    return f"{what} adds {each.mean:.1f}, at most {each.most}"


def _macros(artifact: Artifact, layout: CProgram, made: Costs, upper: str) -> str:
    values: dict[str, object] = {
        "INPUTS": layout.inputs,
        "OUTPUTS": layout.output.n,
        "HIDDEN": len(layout.hidden),
        "LARGEST": max([1, *(p.n for p in layout.hidden)]),
        "STEPS": layout.steps,
        "DT_MS": f"{artifact.network.dt!r}",
        "NEURONS": made.neurons,
        "SYNAPSES": made.synapses,
        "WEIGHTS": string(made.weights),
        "CURRENTS": int(layout.currents),
        "CONSTANT_BYTES": made.constant_bytes,
        "STATE_BYTES": made.state_bytes,
        "OPERATIONS_SILENT": made.silent,
        "OPERATIONS_INPUT_MEAN": f"{made.input_spike.mean:.3f}",
        "OPERATIONS_INPUT_MOST": made.input_spike.most,
        "OPERATIONS_WORST": made.worst,
        "RECIPE": string(artifact.about.recipe),
    }
    if artifact.about.measured:
        values["ACCURACY"] = f"{artifact.about.measured[0].accuracy!r}"
    return "".join(f"#define {upper}_{name} {value}\n" for name, value in values.items())
