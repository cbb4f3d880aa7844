"""delaysnn sweep: what it prints, and what it refuses before anything is written."""

import pytest

from mlgenn_delays.sweep import read_results
from tests.cli.helpers import call, parsed, refused
from tests.sweep.helpers import SET, share_kernels


@pytest.fixture(autouse=True)
def quick(own_cache, monkeypatch):
    share_kernels(monkeypatch)


@pytest.mark.slow
def test_results_on_stdout_progress_on_stderr(tmp_path):
    out = tmp_path / "dir"
    command = ["sweep", "digits", *SET, "--epochs", 1, "--out", out, "--seeds", 2]
    command += ["--variant", "fixed: delays.learn=false", "--variant", "learned:"]
    command += [
        "--grid",
        "delays.initial=zero,uniform",
        "--exclude",
        "variant=fixed,delays.initial=zero",
    ]
    command += ["--exclude", "variant=learned,delays.initial=uniform"]
    result = call(*command)
    assert result.exit_code == 0, result.output
    for word in ("variant", "delays.initial", "validation", "test", "±", str(out / "results.csv")):
        assert word in result.stdout
    assert "[4/4] variant=" in result.stderr
    assert "left" in result.stderr
    assert "[4/4]" not in result.stdout
    rows = read_results(out)
    assert [(row["variant"], row["delays.initial"], row["seed"]) for row in rows] == [
        ("fixed", "uniform", 0),
        ("fixed", "uniform", 1),
        ("learned", "zero", 0),
        ("learned", "zero", 1),
    ]
    found = parsed(call(*command, "--json"))
    assert found["rows"] == rows
    assert (found["points"], found["done"], found["failed"]) == (4, 4, 0)
    assert [(row["variant"], row["n"]) for row in found["means"]] == [("fixed", 2), ("learned", 2)]
    assert found["axes"] == ["variant", "delays.initial"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--grid", "delays.lern=true"], "did you mean 'learn'?"),
        (["--grid", "delays.max=30,-1", "--seeds", 3], "(at delays.max=-1 seed=0)"),
        (["--grid", "delays.max=30,30.0"], "every value once"),
        (["--grid", "delays.max=[1"], "close every bracket"),
        (["--grid", "seed=1"], "--seeds N"),
        (["--set", "seed=1"], "--seeds N"),
        (["--grid", "delays.learn=true", "--exclude", "delays.lern=true"], "'delays.learn'?"),
        (["--grid", "delays.learn=true", "--exclude", "delays.learn=true"], "is excluded"),
        (["--grid", "delays.max=30", "--set", "delays.max=40"], "delays.max must be set once"),
        (["--grid", "learning.epochs=1", "--epochs", 2], "learning.epochs must be set once"),
        (["--variant", "a:", "--variant", "b:"], "variant=a seed=0 and variant=b seed=0"),
        (["--variant", "a"], "NAME: key=value"),
        (["--data", "/nowhere"], "must have no folder of data"),
        (["--set", "nonsense"], "--set must be key=value"),
        (["--seeds", 0], "--seeds"),
        (["--workers", 0], "--workers"),
    ],
)
def test_refused_with_nothing_written(arguments, problem, tmp_path):
    out = tmp_path / "dir"
    assert problem in refused("sweep", "digits", "--out", out, *arguments)
    assert not out.exists()


def test_recipe_data_and_folder_that_cannot_be(tmp_path):
    out = tmp_path / "dir"
    assert "did you mean 'digits'?" in refused("sweep", "digit", "--out", out)
    assert "--data DIR" in refused("sweep", "fsdd", "--out", out)
    missing = tmp_path / "missing"
    assert str(missing) in refused("sweep", "fsdd", "--data", missing, "--out", out)
    assert not out.exists()
    out.mkdir()
    (out / "mine.txt").touch()
    assert "mine.txt" in refused("sweep", "digits", "--out", out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    assert "is a file" in refused("sweep", "digits", "--out", out / "mine.txt" / "dir")


def test_out_is_needed():
    assert "--out" in refused("sweep", "digits")
