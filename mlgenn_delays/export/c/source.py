"""The C file: constants, state, a step of the populations, and the functions of the header."""

import textwrap
from collections.abc import Iterable

from mlgenn_delays.export.c.layout import (
    CProgram,
    Gather,
    History,
    Neurons,
    Ring,
    Sender,
    SynapseGroup,
    Table,
)
from mlgenn_delays.export.c.text import comment, real
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
    body = []
    if p.readout is None:
        history = layout.histories[p.name]
        body += [f"{history.kind} *const spiked = {_slot(history)};", _clear(history)]
    for group in p.groups:
        body += [f"{ring.kind} *const {ring.name} = {_slot(ring)};" for ring in group.rings]
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


def _slot(of: Ring | History) -> str:
    """C of the slot of this step."""
    return f"state.{of.name}" + (f"[state.at_{of.slots}]" if of.slots > 1 else "")


def _clear(history: History) -> str:
    one = f"state.{history.name}" + ("[0]" if history.slots > 1 else "")
    return f"memset(spiked, 0, sizeof {one});"


def _back(history: History, delay: str) -> list[str]:
    """C that finds the slot of so many steps before the last."""
    return [
        f"size_t slot = (size_t)state.at_{history.slots} + {history.slots - 1}u - {delay};",
        f"if (slot >= {history.slots}u) {{\n    slot -= {history.slots}u;\n}}",
    ]


def _each_spike(history: History, row: str, body: Iterable[str]) -> str:
    """C that does something for each neuron i that spiked in a slot, ascending."""
    index = f"const size_t i = {history.bits}u * w + lowest(bits);"
    inner = block(f"for (uint32_t bits = {row}[w]; bits != 0u; bits &= bits - 1u)", [index, *body])
    return block(f"for (size_t w = 0; w < {history.width}u; w++)", [inner])


def _current(layout: CProgram, group: SynapseGroup) -> str:
    """What adds the current of one synapse model to that of neuron j."""
    start = "0.0f" if group.decay is None else f"{group.decay} * state.{group.name}[j]"
    body = [f"float x = {start};"]
    for ring in group.rings:
        arrived = f"{ring.name}[j]"
        if ring.scale is not None:
            whole = "" if ring.kind == "float" else "(float)"
            arrived = f"{ring.scale} * {whole}{arrived}"
        body += [f"x += {arrived};", f"{ring.name}[j] = 0;"]
    body += [_look_back(layout, gather) for gather in group.gathers]
    if group.decay is None:
        return block("", [*body, "total += x;"]).lstrip()
    body += [f"state.{group.name}[j] = x;", f"total += {group.scale} * x;"]
    return block("", body).lstrip()


def _look_back(layout: CProgram, gather: Gather) -> str:
    t, history = gather.table, layout.histories[layout.input_name]
    if t.rows is None:
        loop, row, index = f"for (size_t i = 0; i < {layout.inputs}u; i++)", "j", "i"
    else:
        loop = f"for (size_t i = {t.rows.name}[j]; i < {t.rows.name}[j + 1u]; i++)"
        assert t.index is not None
        row, index = None, t.index.at(None, "i")
    body = _back(history, _delay(t, "j", row, "i")) if history.slots > 1 else []
    weight = f"{'(float)' if gather.scale is not None else ''}{t.weight.at(row, 'i')}"
    slot = "[slot]" if history.slots > 1 else ""
    body.append(f"sum += {weight} * state.{history.name}{slot}[{index}];")
    add = "x += sum;" if gather.scale is None else f"x += {gather.scale} * sum;"
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
    calls = [f"send_{s.name}(i);" for s in layout.prompt(p.name)]
    return [_each_spike(layout.histories[p.name], "spiked", calls)] if calls else []


_LOWEST = """\
/* The place of the lowest bit that is set. */
static size_t lowest(uint32_t bits)
{
#if defined(__GNUC__)
    return (size_t)__builtin_ctzl(bits);
#else
    size_t k = 0;
    while ((bits & 1u) == 0u) {
        bits >>= 1;
        k++;
    }
    return k;
#endif
}
"""


def _recall(layout: CProgram, history: History) -> str:
    """The function that sends what spikes of earlier steps bring in this one."""
    late = layout.late(history.source)
    calls = [f"send_{s.name}(i, d);" for s in late]
    row = f"const {history.kind} *const row = state.{history.name}[slot];"
    first, last = min(s.shortest for s in late), max(s.longest for s in late)
    ages = f"for (size_t d = {first}; d <= {last}u; d++)"
    body = [block(ages, [*_back(history, "d"), row, _each_spike(history, "row", calls)])]
    return "/* Spikes act d + 1 steps later. */\n" + function(
        f"static void recall_{history.source}(void)", body
    )


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


