"""The examples of the developer pages do what the pages say."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlgenn_delays.data import sets
from mlgenn_delays.data.registry import (
    DATASETS,
    data_items,
    dataset_shape,
    load_dataset,
    parse_options,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.rewiring import RULES
from tests.docs.pages import DOCS, blocks

pytestmark = pytest.mark.docs


@pytest.fixture(autouse=True)
def tables_as_before() -> Iterator[None]:
    """Take out of the tables what an example put in."""
    before = [(table, dict(table)) for table in (DATASETS, RULES)]
    yield
    for table, content in before:
        table.clear()
        table.update(content)


def run(page: str) -> dict:
    """Return the names that the blocks of a page define, run in order."""
    names: dict = {}
    examples = blocks(DOCS / "developer" / f"{page}.md", "python")
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, f"{page}.md", "exec"), names)
    return names


def test_the_growth_rule_rewires_and_the_network_learns() -> None:
    names = run("growth-rule")
    grown = names["history"].column("grown")
    assert len(grown) == 3 and grown[0] > 100
    assert names["history"].best["validation_accuracy"] > 0.5
    projection = names["trainer"].network.projections["input->hidden1"]
    assert projection.n_synapses == int(0.1 * 128 * 256)


def test_the_walks_go_through_functions_that_there_are() -> None:
    rows = re.findall(
        r"^\|[^|]*\| `(\S+)` \| `(\w+)` \|", (DOCS / "developer" / "house.md").read_text(), re.M
    )
    assert len(rows) > 20
    gone = [row for row in rows if f"def {row[1]}(" not in (DOCS.parent / row[0]).read_text()]
    assert not gone


def test_a_growth_rule_is_one_file_and_one_row() -> None:
    text = (DOCS / "developer" / "growth-rule.md").read_text()
    changed = re.findall(r"^\| `(mlgenn_delays/\S+)` \|", text, re.MULTILINE)
    assert changed == ["mlgenn_delays/rewiring/drawn.py", "mlgenn_delays/rewiring/__init__.py"]


def test_the_data_set_loads_and_recipes_know_it() -> None:
    names = run("dataset")
    assert names["recipe"].data.options["gap"] == 3.0
    options = parse_options("two", names["recipe"].data.options)
    assert options.space == () and options.group == 1  # what analysis and augmentation ask for
    data = names["data"]["test"]
    first = data.time[data.start[:, :2].ravel()].reshape(len(data), 2)  # of each channel
    assert set((first[:, 1] - first[:, 0])[data.labels == 0]) == {3}
    assert set((first[:, 1] - first[:, 0])[data.labels == 1]) == {-3}


def test_a_data_set_is_one_file_and_one_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = DOCS / "developer" / "dataset.md"
    changed = re.findall(r"^\| `(mlgenn_delays/\S+)` \|", page.read_text(), re.MULTILINE)
    assert changed == ["mlgenn_delays/data/sets/two.py", "mlgenn_delays/data/registry.py"]
    (tmp_path / "two.py").write_text(blocks(page, "python")[0])
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path)])
    monkeypatch.setitem(DATASETS, "two", "two")
    loaded = load_dataset("two")["train"]
    assert len(loaded) == 200 and loaded.n_steps == 40 and loaded.losses is not None
    assert all(not item.problem for item in data_items("two"))
    assert dataset_shape("two") == (2, 2)
    with pytest.raises(InputError, match="data.gap must be at most half of duration"):
        parse_options("two", {"gap": 30.0})
    sys.modules.pop("mlgenn_delays.data.sets.two")
