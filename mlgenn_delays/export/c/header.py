"""The C header: how the program is used, and what it takes: bytes, and operations per step.

An operation is one addition, multiplication, comparison, division or exponential of numbers;
reading tables and counting loops come on top, in proportion.
"""

from dataclasses import dataclass

from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.layout import CProgram, History, Neurons
from mlgenn_delays.export.c.text import Strings, comment, string

# With what `source.ADD` takes.
_READING = {"mean": 4, "sum": 4, "max": 1, "expweighted": 5, "softmax-sum": 9}


@dataclass(frozen=True)
class PerSpike:
    """Operations that one spike brings."""

    source: str  # population that spikes
    mean: float  # over its neurons
    most: int  # of any of its neurons


@dataclass(frozen=True)
class Costs:
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


def costs_of(layout: CProgram, text_bytes: int, int8: bool) -> Costs:
    """Count bytes and operations, with text_bytes of names and labels."""
    silent = sum(_silent(p) for p in layout.neurons)
    silent += sum(h.width * _ages(layout, h) for h in layout.histories.values())
    spikes, worst = [], silent
    hidden = [(p.name, p.title, p.n, p.step.at_spike) for p in layout.hidden]
    for source, title, n, own in [(layout.input_name, "input", layout.inputs, 0), *hidden]:
        # A current is multiplied by the weight before it is added.
        each = 2 if layout.currents and source == layout.input_name else 1
        tables = [sender.table for sender in layout.from_source(source)]
        entries = each * sum(table.entries for table in tables)
        most = own + each * sum(table.most for table in tables)
        looked = _looked_at(layout, source)
        spikes.append(PerSpike(title, own + looked + entries / n, most + looked))
        worst += n * (own + looked) + entries
    return Costs(
        constant_bytes=layout.constant_bytes + text_bytes,
        state_bytes=layout.state_bytes,
        synapses=layout.synapses,
        neurons=sum(p.n for p in layout.neurons),
        silent=silent,
        spikes=tuple(spikes),
        worst=worst,
        int8=int8,
    )


def _ages(layout: CProgram, history: History) -> int:
    """In how many slots of a history spikes are looked for in each step."""
    late = layout.late(history.source)
    if not late:
        return 0
    return 1 + max(s.longest for s in late) - min(s.shortest for s in late)


def _looked_at(layout: CProgram, source: str) -> int:
    """Comparisons that a spike brings while it is in the history: in each of these steps, synapses
    with that delay are searched.
    """
    compared = (
        max(1, s.table.most.bit_length()) if s.table.by_synapse else 1 for s in layout.late(source)
    )
    history = layout.histories.get(source)
    return _ages(layout, history) * sum(compared) if history else 0


def _silent(p: Neurons) -> int:
    own = p.step.operations + (p.bias is not None)
    own += _READING[p.readout] if p.readout else p.refractory > 0
    gathered = 0
    for group in p.groups:
        own += sum(1 + (ring.scale is not None) for ring in group.rings)
        own += 3 if group.decay is not None else 0
        own += sum(1 + (gather.scale is not None) for gather in group.gathers)
        gathered += sum(2 * gather.table.entries for gather in group.gathers)
    return p.n * own + gathered


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


def header(artifact: Artifact, layout: CProgram, strings: Strings, made: Costs, prefix: str) -> str:
    """The header file."""
    upper = prefix.upper()
    declarations = strings.declarations(prefix).splitlines(keepends=True)
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
