"""The C file: constants, state, a step of the populations, and the functions of the header."""

from mlgenn_delays.export.c.layout import CProgram, Gather, Neurons, SynapseGroup
from mlgenn_delays.export.c.sending import (
    LOWEST,
    back,
    clear,
    delay_of,
    each_spike,
    recall,
    recalled,
    send,
    sent_now,
    slot_now,
)
from mlgenn_delays.export.c.text import block, comment, function, indent, real
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


def run(layout: CProgram, p: Neurons) -> str:
    """The function that runs a population through one step."""
    body = []
    if p.readout is None:
        history = layout.histories[p.name]
        body += [f"{history.kind} *const spiked = {slot_now(history)};", clear(history)]
    for group in p.groups:
        body += [f"{ring.kind} *const {ring.name} = {slot_now(ring)};" for ring in group.rings]
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
    body = back(history, delay_of(t, "j", row, "i")) if history.slots > 1 else []
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
    calls = sent_now(layout, p.name, "i")
    return [each_spike(layout.histories[p.name], "spiked", calls)] if calls else []


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
        *([LOWEST] if any(h.kind != "float" for h in layout.histories.values()) else []),
        *(send(layout, sender) for sender in layout.senders),
        *(recall(layout, history) for history in recalled(layout)),
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


def _populations(layout: CProgram) -> str:
    calls = [f"run_{p.name}();" for p in reversed(layout.neurons)]
    why = "/* What is sent acts in a later step, so those that send run after those that read. */"
    recalls = [f"recall_{history.source}();" for history in recalled(layout)]
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
    history = layout.histories.get(layout.input_name)
    inputs = f"{prefix.upper()}_INPUTS"
    body = ["run_populations();"]
    if not layout.currents:
        head = f"void {prefix}_step_spikes(const {prefix}_index *channels, size_t n)"
        calls = sent_now(layout, layout.input_name, "channels[k]")
        if history:
            body += [f"{history.kind} *const spiked = {slot_now(history)};", clear(history)]
            calls.append(history.put("spiked", "channels[k]"))
        inner = block(f"if (channels[k] < {inputs})", calls)
        loop = block("for (size_t k = 0; k < n; k++)", [inner])
        body += [loop] if calls else ["(void)channels;", "(void)n;"]
        return function(head, [*body, "advance();"])
    calls = [f"send_{s.name}(i, values[i]);" for s in layout.prompt(layout.input_name)]
    inner = block("if (values[i] != 0.0f)", calls)
    if calls:
        body.append(block(f"for (size_t i = 0; i < {inputs}; i++)", [inner]))
    if history:
        body.append(f"memcpy({slot_now(history)}, values, {inputs} * sizeof values[0]);")
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
            last, row = back(history, "0u"), f"{row}[slot]"
        found = block("", [*last, each_spike(history, row, put), "return n;"]).lstrip()
        cases += f"case {number}:\n" + indent(found)
    cases += "default:\n    return 0;\n"
    body = ["size_t n = 0;"] if layout.hidden else ["(void)neurons;"]
    body.append(f"switch (population) {{\n{cases}}}")
    head = f"size_t {prefix}_spikes(int population, {prefix}_index *neurons)"
    return function(head, body)
