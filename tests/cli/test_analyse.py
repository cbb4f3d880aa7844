"""delaysnn analyse."""

import json
import shutil

import pytest

from mlgenn_delays.network import Network
from tests.analysis import planted_signs as planted
from tests.analysis.networks import network, run_of, set_signs
from tests.cli.helpers import call, parsed, refused

pytestmark = pytest.mark.usefixtures("unrendered")
QUICK = ["--permutations", "39", "--threads", "1"]


@pytest.fixture(scope="module")
def analysed(trained, unrendered, tmp_path_factory):
    """Return what was printed and the folder, of the dense run."""
    folder = tmp_path_factory.mktemp("analysed") / "new" / "folder"
    return call("analyse", trained, *QUICK, "--json", "--out", folder), folder


def test_json_is_one_object_and_that_of_the_file(analysed, trained):
    result, folder = analysed
    found = parsed(result)
    text = (folder / "analysis.json").read_text()
    assert found == json.loads(text) and text.count("\n") > 1
    assert found["run"] == str(trained) and found["checkpoint"] == "best"
    own = found["projections"]["input->hidden1"]
    assert own["before"] is not None and own["moved"]["synapses"] == 128 * 4
    assert list(own["course"]) == ["0", "1", "2"] and own["lifetimes"] is None
    assert own["space"] == {"row": 8, "column": 8}


def test_its_activity_is_what_evaluate_measures(analysed, trained):
    found = parsed(analysed[0])["activity"]
    wanted = parsed(call("evaluate", trained, "--split", "validation", "--json"))
    assert found["split"] == "validation" and found["examples"] == wanted["n"] == 180
    assert found["accuracy"] == wanted["accuracy"]
    assert list(found["populations"]) == ["hidden1"] and len(found["classes"]) == 10


