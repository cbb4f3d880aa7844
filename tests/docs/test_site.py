"""The documentation is whole: every page is reached, every name and key is in the reference."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import mlgenn_delays
from mlgenn_delays.data.registry import DATASETS
from mlgenn_delays.recipe.explain import TABLES
from mlgenn_delays.recipe.load import dump, load_recipe, recipe_names
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, toctree
from tests.needs import need


def test_every_page_is_in_a_toctree() -> None:
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            assert page.exists(), page
            reached.add(page)
            waiting += toctree(page)
    assert {str(page.relative_to(DOCS)) for page in PAGES} == {
        str(page.relative_to(DOCS)) for page in reached
    }


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    plain = re.sub(r"[`*]", "", heading.strip()).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    return {slug(each) for each in re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)}


def test_anchors_lead_to_headings() -> None:
    links = [
        (page, target, anchor)
        for page in PAGES
        for target, anchor in re.findall(r"\]\(([^):#\s]*)#([^)\s]+)\)", page.read_text())
    ]
    assert links
    assert [
        (page.name, target, anchor)
        for page, target, anchor in links
        if anchor not in anchors(page.parent / target if target else page)
    ] == []


def test_every_public_name_is_in_the_api_reference() -> None:
    text = "\n".join(
        body
        for page in (DOCS / "reference").glob("api-*.md")
        for body in blocks(page, "{eval-rst}")
    )
    documented = set(
        re.findall(r"^\.\. (?:auto\w+|py:data):: mlgenn_delays\.(\w+)$", text, re.MULTILINE)
    )
    assert documented >= set(mlgenn_delays.__all__) - {"__version__"}
    index = (DOCS / "reference" / "index.md").read_text()
    assert all(f"`{name}`" in index for name in mlgenn_delays.__all__ if name != "__version__")


def recipe_paths(table: dict, path: str = "") -> set[tuple[str, str]]:
    """Return table and key of every setting in a recipe."""
    found: set[tuple[str, str]] = set()
    for key, value in table.items():
        inner = f"{path}.{key}".lstrip(".")
        if isinstance(value, dict) and not inner.endswith("_options"):
            found |= recipe_paths(value, inner)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for each in value:
                found |= recipe_paths(each, inner)
        else:
            found.add((path, key))
    return found


def test_every_recipe_key_is_in_the_reference() -> None:
    need("sphinx")
    import recipe_keys

    page = (DOCS / "reference" / "recipe-keys.md").read_text()
    listed = set(re.findall(r"^```\{recipe-keys\} ?(.*)$", page, re.MULTILINE))
    assert listed == set(TABLES)
    known = {
        (section, key): text for section in TABLES for key, text in recipe_keys.keys_of(section)
    }
    options = "\n".join(recipe_keys.options_of_data())
    for name in recipe_names():
        for section, key in recipe_paths(tomllib.loads(dump(load_recipe(name)))):
            if section.split(".")[0] == "data" and key != "dataset":
                dotted = f"{section}.{key}".removeprefix("data.")
                assert f"- `{dotted}` = " in options, dotted
            else:
                assert (section, key) in known, f"{section}.{key}"


def test_keys_say_default_range_and_meaning() -> None:
    need("sphinx")
    import recipe_keys

    texts = dict(recipe_keys.keys_of("network.readout"))
    assert texts["kind"].startswith('`kind` (default `"mean"`; one of mean, sum, max, ')
    texts = dict(recipe_keys.keys_of("network"))
    assert texts["sparsity"].startswith("`sparsity` (default `0.0`; a number in [0, 1) or a list")
    texts = dict(recipe_keys.keys_of("delays"))
    assert texts["max"] == (
        "`max` (required; a number >= 0 ms)\n: Largest delay that learning may reach [ms]."
    )
    assert all(": None" not in text for s in TABLES for _, text in recipe_keys.keys_of(s))
    options = recipe_keys.options_of_data()
    assert all(any(f"**`{name}`**" in line for line in options) for name in DATASETS)
    assert (
        "- `duration` = `0.0`: Length of a trial [ms]; 0 for that of the longest example."
        in options
    )


def test_the_package_does_not_need_sphinx() -> None:
    for folder in ("mlgenn_delays", "cli", "models"):
        for file in (ROOT / folder).rglob("*.py"):
            assert not re.search(
                r"^\s*(import|from) (sphinx|docutils|myst)", file.read_text(), re.M
            )


PAGE = """# Page

Text with --option.

```{eval-rst}
.. autoclass:: mlgenn_delays.data.MelSettings
```
"""


@pytest.mark.docs
def test_options_and_properties_are_shown_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text(PAGE)
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "text", "-c", str(ROOT / "docs")]
    alone = ["-D", "bibtex_bibfiles="]
    subprocess.run([*command, *alone, str(tmp_path), str(tmp_path / "out")], check=True)
    text = " ".join((tmp_path / "out" / "index.txt").read_text().split())
    assert "Text with --option." in text
    assert "Length of the transform: at least twice the window" in text
