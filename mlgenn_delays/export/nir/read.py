"""Reading networks from NIR files: those of `write_nir` exactly, others as far as they fit."""

from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.nir.foreign import Reading, foreign
from mlgenn_delays.export.nir.graph import SECOND, SPIKING, Branch, Graph, Tracer, graph_of
from mlgenn_delays.export.nir.write import FORMAT, VERSION
from mlgenn_delays.hdf5 import read_hdf5
from mlgenn_delays.network import Network
from mlgenn_delays.network.delays import longest_steps, round_steps
from mlgenn_delays.network.storage import REMEDY, rebuild
from mlgenn_delays.quantisation import Quantised
from mlgenn_delays.untrusted import as_damaged, parse_json, shown

_KEYS = ("about", "network", "sizes", "kept", "populations", "projections", "checksum")


def read_nir(
    path: Path | str,
    *,
    dt: float | None = None,
    n_steps: int | None = None,
    euler: bool = False,
    readout: str = "mean",
) -> Artifact:
    """Read a NIR file.

    A file of `write_nir` gives what was written; no other argument is needed, and none is looked
    at. A file of another tool must be of Input, Linear, Affine, Delay, LIF, CubaLIF, LI, CubaLI
    and Output, in layers, each perhaps with itself: it becomes a network with the same equations,
    in which each connection takes a step more. An input or output may be inside a graph of its
    own, as recurrent layers of snnTorch are. Classes are called 0, 1, ...; if the output spikes,
    its spikes are counted.

    Arguments:
        path: The file.
        dt: Length of a step [ms], for files of other tools.
        n_steps: Length of a trial, for files of other tools.
        euler: Whether time constants of other tools are those of Euler's method at dt, as in
            snnTorch (dt = 0.1 ms) and Norse: the network then computes what those compute.
        readout: Of the output, for files of other tools; see `LeakyIntegrator`.

    Raises:
        InputError: The file is missing, damaged, from a newer version or of another kind, or has
            nodes or parameters that no network here has; the text names them.
    """
    path = Path(path)
    tree, metadata = _tree(path)
    if metadata is None:
        if dt is None or n_steps is None:
            raise InputError(
                f"{path} is of another tool, and must come with dt [ms] and n_steps; give both to "
                "read_nir, or take delaysnn import --from nir"
            )
        network = _foreign(path, tree, Reading(dt, euler, readout))
        return Artifact.of(network, About.numbered(network, n_steps))
    version = metadata.get("version")
    if version != VERSION:
        raise InputError(
            f"format version of {path} must be {VERSION}, got {shown(version, 20)}; upgrade "
            "delaysnn, or export the run again"
        )
    with as_damaged(path, REMEDY), _quiet():
        return _own(graph_of(tree))


def read_network(
    path: Path | str, *, dt: float, euler: bool = False, readout: str = "mean"
) -> Network:
    """The network of a NIR file of another tool, with all of its neurons; see `read_nir`."""
    path = Path(path)
    tree, metadata = _tree(path)
    if metadata is not None:
        raise InputError(
            f"{path} must be of another tool, got one that delaysnn wrote; it need not be "
            "imported: export it, or load it"
        )
    return _foreign(path, tree, Reading(dt, euler, readout))


