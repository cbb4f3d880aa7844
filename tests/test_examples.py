"""Examples in docstrings do what they say."""

import doctest
import re
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_origin

import pytest

import mlgenn_delays as package
from tests.cli.helpers import call, write_rawhd, write_words
from tests.data.shd_helpers import write_shd, write_ssc
from tests.needs import need

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "mlgenn_delays").rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that examples run in: data sets, a run and a sweep."""
    home = tmp_path_factory.mktemp("examples")
    write_rawhd(home / "rawhd")
    (home / "recordings").mkdir()
    write_words(home / "recordings", [0, 5, 10, 11])
    for name, write in (("shd", write_shd), ("ssc", write_ssc)):
        (home / name).mkdir()
        write(home / name)
    small = ["--epochs", "2", "--set", "network.layers.0.size=16"]
    assert call("train", "digits", *small, "--out", home / "run").exit_code == 0
    axis = ["--grid", "network.layers.0.size=4,8", "--seeds", "2", "--epochs", "1"]
    assert call("sweep", "digits", *axis, "--out", home / "sweep").exit_code == 0
    return home


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    if name.startswith("mlgenn_delays.torch."):
        need("torch")
    module = import_module(name)
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    examples = [test for test in finder.find(module) if test.examples]
    # The decorator of settings leaves classes in their module; functions are found as they are.
    assert examples, f"{name} has examples that doctest does not find"
    for test in examples:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def documented() -> dict[str, Any]:
    """Return what the reference of the API has: every function, and public names but types of
    annotations.
    """
    found = {name: getattr(package, name) for name in package.__all__ if name != "__version__"}
    found = {name: each for name, each in found.items() if get_origin(each) is not Annotated}
    for page in (ROOT / "docs" / "reference").glob("api-*.md"):
        for name in re.findall(r"autofunction:: ([\w.]+)", page.read_text()):
            module, _, leaf = name.rpartition(".")
            found[name] = getattr(import_module(module), leaf)
    return found


def test_what_is_documented_has_an_example() -> None:
    without = [name for name, each in documented().items() if ">>> " not in (each.__doc__ or "")]
    assert not without
