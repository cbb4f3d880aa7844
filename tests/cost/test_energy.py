"""Estimated energy: counts times a table."""

from pathlib import Path

import pytest

from mlgenn_delays.cost import Cost, Operations, estimate_energy, read_platforms
from mlgenn_delays.errors import InputError


def cost(*, macs: float = 0.0, acs: float = 30.0, updates: float | None = 12.0) -> Cost:
    """Return one of three neurons and five steps."""
    operations = {"a->b": Operations(100.0, macs, True), "b->c": Operations(50.0, acs, False)}
    voltage = None if updates is None else {"b": updates}
    return Cost(4, 5, {"b": 2, "c": 1}, 0.5, operations, {"b": 2.0}, {}, voltage)


def table(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_energy_is_the_sum_of_operations(tmp_path: Path) -> None:
    path = table(
        tmp_path / "own.toml",
        '[all]\nsource = "x"\nmac = 7\nac = 2.0\nupdate = 3.0\nidle = 0.5\nspike = 11.0\n'
        '[spikes]\nsource = "y"\nac = 1.0\nupdate = 0.0\n',
    )
    platforms = read_platforms(path)
    found = estimate_energy(cost(macs=10.0), platforms)
    assert found["all"] == pytest.approx((70 + 60 + 36 + 0.5 * 3 + 22) * 1e-12)
    assert found["spikes"] is None  # it cannot multiply
    assert estimate_energy(cost(), platforms)["spikes"] == pytest.approx(30e-12)


def test_the_table_of_the_package_names_its_sources() -> None:
    platforms = read_platforms()
    assert all("doi:" in p.source or "as above" in p.source for p in platforms.values())
    assert all(p.ac for p in platforms.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must have a table per platform, got none"),
        ('[a]\nsource = "x"\nupdate = -1', "a.update"),
        ('[a]\nsource = "x"\nupdate = 1\nmacs = 2', "a.macs"),
        ("[a]\nupdate = 1", "a.source"),
        ("[a", "cannot read the table of energy"),
        ("a = 3", "must be a table of energy per operation"),
    ],
)
def test_other_tables_are_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_platforms(table(tmp_path / "own.toml", text))
    assert said in str(caught.value) and "own.toml" in str(caught.value)


def test_a_missing_table_and_a_cost_without_updates_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="^there is no table of energy .*; give a TOML file$"):
        read_platforms(tmp_path / "none.toml")
    with pytest.raises(InputError, match="take measure_cost$"):
        estimate_energy(cost(updates=None), read_platforms())
