"""Bundles keep all, and refuse what is not whole."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import (
    About,
    Artifact,
    Measured,
    read_bundle,
    to_bytes,
    write_bundle,
)
from mlgenn_delays.network.storage import tensors_of
from mlgenn_delays.tensors import pack, read
from tests.reference import nets

ABOUT = About(
    n_steps=80,
    labels=("eins", "zwei", "drei*/\n"),
    data={"dataset": "digits", "duration": 80.0},
    recipe="some",
    recipe_sha256="0" * 64,
    epoch=7,
    measured=(Measured(split="validation", accuracy=0.5, n=4),),
    version="0.1.0",
)
NETS = [
    nets.network(nets.Recipe(seed=1, sizes=(12, 20, 20, 3), density=0.1)),
    nets.network(nets.Recipe(seed=2, recurrent=True, bias=0.3, dt=0.1, max_delay=40.0)),
    nets.step_network(nets.StepRecipe(seed=3, seed_models=True, current=True, density=0.4)),
    nets.step_network(nets.StepRecipe(seed=4, normalised="all", tau_refrac=2.0, dt=0.7)),
]


@pytest.fixture(params=range(len(NETS)))
def artifact(request) -> Artifact:
    return Artifact.of(NETS[request.param], ABOUT)


def test_what_is_written_is_read(artifact: Artifact, tmp_path: Path) -> None:
    write_bundle(artifact, tmp_path / "a")
    found = read_bundle(tmp_path / "a")
    assert found.about == artifact.about
    assert found.sizes == artifact.sizes
    for name, index in artifact.kept.items():
        np.testing.assert_array_equal(found.kept[name], index)
    ours, theirs = tensors_of(artifact.network), tensors_of(found.network)
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        np.testing.assert_array_equal(array, theirs[key], strict=True)
    assert repr(found.network) == repr(artifact.network)


def test_equal_artifacts_give_equal_bytes(artifact: Artifact, tmp_path: Path) -> None:
    write_bundle(artifact, tmp_path / "a")
    assert to_bytes(read_bundle(tmp_path / "a")) == to_bytes(artifact)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_bundle(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def changed(tmp_path: Path, metadata: dict[str, str], tensors: dict | None = None) -> Path:
    """Write a bundle with other content, and a checksum that is right for it."""
    path = tmp_path / "a.safetensors"
    write_bundle(Artifact.of(NETS[0], ABOUT), path)
    arrays, given = read(path)
    arrays |= tensors or {}
    given = {k: v for k, v in given.items() if k != "checksum"} | metadata
    path.write_bytes(pack({k: v for k, v in arrays.items() if v is not None}, given))
    return path


def test_other_files(tmp_path: Path) -> None:
    assert "delaysnn export" in refused(tmp_path / "none")
    NETS[0].save(tmp_path / "n")
    assert "must be a bundle" in refused(tmp_path / "n")
    assert "version <= 1, got '2'" in refused(changed(tmp_path, {"version": "2"}))
    path = changed(tmp_path, {})
    whole = path.read_bytes()
    for keep in (0, 7, 100, -1):
        path.write_bytes(whole[:keep])
        assert "damaged" in refused(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"n_steps": 2**40}, "n_steps"),
        ({"n_steps": 2**30}, "neurons x steps"),
        ({"labels": ["a"]}, "one output per label"),
        ({"labels": []}, "labels"),
        ({"data": {"dataset": "../../etc"}}, "dataset"),
        ({"data": {"dataset": "digits", "duration": -1}}, "duration"),
        ({"recipe_sha256": "x"}, "recipe_sha256"),
        ({"measured": [{"split": "validation", "accuracy": 2}]}, "accuracy"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_hostile_descriptions(tmp_path: Path, change: dict, says: str) -> None:
    about = json.loads(ABOUT.model_dump_json()) | change
    assert says in refused(changed(tmp_path, {"about": json.dumps(about)}))


@pytest.mark.parametrize(
    ("key", "array"),
    [
        ("kept/hidden0", np.array([0], np.uint8)),
        ("kept/hidden0", np.arange(20, dtype=np.uint8)[::-1].copy()),
        ("kept/hidden0", np.array([-1], np.int8)),
        ("kept/hidden0", None),
        ("projection/input->hidden0/post", np.full(13, 200, np.uint8)),
        ("projection/input->hidden0/delay", np.full(13, 2**63, np.uint64)),
        ("projection/input->hidden0/weight", np.full(13, np.nan, np.float32)),
        ("projection/input->hidden0/indptr", np.zeros(13, np.uint8)),
        ("population/hidden0/bias", np.full(8, np.inf, np.float32)),
    ],
)
def test_hostile_arrays(tmp_path: Path, key: str, array: np.ndarray | None) -> None:
    assert "damaged" in refused(changed(tmp_path, {}, {key: array}))


def test_a_network_that_is_not_ready_is_refused() -> None:
    good = Artifact.of(NETS[3], ABOUT)
    with pytest.raises(InputError, match="no normalisation"):
        replace(good, network=NETS[3])
