"""Examples in docstrings do what they say."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import mlgenn_delays as package
from mlgenn_delays import _PUBLIC

ROOT = Path(__file__).parents[1]
MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "mlgenn_delays").rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = import_module(name)
    finder, runner = doctest.DocTestFinder(exclude_empty=True), doctest.DocTestRunner()
    examples = [test for test in finder.find(module) if test.examples]
    # The decorator of settings leaves classes in their module; functions are found as they are.
    assert examples, f"{name} has examples that doctest does not find"
    for test in examples:
        runner.run(test)
    assert runner.summarize(verbose=False).failed == 0


def test_every_public_name_has_an_example() -> None:
    without = [name for name in _PUBLIC if ">>> " not in (getattr(package, name).__doc__ or "")]
    assert not without