def test_every_figure_is_there_twice_and_has_a_caption(analysed):
    _, folder = analysed
    stems = {file.stem for file in folder.glob("*.png")}
    kinds = ("fields", "before-after", "grouping", "course", "values", "balance")
    wanted = {f"{kind}-input-hidden1" for kind in kinds}
    wanted |= {"values-hidden1-output", "balance-hidden1-output", "rates-hidden1"}
    assert stems - {"tuning-hidden1"} == wanted
    names = {f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")}
    assert {file.name for file in folder.iterdir()} == names | {"analysis.json", "figures.md"}
    text = (folder / "figures.md").read_text()
    assert all(f"]({stem}.png)" in text for stem in stems)


def test_a_rewired_run(rewired, tmp_path, monkeypatch):
    monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", 80)
    run = shutil.copytree(rewired, tmp_path / "run")
    result = call("analyse", run, *QUICK)
    assert result.exit_code == 0, result.output
    assert "time given space" in result.stdout and "…" not in result.stdout
    assert "of the start's synapses" in result.stdout and "Moran's I" in result.stdout
    assert f"all numbers: {run / 'analysis'}" in result.stdout.replace("\n", "")
    found = json.loads((run / "analysis" / "analysis.json").read_text())
    own = found["projections"]["input->hidden1"]
    assert own["lifetimes"]["grown"] > 0 and own["after"]["grouping"]["signs_shared"]
    assert max(map(int, own["across"])) <= found["epoch"]
    evaluated = parsed(call("evaluate", run, "--split", "validation", "--json"))
    assert found["activity"]["accuracy"] == evaluated["accuracy"]
    assert (run / "analysis" / "lifetimes-input-hidden1.svg").is_file()


@pytest.fixture
def run(tmp_path):
    """Return a run that was never trained, on bands, without checkpoints and snapshots."""
    return run_of(tmp_path / "run", network(40, 6), (), "rawhd")


def test_without_data_none_is_looked_for_and_options_reach_the_tests(run):
    options = ["--seed", 3, "--reach-space", 5, "--reach-time", 2.5, "--strongest", 0.5]
    found = parsed(call("analyse", run, *QUICK, "--without-data", "--json", *options))
    assert found["activity"] is None and found["epoch"] is None
    assert not list((run / "analysis").glob("rates*"))
    assert found["settings"] == {"permutations": 39, "seed": 3, "strongest": 0.5}
    own = found["projections"]["input->hidden1"]
    assert own["before"] is None
    assert own["reach"] == {"space_places": [5], "time_ms": 2.5}
    assert own["after"]["grouping"]["synapses"] == 120


def test_the_asked_split_and_checkpoint(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    file = run / "checkpoints" / "last" / "network.safetensors"
    net = Network.load(file)
    for projection in net.projections.values():
        projection.weight[:] = -1.0
    net.save(file)
    options = ["--split", "test", "--checkpoint", "last"]
    table = call("analyse", run, *QUICK, *options)
    assert table.exit_code == 0 and "0.0 Hz" in table.stdout
    found = json.loads((run / "analysis" / "analysis.json").read_text())
    assert (found["checkpoint"], found["epoch"]) == ("last", 2)
    active = found["activity"]
    assert (active["split"], active["examples"]) == ("test", 360)
    silent = active["populations"]["hidden1"]
    assert silent["silent"] == 4 and silent["neurons"]["preferred"] == [None] * 4
    assert silent["neurons"]["selectivity"] == [None] * 4


@pytest.mark.slow
def test_planted_structure_is_found_end_to_end(tmp_path):
    """That none is found where none is planted is in tests/analysis/test_grouping.py."""
    net = set_signs(network(40, 20, seed=2), planted.clusters)
    path = run_of(tmp_path / "run", net, {0: network(40, 20)}, "rawhd")
    found = parsed(call("analyse", path, "--without-data", "--permutations", 199, "--json"))
    own = found["projections"]["input->hidden1"]
    for kind in ("space", "time", "both", "nearest", "time given space"):
        for statistic in ("moran", "same_sign"):
            test = own["after"]["grouping"][kind][statistic]
            assert test["p"] == 0.01 and test["z"] > 5, (kind, statistic)
    assert own["after"]["clusters"]["mean_size"]["z"] > 5
    assert own["before"]["grouping"]["both"]["moran"]["p"] > 0.01


def test_an_unfinished_run(run):
    (run / "network.safetensors").unlink()
    assert "no epoch was finished" in refused("analyse", run)
    assert not (run / "analysis").exists()


def test_data_that_are_not_there(run, tmp_path):
    said = refused("analyse", run)
    assert "--data" in said
    assert str(tmp_path / "gone") in refused("analyse", run, "--data", tmp_path / "gone")
    assert not (run / "analysis").exists()


def test_out_where_a_file_is(run):
    for out in (run / "recipe.toml", run / "recipe.toml" / "folder"):
        said = refused("analyse", run, "--without-data", "--out", out)
        assert f"--out must be a folder, got {out}" in said
    (run / "analysis").write_text("")
    assert "a file is in the way" in refused("analyse", run, "--without-data")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--data", "here"], "--without-data must be without --data"),
        (["--reach-time", "nan"], "reach_time must be >= 0 and finite, got nan"),
        (["--reach-time", "inf"], "reach_time must be >= 0 and finite, got inf"),
        (["--strongest", "nan"], "strongest must be a share in (0, 1], got nan"),
    ],
)
def test_what_is_refused(run, options, text):
    assert text in refused("analyse", run, "--without-data", *options)


@pytest.mark.parametrize(
    "options",
    [["--permutations", "18"], ["--strongest", "0"], ["--split", "all"], ["--reach-space", "-1"],
     ["--seed", "-1"], ["--checkpoint", "first"], ["--threads", "0"]],
)  # fmt: skip
def test_options_out_of_range(run, options):
    result = call("analyse", run, "--without-data", *options)
    assert result.exit_code == 2 and result.stdout == "" and options[0] in result.stderr


def test_a_folder_that_cannot_be_written(run, monkeypatch):
    from mlgenn_delays import files

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.tempfile, "mkstemp", full)
    result = call("analyse", run, *QUICK, "--without-data", "--json")
    assert result.exit_code == 1 and result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1


def test_classes_of_other_data_are_refused(trained, tmp_path):
    run = shutil.copytree(trained, tmp_path / "run")
    file = run / "environment.json"
    noted = json.loads(file.read_text())
    noted["task"]["labels"][0] = "zero"
    file.write_text(json.dumps(noted))
    assert "must have the classes of the training" in refused("analyse", run)
