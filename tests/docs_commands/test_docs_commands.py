"""All commands of README and docs, run."""

import re
import shlex

import click
import pytest

from mlgenn_delays.cli import main
from mlgenn_delays.kernels import kernel_cache
from mlgenn_delays.recipe import load_recipe
from tests.cli.helpers import call
from tests.docs_commands import tables
from tests.docs_commands.given import publish
from tests.docs_commands.here import Here
from tests.docs_commands.pages import SHELL, Step, blocks, inline, pages, steps
from tests.docs_commands.running import opened
from tests.web import only_this_machine, web

STEPS = [step for page in pages() for step in steps(page)]
# The kernels that this process uses, before a test says where caches are.
KERNELS = kernel_cache()


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """Return all pages, each with a folder in which its commands run."""
    base = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch, web() as served:
        patch.setenv("DELAYSNN_CACHE", str(base / "cache"))
        if KERNELS is not None:
            patch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))
        only_this_machine(patch)
        publish(served, base / "published", patch)
        patch.setattr("mlgenn_delays.sweep.local.Child", Here)
        with opened(base) as found:
            yield found


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_it_runs(step: Step, book) -> None:
    book[step.page].check(step.number)


def test_other_tests_run_python_of_these_pages() -> None:
    for start in tables.ELSEWHERE:
        assert any(step.python and step.page.startswith(start) for step in STEPS), start


def test_there_are_commands() -> None:
    assert sum(not step.python for step in STEPS) > 70


@pytest.mark.parametrize(
    "name", ["ADDED", "REPLACED", "BACKGROUND", "ONCE", "FAILING", "NOT_RUN", "NEEDS"]
)
def test_the_tables_speak_of_commands_that_are_there(name: str) -> None:
    for pattern in getattr(tables, name):
        assert any(re.search(pattern, step.text) for step in STEPS), pattern


WITHIN = sorted({text for page in pages() for text in inline(page)})


@pytest.mark.parametrize("text", WITHIN)
def test_commands_within_the_text_are_understood(text: str) -> None:
    """Commands, options and settings exist; that such a command runs is for a block to show."""
    words = shlex.split(text)[1:]
    if words[:1] == ["--help"]:
        return
    grouped = isinstance(main.get_command(click.Context(main), words[0]), click.Group)
    shown = call(*words[: 1 + grouped], "--help").stdout
    assert "COMMAND" not in shown.splitlines()[0], text
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    assert all(re.search(rf"{option}\b", shown) for option in options), text
    changes = [words[k + 1] for k, word in enumerate(words) if word == "--set"]
    if changes and words[0] == "train" and "=" in changes[0]:
        load_recipe(words[1], changes)


def test_there_are_commands_within_the_text() -> None:
    assert len(WITHIN) > 20


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_no_command_hides_where_none_is_looked_for(page) -> None:
    for language, text in blocks(page):
        if language not in SHELL:
            assert not re.search(r"^\s*(\$ *)?delaysnn ", text, re.M), (language, text)
