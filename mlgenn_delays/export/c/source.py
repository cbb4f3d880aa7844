"""The C file: constants, state, a step of the populations, and the functions of the header."""

import textwrap
from collections.abc import Iterable

from mlgenn_delays.export.c.layout import CProgram, Gather, Neurons, Sender, SynapseGroup
from mlgenn_delays.export.c.text import Strings, comment, real, unsigned
from mlgenn_delays.neurons.declare import OUTPUT

_TOTALS = {
    "mean": "add(j, x_V);",
    "sum": "add(j, x_V);",
    "max": "if (state.steps == 0u || x_V > state.total[j]) {\n    state.total[j] = x_V;\n}",
    "expweighted": "add(j, share * x_V);",
}
ADD = """\
/* Adds x to what is read out of output j. What rounding takes away is added with the next x
   (Kahan): in single precision, a million steps one after the other would be 1 % off. */
static void add(size_t j, float x)
{
    const float y = x - state.lost[j];
    const float sum = state.total[j] + y;
    state.lost[j] = (sum - state.total[j]) - y;
    state.total[j] = sum;
}
"""
_SOFTMAX = """\
float share[{n}];
float highest = {v}[0], all = 0.0f;
for (size_t j = 1; j < {n}; j++) {{
    if ({v}[j] > highest) {{
        highest = {v}[j];
    }}
}}
for (size_t j = 0; j < {n}; j++) {{
    share[j] = expf({v}[j] - highest);
    all += share[j];
}}
for (size_t j = 0; j < {n}; j++) {{
    add(j, share[j] / all);
}}
"""


def indent(text: str, levels: int = 1) -> str:
    """Move lines of C to the right."""
    return textwrap.indent(text, "    " * levels)


def block(head: str, body: Iterable[str]) -> str:
    """A statement with a body in braces."""
    inner = "".join(indent(part if part.endswith("\n") else part + "\n") for part in body)
    return f"{head} {{\n{inner}}}\n"


def function(head: str, body: Iterable[str]) -> str:
    """The definition of a function."""
    return block(head, body).replace(" {\n", "\n{\n", 1)


def run(layout: CProgram, p: Neurons) -> str:
    """The function that runs a population through one step."""
    body = ["size_t count = 0;"] if p.readout is None else []
    for group in p.groups:
        for ring in group.rings:
            slot = f"[state.at_{ring.slots}]" if ring.slots > 1 else ""
            body.append(f"{ring.kind} *const {ring.name} = state.{ring.name}{slot};")
    if p.readout == "expweighted":
        body.append(f"const float share = expf(-(float)state.steps / {real(layout.steps)});")
    inner = [f"float total = {'0.0f' if p.bias is None else f'{p.bias.name}[j]'};"]
    inner += [_current(layout, group) for group in p.groups]
    inner += _step_of(p)
    body.append(block(f"for (size_t j = 0; j < {p.n}u; j++)", inner))
    if p.readout == "softmax-sum":
        body.append(_SOFTMAX.format(v=f"state.{p.states[OUTPUT].field}", n=f"{p.n}u"))
    if p.readout is None:
        body += _sending(layout, p)
    title = f"/* One step of population {comment(p.title)}. */\n"
    return title + function(f"static void run_{p.name}(void)", body)


def _current(layout: CProgram, group: SynapseGroup) -> str:
    """What adds the current of one synapse model to that of neuron j."""
    start = "0.0f" if group.decay is None else f"{group.decay} * state.{group.name}[j]"
    body = [f"float x = {start};"]
    for ring in group.rings:
        arrived = f"{ring.name}[j]"
        if ring.scale is not None:
            whole = "" if ring.kind == "float" else "(float)"
            arrived = f"{ring.scale.name}[j] * {whole}{arrived}"
        body += [f"x += {arrived};", f"{ring.name}[j] = 0;"]
    body += [_look_back(layout, gather) for gather in group.gathers]
    if group.decay is None:
        return block("", [*body, "total += x;"]).lstrip()
    body += [f"state.{group.name}[j] = x;", f"total += {group.scale} * x;"]
    return block("", body).lstrip()


