"""Target series through the command line: trained, resumed, evaluated, swept, reported, run."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.recipe import load_recipe
from tests.cli.helpers import call, metrics, parsed, refused
from tests.needs import needs

SMALL = [
    word
    for setting in (
        "data.train=24", "data.validation=6", "data.test=6", "data.duration=150",
        "data.delay=20", "loss.start=30", "network.layers.0.size=12", "learning.batch_size=8",
    )
    for word in ("--set", setting)
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("series") / "run"
    result = call("train", "delayed-copy", "--epochs", 3, "--out", out, *SMALL)
    assert result.exit_code == 0, result.output
    assert "validation" in result.stderr and "NRMSE" in result.stderr
    assert "NRMSE" in result.stdout and "accuracy" not in result.stdout
    return out


def test_metrics_have_the_error(run: Path) -> None:
    rows = metrics(run)
    assert len(rows) == 3 and {"train_nrmse", "validation_nrmse"} <= rows[0].keys()
    assert float(rows[2]["validation_nrmse"]) < float(rows[0]["validation_nrmse"])


def test_evaluate(run: Path) -> None:
    found = parsed(call("evaluate", run, "--split", "all", "--json"))
    assert set(found["splits"]) == {"train", "validation", "test"} and "confusion" not in found
    low, high = (f(part["nrmse"] for part in found["splits"].values()) for f in (min, max))
    assert low <= found["nrmse"] <= high and found["n"] == 36
    best = min(float(row["validation_nrmse"]) for row in metrics(run))
    assert found["splits"]["validation"]["nrmse"] == pytest.approx(best, rel=1e-6)
    assert "NRMSE" in call("evaluate", run).stdout


def test_resume_with_another_loss_is_refused(run: Path) -> None:
    error = refused("train", "--resume", "--out", run, "--set", "loss.start=20")
    assert "loss.start: 30.0, 20.0" in error
    assert "nothing to do" in call("train", "--resume", "--out", run).stderr


def test_a_sweep_has_the_error(tmp_path: Path) -> None:
    result = call(
        "sweep", "delayed-copy", "--grid", "delays.learn=true,false", "--epochs", 1, "--out",
        tmp_path / "sweep", *SMALL,
    )  # fmt: skip
    assert result.exit_code == 0 and "NRMSE, mean" in result.stdout, result.output
    head = (tmp_path / "sweep" / "results.csv").read_text().splitlines()[0]
    assert "validation_nrmse" in head and "accuracy" not in head
    (one, _) = (tmp_path / "sweep" / "points").glob("*/result.json")
    assert set(json.loads(one.read_text())["splits"]["validation"]) == {"nrmse", "loss", "n"}


def test_report_and_analysis(run: Path, tmp_path: Path) -> None:
    found = parsed(call("report", run, "--out", tmp_path / "r.html", "--json"))["runs"][0]
    assert set(found["nrmse"]) == {"validation", "test"} and "accuracy" not in found
    page = (tmp_path / "r.html").read_text()
    assert "validation NRMSE" in page and "Their mean gives 1" in page
    assert "Confusion" not in page and "Example " in page


def test_analysis_has_rates_and_nothing_of_classes(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "a"
    active = parsed(call("analyse", run, "--out", out, "--json"))["activity"]
    assert (active["examples"], active["accuracy"], active["classes"]) == (6, None, None)
    hidden = active["populations"]["hidden1"]
    assert len(hidden["neurons"]["rate_hz"]) == 12 and hidden["rate_hz"]["mean"] > 0
    assert hidden["neurons"]["preferred"] is None
    assert (out / "rates-hidden1.png").is_file() and not (out / "tuning-hidden1.png").exists()
    text = call("analyse", run, "--out", tmp_path / "b").stdout
    assert "validation: 6 examples" in text and "selectivity" not in text
    assert "class" not in (out / "figures.md").read_text()


def test_data_check_names_the_series(tmp_path: Path) -> None:
    few = SMALL[:10]
    picture = tmp_path / "p.png"
    text = call("data", "check", "delayed-copy", *few, "--out", picture).stdout
    assert "36 examples, target series signal, 24 channels" in text and "class" not in text
    assert ["examples", "24", "6", "6", "36"] in [line.split() for line in text.splitlines()]
    assert picture.is_file()
    found = parsed(call("data", "check", "delayed-copy", *few, "--json"))
    assert found["series"] == ["signal"] and found["splits"]["train"] == {"examples": 24}
    assert "series" not in parsed(call("data", "check", "digits", "--json"))
    np.savez(
        tmp_path / "data.npz", values=np.ones((20, 9, 2), np.float32),
        targets=np.ones((20, 2, 9)), label_names=["left", "right"],
    )  # fmt: skip
    checked = call("data", "check", "npz", tmp_path, "--set", "encoding=currents").stdout
    assert "target series left, right" in checked and "no example of class" not in checked


def test_infer_writes_series(run: Path, tmp_path: Path) -> None:
    raster = np.zeros((2, 150, 24), np.uint8)
    raster[1, 10:80, 12] = 1
    np.savez(tmp_path / "in.npz", raster=raster)
    assert "--out FILE.npz or --json" in refused("infer", run, tmp_path / "in.npz")
    bundle, out = tmp_path / "model.safetensors", tmp_path / "out.npz"
    exported = call("export", run, "--format", "bundle", "--out", bundle)
    assert "validation NRMSE" in exported.stdout
    told = []
    for model in (run, bundle):
        assert call("infer", model, tmp_path / "in.npz", "--out", out).exit_code == 0
        written = np.load(out)
        assert written["outputs"].tolist() == ["signal"] and written["dt"] == 1.0
        told.append(written["series"])
    assert told[0].shape == (2, 1, 150) and told[0][1].any() and not told[0][0].any()
    np.testing.assert_array_equal(told[0], told[1])
    told_of = call("infer", run, tmp_path / "in.npz", "--out", out).stderr
    assert "2 run, 1 with a warning" in told_of and "classified" not in told_of
    assert "--out must come without --stream" in refused("infer", run, "--stream", "--out", out)
    answers = parsed(call("infer", run, tmp_path / "in.npz", "--json"))["predictions"]
    np.testing.assert_allclose(answers[1]["series"]["signal"], told[0][1, 0], atol=1e-6)
    assert "must be a .npz file" in refused(
        "infer", run, tmp_path / "in.npz", "--out", tmp_path / "x.csv"
    )


def test_other_series_are_refused(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "run"
    shutil.copytree(run, other)
    notes = json.loads((other / "environment.json").read_text())
    notes["task"]["labels"] = ["noise"]
    (other / "environment.json").write_text(json.dumps(notes))
    assert "must have the series of the training, noise, got signal" in refused("evaluate", other)


@needs("genn", "cc")
def test_genn_prints_series(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "genn"
    assert call("export", run, "--format", "genn", "--out", folder).exit_code == 0
    readme = (folder / "README.md").read_text()
    assert "1 series," in readme and "weights.bin series < FILE" in readme
    assert "class" not in readme
    subprocess.run(["make", "-C", folder, "example"], check=True, capture_output=True)
    raster = np.zeros((1, 150, 24), np.uint8)
    raster[0, 10:80, 12] = 1
    np.savez(tmp_path / "in.npz", raster=raster)
    call("infer", folder, tmp_path / "in.npz", "--out", tmp_path / "out.npz")
    done = subprocess.run(
        [folder / "example", folder / "weights.bin", "series"], capture_output=True, text=True,
        input="".join(f"{t} 12\n" for t in range(10, 80)), check=True,
    )  # fmt: skip
    voltage = np.array(done.stdout.split(), np.float32)
    assert voltage.any()
    np.testing.assert_array_equal(voltage, np.load(tmp_path / "out.npz")["series"][0, 0])


def test_c_has_no_series(run: Path, tmp_path: Path) -> None:
    error = refused("export", run, "--format", "c", "--out", tmp_path / "c")
    assert (
        "--format must be bundle, genn, nir or torch for a network whose output is a series"
        in error
    )


def test_the_loss_and_the_data_must_fit(tmp_path: Path) -> None:
    error = refused(
        "train", "digits", "--set", "loss.kind=mean-squared-error", "--out", tmp_path / "a"
    )
    assert "must have target series with the loss 'mean-squared-error', got classes" in error
    error = refused(
        "train", "delayed-copy", "--set", "loss.kind=cross-entropy", "--out", tmp_path / "a"
    )
    assert "must have classes with the loss 'cross-entropy', got target series" in error
    assert not (tmp_path / "a").exists()
    error = refused("train", "digits", "--set", "loss.start=5", "--out", tmp_path / "a")
    assert "loss.start" in error and "loss.kind = 'cross-entropy'" in error


def test_own_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (60, 40, 2)).astype(np.float32)
    np.savez(tmp_path / "data.npz", values=values, targets=values.transpose(0, 2, 1).cumsum(2) / 9)
    (tmp_path / "own.toml").write_text(
        """
name = "own"
data = { dataset = "npz", encoding = "currents" }
delays = { max = 5.0 }
learning = { epochs = 2, rule = "surrogate" }
loss = { kind = "mean-squared-error" }
[network]
layers = [{ size = 8, weight_sd = 1.0 }]
"""
    )
    found = parsed(
        call(
            "train", tmp_path / "own.toml", "--data", tmp_path, "--out", tmp_path / "run", "--json"
        )
    )
    assert set(found["splits"]) == {"validation", "test"}
    assert all(part["nrmse"] > 0 for part in found["splits"].values())
    checked = call("data", "check", "npz", tmp_path, "--set", "encoding=currents")
    assert checked.exit_code == 0, checked.output


def test_label_smoothing_is_learned_with(tmp_path: Path) -> None:
    def loss(smoothing: float) -> float:
        out = tmp_path / str(smoothing)
        call(
            "train", "sequence", "--epochs", 1, "--out", out, "--set", "data.train=32", "--set",
            f"loss.label_smoothing={smoothing}",
        )  # fmt: skip
        return float(metrics(out)[0]["train_loss"])

    assert loss(0.3) != loss(0.0)
    assert load_recipe("sequence", ["loss.label_smoothing=0.3"]).loss.label_smoothing == 0.3
