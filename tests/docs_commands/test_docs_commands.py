"""What the pages show as commands is found, and commands within their text are understood."""

import re
import shlex
from pathlib import Path

import click

from mlgenn_delays.cli import main
from mlgenn_delays.recipe import load_recipe
from tests.cli.helpers import call
from tests.docs_commands import tables
from tests.docs_commands.pages import SHELL, blocks, inline, pages, steps

STEPS = [step for page in pages() for step in steps(page)]
TABLES = ("ADDED", "REPLACED", "BACKGROUND", "ONCE", "FAILING", "NOT_RUN", "NEEDS")


def test_every_command_is_run_by_a_test_file() -> None:
    named = [
        re.search(r'^PAGES = pages\("([^"]+)"\)$', file.read_text(), re.M)
        for file in sorted(Path(__file__).parent.glob("test_*.py"))
    ]
    shown = [page for found in named if found for page in pages(found[1])]
    assert sorted(shown) == sorted(pages())


def test_other_tests_run_python_of_these_pages() -> None:
    for start in tables.ELSEWHERE:
        assert any(step.python and step.page.startswith(start) for step in STEPS), start


def test_there_are_commands() -> None:
    assert sum(not step.python for step in STEPS) > 70


def test_the_tables_speak_of_commands_that_are_there() -> None:
    patterns = [(name, pattern) for name in TABLES for pattern in getattr(tables, name)]
    assert [
        each for each in patterns if not any(re.search(each[1], step.text) for step in STEPS)
    ] == []


def misunderstood(text: str) -> bool:
    """Return whether a command, or an option or setting of it, does not exist."""
    words = shlex.split(text)[1:]
    if words[:1] == ["--help"]:
        return False
    grouped = isinstance(main.get_command(click.Context(main), words[0]), click.Group)
    shown = call(*words[: 1 + grouped], "--help").stdout
    options = [word.partition("=")[0] for word in words if word.startswith("--")]
    changes = [words[k + 1] for k, word in enumerate(words) if word == "--set"]
    if changes and words[0] == "train" and "=" in changes[0]:
        load_recipe(words[1], changes)
    return "COMMAND" in shown.splitlines()[0] or not all(
        re.search(rf"{option}\b", shown) for option in options
    )


def test_commands_within_the_text_are_understood() -> None:
    """They exist with their options and settings; that one runs is for a block to show."""
    within = {text for page in pages() for text in inline(page)}
    assert len(within) > 20
    assert [text for text in sorted(within) if misunderstood(text)] == []


def test_no_command_hides_where_none_is_looked_for() -> None:
    hidden = [
        (page.name, language, text)
        for page in pages()
        for language, text in blocks(page)
        if language not in SHELL and re.search(r"^\s*(\$ *)?delaysnn ", text, re.M)
    ]
    assert hidden == []