def _tree(path: Path) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What a file has, and the metadata of `write_nir`, None of another tool."""
    if not path.is_file():
        raise InputError(f"there is no NIR file {path}; make one with delaysnn export")
    tree = read_hdf5(path, only=("version", "node"))
    with as_damaged(path, REMEDY):
        top = tree.get("node")
        metadata = top.get("metadata", {}) if isinstance(top, dict) else {}
        return tree, metadata if metadata.get("format") == FORMAT else None


def _quiet() -> np.errstate:
    """Too large numbers are rejected later, so NumPy need not warn of them."""
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _foreign(path: Path, tree: dict[str, Any], reading: Reading) -> Network:
    with as_damaged(path, REMEDY), _quiet():
        try:
            return foreign(graph_of(tree), reading)
        except InputError as error:
            problem = error
    raise InputError(f"{path} cannot be read: {problem}") from problem


def _own(graph: Graph) -> Artifact:
    missing = [key for key in _KEYS if key not in graph.metadata]
    if missing:
        raise InputError(f"its metadata must have {', '.join(missing)}")
    if graph.metadata["checksum"] != graph.checksum():
        raise InputError("its content differs from its checksum")
    about = About.of_json(graph.metadata["about"])
    told = {key: parse_json(graph.metadata[key]) for key in _KEYS[1:-1]}
    kept = {name: np.array(index, np.int64) for name, index in told["kept"].items()}
    network = _network(graph, told["network"], told["populations"], told["projections"])
    quantised = None
    if about.quantised is not None:
        found = parse_json(graph.metadata["scales"]).items()
        scales = {name: np.array(scale, np.float32) for name, scale in found}
        quantised = Quantised.of(network, about.quantised, scales)
    return Artifact(network, kept, told["sizes"], about, quantised)


def _network(
    graph: Graph, description: dict, nodes: dict[str, str], names: dict[str, list[str]]
) -> Network:
    sizes = {name: graph.size(name) for name in nodes.values()}
    for entry in description["populations"]:
        if entry["n"] != sizes[nodes[entry["name"]]]:
            raise InputError(f"population {entry['name']!r} must be as large as its node")
    if not all(name in sizes for name, node in graph.nodes.items() if node.kind in SPIKING):
        raise InputError("its spiking nodes must be populations")
    branches = {branch.name: branch for branch in Tracer(graph, sizes).run()}
    tensors: dict[str, np.ndarray] = {}
    for entry in description["populations"]:
        tensors[f"population/{entry['name']}/bias"] = _bias(
            graph, nodes[entry["name"]], entry["n"], branches
        )
    for entry in description["projections"]:
        ends = nodes[entry["source"]], nodes[entry["target"]]
        own = [branches.pop(name) for name in names[entry["name"]]]
        arrays = _projection(own, ends, sizes[ends[0]], float(description["dt"]))
        tensors |= {f"projection/{entry['name']}/{key}": array for key, array in arrays.items()}
    if any(len(branch.synapses.pre) for branch in branches.values()):
        raise InputError("each of its synapses must be of a projection")
    return rebuild(Network, description, tensors)


def _bias(graph: Graph, name: str, n: int, branches: dict[str, Branch]) -> np.ndarray:
    """The bias of a population, from v_leak or the one Affine that has it."""
    values = graph.nodes[name].values
    biases = [branch.bias for branch in branches.values() if branch.target == name]
    given = [bias for bias in biases if bias is not None]
    if "v_leak" in values:
        given.append(values["v_leak"])
    found = np.zeros(n, np.float32)
    for bias in given:
        if bias.shape != (n,):
            raise InputError(f"the bias of {name!r} must have shape ({n},)")
        found = bias.astype(np.float32) if bias.any() else found
    return found


def _projection(
    branches: list[Branch], ends: tuple[str, str], n_pre: int, dt: float
) -> dict[str, np.ndarray]:
    if not branches or any((branch.source, branch.target) != ends for branch in branches):
        raise InputError(f"there must be branches from {ends[0]!r} to {ends[1]!r}")
    parts = [branch.synapses for branch in branches]
    pre, post = (np.concatenate([getattr(part, key) for part in parts]) for key in ("pre", "post"))
    order = np.lexsort((post, pre))
    delay = np.concatenate([part.delay for part in parts])[order] * SECOND / dt
    longest = longest_steps(delay.max(initial=0.0) * dt, dt)
    counts = np.bincount(pre, minlength=n_pre)
    return {
        "indptr": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        "post": post[order].astype(np.int32),
        "weight": np.concatenate([part.weight for part in parts])[order].astype(np.float32),
        "delay": round_steps(delay, longest) * dt,
    }
