"""delaysnn report."""

import re
import shutil
from html import unescape

import pytest

from tests.cli.helpers import call, metrics, parsed, refused

pytestmark = pytest.mark.usefixtures("unrendered")


def report(*arguments):
    return call("report", *arguments, "--threads", 1)


@pytest.fixture(scope="module")
def page(trained, unrendered, tmp_path_factory) -> tuple[str, dict]:
    """Return the page of a run, and what --json says of it."""
    out = tmp_path_factory.mktemp("page") / "run.html"
    found = parsed(report(trained, "--out", out, "--json"))
    return out.read_text(), found


def test_json_is_what_was_measured(page, trained):
    text, found = page
    assert set(found) == {"report", "bytes", "runs"}
    assert found["bytes"] == len(text.encode())
    (run,) = found["runs"]
    rows = metrics(trained)
    best = rows[run["best_epoch"] - 1]
    assert run["recipe"] == "digits"
    assert run["epochs"] == 2 == len(rows)
    assert run["accuracy"]["validation"] == float(best["validation_accuracy"])
    test = parsed(call("evaluate", trained, "--json"))
    assert run["accuracy"]["test"] == test["accuracy"]
    assert run["minutes"] == pytest.approx(sum(float(row["seconds"]) for row in rows) / 60)
    assert run["synapses"] == 128 * 4 + 4 * 10


def test_the_page_is_whole_and_alone(page):
    text, _ = page
    for title in ("Loss", "Accuracy", "Spikes", "Confusion matrix", "Correct:", "Wrong:",
                  "Receptive fields", "Settings", "Environment"):  # fmt: skip
        assert title in text
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", text)
    assert "http:" not in text and "https:" not in text
    assert "learning.epochs" in text  # which differ from the shipped recipe
    assert re.search(r"epochs</dt><dd><mark>2</mark> <small>shipped: 40", text)
    assert not re.search(r"beta1</dt><dd><mark>", text)


def test_the_same_run_gives_the_same_page(trained, page, tmp_path):
    report(trained, "--out", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == page[0]


def test_without_data_and_checkpoints(trained, page, tmp_path, monkeypatch):
    def no_data(*_):
        raise AssertionError("data were loaded")

    monkeypatch.setattr("mlgenn_delays.report.gather.load_data", no_data)
    monkeypatch.setattr("mlgenn_delays.recipe.load_data", no_data)
    run, out = tmp_path / "run", tmp_path / "x.html"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("checkpoints", "snapshots"))
    (found,) = parsed(report(run, "--out", out, "--without-data", "--json"))["runs"]
    assert list(found["accuracy"]) == ["validation"]
    for key in ("best_epoch", "minutes"):
        assert found[key] == page[1]["runs"][0][key]
    assert "Confusion matrix" not in out.read_text()
    assert "Receptive fields" in out.read_text()


def test_names_are_text_and_the_split_is_the_asked_one(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / '<b>&"x')
    out = tmp_path / "x.html"
    result = report(run, "--out", out, "--split", "train")
    assert result.exit_code == 0, result.output
    text = out.read_text()
    assert "<b>" not in text
    assert "<h1>&lt;b&gt;&amp;&#34;x</h1>" in text
    assert '<b>&"x' in unescape(text)
    assert "of 1,257 examples of train" in unescape(text)
    text = refused("report", trained, "--out", out, "--split", "train", "--without-data")
    assert "--split must come without --without-data" in text


def test_a_run_given_twice(tmp_path, trained):
    assert "given once" in refused("report", trained, trained, "--out", tmp_path / "x.html")
    assert list(tmp_path.iterdir()) == []


def test_no_finished_epoch(trained, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(trained / "recipe.toml", run)
    out = tmp_path / "x.html"
    # It is refused before any work on the run before it.
    text = refused("report", trained, run, "--out", out)
    assert "must have a finished epoch, got none; train it with --resume" in text


@pytest.mark.parametrize("name", ["x.pdf", "x", "no/x.html", "folder.html"])
def test_no_page_can_be_there(trained, tmp_path, name):
    (tmp_path / "folder.html").mkdir()
    assert "--out must be a" in refused("report", trained, "--out", tmp_path / name)


def test_damaged_metrics(trained, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run, ignore=shutil.ignore_patterns("checkpoints"))
    (run / "metrics.csv").write_text("epoch,train_loss\n1,x\n")
    assert "must be the metrics of a run" in refused("report", run, "--out", tmp_path / "x.html")


def test_data_that_are_not_there(rewired, tmp_path):
    options = ("--data", tmp_path / "gone", "--out", tmp_path / "x.html")
    text = refused("report", rewired, *options)
    assert "with --data, or leave out what needs them with --without-data" in text
