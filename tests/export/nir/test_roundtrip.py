"""What is written is what is read, bit for bit."""

import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import nir
import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.nir import read_nir, write, write_nir
from tests.export.nir import helpers

EVERY = list(range(len(helpers.networks())))


@pytest.fixture(scope="module")
def made() -> list[Artifact]:
    return helpers.artifacts()


def assert_same(got: Artifact, wanted: Artifact) -> None:
    assert got.about == wanted.about and got.sizes == wanted.sizes
    assert got.kept.keys() == wanted.kept.keys()
    for name, index in wanted.kept.items():
        np.testing.assert_array_equal(got.kept[name], index)
    a, b = got.network, wanted.network
    assert (a.dt, a.seed) == (b.dt, b.seed)
    assert list(a.populations) == list(b.populations)
    assert list(a.projections) == list(b.projections)
    for name, population in b.populations.items():
        assert a.populations[name].model == population.model
        assert a.populations[name].bias.dtype == np.float32
        np.testing.assert_array_equal(a.populations[name].bias, population.bias)
    for name, p in b.projections.items():
        q = a.projections[name]
        assert (q.source, q.target, q.synapse, q.max_delay, q.granularity) == (
            p.source, p.target, p.synapse, p.max_delay, p.granularity,
        )  # fmt: skip
        for key in ("indptr", "post", "weight", "delay"):
            assert getattr(q, key).tobytes() == getattr(p, key).tobytes(), (name, key)


@pytest.mark.parametrize("edges", ["delay", "synapse"])
@pytest.mark.parametrize("k", EVERY)
def test_a_file_gives_what_was_written(made, k: int, edges: str, tmp_path: Path) -> None:
    path = helpers.write(made[k], tmp_path / "net.nir", edges=edges, euler=k % 2 == 0)
    assert_same(read_nir(path), made[k])
    graph = nir.read(path)
    assert graph.check_types()
    graph.validate_structure()


def test_equal_networks_give_equal_bytes(made, tmp_path: Path) -> None:
    first, second = (helpers.write(made[1], tmp_path / name) for name in ("a.nir", "b.nir"))
    assert first.read_bytes() == second.read_bytes()


def test_synapses_of_weight_zero_are_left_out(made, tmp_path: Path) -> None:
    network = made[0].network.copy()
    p = next(iter(network.projections.values()))
    p.weight[::3] = 0.0
    got = read_nir(helpers.write(replace(made[0], network=network), tmp_path / "net.nir"))
    kept = got.network.projections[p.name]
    np.testing.assert_array_equal(kept.weight, p.weight[p.weight != 0])
    np.testing.assert_array_equal(kept.pre(), p.pre()[p.weight != 0])


def test_a_projection_without_synapses_stays(made, tmp_path: Path) -> None:
    network = made[0].network.copy()
    p = network.connect(
        "input", "output", network.projections["hidden0->output"].synapse, weight=0.0
    )
    p.indptr, p.post = np.zeros_like(p.indptr), p.post[:0]
    p.weight, p.delay, p.granularity = p.weight[:0], p.delay[:0], "synapse"
    made_empty = replace(made[0], network=network)
    assert_same(read_nir(helpers.write(made_empty, tmp_path / "net.nir")), made_empty)


@pytest.mark.parametrize(
    ("k", "words"),
    [
        (3, "refractory period.*'hidden0'"),
        (4, "EulerLIF.*'hidden0'"),
        (0, "bias of 'hidden0', 'output' is v_leak"),
        (18, "'p5', 'p8' skip a layer"),
    ],
)
def test_what_other_tools_miss_is_named(made, k: int, words: str, tmp_path: Path) -> None:
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        write_nir(made[k], tmp_path / "net.nir")
    assert any(re.search(words, str(each.message)) for each in given)
    assert all(each.filename == __file__ for each in given)


def test_nothing_is_named_where_nothing_is_missed(made, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_nir(made[11], tmp_path / "net.nir")


def test_without_the_package_writing_says_so(made, tmp_path: Path, monkeypatch) -> None:
    path = helpers.write(made[0], tmp_path / "net.nir")

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(write.importlib, "import_module", missing)
    with pytest.raises(InputError, match=r'pip install "delaysnn\[nir\]"'):
        write_nir(made[0], tmp_path / "other.nir")
    assert_same(read_nir(path), made[0])


def test_what_cannot_be_written_is_refused(made, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match="edges must be one of delay, synapse, got 'neuron'"):
        write_nir(made[0], tmp_path / "net.nir", edges="neuron")
    monkeypatch.setattr(write, "LARGEST", 100)
    with pytest.raises(InputError, match="at most 100 numbers.*try edges='synapse'"):
        helpers.write(made[0], tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_times_are_in_seconds(made, tmp_path: Path) -> None:
    artifact = made[0]
    network, dt = artifact.network, artifact.network.dt * 1e-3
    graph = nir.read(helpers.write(artifact, tmp_path / "net.nir"))
    hidden = graph.nodes["hidden0"]
    np.testing.assert_allclose(hidden.tau_mem, 15e-3)
    np.testing.assert_allclose(hidden.tau_syn, 5e-3)
    # A spike lasts one step and makes the current jump by its weight.
    np.testing.assert_allclose(hidden.r * hidden.w_in * dt / hidden.tau_syn, 1.0)
    np.testing.assert_allclose(hidden.v_threshold, 1.0)
    np.testing.assert_allclose(hidden.v_leak, network.populations["hidden0"].bias)
    delays = {float(node.delay[0]) for node in graph.nodes.values() if isinstance(node, nir.Delay)}
    steps = {round(d) for p in network.projections.values() for d in p.delay / network.dt}
    np.testing.assert_allclose(sorted(delays), [d * dt for d in sorted(steps - {0})])


def test_a_projection_without_delay_has_no_delay_node(made, tmp_path: Path) -> None:
    for edges in ("delay", "synapse"):
        graph = nir.read(helpers.write(made[10], tmp_path / f"{edges}.nir", edges=edges))
        kinds = sorted(type(node).__name__ for node in graph.nodes.values())
        assert kinds == ["CubaLI", "CubaLIF", "Input", "Linear", "Linear", "Output"]


def test_a_synapse_has_a_delay_of_its_own(made, tmp_path: Path) -> None:
    graph = nir.read(helpers.write(made[0], tmp_path / "net.nir", edges="synapse"))
    p = made[0].network.projections["input->hidden0"]
    np.testing.assert_allclose(graph.nodes["input_to_hidden0_delay"].delay, p.delay * 1e-3)
    assert set(graph.nodes["input_to_hidden0_fan"].weight.sum(1)) == {1.0}


def test_metadata_say_what_the_graph_cannot(made, tmp_path: Path) -> None:
    extra = nir.read(helpers.write(made[3], tmp_path / "net.nir")).metadata
    assert (extra["format"], extra["version"]) == ("delaysnn-nir", "1")
    assert json.loads(extra["network"])["populations"][1]["tau_refrac"] == 3.0
    assert json.loads(extra["about"])["labels"] == list(helpers.LABELS)
