"""Networks as snnTorch and Norse run them from NIR files."""

import contextlib
import io
from pathlib import Path

import nir
import numpy as np

from mlgenn_delays import LIF, Delta, Exponential, LeakyIntegrator, Network, Normal, SpikeInput
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.network import EulerLI, EulerLIF
from tests.export.nir import helpers

DT = 0.1  # ms: that of snnTorch's import, whatever the network's
STEPS = 150
HIDDEN = ("hidden0", "hidden1")


def network(kind: str, *, recurrent: bool = False, seed: int = 0) -> Artifact:
    """Return a network without delays and bias: of "delta", "exponential" or "seed" neurons."""
    net, seeds = Network(dt=DT, seed=seed), kind == "seed"
    net.add("input", SpikeInput(12))
    reach = 5.0 if kind == "exponential" else 1.0
    mean = 1.6 * (0.1 if seeds else 1.0) / (12 * reach * 0.06)
    synapse = Exponential(5 * DT) if kind == "exponential" else Delta()
    before = "input"
    for name, n in zip(HIDDEN, (10, 8), strict=True):
        net.add(name, EulerLIF(n, tau_mem=10 * DT) if seeds else LIF(n, tau_mem=15 * DT))
        net.connect(before, name, synapse, weight=Normal(mean, 0.7 * mean))
        if recurrent:
            net.connect(name, name, synapse, weight=Normal(0.0, mean))
        before = name
    net.add("output", EulerLI(3, 10 * DT) if seeds else LeakyIntegrator(3, 10 * DT))
    net.connect(before, "output", synapse, weight=Normal(0.0, 1.0))
    return Artifact.of(net, helpers.about(STEPS))


def stimulus(seed: int, *, even: bool = False) -> np.ndarray:
    """Return input spikes (T, C), in even steps alone if wanted."""
    given = np.random.default_rng((seed, 5)).random((STEPS, 12)) < 0.06
    given[1::2] &= not even
    return given.astype(np.float32)


def as_data(given: np.ndarray, dt: float) -> SpikeData:
    steps, channels = np.nonzero(given)
    return SpikeData.from_events(
        [(channels, steps)], np.array([0]), n_channels=given.shape[1], n_steps=len(given), dt=dt,
        label_names=helpers.LABELS,
    )  # fmt: skip


def without_output(path: Path) -> nir.NIRGraph:
    """Return a file's graph up to the last neurons that spike: neither tool reads LI or CubaLI."""
    graph = nir.read(path)
    left = {
        name: node
        for name, node in graph.nodes.items()
        if not isinstance(node, nir.LI | nir.CubaLI | nir.Output)
    }
    leads = {a for a, b in graph.edges if b in left}
    left = {name: node for name, node in left.items() if name in leads or name == HIDDEN[-1]}
    edges = [(a, b) for a, b in graph.edges if a in left and b in left]
    left["end"] = nir.Output(output_type=left[HIDDEN[-1]].output_type["output"])
    return nir.NIRGraph(left, [*edges, (HIDDEN[-1], "end")])


def of_snntorch(graph: nir.NIRGraph):
    """Return snnTorch's module of a graph, without what it prints."""
    from snntorch.import_nir import import_from_nir

    with contextlib.redirect_stdout(io.StringIO()):
        return import_from_nir(graph)


def of_norse(graph: nir.NIRGraph):
    import norse.torch

    return norse.torch.from_nir(graph, dt=DT * 1e-3, ignore_warnings=True)


def run(module, given: np.ndarray) -> dict[str, np.ndarray]:
    """Return the spikes of the hidden nodes in a trial, (T, n) each."""
    import torch

    got: dict[str, list[np.ndarray]] = {name: [] for name in HIDDEN}
    modules = dict(module.named_modules())
    for name in HIDDEN:

        def note(_module, _input, out, name=name) -> None:
            out = out[0] if isinstance(out, tuple) else out
            got[name].append(out.detach().numpy().ravel().astype(bool))

        modules[name].register_forward_hook(note)
    state = None
    with torch.no_grad():
        for row in given:
            state = module(torch.tensor(row[None]), state)[1]
    return {name: np.array(rows) for name, rows in got.items()}