def _look_back(layout: CProgram, gather: Gather) -> str:
    t, h = gather.table, layout.history
    if t.rows is None:
        loop, place, index = f"for (size_t i = 0; i < {layout.inputs}u; i++)", "[j][i]", "i"
    else:
        loop = f"for (size_t i = {t.rows.name}[j]; i < {t.rows.name}[j + 1u]; i++)"
        assert t.index is not None
        place, index = "[i]", f"{t.index.name}[i]"
    delay = f"{t.one_delay}u"
    if t.delay is not None:
        delay = f"{t.delay.name}{'[j]' if t.by_row else place}"
    body = []
    if h > 1:
        body = [
            f"size_t slot = (size_t)state.at_{h} + {h - 1}u - {delay};",
            f"if (slot >= {h}u) {{\n    slot -= {h}u;\n}}",
        ]
    weight = f"{'(float)' if gather.scale is not None else ''}{t.weight.name}{place}"
    body.append(f"sum += {weight} * state.inputs[{'slot' if h > 1 else 0}][{index}];")
    add = "x += sum;" if gather.scale is None else f"x += {gather.scale.name}[j] * sum;"
    about = f"/* {comment(gather.title)} */"
    return block("", [about, "float sum = 0.0f;", block(loop, body), add]).lstrip()


def _step_of(p: Neurons) -> list[str]:
    """What moves neuron j on: its states out of memory, a step, and back."""
    lines = []
    if p.refractory:
        held = f"state.held_{p.name}[j]"
        lines.append(block(f"if ({held} > 0u)", [f"{held}--;", "continue;"]))
    lines += [f"float {s.local} = state.{s.field}[j];" for s in p.states.values() if s.lasts]
    lines += p.step.lines
    lines += [f"state.{s.field}[j] = {s.local};" for s in p.states.values()]
    if p.readout is not None:
        lines.append(_TOTALS.get(p.readout, ""))
    return [line for line in lines if line]


def _sending(layout: CProgram, p: Neurons) -> list[str]:
    """Recurrent spikes are sent after all neurons have read."""
    calls = [f"send_{s.name}(state.spiked_{p.name}[k]);" for s in layout.from_source(p.name)]
    lines = [f"state.count_{p.name} = ({unsigned(p.n)})count;"]
    if calls:
        lines.append(block("for (size_t k = 0; k < count; k++)", calls))
    return lines


_SETTLE = """\
/* Values that have decayed to nothing become 0: arithmetic on subnormal numbers can be slow. */
static void settle(float *x, size_t n)
{
    for (size_t j = 0; j < n; j++) {
        if (fabsf(x[j]) <= 1e-30f) {
            x[j] = 0.0f;
        }
    }
}
"""


def source(layout: CProgram, strings: Strings, prefix: str) -> str:
    """The C file."""
    parts = [
        f'/* Made by delaysnn; see {prefix}_model.h. */\n#include "{prefix}_model.h"\n\n'
        "#include <math.h>\n#include <string.h>\n",
        "/* gcc knows it as -ffp-contract=off only. */\n"
        "#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF\n#endif\n",
        strings.definitions(prefix),
        *(array.source() for array in layout.constants()),
        _state(layout, prefix),
        *(_send(layout, sender) for sender in layout.senders),
        *([] if layout.output.readout == "max" else [ADD]),
        *(run(layout, p) for p in layout.neurons),
        _SETTLE,
        _populations(layout),
        _advance(layout),
        _step(layout, prefix),
        function(f"void {prefix}_reset(void)", ["memset(&state, 0, sizeof state);"]),
        _read(layout, prefix),
        _spikes(layout, prefix),
    ]
    return "\n".join(parts)


def _state(layout: CProgram, prefix: str) -> str:
    fields = "".join(field.source() for field in layout.fields())
    size = f"{prefix.upper()}_STATE_BYTES"
    return (
        f"static struct {{\n{fields}}} state;\n\n/* Does not compile if the header is wrong. */\n"
        f"typedef char {prefix}_state_fits[sizeof state <= {size} ? 1 : -1];\n"
    )


def _send(layout: CProgram, s: Sender) -> str:
    values, t, ring = layout.currents and s.source == layout.input_name, s.table, s.ring
    if t.rows is None:
        n_post = t.weight.values.shape[1]
        loop, place, post = f"for (size_t k = 0; k < {n_post}u; k++)", "[i][k]", "k"
    else:
        assert t.index is not None
        loop = f"for (size_t k = {t.rows.name}[i]; k < {t.rows.name}[i + 1u]; k++)"
        place, post = "[k]", f"{t.index.name}[k]"
    outer: list[str] = []
    inner: list[str] = []
    to = f"state.{ring.name}"
    if ring.slots > 1:
        delay = f"{t.one_delay}u"
        if t.delay is not None:
            delay = f"{t.delay.name}{'[i]' if t.by_row else place}"
        slot = [
            f"size_t slot = (size_t)state.at_{ring.slots} + 1u + {delay};",
            f"if (slot >= {ring.slots}u) {{\n    slot -= {ring.slots}u;\n}}",
        ]
        each = t.delay is not None and not t.by_row
        outer, inner = ([], slot) if each else (slot, [])
        to = f"{to}[slot]"
    inner.append(_add(s, f"{to}[{post}]", f"{t.weight.name}{place}", values))
    head = f"static void send_{s.name}(size_t i{', float x' if values else ''})"
    return f"/* {comment(s.title)} */\n" + function(head, [*outer, block(loop, inner)])


