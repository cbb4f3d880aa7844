"""What README and docs say is true of this repository; tests/docs_commands runs their commands."""

import re
import tomllib

import pytest

from tests.docs_commands.pages import ROOT, blocks, pages

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.docs
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


def test_links_lead_somewhere() -> None:
    targets = [
        (page, target)
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        if not target.startswith("http")
    ]
    assert len(targets) > 100
    assert [each for each in targets if not (each[0].parent / each[1]).exists()] == []


def test_the_commands_of_the_readme_are_those_of_developers() -> None:
    assert "```\nmake test\n```" in (ROOT / "README.md").read_text()
    told = (ROOT / "CONTRIBUTING.md").read_text()
    assert {"make setup", "make test", "make check", "make docs"} <= set(
        re.findall(r"^make \w+", told, re.M)
    )
