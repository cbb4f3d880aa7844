"""Runs, bundles and NIR files of version 0.1.0, written before its code was rearranged, still open.

`files.zip` has a finished run of the recipe `coincidence` and one of `digits`, interrupted in its
third epoch of four, both small, with a bundle and a NIR file of each; `expected.json` has what they
gave when they were written: losses of the test split, and the logits of `logits`.
"""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays import SpikeData, load
from tests.cli.helpers import call, metrics, parsed

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text())
RUNS = "finished", "interrupted"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    zipfile.ZipFile(HERE / "files.zip").extractall(folder)
    return folder


def logits(path: Path) -> np.ndarray:
    """Return the logits of a model for four examples of random spikes."""
    model, rng = load(path), np.random.default_rng(1)
    spikes = rng.random((4, model.about.n_steps, model.reader.n_inputs)) < 0.05
    example, step, channel = np.nonzero(spikes)
    data = SpikeData.from_events(
        [(channel[example == k], step[example == k]) for k in range(4)], np.zeros(4, np.int64),
        n_channels=spikes.shape[2], n_steps=spikes.shape[1], dt=model.reader.dt,
        label_names=model.labels,
    )  # fmt: skip
    return model.logits(data)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_evaluated(files, name):
    found = parsed(call("evaluate", files / name, "--split", "test", "--json"))
    assert found["loss"] == pytest.approx(EXPECTED[name]["loss"], rel=1e-5)


@pytest.mark.parametrize(
    "name", [*RUNS, *(f"{run}.{kind}" for run in RUNS for kind in ("bundle", "nir"))]
)
def test_a_model_gives_the_same_logits(files, name):
    np.testing.assert_allclose(logits(files / name), EXPECTED[name]["logits"], rtol=1e-4, atol=1e-5)


def test_an_interrupted_run_resumes(files):
    run = files / "interrupted"
    before = metrics(run)
    assert call("train", "--resume", "--out", run).exit_code == 0
    assert len(before) == 2 and metrics(run)[:2] == before and len(metrics(run)) == 4


@pytest.mark.parametrize("kind", ["bundle", "nir", "c"])
def test_a_run_is_exported(files, tmp_path, kind):
    assert (
        call("export", files / "finished", "--format", kind, "--out", tmp_path / "out").exit_code
        == 0
    )
