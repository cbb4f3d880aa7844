"""delaysnn runs."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.network import Network
from mlgenn_delays.runs.files import locked
from mlgenn_delays.runs.history import History
from mlgenn_delays.runs.settings import in_words
from tests.cli.helpers import call, metrics, parsed, refused


def copied(run: Path, to: Path, *changes: tuple[str, str]) -> Path:
    """Copy a run, with other lines in its recipe."""
    shutil.copytree(run, to)
    text = (to / "recipe.toml").read_text()
    for old, new in changes:
        assert text.count(old) == 1
        text = text.replace(old, new)
    (to / "recipe.toml").write_text(text)
    return to


def write_scores(run: Path, *scores: float) -> None:
    """Let a run without checkpoints have reached these accuracies."""
    shutil.rmtree(run / "checkpoints")
    row = History.read_csv(run / "metrics.csv").rows[0]
    rows = [
        row | {"epoch": epoch, "validation_accuracy": score}
        for epoch, score in enumerate(scores, 1)
    ]
    (run / "metrics.csv").write_text(History(rows).to_csv())


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory) -> Path:
    """Return a folder with runs in every state; not to be changed."""
    base = tmp_path_factory.mktemp("runs")
    seed, fixed = ("seed = 0", "seed = 1"), ("learn = true", "learn = false")
    copied(trained, base / "a-finished")
    write_scores(copied(trained, base / "b-better", seed), 0.5, 1.0)
    write_scores(copied(trained, base / "inner" / "c-fixed", seed, fixed), 0.0, 0.123)
    copied(trained, base / "d-interrupted", ("epochs = 2", "epochs = 3"))
    (base / "e-begun").mkdir()
    shutil.copy(trained / "recipe.toml", base / "e-begun")
    (copied(trained, base / "f-no-recipe") / "recipe.toml").unlink()
    state = copied(trained, base / "g-state") / "checkpoints" / "last" / "state.safetensors"
    state.write_bytes(state.read_bytes()[:-9])
    copied(trained, base / "h-recipe", ("epochs = 2", "epochs = -2"))
    failed = copied(trained, base / "i-failed", ("epochs = 2", "epochs = 3"))
    session = {"after": 0, "engine": "cpu", "version": "0.1.0"}
    again = {"after": 2, "engine": "cpu", "version": "0.1.0", "end": "failed", "reason": "it blew"}
    (failed / "sessions.json").write_text(json.dumps([session, again]))
    (base / "no-run").mkdir()
    (base / ".hidden").mkdir()
    copied(trained, base / ".hidden" / "run")
    (base / "inner" / "loop").symlink_to(base)
    return base


STATES = {
    "a-finished": "finished",
    "b-better": "finished",
    "d-interrupted": "interrupted",
    "e-begun": "interrupted",
    "f-no-recipe": "damaged",
    "g-state": "damaged",
    "h-recipe": "damaged",
    "i-failed": "failed",
    "inner/c-fixed": "finished",
}


def rows(folder: Path, *options: object) -> dict[str, dict]:
    found = parsed(call("runs", folder, "--json", *options))["runs"]
    return {Path(row["run"]).relative_to(folder).as_posix(): row for row in found}


def test_every_run_is_there_in_its_state(folder):
    found = rows(folder)
    assert {name: row["status"] for name, row in found.items()} == STATES
    assert found["i-failed"]["resumed"] == 1 and found["i-failed"]["reason"] == "it blew"
    for name in ("f-no-recipe", "g-state", "h-recipe"):
        assert name in found[name]["reason"]
    assert found["g-state"]["recipe"] == "digits" and found["g-state"]["synapses"] is None
    assert found["d-interrupted"]["planned_epochs"] == 3 != found["d-interrupted"]["epochs"]


def test_numbers_are_those_of_the_run(folder, trained):
    row, epochs = rows(folder)["a-finished"], metrics(trained)
    network = Network.load(trained / "network.safetensors")
    best = max(epochs, key=lambda each: float(each["validation_accuracy"]))
    assert row["accuracy"] == {"validation": float(best["validation_accuracy"])}
    assert row["best_epoch"] == int(best["epoch"]) and row["epochs"] == 2
    assert row["synapses"] == sum(len(p.weight) for p in network.projections.values())
    assert row["spikes"] == pytest.approx(4 * float(best["spikes_hidden1"]))
    assert row["minutes"] == pytest.approx(sum(float(e["seconds"]) for e in epochs) / 60)
    assert row["settings"].keys() == {"seed", "delays.learn", "learning.epochs"}
    assert rows(folder)["inner/c-fixed"]["settings"]["delays.learn"] == "false"


def test_one_that_trains_now(folder, tmp_path):
    run = copied(folder / "d-interrupted", tmp_path / "run")
    with locked(run):
        assert [row["status"] for row in rows(tmp_path).values()] == ["training"]
    assert [row["status"] for row in rows(tmp_path).values()] == ["interrupted"]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        ("status=finished", {"a-finished", "b-better", "inner/c-fixed"}),
        ("status != finished", set(STATES) - {"a-finished", "b-better", "inner/c-fixed"}),
        ("accuracy>=0.99", {"b-better"}),
        ("accuracy=0.123", {"inner/c-fixed"}),
        ("delays.learn=false", {"inner/c-fixed"}),
        ("learning.epochs>2", {"d-interrupted", "i-failed"}),
        ("recipe>5", set()),
    ],
)
def test_where(folder, condition, names):
    assert set(rows(folder, "--where", condition)) == names


def test_conditions_hold_together(folder):
    found = rows(folder, "--where", "status=finished", "--where", "seed=1")
    assert set(found) == {"b-better", "inner/c-fixed"}
    result = call("runs", folder, "--where", "spikes<0")
    assert (result.exit_code, result.stdout) == (0, f"0 of {len(STATES)} runs in {folder}\n")


def test_sorted(folder):
    by_score = list(rows(folder, "--sort", "accuracy"))
    assert by_score[0] == "b-better"
    unknown = {"e-begun", "f-no-recipe", "h-recipe", "g-state"}
    assert set(by_score[-4:]) == unknown
    backwards = list(rows(folder, "--sort", "accuracy", "--reverse"))
    assert backwards[-5] == "b-better" and set(backwards[-4:]) == unknown
    epochs = [row["planned_epochs"] for row in rows(folder, "--sort", "learning.epochs").values()]
    assert epochs[:7] == sorted(epochs[:7]) and epochs[7:] == [None, None]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits(folder, monkeypatch, width):
    monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", width)
    result = call("runs", folder)
    assert result.exit_code == 0
    table, _, told = result.stdout.partition("interrupted: ")
    assert max(map(len, table.splitlines())) <= width
    assert "…" not in table
    for name in STATES:
        assert name in table
    assert "100.00 %" in table and "seed 1, delays.learn false" in " ".join(table.split())
    assert "interrupted after 2 of 3 epochs" in " ".join(table.split())
    assert f"continue with: delaysnn train --resume --out {folder}/d-interrupted" in told
    assert "failed: i-failed: it blew" in told


def test_long_names_are_folded_and_whole(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", 80)
    copied(trained, tmp_path / ("long-" * 30))
    copied(trained, tmp_path / "esc\x1b[31m")
    lines = call("runs", tmp_path).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert "long-" * 30 in "".join(line.split()[0] for line in lines if line.strip())
    assert r"esc\x1b[31m" in "".join(lines)


def test_without_validation_and_of_two_metrics(trained, folder, tmp_path):
    run = copied(trained, tmp_path / "plain")
    shutil.rmtree(run / "checkpoints")
    blank = {"validation_accuracy": None, "validation_loss": None}
    rows_ = [row | blank for row in History.read_csv(run / "metrics.csv").rows]
    (run / "metrics.csv").write_text(History(rows_).to_csv())
    assert rows(tmp_path)["plain"]["accuracy"] == {}
    series = copied(trained, tmp_path / "series")
    shutil.rmtree(series / "checkpoints")
    text = (series / "metrics.csv").read_text()
    (series / "metrics.csv").write_text(text.replace("accuracy", "nrmse"))
    assert rows(tmp_path)["series"]["nrmse"]["validation"] > 0
    assert "NRMSE 0." in call("runs", tmp_path).stdout


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["gone"], "got gone, which does not exist; make a run with delaysnn train"),
        (["empty"], "got empty, one without any; make a run with delaysnn train"),
        (["file"], "got file, a file"),
        ([], "got runs, which does not exist"),
        (["ok", "--sort", "acuracy"], "got 'acuracy'; did you mean 'accuracy'?"),
        (["ok", "--where", "delays.lern=true"], "got 'delays.lern'; did you mean 'delays.learn'?"),
        (["ok", "--where", "accuracy"], "must be KEY=VALUE, such as accuracy>0.9, got 'accuracy'"),
        (["ok", "--where", "accuracy>90"], "must be at most 1, got 90"),
        (["ok", "--compare", "run", "gone"], "there is no run gone"),
    ],
)
def test_refused(trained, tmp_path, monkeypatch, options, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    copied(trained, tmp_path / "ok" / "run")
    assert text in refused("runs", *options)


def test_compared(folder, trained):
    found = parsed(call("runs", folder, "--compare", "b-better", "inner/c-fixed", "--json"))
    assert found["settings"] == {"delays.learn": ["true", "false"]}
    assert found["environment"] == {}
    assert found["data"] == {"train": "", "validation": "", "test": ""}
    assert [len(run["history"]) for run in found["runs"]] == [2, 2]
    text = call("runs", folder, "--compare", "b-better", folder / "inner" / "c-fixed").stdout
    words = " ".join(text.split())
    assert "validation 100.00 % 12.30 %" in words
    assert "delays.learn true false" in words
    assert "made with: the same" in words and "data, train: the same" in words
    assert "1 50.00 % 0.00 % 2 100.00 % 12.30 %" in words


def test_other_data_and_versions_are_told(trained, tmp_path):
    run = copied(trained, tmp_path / "run")
    notes = json.loads((run / "environment.json").read_text())
    (run / "environment.json").write_text(json.dumps(notes | {"numpy": "1.0", "seed": 9}))
    from mlgenn_delays.runs.record import Fingerprint, keep_record, read_record

    train = read_record(run)["train"]
    content = np.where(np.arange(len(train)) < 2, 7, train.content).astype(np.uint64)
    keep_record(run, {"train": Fingerprint(train.names, train.labels, content)})
    found = parsed(call("runs", "--compare", trained, run, "--json"))
    assert found["environment"] == {"numpy": [notes["numpy"], "1.0"]}
    assert found["data"]["train"].startswith("2 changed (")
    (run / "data.safetensors").unlink()
    assert parsed(call("runs", "--compare", trained, run, "--json"))["data"]["train"] is None
    (run / "environment.json").write_text("{")
    assert "environment.json is damaged" in refused("runs", "--compare", trained, run)


def test_a_setting_that_is_no_text_is_seen():
    assert in_words("data.group_by", '""') == 'data.group_by ""'
    assert in_words("learning.schedule", '"cosine"') == "schedule cosine"
