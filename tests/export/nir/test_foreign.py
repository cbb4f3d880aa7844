"""Files of other tools."""

import warnings
from pathlib import Path

import nir
import numpy as np
import pytest

from mlgenn_delays.errors import InputError  # noqa: E402
from mlgenn_delays.export.artifact import Artifact  # noqa: E402
from mlgenn_delays.export.nir import read_nir  # noqa: E402
from mlgenn_delays.network import (  # noqa: E402
    LIF,
    CurrentInput,
    EulerLIF,
    Exponential,
    SpikeCounter,
)
from mlgenn_delays.neurons.models.cuba_lif import CubaLIF  # noqa: E402
from tests.export.nir import helpers  # noqa: E402
from tests.export.nir.torches import as_data  # noqa: E402
from tests.needs import need


def told(artifact: Artifact) -> bool:
    """Return whether a graph tells all of a network: models, and spikes as input."""
    network = artifact.network
    if isinstance(network.output().model, SpikeCounter):
        return False
    return not isinstance(network.input().model, CurrentInput) and not any(
        isinstance(p.model, EulerLIF) or (isinstance(p.model, LIF) and p.model.tau_refrac)
        for p in network.spiking()
    )


CASES = [a for a in helpers.artifacts() if told(a)]


def stranger(path: Path) -> Path:
    """Take what is ours from a file."""
    graph = nir.read(path)
    graph.metadata = {}
    nir.write(path, graph)
    return path


@pytest.mark.parametrize("euler", [False, True])
@pytest.mark.parametrize("k", range(len(CASES)))
def test_the_graph_alone_gives_the_same_spikes(k: int, euler: bool, tmp_path: Path) -> None:
    artifact, edges = CASES[k], "synapse" if k % 2 else "delay"
    path = stranger(helpers.write(artifact, tmp_path / "net.nir", edges=edges, euler=euler))
    readout = artifact.network.output().model.readout
    got = read_nir(
        path, dt=artifact.network.dt, n_steps=helpers.STEPS, euler=euler, readout=readout
    )
    assert got.about.labels == ("0", "1", "2")
    data = helpers.examples(artifact)
    a, b = helpers.record(artifact, data), helpers.record(got, data)
    np.testing.assert_allclose(b.voltage, a.voltage, rtol=0, atol=1e-4 * np.abs(a.voltage).max())
    for p in artifact.network.spiking():
        np.testing.assert_array_equal(b.time[p.name], a.time[p.name])


def test_settings_that_are_missing_or_cannot_be(tmp_path: Path) -> None:
    path = stranger(helpers.write(CASES[0], tmp_path / "net.nir"))
    for given in ({}, {"dt": 1.0}, {"n_steps": 10}):
        with pytest.raises(InputError, match="net.nir is of another tool.* dt .ms. and n_steps"):
            read_nir(path, **given)
    with pytest.raises(InputError, match="n_steps must be a whole number >= 1, got 0"):
        read_nir(path, dt=1.0, n_steps=0)
    for given, words in (
        ({"dt": -1.0, "n_steps": 10}, "Network.dt must be a number"),
        ({"dt": 1.0, "n_steps": 10, "readout": "best"}, "LeakyIntegrator.readout must be one of"),
    ):
        with pytest.raises(InputError, match=f"net.nir cannot be read: .*{words}"):
            read_nir(path, **given)


def ones(n: int, value: float = 1.0) -> np.ndarray:
    return np.full(n, value)


def lif(n: int = 3, **other) -> "nir.LIF":
    values = {"tau": 20e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**{key: ones(n, each) if np.isscalar(each) else each
                      for key, each in {**values, **other}.items()})  # fmt: skip


def cuba(n: int = 3, **other) -> "nir.CubaLIF":
    values = {"tau_syn": 5e-3, "tau_mem": 20e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0}
    values |= {"v_reset": 0.0, "w_in": 1.0}
    return nir.CubaLIF(**{key: ones(n, each) if np.isscalar(each) else each
                          for key, each in {**values, **other}.items()})  # fmt: skip


def li(n: int = 3) -> "nir.LI":
    return nir.LI(tau=ones(n, 20e-3), r=ones(n), v_leak=ones(n, 0.0))


