"""What a training takes of memory, worked out before any of it is asked for."""

from typing import NamedTuple

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp, Gaussian, Rule, SurrogateBPTT
from mlgenn_delays.machine import as_text, available_cores, check_memory
from mlgenn_delays.network import CurrentInput, Network, Projection
from mlgenn_delays.network.delays import longest_steps
from mlgenn_delays.rewiring import Rewiring

# Taps of Gaussian kernels that are worked out in an optimiser step, at some 100 million a second.
MOST_TAPS = 2_000_000_000
# What is lowered to need less, by what needs it.
_TRIALS = "learning.batch_size, data.duration or the sizes of the layers, or raise network.dt"
_TAPS = "delays.max or delays.sigma_start, or raise network.sparsity"
_SYNAPSES = "the sizes of the layers, or raise network.sparsity"


class Trials(NamedTuple):
    """How much runs at once."""

    size: int  # examples of a batch
    steps: int  # T
    threads: int | None = None  # threads of the CPU engine, all cores if None
    side: int = 0  # examples that GeNN runs side by side, 0 for the CPU engine


def check_sizes(network: Network, rule: Rule, rewiring: Rewiring | None, trials: Trials) -> None:
    """Reject a training that this machine's memory cannot hold, or whose delay kernels never end.

    Arguments:
        network: The network.
        rule: What is learned and how.
        rewiring: How structure is learned, or None.
        trials: How much runs at once.

    Raises:
        InputError: As said; the text has the estimate and names what to lower.
    """
    if isinstance(rule, SurrogateBPTT) and isinstance(rule.kernel, Gaussian):
        _check_kernel(network, rule.kernel, trials.steps)
    parts = {
        "values along time": (_along_time(network, rule, rewiring, trials), _TRIALS),
        "taps of delay kernels": (_of_taps(network, rule, trials), _TAPS),
        "synapses": (_of_synapses(network, rewiring, trials), _SYNAPSES),
    }
    what, (most, lower) = max(parts.items(), key=lambda item: item[1][0])
    check_memory(
        "the training",
        f"one with {as_text(most)} of {what} alone, in all",
        sum(size for size, _ in parts.values()),
        f"lower {lower}",
    )


def _check_kernel(network: Network, kernel: Gaussian, steps: int) -> None:
    """Reject Gaussian kernels whose taps alone would take minutes in every optimiser step."""
    from mlgenn_delays.engines.shared.taps import gaussian_size

    width = kernel.width(1)
    taps = {
        name: p.n_synapses * (gaussian_size(width, longest_steps(p.max_delay, network.dt)))
        for name, p in network.projections.items()
    }
    name = max(taps, key=lambda each: taps[each])
    if sum(taps.values()) > MOST_TAPS:
        most = MOST_TAPS // network.n_synapses() * network.dt
        raise InputError(
            f"delays.max (max_delay of {name!r}) must be at most {most:g} ms with a Gaussian delay "
            f"kernel as wide as delays.sigma_start = {kernel.sigma_start:g} steps and "
            f"{network.n_synapses()} synapses, got {network.projections[name].max_delay:g} ms; "
            f"lower it, for no delay beyond the {steps * network.dt:g} ms of a trial acts, or take "
            "delays.kernel = 'dirac'"
        )


def _longest(network: Network, steps: int) -> int:
    delays = [longest_steps(p.max_delay, network.dt) for p in network.projections.values()]
    return min(max(delays, default=0), steps)


def _rows(network: Network, rule: Rule) -> tuple[int, int, int]:
    """Return the rows of sources that an example has, those of neurons and those of synapses."""
    neurons = [p for p in network.populations.values() if p is not network.input()]
    hidden = sum(p.n for p in network.spiking())
    currents = network.input().n if isinstance(network.input().model, CurrentInput) else 0
    dense = isinstance(rule, SurrogateBPTT) and not rule.surrogate.compact
    sources = hidden + network.input().n if dense else currents
    groups = max((len({p.synapse for p in network.incoming(n.name)}) for n in neurons), default=1)
    return sources, sum(p.n for p in neurons), groups


def _along_time(network: Network, rule: Rule, rewiring: Rewiring | None, trials: Trials) -> int:
    from mlgenn_delays.engines.cpu.store import LANES

    steps, size, classes = trials.steps, trials.size, network.output().n
    sources, neurons, groups = _rows(network, rule)
    length = steps + _longest(network, steps) + 2
    if trials.side:  # tapes of GeNN, and what arrives later
        return 4 * (2 * size * steps * (neurons + classes) + 2 * trials.side * neurons * length)
    rows = 4 * size * (sources * length + neurons * ((2 + groups) * length + steps))
    output = 4 * size * classes * steps
    wide = max([LANES, *(p.n for p in network.spiking() if _recurrent(network, p.name))])
    scratch = 4 * (groups * wide * 3 * length + (3 * wide + classes) * steps)
    if not isinstance(rule, EventProp):
        scratch += 4 * 2 * max(p.n for p in network.populations.values()) * length
    elif not (sources or (rewiring is not None and rewiring.needs_gradient)):
        rows = 0
    return rows + output + (trials.threads or available_cores()) * scratch


def _recurrent(network: Network, name: str) -> bool:
    return any(p.recurrent for p in network.incoming(name))


def _of_taps(network: Network, rule: Rule, trials: Trials) -> int:
    if trials.side or isinstance(rule, EventProp):
        return 0
    from mlgenn_delays.engines.shared.taps import gaussian_size
    from mlgenn_delays.machine import CHUNK_BYTES, CHUNKS

    width, longest = rule.kernel.width(1), _longest(network, trials.steps)
    taps = (gaussian_size(width, longest) if width > 0 else 2) * network.n_synapses()
    chunks = min(CHUNKS, (trials.size + 1) // 2, max(1, CHUNK_BYTES // max(4, 4 * taps)))
    # Both kinds of taps, coefficients and places both ways, the sum of the chunks' gradients.
    return taps * (2 * 4 + 2 * (4 + 8) + 4 + 4 * chunks)


def _of_synapses(network: Network, rewiring: Rewiring | None, trials: Trials) -> int:
    from mlgenn_delays.machine import CHUNKS

    total = network.n_synapses() * (100 + 8 * min(CHUNKS, (trials.size + 1) // 2))
    for p in network.projections.values():
        if rewiring is not None and not network.is_dense(p):
            total += _of_pairs(network, p, rewiring)
    return total


def _of_pairs(network: Network, projection: Projection, rewiring: Rewiring) -> int:
    from mlgenn_delays.engines.shared.candidate_gradients import TABLE_BYTES

    pairs = network.populations[projection.source].n * network.populations[projection.target].n
    entries = projection.max_delay / network.dt + 1 if rewiring.grow_delay == "gradient" else 1
    table = max(4 * pairs, min(4 * pairs * entries, TABLE_BYTES))
    return int(9 * pairs + 3 * table * rewiring.needs_gradient)
