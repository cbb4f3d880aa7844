"""What every tutorial has; that its cells run is shown by `make docs`."""

import re
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGES = sorted(page for page in TUTORIALS.glob("*.md") if page.name != "index.md")


def cells(page: Path) -> list[str]:
    """Return the code cells of a page."""
    return re.findall(r"^```\{code-cell\}[^\n]*\n(.*?)^```", page.read_text(), re.M | re.S)


def test_the_index_has_all_tutorials_in_its_list_and_its_table() -> None:
    index = (TUTORIALS / "index.md").read_text()
    listed = re.search(r"\{toctree\}\n.*?\n\n(.*?)```", index, re.S)
    assert listed is not None
    assert sorted(listed[1].split()) == [page.stem for page in PAGES]
    for page in PAGES:
        assert f"]({page.name})" in index


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_says_what_it_is_for_and_what_was_seen(page: Path) -> None:
    text = page.read_text()
    assert text.startswith("---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n")
    for part in ("**You will learn**", "**You need**", "**It takes**"):
        assert text.count(part) == 1, part
    for heading in ("\n## What you saw\n", "\n## Where to go next\n"):
        assert text.count(heading) == 1, heading


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_fits_the_width_of_a_page(page: Path) -> None:
    shown = [cell for cell in cells(page) if ":tags:" not in cell]
    assert shown
    wide = [line for cell in shown for line in cell.splitlines() if len(line) > 88]
    assert not wide


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_needs_no_file_from_elsewhere(page: Path) -> None:
    """Every page runs in an empty folder, wherever it is built."""
    for cell in cells(page):
        assert not re.search(r"\.\./|[\"' =]/(home|root|tmp|work|usr)/", cell), cell
