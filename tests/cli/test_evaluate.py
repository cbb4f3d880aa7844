"""delaysnn evaluate."""

import json
import shutil

import numpy as np
import pytest

from mlgenn_delays.network import Network
from tests.cli.helpers import SMALL, call, metrics, parsed, refused, write_words


@pytest.mark.parametrize(("split", "n"), [("train", 1257), ("validation", 180), ("test", 360)])
def test_one_split(trained, split, n):
    found = parsed(call("evaluate", trained, "--split", split, "--json"))
    assert {"accuracy", "loss", "n", "confusion", "split", "checkpoint"} <= set(found)
    assert (found["split"], found["checkpoint"], found["n"]) == (split, "best", n)
    confusion = np.array(found["confusion"])
    assert confusion.shape == (10, 10)
    assert confusion.sum() == n
    assert found["accuracy"] == pytest.approx(np.trace(confusion) / n)


def test_all_splits_are_pooled(trained):
    found = parsed(call("evaluate", trained, "--split", "all", "--json"))
    parts = found["splits"]
    assert set(parts) == {"train", "validation", "test"}
    assert found["n"] == 1797 == sum(part["n"] for part in parts.values())
    right = sum(part["accuracy"] * part["n"] for part in parts.values())
    assert found["accuracy"] == pytest.approx(right / 1797)
    loss = sum(part["loss"] * part["n"] for part in parts.values())
    assert found["loss"] == pytest.approx(loss / 1797)


def test_it_measures_what_training_measured(trained):
    last = parsed(
        call("evaluate", trained, "--split", "validation", "--checkpoint", "last", "--json")
    )
    header, *rows = (trained / "metrics.csv").read_text().splitlines()
    row = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    assert last["accuracy"] == float(row["validation_accuracy"])
    assert last["loss"] == float(row["validation_loss"])


def test_the_asked_checkpoint(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    file = run / "checkpoints" / "last" / "network.safetensors"
    network = Network.load(file)
    for projection in network.projections.values():
        projection.weight[:] = 0
    network.save(file)
    loss = {
        name: parsed(call("evaluate", run, *options, "--json"))["loss"]
        for name, options in (("best", []), ("last", ["--checkpoint", "last"]))
    }
    assert loss["last"] == pytest.approx(np.log(10))  # it knows nothing
    assert abs(loss["best"] - loss["last"]) > 1e-3


def test_tables(trained):
    result = call("evaluate", trained)
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert any(row[:1] == ["test"] and row[-1] == "360" for row in rows)
    assert ["label", "\\", "prediction", *"0123456789"] in rows
    assert sum(row[:1] == [digit] for row in rows for digit in "0123456789") == 10


def test_damaged_network(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    file = run / "checkpoints" / "best" / "network.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    assert "damaged" in refused("evaluate", run)
    file.unlink()
    assert f"{file} is missing; delaysnn train --resume --out {run}" in refused("evaluate", run)
    assert call("train", "--resume", "--out", run).exit_code == 0
    assert call("evaluate", run).exit_code == 0


def test_a_rewired_network_measures_what_training_measured(rewired):
    for checkpoint in ("best", "last"):
        found = parsed(
            call("evaluate", rewired, "--split", "validation", "--checkpoint", checkpoint, "--json")
        )
        rows = metrics(rewired)
        if checkpoint == "best":
            row = max(rows, key=lambda row: (float(row["validation_accuracy"]),
                                             -float(row["validation_loss"])))  # fmt: skip
        else:
            row = rows[-1]
        assert found["accuracy"] == float(row["validation_accuracy"])
        assert found["loss"] == float(row["validation_loss"])


def test_only_the_asked_split_must_be_there(tmp_path):
    everything = write_words(tmp_path / "words", [0, 5, 10, 11])
    small = [*SMALL, "--set", "data.duration=200", "--set", "data.mel.n_bands=8"]
    run = tmp_path / "r"
    command = ["train", "fsdd", *small, "--data", everything, "--epochs", 1, "--out", run]
    assert call(*command).exit_code == 0
    only_test = write_words(tmp_path / "test", [0, 1])
    assert parsed(call("evaluate", run, "--data", only_test, "--json"))["n"] == 4
    text = refused("evaluate", run, "--data", only_test, "--split", "validation")
    assert "'validation'" in text
    assert "got test" in text
    assert parsed(call("evaluate", run, "--data", only_test, "--split", "all", "--json"))["n"] == 4


def test_what_an_inference_costs(trained, tmp_path):
    plain = parsed(call("evaluate", trained, "--json"))
    found = parsed(call("evaluate", trained, "--cost", "--json"))
    cost = found.pop("cost")
    assert found == plain
    assert cost["examples"] == 360
    assert set(cost["footprint"]) == {"bundle", "c", "c_int8", "c_int4", "c_ternary", "genn"}
    counted = cost["per_inference"]
    assert counted["macs"] == 0 < counted["effective"] == counted["acs"] < counted["dense"]
    assert cost["delays"]["most"] > cost["delays"]["mean"] > 0
    energy = cost["estimated_energy"]
    assert all(each["joules"] > 0 and each["source"] for each in energy.values())
    table = tmp_path / "own.toml"
    table.write_text('[mine]\nsource = "measured"\nac = 1e6\nupdate = 0.0\n')
    own = parsed(call("evaluate", trained, "--cost", "--energy", table, "--json"))["cost"]
    assert own["estimated_energy"]["mine"]["joules"] == pytest.approx(counted["acs"] * 1e-6)
    text = call("evaluate", trained, "--cost").stdout
    assert "synaptic operations, effective" in text and "energy per inference, estimated" in text


def test_costs_that_are_refused(trained, tmp_path):
    assert "add --cost" in refused("evaluate", trained, "--energy", tmp_path / "e.toml")
    options = ("--cost", "--energy", tmp_path / "e.toml")
    assert "no table of energy" in refused("evaluate", trained, *options)
    assert "one split with --cost" in refused("evaluate", trained, "--cost", "--split", "all")


def test_a_training_notes_what_its_network_costs(trained):
    noted = json.loads((trained / "cost.json").read_text())
    options = ("--cost", "--split", "validation", "--json")
    measured = parsed(call("evaluate", trained, *options))["cost"]
    assert noted["split"] == "validation"
    for key in ("effective", "dense", "spikes"):
        assert noted["per_inference"][key] == measured["per_inference"][key]
    assert noted["footprint"] == measured["footprint"]
    assert noted["membrane_updates"] is None
    (run,) = parsed(call("runs", trained, "--json"))["runs"]
    assert run["operations"] == noted["per_inference"]["effective"]
    assert run["bytes_c"] == sum(noted["footprint"]["c"].values())


def test_a_damaged_cost_is_none(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    (run / "cost.json").write_text('{"per_inference": {"effective": -1}, "footprint": {}}')
    (row,) = parsed(call("runs", run, "--json"))["runs"]
    assert row["status"] == "finished" and row["operations"] is None
