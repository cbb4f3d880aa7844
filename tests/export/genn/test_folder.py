"""A folder of GeNN code by itself: without GeNN, elsewhere, from C, and beside itself."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.genn import write_genn
from mlgenn_delays.export.genn.manifest import read_manifest
from mlgenn_delays.export.genn.runtime import GeNNModel
from tests.export.genn.cases import artifact, batch, wanted
from tests.export.genn.conftest import Export
from tests.needs import needs

ROOT = Path(__file__).parents[3]
WITHOUT_GENN = """
import sys
from importlib.abc import MetaPathFinder

class Nothing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pygenn", "ml_genn", "numba", "pickle5"):
            raise ImportError(f"{name} must not be imported")

sys.meta_path.insert(0, Nothing())
import numpy as np
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.export.genn.runtime import GeNNModel

given = np.load(sys.argv[2])
model = GeNNModel.open(sys.argv[1])
batch = SpikeBatch(given["start"], given["time"], given["labels"], given["index"], model.n_steps)
print(model.run(batch).logits.argmax(1).tolist(), model.logits(batch).argmax(1).tolist())
"""


@pytest.fixture
def copy(export: Export, tmp_path: Path) -> Path:
    """Return a copy of the first case's folder, elsewhere and under another name."""
    return Path(shutil.copytree(export("several"), tmp_path / "a b"))


def test_runs_elsewhere_without_genn(copy: Path, tmp_path: Path) -> None:
    given = batch("several")
    np.savez(
        tmp_path / "batch.npz", start=given.start, time=given.time, labels=given.labels,
        index=given.index,
    )  # fmt: skip
    command = [sys.executable, "-c", WITHOUT_GENN, str(copy), str(tmp_path / "batch.npz")]
    path = os.pathsep.join([str(ROOT), *(each for each in sys.path if each)])
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    right = wanted("several").logits.argmax(1).tolist()
    assert done.stdout.split("\n")[0] == f"{right} {right}"


def test_attributes(export: Export) -> None:
    model, known = GeNNModel.open(export("currents")), artifact("currents")
    assert model.about == known.about and model.currents
    assert (model.n_inputs, model.n_steps, model.dt) == (9, 50, 1.0)
    for name, index in known.kept.items():
        np.testing.assert_array_equal(model.kept[name], index)
    assert not GeNNModel.open(export("several")).currents


def test_nothing_names_this_machine(copy: Path, export: Export) -> None:
    files = [each for each in copy.rglob("*") if each.is_file()]
    assert {each.name for each in files} >= {"manifest.json", "weights.bin", "libdelaysnn.so"}
    assert not [each for each in files if each.suffix in (".o", ".d")]
    here = {str(export("several")), str(ROOT), os.path.expanduser("~"), sys.prefix}
    for file in files:
        content = file.read_bytes()
        assert not [each for each in here if each.encode() in content], file
    for name in ("Makefile", "manifest.json", "README.md"):
        assert not re.search(r"[\s\"'=](/(?!usr/local/cuda)\w)", (copy / name).read_text())


def test_the_manifest_tells_of_the_network(copy: Path) -> None:
    manifest, known = read_manifest(copy), artifact("several")
    assert manifest.network.synapses == known.network.n_synapses()
    assert manifest.about == known.about
    assert manifest.network.longest == 9


