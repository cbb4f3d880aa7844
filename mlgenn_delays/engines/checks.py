"""What the engines refuse, each with its remedy: networks, rules, batches, training states, sizes.

What a training takes of memory is worked out before any of it is asked for.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch
from mlgenn_delays.engines.shared.plan import pair_shape, synapse_groups
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning import EventProp, Gaussian, Rule, SurrogateBPTT
from mlgenn_delays.learning.losses import (
    Loss,
    SpikeCountLoss,
    SpikeTimeLoss,
    check_targets,
    name_of,
)
from mlgenn_delays.machine import CHUNK_BYTES, CHUNKS, as_text, available_cores, check_memory
from mlgenn_delays.network import CurrentInput, Delta, Network, SpikeCounter
from mlgenn_delays.network.delays import longest_steps
from mlgenn_delays.neurons.declare import Neuron
from mlgenn_delays.neurons.equations import CURRENT
from mlgenn_delays.neurons.linear import limit_of, step_of
from mlgenn_delays.rewiring import Rewiring

# Taps of Gaussian kernels that are worked out in an optimiser step, at some 100 million a second.
MOST_TAPS = 2_000_000_000
# What is lowered to need less, by what needs it.
_TRIALS = "learning.batch_size, data.duration or the sizes of the layers, or raise network.dt"
_TAPS = "delays.max or delays.sigma_start, or raise network.sparsity"
_SYNAPSES = "the sizes of the layers, or raise network.sparsity"


def check_rule(network: Network, rule: Rule) -> None:
    """Reject what a rule cannot learn, and a network whose output nothing reaches."""
    output = network.output().name
    if not network.incoming(output):
        known = ", ".join(repr(p.name) for p in network.spiking()) or repr(network.input().name)
        raise InputError(
            f"the output {output!r} must have a projection onto it, got none; connect it, to "
            f"{known} for instance"
        )
    if isinstance(rule, EventProp):
        _check_eventprop(network, rule)
    for population in network.populations.values() if rule.pipelined else ():
        if population.normalisation is not None:
            raise InputError(
                "a pipelined rule must have populations without normalisation, got "
                f"{population.name!r}; leave one of them out"
            )
    learned = [f"{p.learn[0]} of {p.name!r}" for p in network.populations.values() if p.learn]
    synapses = [p for p in network.projections.values() if getattr(p.synapse, "learn", False)]
    learned += [f"tau_syn of {p.name!r}" for p in synapses]
    if learned and rule.neurons is not None and rule.pipelined:
        raise InputError(
            "a pipelined rule must have neurons and synapses whose parameters are not learned, got "
            f"{learned[0]}; leave one of them out"
        )
    names = [p.name for p in network.spiking()]
    for name in rule.dropout:
        if name not in names:
            raise InputError(
                f"dropout must name populations that spike ({', '.join(names)}), got {name!r}"
            )


def check_loss(network: Network, rule: Rule, loss: Loss) -> None:
    """Reject an output, or a rule, with which a loss means nothing."""
    if not isinstance(loss, SpikeCountLoss | SpikeTimeLoss):
        return
    output, with_loss = network.output(), f"with the loss {name_of(loss)!r}"
    what = f"{type(output.model).__name__} {output.name!r}"
    if output.normalisation is not None:
        raise InputError(
            f"the output must be without normalisation {with_loss}, got {what} with it; leave it "
            "out (network.readout.normalise of a recipe)"
        )
    if isinstance(loss, SpikeCountLoss):
        if not isinstance(output.model, SpikeCounter):
            raise InputError(
                f"the output must be a SpikeCounter {with_loss}, got {what}; set it "
                "(network.readout.model of a recipe)"
            )
        if isinstance(rule, EventProp) and (rule.weights or rule.delays):
            raise InputError(
                f"the rule must be SurrogateBPTT {with_loss}, got EventProp: the number of spikes "
                "does not change with their times; take SurrogateBPTT (learning.rule = 'surrogate' "
                "in a recipe), or the loss 'spike-time'"
            )
        return
    _check_filter(network, with_loss, what)


def _check_filter(network: Network, with_loss: str, what: str) -> None:
    """Reject an output that does not filter spike trains, or changes how it does."""
    output, another = network.output(), "take LeakyIntegrator (network.readout.model of a recipe)"
    assert isinstance(output.model, Neuron)
    try:
        step_of(output.model, network.dt)
    except InputError:
        raise InputError(
            f"the output must be linear and remember its input {with_loss}, got {what}; {another}"
        ) from None
    groups = synapse_groups(network, output.name)
    if len(groups) != 1:
        raise InputError(
            f"the output must have synapses of one kind {with_loss}, got {len(groups)} kinds onto "
            f"{what}; give all the same synapse"
        )
    if output.learn or getattr(groups[0], "learn", False):
        raise InputError(
            f"the output must have parameters that are not learned {with_loss}, got "
            f"{(*output.learn, 'tau_syn')[0]} of {what}: they filter the targets as well; leave "
            "them out of learn (network.readout.learn of a recipe)"
        )


def inference_rule(network: Network) -> Rule:
    """The rule by which a network that learns nothing runs fastest, of those that take it."""
    rule = EventProp(weights=None, delays=None)
    try:
        check_rule(network, rule)
    except InputError:
        return SurrogateBPTT(weights=None, delays=None)
    return rule


def _check_eventprop(network: Network, rule: EventProp) -> None:
    instead = "take SurrogateBPTT"
    for projection in network.projections.values():
        if isinstance(projection.synapse, Delta) and (rule.weights or rule.delays):
            raise InputError(
                f"EventProp must have Exponential synapses, got Delta on {projection.name!r}; "
                f"give it Exponential(tau_syn), or {instead}"
            )
        from_currents = isinstance(network.populations[projection.source].model, CurrentInput)
        learns = getattr(projection.synapse, "learn", False) and rule.neurons is not None
        if learns and from_currents:
            raise InputError(
                f"EventProp must have a tau_syn that is not learned where currents come in, got "
                f"learn=True on {projection.name!r}; leave it out, or {instead}"
            )
    for population in network.populations.values():
        if isinstance(population.model, Neuron):
            limit_of(population.model, network.dt, population.name)
        if population.normalisation is not None:
            raise InputError(
                f"EventProp must have populations without normalisation, got {population.name!r}; "
                f"{instead}"
            )


def check_batch(network: Network, batch: Batch, loss: Loss | None) -> None:
    """Reject a batch that does not fit a network, or a loss if there is one."""
    source, classes = network.input(), network.output().n
    currents = isinstance(batch, CurrentBatch)
    if currents != isinstance(source.model, CurrentInput):
        wanted, got = ("currents", "spikes") if not currents else ("spikes", "currents")
        raise InputError(
            f"the data must be {wanted} for the {type(source.model).__name__} {source.name!r}, "
            f"got {got}"
        )
    if batch.n_channels != source.n:
        raise InputError(f"the data must have {source.n} channels, got {batch.n_channels}")
    if not len(batch) or batch.labels.min() < 0 or batch.labels.max() >= classes:
        got = f"{batch.labels.min()}..{batch.labels.max()}" if len(batch) else "no example"
        raise InputError(f"labels must be in 0..{classes - 1}, got {got}")
    if loss is not None:
        check_targets(loss, "the data", batch.targets, batch.n_steps, network.dt)
        check_series("the data", batch.targets, (len(batch), classes, batch.n_steps))


def check_series(what: str, targets: np.ndarray | None, shape: tuple[int, int, int]) -> None:
    """Reject target series that do not fit the output and the length of trials."""
    if targets is not None and targets.shape != shape:
        raise InputError(
            f"{what} must have targets of shape {shape}: examples, neurons of the output and "
            f"steps; got {targets.shape}"
        )


def check_variables(network: Network, names: Collection[str]) -> None:
    """Reject names of variables that no population has."""
    models = (p.model for p in network.populations.values() if isinstance(p.model, Neuron))
    known = list(dict.fromkeys([s for m in models for s in m.equations.states] + [CURRENT]))
    for name in names:
        if name not in known:
            raise InputError(
                f"variables must be of {', '.join(known)}, got {name!r}{nearest(name, known)}"
            )


def check_delays(network: Network, name: str, delay: np.ndarray | None) -> None:
    """Reject delays of all pairs of a projection [ms] that it cannot have; None is any."""
    if delay is None:
        return
    projection, delay = network.projections[name], np.asarray(delay)
    shape = pair_shape(network, projection)
    if delay.shape != shape:
        raise InputError(f"delay must have shape {shape} for {name!r}, got {delay.shape}")
    if not ((delay >= 0) & (delay <= projection.max_delay)).all():
        raise InputError(f"delay must be in 0..{projection.max_delay:g} ms for {name!r}")


def check_counts(state: dict[str, np.ndarray], total_steps: int) -> None:
    """Reject counts of updates that no training has made: kernels look up corrections by them."""
    step = int(np.max(state["step"], initial=0)) if "step" in state else 0
    for key in sorted(state, key=lambda key: key != "step"):  # it bounds the others
        counts = state[key]
        most = total_steps if key == "step" else step
        if key == "step" or key.endswith(("/weight_steps", "/delay_steps")):
            if counts.size and not 0 <= counts.min() <= counts.max() <= most:
                raise InputError(
                    f"the training state must have {key} in 0..{most}, got "
                    f"{counts.min()}..{counts.max()}"
                )


class Trials(NamedTuple):
    """How much runs at once."""

    size: int  # examples of a batch
    steps: int  # T
    threads: int | None = None  # threads of the CPU engine, all cores if None
    side: int = 0  # examples that GeNN runs side by side, 0 for the CPU engine


def check_sizes(network: Network, rule: Rule, rewiring: Rewiring | None, trials: Trials) -> None:
    """Reject a training beyond this machine's memory, or whose delay kernels never end."""
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


