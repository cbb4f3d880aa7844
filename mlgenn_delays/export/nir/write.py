"""Writing a network as a NIR file."""

import importlib
import io
import json
import warnings
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.nir.graph import Graph
from mlgenn_delays.export.nir.nodes import EDGES, Builder
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import Network
from mlgenn_delays.network.models import LIF, SeedLIF
from mlgenn_delays.network.storage import describe

FORMAT = "delaysnn-nir"
VERSION = "1"


def write_nir(
    artifact: Artifact, path: Path | str, *, edges: str = "delay", euler: bool = False
) -> None:
    """Write a NIR file: the network as a graph that other tools read.

    A projection becomes a branch for each of its delays, Delay and then Linear; without delay
    there is no Delay. Neurons become LIF (`Delta` synapses) or CubaLIF (`Exponential`), those of
    the output LI or CubaLI; where synapses of several kinds reach a population, each Exponential
    kind is an LI of its own before it. A bias is that of the first Affine where synapses are
    `Delta`, else v_leak. Times are in seconds.

    A spike of step t over d steps acts in step t + d + 1. The Delay is d dt: the one step belongs
    to stepping. A tool that passes spikes on within a step runs each layer one step earlier
    (`SeedLIF` two).

    `read_nir` reads all of it again; what it must know besides is metadata of the graph. Synapses
    of weight 0 are left out. What other tools cannot know of is named in a warning: refractory
    periods, when `SeedLIF` spikes and what it discards then, projections that skip a layer, and a
    bias with Exponential synapses, which some tools get wrong.

    Arguments:
        artifact: The network.
        path: The file to write.
        edges: ``"delay"``, or ``"synapse"`` for one branch a projection in which each synapse has
            a channel of its own: a Linear of ones to all synapses, a Delay, and a Linear.
        euler: Whether time constants are those with which Euler's method at this dt computes
            exactly what delaysnn computes: dt / (1 - exp(-dt/tau)). They are the physical ones
            if not.

    Raises:
        InputError: The package nir is missing, the file would be too large, or edges is unknown.
        WorkError: The file cannot be written.
    """
    nir = _nir()
    if edges not in EDGES:
        raise InputError(f"edges must be one of {', '.join(EDGES)}, got {edges!r}")
    builder = Builder(artifact.network, edges, euler)
    graph = builder.build()
    for text in _losses(artifact.network, builder):
        warnings.warn(text, stacklevel=2)
    graph.metadata = _metadata(artifact, builder)
    graph.metadata["checksum"] = graph.checksum()
    content = io.BytesIO()
    nir.write(content, _as_nir(nir, graph))
    write_atomic(path, content.getvalue())


def _nir() -> Any:
    try:
        return importlib.import_module("nir")
    except ImportError as error:
        raise InputError(
            'writing NIR must have the package nir; pip install "delaysnn[nir]"'
        ) from error


def _metadata(artifact: Artifact, builder: Builder) -> dict[str, str]:
    kept = {name: index.tolist() for name, index in artifact.kept.items()}
    return {
        "format": FORMAT,
        "version": VERSION,
        "about": artifact.about.model_dump_json(),
        "network": json.dumps(describe(artifact.network), sort_keys=True),
        "sizes": json.dumps(artifact.sizes, sort_keys=True),
        "kept": json.dumps(kept, sort_keys=True),
        "populations": json.dumps(builder.population, sort_keys=True),
        "projections": json.dumps(builder.branches, sort_keys=True),
    }


def _as_nir(nir: Any, graph: Graph) -> Any:
    """The graph as nir has it, checked by nir."""
    nodes = {}
    for name, node in graph.nodes.items():
        values = dict(node.values)
        if node.kind in ("Input", "Output"):
            values = {f"{node.kind.lower()}_type": node.values["shape"]}
        nodes[name] = getattr(nir, node.kind)(**values)
    return nir.NIRGraph(nodes=nodes, edges=list(graph.edges), metadata=dict(graph.metadata))


def _losses(network: Network, builder: Builder) -> list[str]:
    """What other tools will not know of, in words."""
    models = {name: population.model for name, population in network.populations.items()}
    resting = [n for n, m in models.items() if isinstance(m, LIF) and m.tau_refrac > 0]
    seeds = [n for n, m in models.items() if isinstance(m, SeedLIF)]
    found = []
    if resting:
        found.append(f"NIR has no refractory period: other tools run {_list(resting)} without")
    if seeds:
        found.append(
            f"NIR has no SeedLIF: {_list(seeds)} spikes in the step after V passes the threshold "
            "and discards what arrives in that step; other tools may do neither"
        )
    if builder.leaks:
        found.append(
            f"the bias of {_list(builder.leaks)} is v_leak in NIR, which some tools refuse "
            "(snnTorch) or give to the synapse too (Norse 1.1)"
        )
    skipping = _skipping(network)
    if skipping:
        found.append(
            f"{_list(skipping)} skip a layer: tools that pass spikes on within a step let them "
            "act later than those through the layer, by a step a layer"
        )
    return found


def _list(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names)


def _skipping(network: Network) -> list[str]:
    """The projections that do not go from a layer to the next."""
    depth: dict[str, int] = {}
    for population in network.order():
        before = [depth[p.source] for p in network.incoming(population.name) if not p.recurrent]
        depth[population.name] = 1 + max(before, default=-1)
    return [
        name
        for name, p in network.projections.items()
        if not p.recurrent and depth[p.target] != depth[p.source] + 1
    ]
