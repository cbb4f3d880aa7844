"""Programs for a device of limited memory, and what to change of a network that is too large."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from mlgenn_delays.bits import LARGEST
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.costs import Costs, Limits, costs_of
from mlgenn_delays.export.c.layout import CProgram
from mlgenn_delays.export.c.make import make_layout
from mlgenn_delays.network import Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.quantisation import Quantised, quantise


def c_costs(artifact: Artifact, quantised: Quantised | None = None) -> Costs:
    """What a network takes as a C program of the smallest memory.

    Arguments:
        artifact: The network; with `quantised`, of the network that `quantise` returned.
        quantised: Integer weights; float32 weights if None.

    Raises:
        InputError: As of `write_c`.

    Example:
        >>> from pathlib import Path
        >>> from mlgenn_delays.export.c import c_costs
        >>> from mlgenn_delays.export.formats import artifact_of
        >>> costs = c_costs(artifact_of(Path("digits-demo")))
        >>> costs.ram < 2000, costs.flash < 25000
        (True, True)
    """
    return costs_of(make_layout(artifact, quantised))


def fitting(artifact: Artifact, quantised: Quantised | None, limits: Limits) -> CProgram:
    """The program of the fewest operations that fits.

    Raises:
        InputError: None fits; the text says what it takes and what to change.
    """
    layout = make_layout(artifact, quantised, limits)
    costs = costs_of(layout)
    wrong = []
    if limits.ram is not None and costs.ram > limits.ram:
        wrong.append(
            f"--ram must be at least {costs.ram} bytes for this network ({costs.state_bytes} of "
            f"state, {costs.stack_bytes} of stack), got {limits.ram}; "
            f"{less_ram(artifact, quantised, limits)}"
        )
    if limits.flash is not None and costs.flash > limits.flash:
        wrong.append(
            f"--flash must be at least {costs.flash} bytes for this network "
            f"({costs.constant_bytes} of constants, {costs.code_bytes} of code), got "
            f"{limits.flash}; {_less_flash(artifact, costs, limits)}"
        )
    if wrong:
        raise InputError(". ".join(wrong))
    return layout


def less_ram(artifact: Artifact, quantised: Quantised | None, limits: Limits) -> str:
    """Which delays would fit."""
    network = artifact.network
    steps = [delay_steps(p, network.dt).max(initial=0) for p in network.projections.values()]
    longest = int(max(steps, default=0))
    only_ram = Limits(ram=limits.ram)

    def fits(steps: int) -> bool:
        short = replace(artifact, network=_shortened(network, steps))
        return not only_ram.excess(costs_of(make_layout(short, quantised, only_ram)))

    if not longest or not fits(0):
        return "it is too large even without delays: train one of fewer neurons"
    within = _largest(fits, longest)
    return (
        f"delays of at most {within * network.dt:g} ms would fit, its longest are "
        f"{longest * network.dt:g} ms: train with shorter ones, or with fewer neurons"
    )


def _shortened(network: Network, steps: int) -> Network:
    short = network.copy()
    for p in short.projections.values():
        p.delay = np.minimum(delay_steps(p, network.dt), steps) * network.dt
        p.max_delay = float(p.delay.max(initial=0.0))
    return short


def _largest(fits: Callable[[int], bool], above: int) -> int:
    """The largest number below `above` that fits, by halving; 0 does, `above` does not."""
    low = 0
    while above - low > 1:
        middle = (low + above) // 2
        low, above = (middle, above) if fits(middle) else (low, middle)
    return low


def _less_flash(artifact: Artifact, costs: Costs, limits: Limits) -> str:
    """Which kind of weights would fit."""
    smaller = dict(_others(artifact, costs.weights))
    fit = [kind for kind, made in smaller.items() if not Limits(flash=limits.flash).excess(made)]
    if fit:
        return (
            f"{fit[0]} weights would take {smaller[fit[0]].flash}: export with --weights {fit[0]}, "
            f"or train with quantisation.weights={fit[0]}"
        )
    least = min([costs, *smaller.values()], key=lambda each: each.flash)
    return (
        f"no weights are small enough (it takes {least.flash} with {least.weights}): train one of "
        "fewer synapses"
    )


def _others(artifact: Artifact, weights: str) -> Iterator[tuple[str, Costs]]:
    for kind in LARGEST:
        if kind != weights:
            network, quantised = quantise(artifact.network, kind)
            yield kind, c_costs(replace(artifact, network=network, quantised=None), quantised)
