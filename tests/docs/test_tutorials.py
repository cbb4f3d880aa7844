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


def test_a_tutorial_needs_no_file_from_elsewhere() -> None:
    """Every page runs in an empty folder, wherever it is built."""
    elsewhere = r"\.\./|[\"' =]/(home|root|tmp|work|usr)/"
    code = [(page.stem, cell) for page in PAGES for cell in cells(page)]
    assert [each for each in code if re.search(elsewhere, each[1])] == []
