"""The memory that a network takes on a GPU, compared with what is free before GeNN asks for it.

GeNN ends the process where an allocation fails.
"""

from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.engines.genn.compiler import CompileState, Target, identifiers
from mlgenn_delays.engines.shared.plan import synapse_groups
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import as_text
from mlgenn_delays.network import Network

_BYTES = {"scalar": 4, "int": 4, "uint8_t": 1, "uint16_t": 2}
_MORE = 1.05  # for what is not counted, and what lies between allocations


def network_bytes(
    network: Network, state: CompileState, stride: dict[str, int], side: int
) -> dict[str, int]:
    """Return the memory of neurons and synapses without arrays over time [bytes], by part.

    `stride` has the places of a row of synapses, by projection that is sparse; `side` is the number
    of examples side by side.
    """
    own, found = identifiers(network), {}
    for name, p in network.projections.items():
        code, n_post = state.synapses[own[name]], network.populations[p.target].n
        places = network.populations[p.source].n * stride.get(name, n_post)
        each = sum(_BYTES[kind] for kind in code.types.values())
        each += 4 * (name in stride) + 4 * len(code.sums) * (side + (side > 1))
        found[f"the synapses of projection {name!r}"] = places * each
        slots = state.longest[own[name]] + 2
        found[f"what is under way over projection {name!r}"] = 4 * side * n_post * (slots + 1)
    for name, population in network.populations.items():
        neuron = state.neurons[own[name]]
        values = 4 * len(neuron.variables) + 8 * neuron.sends + 4 * neuron.receives
        for synapse in synapse_groups(network, name):
            max_shift = [
                state.longest[own[p.name]] for p in network.incoming(name) if p.synapse == synapse
            ]
            values += 4 * (max(max_shift) + 3)  # its adjoint, as far back as delays max_shift
        found[f"the neurons of population {name!r}"] = side * population.n * values
    return found


def check_room(parts: dict[str, int], target: Target) -> None:
    """Reject a network whose parts [bytes] are too large for the GPU; the CPU backend takes any."""
    if target.backend != "cuda":
        return
    free = gpus.free_memory(target.device)
    needed = _MORE * sum(parts.values())
    if free is not None and needed > free:
        what = max(parts, key=lambda part: parts[part])
        raise InputError(
            f"the GPU must have {as_text(needed)} free, {as_text(parts[what])} of it for {what}, "
            f"got {as_text(free)}; lower learning.batch_size, data.duration or the sizes of the "
            "layers"
        )