def linear(n: int, m: int) -> "nir.Linear":
    weight = np.random.default_rng((n, m)).normal(1.0, 1.0, (n, m)).astype(np.float32)
    return nir.Linear(weight=weight)


def save(path: Path, *nodes) -> Path:
    nir.write(path, nir.NIRGraph.from_list(*nodes, type_check=False))
    return path


def chain(path: Path, hidden, *, bias: float = 0.0, before=()) -> Path:
    """Write input -> hidden -> output."""
    first = linear(3, 4)
    if bias:
        first = nir.Affine(weight=first.weight, bias=ones(3, bias))
    ends = nir.Input(input_type=np.array([4])), nir.Output(output_type=np.array([2]))
    return save(path, ends[0], first, *before, hidden, linear(2, 3), li(2), ends[1])


REFUSED = {
    "v_reset of node 'lif' must be 0": {"hidden": lambda: lif(v_reset=0.1)},
    "tau of node 'lif' must be >= dt": {"hidden": lambda: lif(tau=1e-4)},
    "tau of LIF 'lif' must be > 0": {"hidden": lambda: lif(tau=0.0)},
    "Affine 'affine' must have no bias, for": {"hidden": lambda: cuba(v_leak=0.1), "bias": 0.1},
    "node 'if' must be one of .*got 'IF'": {
        "hidden": lambda: nir.IF(r=ones(3), v_threshold=ones(3))
    },
    "node 'scale' must be one of .*got 'Scale'": {
        "hidden": lambda: lif(), "before": lambda: (nir.Scale(scale=ones(3)),)
    },
    "node 'linear_1' must take 2 values, got 3": {"hidden": lambda: lif(2)},
    "must be alone between two populations": {
        "hidden": lambda: lif(), "before": lambda: (linear(3, 3),)
    },
    "Affine 'affine' must have no bias before Delay": {
        "hidden": lambda: lif(), "bias": 0.1, "before": lambda: (nir.Delay(delay=ones(3, 1e-3)),)
    },
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_no_network_here_has_is_named(words: str, tmp_path: Path) -> None:
    made = dict(REFUSED[words])
    hidden, before = made.pop("hidden")(), made.pop("before", tuple)()
    path = chain(tmp_path / "net.nir", hidden, before=before, **made)
    with pytest.raises(InputError, match=f"net.nir cannot be read: .*{words}"):
        read_nir(path, dt=1.0, n_steps=20, euler=True)


def test_bias_and_gain_become_ours(tmp_path: Path) -> None:
    path = chain(tmp_path / "net.nir", lif(r=2.0, v_leak=0.3), bias=0.25)
    hidden = read_nir(path, dt=1.0, n_steps=20).network
    np.testing.assert_allclose(hidden.populations["lif"].bias, 0.3 + 2.0 * 0.25)
    np.testing.assert_allclose(
        hidden.projections["input->lif"].weight, 2.0 * linear(3, 4).weight.T.ravel(), rtol=1e-6
    )


def test_what_differs_between_neurons_does_here(tmp_path: Path) -> None:
    threshold, tau = np.array([0.5, 1.0, 2.0]), np.array([5.0, 10.0, 15.0])
    path = chain(tmp_path / "net.nir", lif(v_threshold=threshold, tau=tau / 1e3))
    model = read_nir(path, dt=1.0, n_steps=20).network.populations["lif"].model
    assert model == LIF(3, tau_mem=tau, v_thresh=threshold)
    np.testing.assert_allclose(
        read_nir(path, dt=1.0, n_steps=20, euler=True).network.populations["lif"].model.tau_mem,
        -1.0 / np.log1p(-1.0 / tau), rtol=1e-6,
    )  # fmt: skip


def test_a_current_is_the_neurons_unless_a_leak_stays_out_of_it(tmp_path: Path) -> None:
    tau = np.array([2.0, 3.0, 4.0])
    path = chain(tmp_path / "net.nir", cuba(tau_syn=tau / 1e3, r=3.0), bias=0.2)
    network = read_nir(path, dt=1.0, n_steps=20).network
    assert network.populations["cubalif"].model == CubaLIF(3, tau_syn=tau)
    np.testing.assert_allclose(network.populations["cubalif"].bias, 3.0 * 0.2 / tau, rtol=1e-6)
    for given in (5.0, tau):
        path = chain(tmp_path / "net.nir", cuba(tau_syn=given / 1e3, v_leak=0.3))
        network = read_nir(path, dt=1.0, n_steps=20).network
        assert network.populations["cubalif"].model == LIF(3)
        assert network.projections["input->cubalif"].synapse == Exponential(given)


def test_an_output_that_spikes_is_counted(tmp_path: Path) -> None:
    ends = nir.Input(input_type=np.array([4])), nir.Output(output_type=np.array([3]))
    path = save(tmp_path / "net.nir", ends[0], linear(3, 4), lif(), ends[1])
    artifact = read_nir(path, dt=1.0, n_steps=50)
    output = artifact.network.output()
    assert output.model == SpikeCounter(3)
    artifact.network.projections["input->lif"].weight *= 10
    data = helpers.examples(artifact)
    recording = helpers.record(artifact, data)
    for b in range(len(data)):
        fired = helpers.fired(artifact, data, b)["lif"]
        assert fired.sum() > 5
        np.testing.assert_allclose(recording.logits[b], fired[:-1].sum(0), atol=1e-5)


@pytest.mark.parametrize("kind", ["Leaky", "Synaptic"])
def test_what_snntorch_writes(kind: str, tmp_path: Path) -> None:
    need("snntorch")
    import snntorch as snn
    import torch
    from snntorch.export_nir import export_to_nir

    torch.manual_seed(1)
    values = {"beta": 0.9, "threshold": 1.2, **({"alpha": 0.8} if kind == "Synaptic" else {})}
    neurons = getattr(snn, kind)(
        **{key: torch.full((5,), value) for key, value in values.items()},
        init_hidden=True, reset_mechanism="zero", reset_delay=False,
    )  # fmt: skip
    net = torch.nn.Sequential(torch.nn.Linear(6, 5, bias=False), neurons)
    net[0].weight.data *= 5
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = export_to_nir(net, torch.zeros(1, 6), ignore_dims=[0])
        nir.write(tmp_path / "net.nir", graph)
    given = (np.random.default_rng(4).random((80, 6)) < 0.2).astype(np.float32)
    neurons.reset_mem()
    with torch.no_grad():
        spikes = np.array([net(torch.tensor(row[None])).numpy().ravel() for row in given])
    artifact = read_nir(tmp_path / "net.nir", dt=0.1, n_steps=80, euler=True)
    (name,) = [p.name for p in artifact.network.spiking()]
    fired = helpers.fired(artifact, as_data(given, 0.1), 0)[name]
    wanted = spikes[:-1, artifact.kept[name]].astype(bool)
    assert wanted.sum() > 20
    np.testing.assert_array_equal(fired[1:], wanted)


def test_graphs_in_graphs_are_taken_apart(tmp_path: Path) -> None:
    # As snnTorch writes RLeaky and RSynaptic.
    ends = nir.Input(input_type=np.array([4])), nir.Output(output_type=np.array([2]))
    inner = nir.NIRGraph(
        nodes={"input": nir.Input(input_type=np.array([3])), "lif": cuba(r=200.0, w_in=0.4),
               "w_rec": linear(3, 3), "output": nir.Output(output_type=np.array([3]))},
        edges=[("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")],
    )  # fmt: skip
    names = ["in", "first", "inner", "last", "li", "out"]
    nodes = [ends[0], linear(3, 4), inner, linear(2, 3), li(2), ends[1]]
    graph = nir.NIRGraph(
        dict(zip(names, nodes, strict=True)), list(zip(names[:-1], names[1:], strict=True)),
        type_check=False,
    )  # fmt: skip
    nir.write(tmp_path / "net.nir", graph)
    network = read_nir(tmp_path / "net.nir", dt=1.0, n_steps=20).network
    assert list(network.projections) == ["in->inner.lif", "inner.lif->inner.lif", "inner.lif->li"]
    gain = 200.0 * 0.4 * 1.0 / 5.0
    np.testing.assert_allclose(
        network.projections["inner.lif->inner.lif"].weight, gain * linear(3, 3).weight.T.ravel(),
        rtol=1e-6,
    )  # fmt: skip
