"""The C header: how the program is used, and what it takes: bytes, and operations per step.

An operation is one addition, multiplication, comparison, division or exponential of numbers;
reading tables and counting loops come on top, in proportion.
"""

from dataclasses import dataclass

from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.layout import CProgram, Gather, Neurons, Sender, SynapseGroup
from mlgenn_delays.export.c.text import Strings, comment, string

# With what `neurons.ADD` takes.
_READING = {"mean": 4, "sum": 4, "max": 1, "expweighted": 5, "softmax-sum": 9}


@dataclass(frozen=True)
class PerSpike:
    """Operations that one spike brings."""

    source: str  # population that spikes
    mean: float  # over its neurons
    most: int  # of any of its neurons


@dataclass(frozen=True)
class Figures:
    """What a program takes."""

    constant_bytes: int  # of constant arrays, in read-only memory
    state_bytes: int  # of variables
    synapses: int  # left in the program
    neurons: int  # left in the program, output included
    silent: int  # operations of a step without spikes and input
    # The first per input spike (or input that is not 0), then per spike of each hidden population.
    spikes: tuple[PerSpike, ...]
    worst: int  # operations of a step in which everything spikes
    int8: bool  # whether weights are integers

    @property
    def input_spike(self) -> PerSpike:
        """Operations that one input brings."""
        return self.spikes[0]

    def lines(self) -> list[str]:
        """Memory and operations in words, two lines."""
        weights = "8-bit" if self.int8 else "32-bit"
        return [
            f"C: {self.constant_bytes} bytes of constants and {self.state_bytes} of state, "
            f"{self.neurons} neurons, {self.synapses} synapses of {weights} weights",
            f"operations: {self.silent} a silent step, {self.input_spike.mean:.1f} more an input, "
            f"at most {self.worst} a step",
        ]


def figures(layout: CProgram, text_bytes: int, int8: bool) -> Figures:
    """Count bytes and operations, with text_bytes of names and labels."""
    spikes = tuple(
        _per_spike(layout.from_source(source), title, n, layout.currents and k == 0)
        for k, (source, title, n) in enumerate(_sources(layout))
    )
    silent = sum(_silent(p) for p in layout.neurons)
    return Figures(
        constant_bytes=layout.constant_bytes + text_bytes,
        state_bytes=layout.state_bytes,
        synapses=layout.synapses,
        neurons=sum(p.n for p in layout.neurons),
        silent=silent,
        spikes=spikes,
        worst=silent + sum(_all(layout, sender) for sender in layout.senders),
        int8=int8,
    )


def _sources(layout: CProgram) -> list[tuple[str, str, int]]:
    """Name in C, name and size of all that sends, the input first."""
    hidden = [(p.name, p.title, p.n) for p in layout.hidden]
    return [(layout.input_name, "input", layout.inputs), *hidden]


def _per_spike(senders: list[Sender], title: str, n: int, currents: bool) -> PerSpike:
    each = 2 if currents else 1
    entries = sum(s.table.entries for s in senders)
    return PerSpike(title, each * entries / n, each * sum(s.table.most for s in senders))


def _all(layout: CProgram, sender: Sender) -> int:
    values = layout.currents and sender.source == layout.input_name
    return sender.table.entries * (2 if values else 1)


def _silent(p: Neurons) -> int:
    own = (p.bias is not None) + sum(_of_group(group) for group in p.groups)
    own += 2 + (p.beta != 1)
    own += _READING[p.readout] if p.readout else 1 + (p.refractory > 0)
    return p.n * own + sum(_of_gather(g, p.n) for group in p.groups for g in group.gathers)


def _of_group(group: SynapseGroup) -> int:
    rings = sum(1 + (ring.scale is not None) for ring in group.rings)
    return rings + (3 if group.decay is not None else 0)


def _of_gather(gather: Gather, n: int) -> int:
    return 2 * gather.table.entries + n * (1 + (gather.scale is not None))


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


def header(
    artifact: Artifact, layout: CProgram, strings: Strings, made: Figures, prefix: str
) -> str:
    """The header file."""
    upper = prefix.upper()
    words = {"prefix": prefix, "P": upper, "dt": f"{artifact.network.dt:g}"}
    functions = _FUNCTIONS.format(
        **words,
        index=index_type(layout),
        strings=_strings(strings, prefix),
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


def _strings(strings: Strings, prefix: str) -> str:
    lines = strings.declarations(prefix).splitlines(keepends=True)
    return "\n/* Names of the populations that spike. */\n".join(lines)


def _about(artifact: Artifact, layout: CProgram, made: Figures) -> str:
    about = artifact.about
    recipe = f" of recipe {comment(about.recipe)}" if about.recipe else ""
    maker = f"delaysnn {comment(about.version)}".rstrip()
    lines = [
        f"A spiking network with delays{recipe}, made by {maker}.",
        "",
        f"{layout.inputs} inputs ({'sampled values' if layout.currents else 'spikes'}), "
        f"{layout.steps} steps of {artifact.network.dt:g} ms, readout {layout.output.readout}.",
        *(f"{comment(p.title)}: {p.n} neurons" for p in layout.neurons),
        f"{made.synapses} synapses, weights {'int8' if made.int8 else 'float32'}",
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
        lines.append(f"Accuracy, {comment(each.split)} split{of}: {100 * each.accuracy:.2f} %")
    return "".join(f"   {line}".rstrip() + "\n" for line in lines)


def _more(each: PerSpike, k: int, layout: CProgram) -> str:
    if k == 0 and layout.currents and not each.most:
        return "inputs add nothing: in every step, synapses look back at them"
    if k == 0:
        what = "an input that is not 0" if layout.currents else "an input spike"
    else:
        what = f"a spike of {comment(each.source)}"
    return f"{what} adds {each.mean:.1f}, at most {each.most}"


def _macros(artifact: Artifact, layout: CProgram, made: Figures, upper: str) -> str:
    values: dict[str, object] = {
        "INPUTS": layout.inputs,
        "OUTPUTS": layout.output.n,
        "HIDDEN": len(layout.hidden),
        "LARGEST": max([1, *(p.n for p in layout.hidden)]),
        "STEPS": layout.steps,
        "DT_MS": f"{artifact.network.dt!r}",
        "NEURONS": made.neurons,
        "SYNAPSES": made.synapses,
        "INT8": int(made.int8),
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
