"""The source that joins GeNN's code to ours: it hands each array to the functions that take it.

GeNN writes a function for each group of neurons or synapses, with an argument for every array, to
definitions.h. The names that the model chose say which population or projection a group is of.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mlgenn_delays.errors import WorkError
from mlgenn_delays.export.genn.layout import Array, DeviceArrays, current_of
from mlgenn_delays.network import CurrentInput
from mlgenn_delays.neurons.declare import READOUTS, ReadoutNeuron

_FUNCTION = re.compile(r"EXPORT_FUNC void pushMerged(\w+?)Group(\d+)ToDevice\((.*)\);")
_SYNAPSE = re.compile(r"(\w+)InSyn(\d+)")
# Groups that only set up what the glue sets up itself.
_UNUSED = ("NeuronInit", "SynapseInit", "SynapseSparseInit")


@dataclass(frozen=True)
class PushFunction:
    """A function of GeNN's code that takes arrays."""

    kind: str  # of the group
    number: int  # of the group
    # C type and name of each, without the first, the place in the group.
    arguments: list[tuple[str, str]]

    def call(self, place: int, values: list[str]) -> str:
        """A call of the function."""
        values = [str(place), *values]
        return f"    pushMerged{self.kind}Group{self.number}ToDevice({', '.join(values)});"

    def find(self, pattern: str) -> int | None:
        """The number in the name of the first argument that matches."""
        for _, name in self.arguments:
            found = re.fullmatch(pattern, name)
            if found:
                return int(found[1])
        return None


def groups_of(definitions: str) -> list[PushFunction]:
    """The functions that definitions.h declares."""
    found = []
    for kind, number, text in _FUNCTION.findall(definitions):
        pairs = [tuple(each.strip().rsplit(" ", 1)) for each in text.split(",")][1:]
        if kind not in _UNUSED:
            found.append(PushFunction(kind, int(number), [(kind, name) for kind, name in pairs]))
    return found


def network_source(layout: DeviceArrays, definitions: str, n_steps: int) -> str:
    """The text of network.cc; WorkError if GeNN's definitions.h is of an unknown version."""
    calls = "\n".join(_Binder(layout).calls(groups_of(definitions)))
    arrays = "\n".join(_declared(layout))
    return f"""/* Written by delaysnn for one network. */
#include "../genn/definitions.h"
#include "network.h"

{arrays}

static Array *const arrays[] = {{{_list(layout.arrays)}}};
{_facts(layout, n_steps)}

template <class T> static T *at(const Array &array) {{ return static_cast<T *>(array.at); }}

void bind_network() {{
{calls}
}}

void step_network(uint32_t row) {{ stepTime(row, 0); }}
"""


