"""What the engines refuse: networks, rules, batches, training states; each with its remedy."""

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch
from mlgenn_delays.engines.shared.candidate_gradients import delay_stride
from mlgenn_delays.engines.shared.rewiring import StructureLearner
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp, Rule
from mlgenn_delays.network import CurrentInput, Delta, Network
from mlgenn_delays.network.delays import longest_steps


def check_rule(network: Network, rule: Rule) -> None:
    """Reject what a rule cannot learn.

    Raises:
        InputError: As said.
    """
    if isinstance(rule, EventProp):
        _check_eventprop(network, rule)
    for population in network.populations.values() if rule.pipelined else ():
        if population.normalisation is not None:
            raise InputError(
                "a pipelined rule must have populations without normalisation, got "
                f"{population.name!r}; leave one of them out"
            )
    names = [p.name for p in network.spiking()]
    for name in rule.dropout:
        if name not in names:
            raise InputError(
                f"dropout must name populations that spike ({', '.join(names)}), got {name!r}"
            )


def _check_eventprop(network: Network, rule: EventProp) -> None:
    instead = "take SurrogateBPTT"
    for projection in network.projections.values():
        if isinstance(projection.synapse, Delta) and (rule.weights or rule.delays):
            raise InputError(
                f"EventProp must have Exponential synapses, got Delta on {projection.name!r}; "
                f"give it Exponential(tau_syn), or {instead}"
            )
    for population in network.populations.values():
        kind = type(population.model).__name__
        if kind in ("SeedLIF", "SeedLI"):
            raise InputError(
                f"EventProp must have LIF and LeakyIntegrator populations, got {kind} for "
                f"{population.name!r}; {instead}"
            )
        if population.normalisation is not None:
            raise InputError(
                f"EventProp must have populations without normalisation, got {population.name!r}; "
                f"{instead}"
            )


def check_batch(network: Network, batch: Batch) -> None:
    """Reject a batch that does not fit a network.

    Raises:
        InputError: As said.
    """
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


def check_delays(network: Network, name: str, delay: np.ndarray | None) -> None:
    """Reject delays of all pairs of a projection [ms] that it cannot have; None is any.

    Raises:
        InputError: As said.
    """
    if delay is None:
        return
    projection, delay = network.projections[name], np.asarray(delay)
    shape = network.populations[projection.source].n, network.populations[projection.target].n
    if delay.shape != shape:
        raise InputError(f"delay must have shape {shape} for {name!r}, got {delay.shape}")
    if not ((delay >= 0) & (delay <= projection.max_delay)).all():
        raise InputError(f"delay must be in 0..{projection.max_delay:g} ms for {name!r}")


def check_counts(state: dict[str, np.ndarray], total_steps: int) -> None:
    """Reject counts of updates that no training has made: kernels look up corrections by them.

    Arguments:
        state: As `engines.base.CompiledNetwork.state` gives it.
        total_steps: Optimiser steps of the whole training.

    Raises:
        InputError: As said.
    """
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


def check_averages(context: SimulationContext, structure: StructureLearner) -> None:
    """Reject averages of candidate gradients that are not of the pairs of this network.

    Raises:
        InputError: As said.
    """
    for name, average in structure.average.items():
        projection, wanted = context.network.projections[name], structure.pairs[name].delay.shape
        if structure.rule.grow_delay == "gradient":
            delays = longest_steps(projection.max_delay, context.network.dt) + 1
            wanted = (*wanted, -(-delays // delay_stride(context, name, delays)))
        if average.shape != wanted:
            raise InputError(
                f"the training state must have averages of {name!r} of shape {wanted}, got "
                f"{average.shape}; it is of another network"
            )
