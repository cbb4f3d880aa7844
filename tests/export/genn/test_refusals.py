"""What `GeNNModel.open` refuses, and that nothing of a refused folder is loaded.

The folders are made up: no GeNN is needed, for all is checked before the library is loaded.
"""

import ctypes
import json
import os
import platform
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About
from mlgenn_delays.export.genn.manifest import (
    LARGEST,
    LIBRARY,
    MANIFEST,
    WEIGHTS,
    Built,
    Facts,
    FileFacts,
    Manifest,
    read_manifest,
)
from mlgenn_delays.export.genn.runtime import GeNNModel
from mlgenn_delays.export.model import load
from tests.fuzz.mutate import blind, hostile


def facts(content: bytes) -> FileFacts:
    return FileFacts(bytes=len(content), sha256=sha256(content).hexdigest())


def write(folder: Path, backend: str = "single_threaded_cpu") -> Path:
    """Write a folder that looks right until its library is loaded."""
    folder.mkdir(exist_ok=True)
    library, weights = b"no library at all", b"no weights"
    (folder / LIBRARY).write_bytes(library)
    (folder / WEIGHTS).write_bytes(weights)
    built = Built(system=platform.system(), machine=platform.machine(), library=facts(library))
    manifest = Manifest(
        backend=backend, genn="5.4.0", about=About(n_steps=50, labels=("a", "b")),
        network=Facts(
            dt=0.5, inputs=9, currents=False, outputs=2, synapses=30, longest=12, batch_size=1,
            kept={"hidden": (0, 2, 5)},
        ),
        weights=facts(weights), built=built if backend != "cuda" else None,
    )  # fmt: skip
    (folder / MANIFEST).write_text(manifest.model_dump_json())
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write(tmp_path / "model")


@pytest.fixture(autouse=True)
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a library is loaded, but after `monkeypatch.undo()`."""

    def loaded(*_: Any, **__: Any) -> None:
        pytest.fail("a library was loaded")

    monkeypatch.setattr(ctypes, "CDLL", loaded)


def refused(folder: Path, *parts: str) -> str:
    """Return the one clear line with which a folder is refused."""
    with pytest.raises(InputError) as caught:
        GeNNModel.open(folder)
    said = str(caught.value)
    assert "\n" not in said and len(said) < 1500
    for part in (str(folder), *parts):
        assert part in said, said
    return said


def change(folder: Path, path: str, value: Any) -> None:
    content = json.loads((folder / MANIFEST).read_text())
    *outer, last = path.split(".")
    holder = content
    for key in outer:
        holder = holder[key]
    holder[last] = value
    (folder / MANIFEST).write_text(json.dumps(content))


def test_only_the_library_is_wrong(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert read_manifest(folder).network.inputs == 9
    refused(folder, "cannot be loaded")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("format", "other"), ("format", None), ("version", 2), ("version", "1"), ("backend", "hip"),
        ("surprise", 1), ("network.surprise", 1), ("about.surprise", 1),
        ("weights.name", "../weights"), ("built.library.name", "/etc/passwd"),
        ("network.inputs", 0), ("network.inputs", -3), ("network.inputs", 2**31),
        ("network.inputs", 1e3), ("network.inputs", "9"), ("network.inputs", True),
        ("network.inputs", float("nan")), ("network.dt", float("nan")),
        ("network.dt", float("inf")), ("network.dt", -1.0), ("network.dt", 0),
        ("network.outputs", 3), ("network.longest", 65536), ("network.batch_size", 10**6),
        ("network.currents", 0), ("network.kept", {"hidden": [-1]}),
        ("network.kept", {"hidden": [0.5]}), ("network.kept", {"hidden": []}),
        ("network.kept", [1]), ("network.synapses", 10**30), ("about.n_steps", 0),
        ("about.n_steps", "50"), ("about.labels", []), ("about.labels", "ab"),
        ("weights", None), ("weights.bytes", -1), ("weights.bytes", float("nan")),
        ("weights.sha256", "0"), ("weights.sha256", "../" * 20), ("built", None),
        ("built.machine", "x" * 10**4), ("about.data", {"dataset": "nothing\nof this kind"}),
    ],
)  # fmt: skip
def test_a_manifest_that_is_off(folder: Path, path: str, value: Any) -> None:
    change(folder, path, value)
    refused(folder, MANIFEST)


def test_no_manifest_at_all(folder: Path, tmp_path: Path) -> None:
    path, other = folder / MANIFEST, b'{"format": "delaysnn-genn"}'
    for content in (b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 10**5, other, b"1e999"):
        path.write_bytes(content)
        refused(folder, MANIFEST, "damaged")
    with path.open("ab") as file:
        file.truncate(LARGEST + 1)
    refused(folder, "at most")
    path.unlink()
    refused(folder, "there is no")
    path.mkdir()
    refused(folder, "there is no")
    path.rmdir()
    os.mkfifo(path)
    refused(folder, "there is no")
    refused(tmp_path / "nowhere", "there is no")


@pytest.mark.parametrize("name", [LIBRARY, WEIGHTS])
def test_other_files_than_exported(folder: Path, name: str) -> None:
    path = folder / name
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    refused(folder, name, "bytes")
    path.write_bytes(content[:-1] + b"!")
    refused(folder, name, "another content")
    path.unlink()
    refused(folder, name, "there is no")
    path.mkdir()
    refused(folder, name, "there is no")


def test_another_platform(folder: Path) -> None:
    whole = (folder / MANIFEST).read_bytes()
    for key, value in (("machine", "vax"), ("system", "Windows"), ("machine", "")):
        (folder / MANIFEST).write_bytes(whole)
        change(folder, f"built.{key}", value)
        refused(folder, platform.machine(), "export the run on this machine")


def test_cuda_must_be_built(tmp_path: Path) -> None:
    folder = write(tmp_path / "model", "cuda")
    refused(folder, f"run make -C {folder}")
    noted = folder / f"{LIBRARY}.sha256"
    for text in ("", "0" * 64, "\xff" * 64, sha256(b"other").hexdigest()):
        noted.write_text(text, encoding="latin1")
        refused(folder, "as make built it")
    (folder / LIBRARY).unlink()
    refused(folder, f"run make -C {folder}")


def test_cuda_that_is_built_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    folder = write(tmp_path / "model", "cuda")
    digest = sha256((folder / LIBRARY).read_bytes()).hexdigest()
    (folder / f"{LIBRARY}.sha256").write_text(f"{digest}  {LIBRARY}\n")
    refused(folder, "cannot be loaded")


def test_what_opens_models_refuses_alike(folder: Path) -> None:
    change(folder, "version", 7)
    with pytest.raises(InputError, match="version"):
        load(folder)


def test_a_fuzzed_manifest_is_read_or_refused(folder: Path) -> None:
    path = folder / MANIFEST
    content = path.read_bytes()
    whole, rng, refusals = json.loads(content), np.random.default_rng(5), 0
    for k in range(400):
        if k % 2:
            path.write_bytes(blind(content, rng))
        else:
            path.write_bytes(json.dumps(hostile(whole, rng)).encode())
        try:
            read_manifest(folder)
        except InputError as error:
            refusals += 1
            assert "\n" not in str(error) and len(str(error)) < 1500
    assert refusals > 260
