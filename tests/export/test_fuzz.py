"""Ten thousand mutated files: each is read, or refused with one clear error; nothing crashes.

What is read all the same must be whole: it runs.
"""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, read_bundle, to_bytes
from mlgenn_delays.export.genn.manifest import read_manifest
from mlgenn_delays.export.nir import read_nir, write_nir
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.tensors import pack, read
from tests.fuzz.mutate import blind, hostile, other_array
from tests.reference import nets

ABOUT = About(
    n_steps=40, labels=("a", "b", "c"), data={"dataset": "fsdd", "duration": 40.0}, recipe="some"
)
NET = nets.network(nets.Recipe(seed=1, sizes=(6, 7, 3), steps=40, density=0.5, recurrent=True))
ARTIFACT = Artifact.of(NET, ABOUT)
MANIFEST = {
    "format": "delaysnn-genn",
    "version": 1,
    "backend": "single_threaded_cpu",
    "genn": "5.4.0",
    "about": json.loads(ABOUT.model_dump_json()),
    "network": {
        "dt": 0.5, "inputs": 9, "currents": False, "outputs": 3, "synapses": 30, "longest": 12,
        "batch_size": 1, "kept": {"hidden": [0, 2, 5]},
    },
    "weights": {"bytes": 10, "sha256": "0" * 64},
    "built": {
        "system": "Linux", "machine": "x86_64", "library": {"bytes": 5, "sha256": "1" * 64}
    },
}  # fmt: skip


def survive(path: Path, content: bytes, load: Callable[[Path], Artifact], right: str) -> bool:
    """Read content; return whether it was refused, and fail where that was not done clearly."""
    path.write_bytes(content)
    try:
        found = load(path)
    except InputError as error:
        said = str(error)
        assert "\n" not in said and len(said) < 2000, said
        assert right in said, said
        return True
    check(found)
    return False


def check(found: Artifact) -> None:
    """Fail where what was read is not as an artifact must be."""
    sizes = {name: p.n for name, p in found.network.populations.items()}
    for p in found.network.projections.values():
        p.check(sizes[p.source], sizes[p.target])
        assert (delay_steps(p, found.network.dt) >= 0).all()


def test_bundles_with_other_bytes(tmp_path: Path) -> None:
    rng, content, path = np.random.default_rng(1), to_bytes(ARTIFACT), tmp_path / "a.safetensors"
    refused = sum(
        survive(path, blind(content, rng), read_bundle, "a.safetensors") for _ in range(2500)
    )
    assert refused >= 2450  # a change may be none, as of zeros by zeros


@pytest.mark.parametrize("key", ["about", "network", "sizes"])
def test_bundles_that_say_other_things(tmp_path: Path, key: str) -> None:
    rng, path = np.random.default_rng(2), tmp_path / "a.safetensors"
    path.write_bytes(to_bytes(ARTIFACT))
    tensors, metadata = read(path)
    del metadata["checksum"]
    whole = json.loads(metadata[key])
    refused = 0
    for _ in range(1000):
        text = json.dumps(hostile(whole, rng))
        refused += survive(path, pack(tensors, metadata | {key: text}), read_bundle, "a.safeten")
    assert refused > 300


def test_bundles_with_other_arrays(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(3), tmp_path / "a.safetensors"
    path.write_bytes(to_bytes(ARTIFACT))
    tensors, metadata = read(path)
    del metadata["checksum"]
    refused = 0
    for _ in range(500):
        name = list(tensors)[int(rng.integers(len(tensors)))]
        refused += survive(
            path,
            pack(tensors | {name: other_array(tensors[name], rng)}, metadata),
            read_bundle,
            "a.saf",
        )
    assert refused > 200


@pytest.mark.parametrize("n", [300, pytest.param(2500, marks=pytest.mark.slow)])
def test_nir_files_with_other_bytes(tmp_path: Path, n: int) -> None:
    rng, path = np.random.default_rng(4), tmp_path / "a.nir"
    write_nir(ARTIFACT, path)
    content = path.read_bytes()
    refused = sum(survive(path, blind(content, rng), read_nir, "a.nir") for _ in range(n))
    assert refused >= 0.8 * n  # much of a small HDF5 file is not used


def test_manifests_with_other_bytes(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(5), tmp_path / "manifest.json"
    content = json.dumps(MANIFEST).encode()
    path.write_bytes(content)
    read_manifest(tmp_path)
    refused = 0
    for _ in range(500):
        refused += refuses(path, blind(content, rng))
    assert refused > 350


def test_manifests_that_say_other_things(tmp_path: Path) -> None:
    rng, path = np.random.default_rng(6), tmp_path / "manifest.json"
    refused = sum(refuses(path, json.dumps(hostile(MANIFEST, rng)).encode()) for _ in range(1000))
    assert refused > 500


def refuses(path: Path, content: bytes) -> bool:
    """Return whether a manifest is refused, and fail where that is not done clearly."""
    path.write_bytes(content)
    try:
        read_manifest(path.parent)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 2000, str(error)
        assert "manifest.json" in str(error)
        return True
    return False
