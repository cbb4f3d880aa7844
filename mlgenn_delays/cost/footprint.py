"""How much memory a network takes in each format, as the exports themselves say."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from mlgenn_delays.bits import LARGEST
from mlgenn_delays.cost.cost import Bytes
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact, to_bytes
from mlgenn_delays.network import CurrentInput, Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.runs.columns import FORMATS


def footprint(artifact: Artifact) -> dict[str, Bytes]:
    """The bytes of a network by format; those that cannot hold it are absent."""
    functions: list[Callable[[Artifact], Bytes]] = [
        lambda each: Bytes(len(to_bytes(each)), 0),
        _of_c,
        *(partial(_of_c, weights=kind) for kind in LARGEST),
        _of_genn,
    ]
    found = {}
    for name, of in zip(FORMATS, functions, strict=True):
        try:
            found[name] = of(artifact)
        except InputError:
            continue
    return found


def _of_c(artifact: Artifact, weights: str | None = None) -> Bytes:
    """Of float32 weights, or of those of a kind."""
    from mlgenn_delays.export.c import c_costs, quantise

    if artifact.about.series:
        raise InputError("the C export has classes, got a network of series")
    quantised = None
    if weights is not None:
        network, quantised = quantise(artifact.network, weights, artifact.about.per)
        artifact = replace(artifact, network=network, quantised=None)
    made = c_costs(artifact, quantised)
    return Bytes(made.constant_bytes, made.state_bytes)


def _of_genn(artifact: Artifact) -> Bytes:
    """Of one example at a time, without the series that it records."""
    from mlgenn_delays.export.genn.layout import DeviceArrays

    sizes = {"CONSTANT": 0, "STATE": 0, "SERIES": 0}
    for array in DeviceArrays(artifact.network, 1).arrays.values():
        sizes[array.kind] += array.bytes
    return Bytes(sizes["CONSTANT"], sizes["STATE"])


def delay_buffers(network: Network) -> tuple[int, int]:
    """Bytes of ring buffers of arrivals, and of histories of what was sent."""
    onto, sent = dict.fromkeys(network.populations, 0), dict.fromkeys(network.populations, 0)
    for p in network.projections.values():
        slots = 1 + int(delay_steps(p, network.dt)[p.weight != 0].max(initial=-1))
        onto[p.target], sent[p.source] = max(onto[p.target], slots), max(sent[p.source], slots)
    rings = histories = 0
    for name, population in network.populations.items():
        rings += 4 * population.n * onto[name]
        bits = 32 if isinstance(population.model, CurrentInput) else 1
        histories += int(np.ceil(bits * population.n * sent[name] / 8))
    return rings, histories
