"""Mutated bundles: each is read, or refused with one clear error; nothing crashes.

What is read all the same must be whole: it runs. Folders of GeNN and NIR files have such tests
beside their other ones, and tests/fuzz has files of every kind.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, read_bundle, to_bytes
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.tensors import pack, read
from tests.export.neurons import hostile_network
from tests.fuzz.mutate import blind, hostile, other_array
from tests.reference import nets

ABOUT = About(
    n_steps=40, labels=("a", "b", "c"), data={"dataset": "fsdd", "duration": 40.0}, recipe="some"
)
NET = nets.network(nets.Recipe(seed=1, sizes=(6, 7, 3), steps=40, density=0.5, recurrent=True))
WHOLE = to_bytes(Artifact.of(NET, ABOUT))
QUANTISED = to_bytes(Artifact.of(NET, ABOUT.model_copy(update={"quantised": "int4"})))
DECLARED = to_bytes(Artifact.of(hostile_network(nets.StepRecipe(seed=1)), ABOUT))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.safetensors").write_bytes(WHOLE)
    return tmp_path / "a.safetensors"


def refuses(path: Path, content: bytes) -> bool:
    """Return whether content is refused; fail where that is unclear, or it is read and not whole.

    Arguments:
        path: Where it is written to.
        content: Of the file.
    """
    path.write_bytes(content)
    try:
        found = read_bundle(path)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and len(said) < 2000 and "a.safetensors" in said, said
        return True
    sizes = {name: p.n for name, p in found.network.populations.items()}
    for name, p in found.network.projections.items():
        if found.quantised is not None:
            assert np.array_equal(found.quantised.weights(p), p.weight), name
        p.check(sizes[p.source], sizes[p.target])
        assert (delay_steps(p, found.network.dt) >= 0).all()
    return False


def test_other_bytes(path: Path) -> None:
    rng = np.random.default_rng(1)
    for content in (blind(WHOLE, rng) for _ in range(400)):
        # A change may be none, as of zeros by zeros.
        assert refuses(path, content) or content == WHOLE


@pytest.mark.parametrize("key", ["about", "network", "sizes"])
def test_other_descriptions(path: Path, key: str) -> None:
    rng, (tensors, metadata) = np.random.default_rng(2), read(path)
    del metadata["checksum"]
    whole, refused = json.loads(metadata[key]), 0
    for _ in range(150):
        refused += refuses(path, pack(tensors, metadata | {key: json.dumps(hostile(whole, rng))}))
    assert refused > 45


def test_other_declarations_of_neurons(path: Path) -> None:
    path.write_bytes(DECLARED)
    rng, (tensors, metadata) = np.random.default_rng(4), read(path)
    del metadata["checksum"]
    whole, refused = json.loads(metadata["network"]), 0
    for _ in range(150):
        text = json.dumps(whole | {"neurons": hostile(whole["neurons"], rng)})
        refused += refuses(path, pack(tensors, metadata | {"network": text}))
    assert refused > 45


@pytest.mark.parametrize("content", [WHOLE, QUANTISED], ids=["float32", "int4"])
def test_other_arrays(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    rng, (tensors, metadata) = np.random.default_rng(3), read(path)
    del metadata["checksum"]
    refused = 0
    for name in rng.choice(list(tensors), 200):
        other = tensors | {name: other_array(tensors[name], rng)}
        refused += refuses(path, pack(other, metadata))
    assert refused > 80


@pytest.mark.parametrize("quantised", [None, "int8", "ternary"])
def test_integers_of_another_kind(path: Path, quantised: str | None) -> None:
    path.write_bytes(QUANTISED)
    tensors, metadata = read(path)
    del metadata["checksum"]
    about = json.loads(metadata["about"]) | {"quantised": quantised}
    fits = quantised == "int8"  # whose integers may be smaller
    content = pack(tensors, metadata | {"about": json.dumps(about)})
    assert refuses(path, content) != fits
    del tensors["projection/input->hidden0/scale"]
    assert refuses(path, pack(tensors, metadata))
