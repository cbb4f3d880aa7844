"""C code of the populations: what a step does to each of them."""

import textwrap
from collections.abc import Iterable

from mlgenn_delays.export.c.arrays import unsigned
from mlgenn_delays.export.c.layout import CProgram, Gather, Neurons, Ring, SynapseGroup
from mlgenn_delays.export.c.text import comment, real

_TOTALS = {
    "mean": "add(j, v);",
    "sum": "add(j, v);",
    "max": "if (state.steps == 0u || v > state.total[j]) {\n    state.total[j] = v;\n}",
    "expweighted": "add(j, share * v);",
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
float highest = state.v_{name}[0], all = 0.0f;
for (size_t j = 1; j < {n}; j++) {{
    if (state.v_{name}[j] > highest) {{
        highest = state.v_{name}[j];
    }}
}}
for (size_t j = 0; j < {n}; j++) {{
    share[j] = expf(state.v_{name}[j] - highest);
    all += share[j];
}}
for (size_t j = 0; j < {n}; j++) {{
    add(j, share[j] / all);
}}
"""


def indent(text: str, levels: int = 1) -> str:
    """Return lines of C moved to the right."""
    return textwrap.indent(text, "    " * levels)


def block(head: str, body: Iterable[str]) -> str:
    """Return a statement with a body in braces."""
    inner = "".join(indent(part if part.endswith("\n") else part + "\n") for part in body)
    return f"{head} {{\n{inner}}}\n"


def function(head: str, body: Iterable[str]) -> str:
    """Return the definition of a function."""
    return block(head, body).replace(" {\n", "\n{\n", 1)


def run(layout: CProgram, p: Neurons) -> str:
    """Return the function that runs a population through one step."""
    body = ["size_t count = 0;"] if p.readout is None else []
    body += [_row(ring) for group in p.groups for ring in group.rings]
    if p.readout == "expweighted":
        body.append(f"const float share = expf(-(float)state.steps / {real(layout.steps)});")
    inner = [f"float total = {'0.0f' if p.bias is None else f'{p.bias.name}[j]'};"]
    inner += [_current(layout, group) for group in p.groups]
    inner.append(_output(p) if p.readout else _spiking(p))
    body.append(block(f"for (size_t j = 0; j < {p.n}u; j++)", inner))
    if p.readout == "softmax-sum":
        body.append(_SOFTMAX.format(name=p.name, n=f"{p.n}u"))
    if p.readout is None:
        body += _sending(layout, p)
    title = f"/* One step of population {comment(p.title)}. */\n"
    return title + function(f"static void run_{p.name}(void)", body)


def _row(ring: Ring) -> str:
    """Return the definition of a pointer to what arrives in this step."""
    slot = f"[state.at_{ring.slots}]" if ring.slots > 1 else ""
    return f"{ring.kind} *const {ring.name} = state.{ring.name}{slot};"


def _current(layout: CProgram, group: SynapseGroup) -> str:
    """Return what adds the current of one synapse model to that of neuron j."""
    start = "0.0f" if group.decay is None else f"{real(group.decay)} * state.{group.name}[j]"
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
    body += [f"state.{group.name}[j] = x;", f"total += {real(group.scale)} * x;"]
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


def _moved(p: Neurons) -> str:
    """Return V of neuron j after the step, as an expression."""
    beta = "" if p.beta == 1 else f"{real(p.beta)} * "
    return f"{real(p.alpha)} * state.v_{p.name}[j] + {beta}total"


def _output(p: Neurons) -> str:
    lines = [f"const float v = {_moved(p)};", f"state.v_{p.name}[j] = v;"]
    return "\n".join([*lines, _TOTALS.get(str(p.readout), "")]).rstrip()


def _spiking(p: Neurons) -> str:
    held = f"state.held_{p.name}[j]"
    spike = [f"state.spiked_{p.name}[count++] = ({unsigned(p.n - 1)})j;", "v = 0.0f;"]
    lines = []
    if p.refractory:
        lines.append(block(f"if ({held} > 0u)", [f"{held}--;", "continue;"]))
        spike.append(f"{held} = {p.refractory}u;")
    if p.seed:
        lines.append(f"float v = state.v_{p.name}[j];\n")
        lines.append(block(f"if (v > {real(p.v_thresh)})", spike).rstrip() + " else {\n")
        lines.append(indent(f"v = {_moved(p)};\n") + "}\n")
    else:
        lines.append(f"float v = {_moved(p)};\n")
        lines.append(block(f"if (v >= {real(p.v_thresh)})", spike))
    return "".join([*lines, f"state.v_{p.name}[j] = v;\n"])


def _sending(layout: CProgram, p: Neurons) -> list[str]:
    """Return what sends the spikes of this step; recurrent ones after all neurons have read."""
    calls = [f"send_{s.name}(state.spiked_{p.name}[k]);" for s in layout.from_source(p.name)]
    lines = [f"state.count_{p.name} = ({unsigned(p.n)})count;"]
    if calls:
        lines.append(block("for (size_t k = 0; k < count; k++)", calls))
    return lines
