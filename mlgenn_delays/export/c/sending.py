"""C that sends spikes and currents to rings of arrivals, at once or out of a history."""

from collections.abc import Iterable

from mlgenn_delays.export.c.layout import CProgram, History, Ring, Sender
from mlgenn_delays.export.c.tables import Table
from mlgenn_delays.export.c.text import block, comment, function

LOWEST = """\
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


def slot_now(of: Ring | History) -> str:
    """C of the slot of this step."""
    return f"state.{of.name}" + (f"[state.at_{of.slots}]" if of.slots > 1 else "")


def clear(history: History) -> str:
    """C that makes the slot of this step empty."""
    one = f"state.{history.name}" + ("[0]" if history.slots > 1 else "")
    return f"memset(spiked, 0, sizeof {one});"


def _wrapped(of: Ring | History, ahead: str) -> list[str]:
    """C that finds the slot that comes so many slots after that of this step."""
    return [
        f"size_t slot = (size_t)state.at_{of.slots} + {ahead};",
        f"if (slot >= {of.slots}u) {{\n    slot -= {of.slots}u;\n}}",
    ]


def back(history: History, delay: str) -> list[str]:
    """C that finds the slot of so many steps before the last."""
    return _wrapped(history, f"{history.slots - 1}u - {delay}")


def each_spike(history: History, row: str, body: Iterable[str], every: int = 1) -> str:
    """C that does something for each neuron i that spiked in a slot, ascending; in blocks of steps
    for those whose turn it is.
    """
    index = f"const size_t i = {history.bits}u * w + lowest(bits);"
    inner = block(f"for (uint32_t bits = {row}[w]; bits != 0u; bits &= bits - 1u)", [index, *body])
    words = f"for (size_t w = 0; w < {history.width}u; w++)"
    if every > 1:
        words = f"for (size_t w = state.at_{every}; w < {history.width}u; w += {every}u)"
    return block(words, [inner])


def sent_now(layout: CProgram, source: str, i: str) -> list[str]:
    """C that sends what a spike of this step brings before it is the turn of its word again."""
    calls = [f"send_{s.name}({i});" for s in layout.prompt(source)]
    b = layout.block
    if b > 1 and layout.late(source):
        bits = layout.histories[source].bits
        below = f"({i} / {bits}u + {b - 1}u - state.at_{b}) % {b}u"
        calls += [f"send_{s.name}({i}, 0, {below}, 1);" for s in layout.late(source)]
    return calls


def recalled(layout: CProgram) -> list[History]:
    """The histories of spikes that wait."""
    return [history for history in layout.histories.values() if layout.late(history.source)]


def recall(layout: CProgram, history: History) -> str:
    """The function that sends what spikes of earlier steps bring until it is their turn again: in
    blocks of b steps, it is that of every b-th word of the history.
    """
    late, b = layout.late(history.source), layout.block
    ahead = ", 0" if b > 1 else ""
    calls = [f"send_{s.name}(i, d, d + {b}u{ahead});" for s in late]
    row = f"const {history.kind} *const row = state.{history.name}[slot];"
    first = max(0, min(s.shortest for s in late) - b + 1)
    last = max(s.longest for s in late)
    ages = f"for (size_t d = {first}; d <= {last}u; d++)"
    body = [block(ages, [*back(history, "d"), row, each_spike(history, "row", calls, b)])]
    if b > history.width:
        body = [block(f"if (state.at_{b} < {history.width}u)", body)]
    return "/* Spikes act d + 1 steps later. */\n" + function(
        f"static void recall_{history.source}(void)", body
    )


def send(layout: CProgram, s: Sender) -> str:
    """The function that sends from neuron or channel i of a projection's source."""
    values, t, ring = layout.currents and s.source == layout.input_name, s.table, s.ring
    if t.rows is None:
        first, end, row, post = "0", f"k < {t.columns}u", "i", "k"
    else:
        assert t.index is not None
        first, end = f"{t.rows.name}[i]", f"k < {t.rows.name}[i + 1u]"
        row, post = None, t.index.at(None, "k")
    delay = delay_of(t, "i", row, "k")
    outer: list[str] = []
    inner: list[str] = []
    to = f"state.{ring.name}"
    if s.late:
        outer = [f"if ({delay} < from || {delay} >= below) {{\n    return;\n}}"]
        if t.by_synapse:
            outer, first, end = _search(s), "k", f"{end} && {delay} < below"
        to = slot_now(ring)
        if layout.block > 1:
            slot = _wrapped(ring, f"ahead + ({delay} - from)")
            outer, inner = (outer, slot) if t.by_synapse else ([*outer, *slot], [])
            to = f"state.{ring.name}[slot]"
    elif ring.slots > 1:
        slot = _wrapped(ring, f"1u + {delay}")
        outer, inner = ([], slot) if t.by_synapse else (slot, [])
        to = f"{to}[slot]"
    inner.append(_add(s, f"{to}[{post}]", t.weight.at(row, "k"), values))
    loop = f"for ({'' if first == 'k' else f'size_t k = {first}'}; {end}; k++)"
    more = ", float x" if values else _more(layout) if s.late else ""
    head = f"static void send_{s.name}(size_t i{more})"
    return f"/* {comment(s.title)} */\n" + function(head, [*outer, block(loop, inner)])


def _more(layout: CProgram) -> str:
    """Parameters of functions that send those synapses of neuron i whose delays are in a range."""
    return ", size_t from, size_t below" + (", size_t ahead" if layout.block > 1 else "")


def delay_of(t: Table, i: str, row: str | None, k: str) -> str:
    """C of a delay in row i of a table."""
    if t.delay is None:
        return f"{t.one_delay}u"
    return t.delay.at(None, i) if t.by_row else t.delay.at(row, k)


def _search(s: Sender) -> list[str]:
    """C that finds the first synapse k of a source whose delay is long enough; they ascend."""
    t = s.table
    assert t.rows is not None and t.delay is not None
    halve = [
        "const size_t middle = k + (above - k) / 2u;",
        f"if ({t.delay.name}[middle] < from) {{\n    k = middle + 1u;\n}} else {{\n"
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