def source(layout: CProgram, prefix: str) -> str:
    """The C file."""
    parts = [
        f'/* Made by delaysnn; see {prefix}_model.h. */\n#include "{prefix}_model.h"\n\n'
        "#include <math.h>\n#include <string.h>\n",
        "/* gcc knows it as -ffp-contract=off only. */\n"
        "#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF\n#endif\n",
        layout.strings.definitions(prefix),
        *(array.source() for array in layout.constants()),
        _state(layout, prefix),
        *([_LOWEST] if any(h.kind != "float" for h in layout.histories.values()) else []),
        *(_send(layout, sender) for sender in layout.senders),
        *(_recall(layout, history) for history in _recalled(layout)),
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


def _recalled(layout: CProgram) -> list[History]:
    return [history for history in layout.histories.values() if layout.late(history.source)]


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
        first, end, row, post = "0", f"k < {t.columns}u", "i", "k"
    else:
        assert t.index is not None
        first, end = f"{t.rows.name}[i]", f"k < {t.rows.name}[i + 1u]"
        row, post = None, t.index.at(None, "k")
    delay = _delay(t, "i", row, "k")
    outer: list[str] = []
    inner: list[str] = []
    to = f"state.{ring.name}"
    if s.late:
        to = _slot(ring)
        outer = [f"if ({delay} != d) {{\n    return;\n}}"]
        if t.by_synapse:
            outer, first, end = _search(s), "k", f"{end} && {delay} == d"
    elif ring.slots > 1:
        slot = [
            f"size_t slot = (size_t)state.at_{ring.slots} + 1u + {delay};",
            f"if (slot >= {ring.slots}u) {{\n    slot -= {ring.slots}u;\n}}",
        ]
        outer, inner = ([], slot) if t.by_synapse else (slot, [])
        to = f"{to}[slot]"
    inner.append(_add(s, f"{to}[{post}]", t.weight.at(row, "k"), values))
    loop = f"for ({'' if first == 'k' else f'size_t k = {first}'}; {end}; k++)"
    more = ", float x" if values else ", size_t d" if s.late else ""
    head = f"static void send_{s.name}(size_t i{more})"
    return f"/* {comment(s.title)} */\n" + function(head, [*outer, block(loop, inner)])


def _delay(t: Table, i: str, row: str | None, k: str) -> str:
    """C of a delay in row i of a table."""
    if t.delay is None:
        return f"{t.one_delay}u"
    return t.delay.at(None, i) if t.by_row else t.delay.at(row, k)


def _search(s: Sender) -> list[str]:
    """C that finds the first synapse k of a source whose delay is d or more; they ascend."""
    t = s.table
    assert t.rows is not None and t.delay is not None
    halve = [
        "const size_t middle = k + (above - k) / 2u;",
        f"if ({t.delay.name}[middle] < d) {{\n    k = middle + 1u;\n}} else {{\n"
        "    above = middle;\n}",
    ]
    rows = t.rows.name
    return [f"size_t k = {rows}[i], above = {rows}[i + 1u];", block("while (k < above)", halve)]


def _add(s: Sender, to: str, weight: str, values: bool) -> str:
    if s.ring.kind != "float":
        return f"{to} = ({s.ring.kind})({to} + {weight});"
    if values:
        whole = "" if s.table.weight.kind == "float" else "(float)"
        return f"{to} += {whole}{weight} * x;"
    return f"{to} += {weight};"


def _populations(layout: CProgram) -> str:
    calls = [f"run_{p.name}();" for p in reversed(layout.neurons)]
    why = "/* What is sent acts in a later step, so those that send run after those that read. */"
    recalls = [f"recall_{history.source}();" for history in _recalled(layout)]
    return function("static void run_populations(void)", [*recalls, why, *calls])


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
    senders, history = layout.prompt(layout.input_name), layout.histories.get(layout.input_name)
    inputs = f"{prefix.upper()}_INPUTS"
    body = ["run_populations();"]
    if not layout.currents:
        head = f"void {prefix}_step_spikes(const {prefix}_index *channels, size_t n)"
        calls = [f"send_{s.name}(channels[k]);" for s in senders]
        if history:
            body += [f"{history.kind} *const spiked = {_slot(history)};", _clear(history)]
            calls.append(history.put("spiked", "channels[k]"))
        inner = block(f"if (channels[k] < {inputs})", calls)
        loop = block("for (size_t k = 0; k < n; k++)", [inner])
        body += [loop] if calls else ["(void)channels;", "(void)n;"]
        return function(head, [*body, "advance();"])
    calls = [f"send_{s.name}(i, values[i]);" for s in senders]
    inner = block("if (values[i] != 0.0f)", calls)
    if calls:
        body.append(block(f"for (size_t i = 0; i < {inputs}; i++)", [inner]))
    if history:
        body.append(f"memcpy({_slot(history)}, values, {inputs} * sizeof values[0]);")
    if not calls and not history:
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
    put = [f"neurons[n++] = ({prefix}_index)i;"]
    for number, p in enumerate(layout.hidden):
        history = layout.histories[p.name]
        last, row = [], f"state.{history.name}"
        if history.slots > 1:
            last, row = _back(history, "0u"), f"{row}[slot]"
        found = block("", [*last, _each_spike(history, row, put), "return n;"]).lstrip()
        cases += f"case {number}:\n" + indent(found)
    cases += "default:\n    return 0;\n"
    body = ["size_t n = 0;"] if layout.hidden else ["(void)neurons;"]
    body.append(f"switch (population) {{\n{cases}}}")
    head = f"size_t {prefix}_spikes(int population, {prefix}_index *neurons)"
    return function(head, body)