def offsets(layout: DeviceArrays) -> dict[str, int]:
    """Where each constant array begins in the weights [bytes], and their end as ``""``."""
    found, end = {}, 0
    for name, array in layout.arrays.items():
        if array.kind == "CONSTANT":
            found[name] = end
            end += -(-array.bytes // 64) * 64
    return {**found, "": end}


def _declared(layout: DeviceArrays) -> Iterator[str]:
    places = offsets(layout)
    for name, array in layout.arrays.items():
        yield (
            f"static Array {name} = {{{array.kind}, {array.bytes}u, {places.get(name, 0)}u, "
            "nullptr};"
        )


def _list(names: Iterable[str]) -> str:
    """Pointers to arrays, up to a null pointer."""
    return ", ".join([*(f"&{name}" for name in names), "nullptr"])


def _facts(layout: DeviceArrays, n_steps: int) -> str:
    network, spiking = layout.network, layout.spiking()
    sizes = [str(layout.populations[k].n) for k in spiking]
    given, output = network.input(), network.output()
    assert isinstance(output.model, ReadoutNeuron)
    used = any(p is given for p in layout.populations)
    facts = [
        given.n, int(isinstance(given.model, CurrentInput)), output.n, len(spiking), n_steps,
        layout.batch_size, f"Readout({READOUTS.index(output.model.readout)})", layout.rows(),
        f"{offsets(layout)['']}u", "neurons", "arrays", "fired",
        f"&Input_p{layout.number(given.name)}" if used else "nullptr",
        f"&Voltage_p{layout.number(output.name)}",
    ]  # fmt: skip
    return f"""static Array *const fired[] = {{{_list(f"Fired_p{k}" for k in spiking)}}};
static const uint32_t neurons[] = {{{", ".join([*sizes, "0"])}}};
const Network network = {{{", ".join(str(each) for each in facts)}}};"""


class _Binder:
    """Finds the array that each argument of GeNN's functions takes."""

    def __init__(self, layout: DeviceArrays) -> None:
        self.layout = layout
        self.bound: set[str] = set()

    def calls(self, groups: list[PushFunction]) -> list[str]:
        """A call of each function for every member of its group."""
        lines = [line for group in groups for line in self._group(group)]
        missing = {*self.layout.arrays} - self.bound
        if missing:
            raise _changed(f"no place for {', '.join(sorted(missing))}")
        return lines

    def _group(self, group: PushFunction) -> list[str]:
        if group.kind == "NeuronUpdate":
            return [self._neurons(group)]
        if group.kind == "PresynapticUpdate":
            return [self._synapses(group)]
        # Those below are all alike, so that their places in the group do not matter.
        if group.kind == "NeuronSpikeQueueUpdate" and not group.number:
            counts = [name for name in self.layout.arrays if name.startswith("spkCnt_")]
            return self._alike(group, "spkCntSynSpike0", counts)
        if group.kind == "SynapseDendriticDelayUpdate" and not group.number:
            ends = [name for name in self.layout.arrays if name.startswith("denDelayPtr_")]
            return self._alike(group, "denDelayPtr", ends)
        raise _changed(f"a group {group.kind}{group.number}")

    def _alike(self, group: PushFunction, argument: str, names: list[str]) -> list[str]:
        if [name for _, name in group.arguments] != [argument]:
            raise _changed(f"other arguments of {group.kind}")
        kind = group.arguments[0][0]
        return [group.call(place, [self._take(kind, n)]) for place, n in enumerate(names)]

    def _neurons(self, group: PushFunction) -> str:
        p = group.find(r"(?:Fired|Voltage|Input)_p(\d+)")
        # Which projection GeNN gave which number among those onto the population.
        inputs = {}
        for _, name in group.arguments:
            found = re.fullmatch(r"Decay_q(\d+)InSyn(\d+)", name)
            if found:
                inputs[found[2]] = found[1]
        values = []
        for kind, name in group.arguments:
            found = _SYNAPSE.fullmatch(name)
            if found is None:
                name = re.sub(r"^(spk|spkCnt)SynSpike0$", rf"\1_p{p}", name)
                values.append(self._take(kind, name))
                continue
            q = inputs.get(found[2])
            if name.startswith("Decay_") and q is not None:
                projection = self.layout.projections[int(q)]
                values.append(f"{current_of(projection, self.layout.network.dt)[1]!r}f")
            else:
                values.append(self._take(kind, f"{found[1]}_q{q}"))
        return group.call(0, values)

    def _synapses(self, group: PushFunction) -> str:
        q = group.find(r"g_q(\d+)")
        if q is None:
            raise _changed(f"a group {group.kind}{group.number} without weights")
        source = self.layout.projections[q].source
        p = self.layout.number(source)
        own = {"srcSpk": f"spk_p{p}", "srcSpkCnt": f"spkCnt_p{p}", f"Sent_q{q}": f"Value_p{p}"}
        own |= {name: f"{name}_q{q}" for name in ("denDelay", "denDelayPtr", "ind", "rowLength")}
        return group.call(0, [self._take(kind, own.get(n, n)) for kind, n in group.arguments])

    def _take(self, kind: str, name: str) -> str:
        array: Array | None = self.layout.arrays.get(name)
        if array is None or kind != f"{array.c_type}*":
            raise _changed(f"an argument {kind} {name}")
        self.bound.add(name)
        return f"at<{array.c_type}>({name})"


def _changed(what: str) -> WorkError:
    return WorkError(
        f"GeNN's generated code must be as that of pygenn 5.4, got {what}; install pygenn 5.4"
    )