def said(folder: Path, text: str) -> tuple[int, list[float]]:
    """Return class and logits that the example in C answers."""
    done = subprocess.run(
        [folder / "example", folder / "weights.bin"], input=text, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    logits = [float(words[2]) for words in lines if words[0] == "logit"]
    return int(lines[-1][1]), logits


def build_example(folder: Path) -> None:
    """Build the example in C, with every warning an error."""
    flags = "CFLAGS=-O1 -Wall -Wextra -Werror -pedantic"
    done = subprocess.run(
        ["make", "-C", str(folder), flags, "example"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "g++" not in done.stdout  # the library is there


@needs("cc")
def test_the_example_in_c(copy: Path, export: Export, tmp_path: Path) -> None:
    build_example(copy)
    given, right = batch("several"), wanted("several").logits
    for b in range(3):
        start = given.start[b]
        lines = [f"{t} {c}" for c in range(9) for t in given.time[start[c] : start[c + 1]].tolist()]
        answer, logits = said(copy, "\n".join(lines) + "\n")
        assert answer == right[b].argmax()
        np.testing.assert_allclose(logits, right[b], rtol=1e-3, atol=1e-5)
    other = Path(shutil.copytree(export("currents"), tmp_path / "currents"))
    build_example(other)
    values, right = batch("currents").values[1], wanted("currents").logits[1]
    text = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in values)
    answer, logits = said(other, text)
    assert answer == right.argmax()
    np.testing.assert_allclose(logits, right, rtol=1e-3, atol=1e-5)


@needs("cc")
def test_the_example_refuses_weights_and_input(copy: Path) -> None:
    build_example(copy)
    weights = copy / "weights.bin"
    content = weights.read_bytes()
    spoilt = bytearray(content)
    spoilt[-70] ^= 1
    for other, why in ((content[:-1], "cut short"), (b"", "cut short"), (bytes(spoilt), "damaged")):
        weights.write_bytes(other)
        done = subprocess.run([copy / "example", weights], input="", capture_output=True, text=True)
        assert done.returncode == 1 and why in done.stderr
    weights.write_bytes(content)
    for text in ("3 9\n", "50 0\n", "x", "-1 0\n"):
        done = subprocess.run(
            [copy / "example", weights], input=text, capture_output=True, text=True
        )
        assert done.returncode == 1, text


def test_two_models_stay_apart(export: Export) -> None:
    first, second = GeNNModel.open(export("several")), GeNNModel.open(export("several"))
    given, right = batch("several"), wanted("several")
    loud = SpikeBatch(
        np.tile(np.arange(10) * 50, (1, 1)), np.tile(np.arange(50, dtype=np.int32), 9),
        given.labels[:1], given.index[:1], 50,
    )  # fmt: skip

    def check(found: Recording) -> None:
        np.testing.assert_allclose(found.logits, right.logits, rtol=1e-3, atol=1e-5)

    check(first.run(given))
    assert len(second.run(loud).time["hidden0"]) > len(right.time["hidden0"]) / len(given)
    check(first.run(given))
    second.close()
    check(first.run(given))
    with pytest.raises(InputError, match="closed"):
        second.run(given)
    second.close()
    GeNNModel.open(export("currents"))
    check(first.run(given))


def test_a_batch_must_fit(export: Export) -> None:
    model, given = GeNNModel.open(export("several")), batch("several")
    with pytest.raises(InputError, match="must have spikes as its input"):
        model.run(batch("currents"))
    with pytest.raises(InputError, match="9 input channels, got 8"):
        model.run(SpikeBatch(given.start[:, 1:], given.time, given.labels, given.index, 50))
    for start, time, why in (
        (given.start + 10**6, given.time, "start must have places"),
        (given.start, given.time + 40, r"spike times must be in 0\.\.49 steps"),
        (given.start, given.time - 40, r"spike times must be in 0\.\.49 steps"),
        (given.start, given.time[::-1], "ascending steps without repeats"),
        (given.start, given.time + 0.5, "time must be whole numbers .* got .*5 at place 0"),
    ):
        with pytest.raises(InputError, match=why):
            model.logits(SpikeBatch(start, time, given.labels, given.index, 50))
    empty = SpikeBatch(given.start[:0], given.time, given.labels[:0], given.index[:0], 50)
    assert model.logits(empty).shape == (0, 3)
    model.run(given)


def test_written_again_over_another(copy: Path) -> None:
    before = json.loads((copy / "manifest.json").read_text())
    write_genn(artifact("several"), copy)
    assert json.loads((copy / "manifest.json").read_text())["weights"] == before["weights"]
    GeNNModel.open(copy)
