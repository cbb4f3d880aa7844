"""What README and docs say is true of this repository."""

import re
import shlex
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mlgenn_delays.cli import main

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of a page in a language, "" for those that name none."""
    found = re.findall(r"^```([^\n`]*)\n(.*?)^```$", page.read_text(), re.M | re.S)
    return [body for name, body in found if name == language]


def commands() -> list[list[str]]:
    """Return the words of every delaysnn command on the pages, up to a comment or pipe."""
    found = []
    for page in PAGES:
        for block in blocks(page, ""):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("delaysnn "):
                    found.append(shlex.split(line, comments=True)[1:])
    return found


def test_the_python_example_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    assert "epochs=15" in example
    names: dict = {}
    exec(compile(example.replace("epochs=15", "epochs=6"), "README.md", "exec"), names)
    assert names["result"].accuracy > 0.8
    assert names["result"].confusion.sum() == names["result"].n == 360


def test_there_are_commands_to_check() -> None:
    assert len(commands()) >= 8


@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words)[:60])
def test_commands_are_understood(words: list[str]) -> None:
    """Every option on the pages exists: the command itself refuses words it does not know."""
    grouped = isinstance(main.get_command(click.Context(main), words[0]), click.Group)
    result = CliRunner().invoke(main, [*words[: 1 + grouped], "--help"])
    assert result.exit_code == 0, result.output
    assert "COMMAND" not in result.output.splitlines()[0]
    for word in words[1:]:
        if word.startswith("--"):
            assert word in result.output


def test_overrides_on_the_pages_are_settings() -> None:
    from mlgenn_delays.data.registry import parse_options
    from mlgenn_delays.recipe.load import load_recipe, options_of

    for words in commands():
        changes = [words[k + 1] for k, word in enumerate(words) if word == "--set"]
        if changes and words[0] == "data":
            parse_options(words[2], options_of(changes))
        elif changes:
            load_recipe(words[1], changes)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_ci_runs_what_the_readme_says() -> None:
    assert "```\nmake test\n```" in (ROOT / "README.md").read_text()
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("make test")
