"""The C file: constants, state, and the functions of the header."""

from mlgenn_delays.export.c.layout import CProgram, Sender
from mlgenn_delays.export.c.neurons import ADD, block, function, indent, run
from mlgenn_delays.export.c.strings import Strings
from mlgenn_delays.export.c.text import comment, real

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
    """Return the C file."""
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
    """Return the function that adds what one source neuron sends to a ring."""
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
    """Return the statement that adds a weight, times a value if there is one, to a slot."""
    if s.ring.kind != "float":
        return f"{to} = ({s.ring.kind})({to} + {weight});"
    if values:
        whole = "(float)" if s.table.weight.kind == "int8_t" else ""
        return f"{to} += {whole}{weight} * x;"
    return f"{to} += {weight};"


def _populations(layout: CProgram) -> str:
    """Return the function that runs all populations, the output first."""
    calls = [f"run_{p.name}();" for p in reversed(layout.neurons)]
    why = "/* What is sent acts in a later step, so those that send run after those that read. */"
    return function("static void run_populations(void)", [why, *calls])


def _advance(layout: CProgram) -> str:
    body = []
    for field in layout.fields():
        if field.name.startswith("at_"):
            slots, at = int(field.name[3:]), f"state.{field.name}"
            body.append(f"{at} = ({field.kind})({at} + 1u == {slots}u ? 0u : {at} + 1u);")
    decaying = [f"v_{p.name}" for p in layout.neurons]
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