def _add(s: Sender, to: str, weight: str, values: bool) -> str:
    if s.ring.kind != "float":
        return f"{to} = ({s.ring.kind})({to} + {weight});"
    if values:
        whole = "(float)" if s.table.weight.kind == "int8_t" else ""
        return f"{to} += {whole}{weight} * x;"
    return f"{to} += {weight};"


def _populations(layout: CProgram) -> str:
    calls = [f"run_{p.name}();" for p in reversed(layout.neurons)]
    why = "/* What is sent acts in a later step, so those that send run after those that read. */"
    return function("static void run_populations(void)", [why, *calls])


def _advance(layout: CProgram) -> str:
    body = []
    for field in layout.fields():
        if field.name.startswith("at_"):
            slots, at = int(field.name[3:]), f"state.{field.name}"
            body.append(f"{at} = ({field.kind})({at} + 1u == {slots}u ? 0u : {at} + 1u);")
    decaying = [s.field for p in layout.neurons for s in p.states.values() if s.lasts]
    decaying += [g.name for p in layout.neurons for g in p.groups if g.decay is not None]
    settling = [
        f"settle(state.{name}, sizeof state.{name} / sizeof state.{name}[0]);" for name in decaying
    ]
    body += ["state.steps++;", block("if ((state.steps & 63u) == 0u)", settling)]
    return function("static void advance(void)", body)


def _step(layout: CProgram, prefix: str) -> str:
    senders = layout.from_source(layout.input_name)
    inputs = f"{prefix.upper()}_INPUTS"
    body = ["run_populations();"]
    if not layout.currents:
        head = f"void {prefix}_step_spikes(const {prefix}_index *channels, size_t n)"
        calls = [f"send_{s.name}(channels[k]);" for s in senders]
        inner = block(f"if (channels[k] < {inputs})", calls)
        loop = block("for (size_t k = 0; k < n; k++)", [inner])
        body += [loop] if calls else ["(void)channels;", "(void)n;"]
        return function(head, [*body, "advance();"])
    calls = [f"send_{s.name}(i, values[i]);" for s in senders]
    inner = block("if (values[i] != 0.0f)", calls)
    if calls:
        body.append(block(f"for (size_t i = 0; i < {inputs}; i++)", [inner]))
    if layout.history:
        slot = f"state.at_{layout.history}" if layout.history > 1 else "0"
        body.append(f"memcpy(state.inputs[{slot}], values, sizeof state.inputs[0]);")
    if not calls and not layout.history:
        body.append("(void)values;")
    return function(f"void {prefix}_step_values(const float *values)", [*body, "advance();"])


def _read(layout: CProgram, prefix: str) -> str:
    outputs, kind = f"{prefix.upper()}_OUTPUTS", layout.output.readout
    body, value = [], "state.total[k]"
    if kind == "mean":
        body.append("const float steps = state.steps > 0u ? (float)state.steps : 1.0f;")
        value += " / steps"
    if kind == "expweighted":
        value += f" / {real(layout.steps)}"
    inner = [
        f"const float y = {value};",
        "if (logits != NULL) {\n    logits[k] = y;\n}",
        "if (k == 0 || y > highest) {\n    best = k;\n    highest = y;\n}",
    ]
    body += ["int best = 0;", "float highest = 0.0f;"]
    body += [block(f"for (int k = 0; k < {outputs}; k++)", inner), "return best;"]
    return function(f"int {prefix}_read(float *logits)", body)


def _spikes(layout: CProgram, prefix: str) -> str:
    cases = ""
    for number, p in enumerate(layout.hidden):
        copy = block(
            f"for (size_t k = 0; k < state.count_{p.name}; k++)",
            [f"neurons[k] = state.spiked_{p.name}[k];"],
        )
        cases += f"case {number}:\n" + indent(f"{copy}return state.count_{p.name};\n")
    cases += "default:\n    return 0;\n"
    body = [] if layout.hidden else ["(void)neurons;"]
    body.append(f"switch (population) {{\n{cases}}}")
    head = f"size_t {prefix}_spikes(int population, {prefix}_index *neurons)"
    return function(head, body)