def _read_back(network: Network, rule: Rule) -> int:
    """Return the rows that adjoints of neurons read in GeNN beside one per neuron: of states and
    currents, what EventProp keeps of spikes, and of synapses whose time constants are learned.
    """
    from mlgenn_delays.neurons.adjoint import adjoint

    rows = 0
    for population in network.populations.values():
        model = population.model
        if not isinstance(model, Neuron):
            continue
        events = model.spiking and isinstance(rule, EventProp)
        equations = model.equations
        back = adjoint(equations, equations.depending(population.learn), surrogate=not events)
        current, jump = back.current, 0
        if events:
            current |= model.refractory_steps(network.dt) > 0
            jump = len(equations.states) if len(equations.states) > 1 else 0
        synapses = {p.synapse for p in network.incoming(population.name)}
        learned = sum(getattr(synapse, "learn", False) for synapse in synapses)
        rows += population.n * (len(back.reads) + current + jump + learned)
    return rows


def _neurons_along_time(network: Network, rule: Rule, size: int) -> tuple[int, int, int]:
    """Return the states that the CPU engine keeps of all steps, of each neuron of a batch and of
    each neuron that a thread works on, and bytes of the sums for learned parameters.
    """
    every = sum(p.n for p in network.populations.values())
    parts = min(CHUNKS, (size + 1) // 2)
    kept = tape = learned = 0
    for population in network.populations.values():
        model = population.model
        if not isinstance(model, Neuron):
            continue
        equations = model.equations
        if isinstance(rule, EventProp):
            from mlgenn_delays.engines.cpu.linear_matrices import has_matrices

            if has_matrices(network, population.name, rule):
                tape = max(tape, len(equations.states))
            learned |= bool(population.learn)
            continue
        from mlgenn_delays.engines.cpu.neuron_code import kernels_of

        learned = max(learned, len(equations.depending(population.learn)))
        if kernels_of(network, population.name).backward.READS:  # kept, as SymPy takes long
            kept = max(kept, len(equations.states))
    if not isinstance(rule, EventProp):
        return kept, 0, 8 * parts * learned * every
    # Of the matrices of a step: float32, some three complex copies while they are found, and the
    # sums of their gradients.
    entries = (1 + 2 * tape) * (tape + 2) if tape else 0
    return 0, tape, every * entries * (4 + 3 * 16 + 8 * parts * learned)


def _along_time(network: Network, rule: Rule, rewiring: Rewiring | None, trials: Trials) -> int:
    steps, size, classes = trials.steps, trials.size, network.output().n
    sources, neurons, groups = _rows(network, rule)
    length = steps + _longest(network, steps) + 2
    if trials.side:  # tapes of GeNN, and what arrives later
        tapes = neurons + classes + _read_back(network, rule)
        return 4 * (2 * size * steps * tapes + 2 * trials.side * neurons * length)
    from mlgenn_delays.engines.shared.lanes import BLOCK, STRIP

    kept, tape, sums = _neurons_along_time(network, rule, size)
    others = [p.n for p in network.populations.values() if p is not network.input()]
    strips = sum(-(-n // STRIP) for n in others) * STRIP
    rows = neurons * (groups * length + steps) + strips * (2 + kept) * steps
    rows = 4 * size * (min(sources, network.input().n) * length + rows) + size * strips * steps // 8
    output = 2 * 4 * size * classes * steps  # V and dL/dV
    recurrent = {p.target for p in network.projections.values() if p.recurrent}
    back = max([0, *(network.populations[name].n for name in recurrent)])
    threads = trials.threads or available_cores()
    if not isinstance(rule, EventProp):
        from mlgenn_delays.engines.cpu.frequency_domain import bytes_of_spectra

        scratch = (groups * (back + max(others)) + 4 * max(others)) * length + 2 * STRIP * steps
        rows += bytes_of_spectra(
            network, rule, _rows(network, rule), size, steps, _longest(network, steps), threads,
            tables=rewiring is not None and rewiring.needs_gradient,
        )  # fmt: skip
    else:
        # Arrivals, what comes within the longest delay, and r and D, of one block or tapes.
        wide = max(BLOCK, back)
        scratch = (groups + (sources > 0)) * wide * length + BLOCK * steps
        scratch += groups * (2 * wide * (length - steps) + 2 * (wide if tape else BLOCK) * length)
        scratch += wide * steps * (tape + 2 + groups) if tape else 0
        if not (sources or (rewiring is not None and rewiring.needs_gradient)):
            rows = 0
    return rows + output + sums + 4 * threads * scratch


def _of_taps(network: Network, rule: Rule, trials: Trials) -> int:
    if trials.side or isinstance(rule, EventProp):
        return 0
    from mlgenn_delays.engines.shared.taps import gaussian_size

    width, longest = rule.kernel.width(1), _longest(network, trials.steps)
    taps = (gaussian_size(width, longest) if width > 0 else 2) * network.n_synapses()
    chunks = min(CHUNKS, (trials.size + 1) // 2, max(1, CHUNK_BYTES // max(4, 4 * taps)))
    # Both kinds of taps, coefficients and places both ways, the sum of the chunks' gradients.
    return taps * (2 * 4 + 2 * (4 + 8) + 4 + 4 * chunks)


def _of_synapses(network: Network, rewiring: Rewiring | None, trials: Trials) -> int:
    # Gradients of the chunks that threads work on, and their sum.
    chunks = min(CHUNKS, (trials.size + 1) // 2, (trials.threads or available_cores()) + 1)
    total = network.n_synapses() * (100 + 8 * chunks)
    if rewiring is None:
        return total
    from mlgenn_delays.engines.shared.candidate_gradients import TABLE_BYTES

    for p in network.projections.values():
        if not (network.is_dense(p) or p.frozen):
            n_pre, n_post = pair_shape(network, p)
            entries = p.max_delay / network.dt + 1 if rewiring.grow_delay == "gradient" else 1
            pairs = n_pre * n_post
            table = max(4 * pairs, min(4 * pairs * entries, TABLE_BYTES))
            total += int(9 * pairs + 3 * table * rewiring.needs_gradient)
    return total
