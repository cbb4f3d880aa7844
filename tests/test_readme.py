"""What README and docs say is true of this repository; tests/docs_commands runs their commands."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.docs_commands.pages import ROOT, blocks, pages

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_the_python_example_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    ((_, example),) = blocks(ROOT / "README.md", "python")
    assert "epochs=15" in example
    names: dict = {}
    exec(compile(example.replace("epochs=15", "epochs=6"), "README.md", "exec"), names)
    assert names["result"].accuracy > 0.8
    assert names["result"].confusion.sum() == names["result"].n == 360


def test_the_extras_are_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {
        extra for page in pages() for extra in re.findall(r"delaysnn\[(\w+)\]", page.read_text())
    }
    assert {"mpi", "datasets"} <= named <= set(project["optional-dependencies"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_commands_of_the_readme_are_those_of_developers() -> None:
    assert "```\nmake test\n```" in (ROOT / "README.md").read_text()
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert {"make setup", "make test", "make check", "make docs"} <= set(
        re.findall(r"^make \w+", told, re.M)
    )
