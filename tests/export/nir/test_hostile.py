"""NIR files that are damaged, made to do harm, or from another version."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlgenn_delays import hdf5
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.nir import read, read_nir
from mlgenn_delays.export.nir.graph import graph_of
from mlgenn_delays.hdf5 import read_hdf5
from tests.export.nir import helpers
from tests.fuzz.mutate import blind, hostile

TEXTS = ("about", "network", "sizes", "kept", "populations", "projections")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    artifact = Artifact.of(helpers.mixed(3), helpers.about())
    return helpers.write(artifact, tmp_path / "net.nir")


def seal(path: Path) -> None:
    """Write the checksum anew: what is told is then taken for what was written."""
    told = graph_of(read_hdf5(path)).checksum()
    change(path, "checksum", told)


def change(path: Path, key: str, text: str) -> None:
    with h5py.File(path, "r+") as file:
        group = file["node/metadata"]
        group.pop(key, None)
        group[key] = text


def put(path: Path, place: str, value: object) -> None:
    with h5py.File(path, "r+") as file:
        del file[place]
        if value is not None:
            file[place] = value


def test_damaged_bytes_are_refused_or_do_not_matter(path: Path) -> None:
    wanted, rng = read_nir(path), np.random.default_rng(2)
    content, bad, good = path.read_bytes(), path.with_name("bad.nir"), 0
    for _ in range(60):
        bad.write_bytes(blind(content, rng))
        try:
            got = read_nir(bad)
        except InputError as error:
            assert "bad.nir" in str(error) and "\n" not in str(error)[:200]
            continue
        good += 1
        for name, p in wanted.network.projections.items():
            np.testing.assert_array_equal(got.network.projections[name].weight, p.weight)
            np.testing.assert_array_equal(got.network.projections[name].delay, p.delay)
    assert good < 40


def test_hostile_texts_are_refused_or_do_not_matter(path: Path, monkeypatch) -> None:
    rng, tree, refused = np.random.default_rng(3), read_hdf5(path, only=("node",)), 0
    extra = dict(tree["node"]["metadata"])
    monkeypatch.setattr(read, "read_hdf5", lambda *args, **settings: tree)
    for k in range(90):
        key = TEXTS[k % len(TEXTS)]
        text = json.dumps(hostile(json.loads(extra[key]), rng))
        tree["node"]["metadata"] = {**extra, key: text}
        tree["node"]["metadata"]["checksum"] = graph_of(tree).checksum()
        try:
            read_nir(path)
        except InputError:
            refused += 1
    assert refused > 45


CHANGES: dict[str, Callable[[Path], None]] = {
    "weight of node 'p0_1' must be finite": lambda p: put(
        p, "node/nodes/p0_1/weight", np.full((6, 7), np.nan, np.float32)
    ),
    "must take 7 values, got 3": lambda p: put(
        p, "node/nodes/p0_1/weight", np.ones((6, 3), np.float32)
    ),
    "Linear 'p0_1' must have a weight of two dimensions": lambda p: put(
        p, "node/nodes/p0_1/weight", np.ones(3, np.float32)
    ),
    "must be >= 0 s": lambda p: put(p, "node/nodes/p0_1_delay/delay", -np.ones(7)),
    "'p0' must be in 0..4 ms": lambda p: put(p, "node/nodes/p0_1_delay/delay", np.full(7, 1e3)),
    "LIF 'b' must have parameters of one shape": lambda p: put(p, "node/nodes/b/r", np.ones(4)),
    "node 'b' must be one of Input.*got 'Conv2d'": lambda p: put(p, "node/nodes/b/type", "Conv2d"),
    "an edge must be from a node to a node": lambda p: put(
        p, "node/edges", [("b", "nowhere"), ("b", "b")]
    ),
    "must have each edge once": lambda p: put(p, "node/edges", [("b", "n1"), ("b", "n1")]),
    "its metadata must have kept": lambda p: put(p, "node/metadata/kept", None),
    "r of node 'b' must be numbers": lambda p: put(p, "node/nodes/b/r", "text"),
}


@pytest.mark.parametrize("words", CHANGES)
def test_what_does_not_fit_is_named(words: str, path: Path) -> None:
    CHANGES[words](path)
    # Where the graph can be read at all, the checksum is made to fit.
    try:
        seal(path)
    except InputError:
        pass
    with pytest.raises(InputError, match=f"net.nir is damaged.*{words}"):
        read_nir(path)


def test_a_changed_weight_and_another_version_are_noticed(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["node/nodes/p0_1/weight"][0, 0] = 0.123
    with pytest.raises(InputError, match="net.nir is damaged.*differs from its checksum"):
        read_nir(path)
    change(path, "version", "2")
    with pytest.raises(InputError, match="must be 1, got '2'; upgrade delaysnn"):
        read_nir(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.nir"
    with pytest.raises(InputError, match="there is no NIR file"):
        read_nir(path)
    path.write_text("no HDF5 at all")
    with pytest.raises(InputError, match="some.nir is damaged, or no HDF5 file"):
        read_nir(path)
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="some.nir cannot be read"):
        read_nir(path, dt=1.0, n_steps=10)


def test_a_matrix_that_the_file_cannot_hold(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        del file["node/nodes/p0_1/weight"]
        file.create_dataset("node/nodes/p0_1/weight", (2**20, 2**20), "f4", chunks=(1024, 1024))
    with pytest.raises(InputError, match="cannot be read.*stores 0"):
        read_nir(path)


def test_ways_that_multiply_are_bounded(tmp_path: Path) -> None:
    # Layers of nodes each connected to all of the next: more ways than can be followed.
    path = tmp_path / "ways.nir"
    names = [[f"n{k}_{j}" for j in range(6)] for k in range(8)]
    edges = [(a, b) for k in range(7) for a in names[k] for b in names[k + 1]]
    edges += [("in", a) for a in names[0]] + [(a, "out") for a in names[-1]]
    with h5py.File(path, "w") as file:
        node = file.create_group("node")
        node["type"], node["edges"] = "NIRGraph", edges
        for name in sum(names, []):
            node[f"nodes/{name}/type"] = "Delay"
            node[f"nodes/{name}/delay"] = np.zeros(2)
        for name, kind in (("in", "Input"), ("out", "Output")):
            node[f"nodes/{name}/type"], node[f"nodes/{name}/shape"] = kind, np.array([2])
    with pytest.raises(InputError, match="ways.nir cannot be read"):
        read_nir(path, dt=1.0, n_steps=10)


def test_when_reading_ends_the_process(path: Path, monkeypatch) -> None:
    script = path.with_name("worker.py")
    script.write_text("import os; os.read(0, 9); os.abort()")
    hdf5._stop()
    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "_WORKER", script)
        with pytest.raises(InputError, match="net.nir is damaged.*ended the process"):
            read_nir(path)
    read_nir(path)
