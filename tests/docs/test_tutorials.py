"""What every tutorial has; that its cells run is shown by `make docs`."""

import re
from pathlib import Path

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


def test_a_tutorial_says_what_it_is_for_and_what_was_seen() -> None:
    parts = ["**You will learn**", "**You need**", "**It takes**"]
    parts += ["\n## What you saw\n", "\n## Where to go next\n"]
    head = "---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n"
    assert [page.stem for page in PAGES if not page.read_text().startswith(head)] == []
    assert [
        (page.stem, part) for page in PAGES for part in parts if page.read_text().count(part) != 1
    ] == []


def test_code_fits_the_width_of_a_page() -> None:
    shown = {page.stem: [c for c in cells(page) if ":tags:" not in c] for page in PAGES}
    assert all(shown.values())
    assert [
        (name, line)
        for name, code in shown.items()
        for cell in code
        for line in cell.splitlines()
        if len(line) > 88
    ] == []


def test_a_tutorial_needs_no_file_from_elsewhere() -> None:
    """Every page runs in an empty folder, wherever it is built."""
    elsewhere = r"\.\./|[\"' =]/(home|root|tmp|work|usr)/"
    code = [(page.stem, cell) for page in PAGES for cell in cells(page)]
    assert [each for each in code if re.search(elsewhere, each[1])] == []
