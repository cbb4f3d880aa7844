"""Small trained runs, of two kinds and several seeds, and a report of them."""

from pathlib import Path

import pytest

from mlgenn_delays.report import ReportOptions, make_report
from tests.cli.helpers import REWIRED, SMALL, call, write_rawhd


def train(recipe: str, out: Path, *options: object) -> Path:
    result = call("train", recipe, *options, "--threads", 1, "--out", out)
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def digits(folder) -> Path:
    """Return a run of two epochs on digits; not to be changed."""
    return train("digits", folder / "digits", *SMALL, "--epochs", 2)


@pytest.fixture(scope="session")
def others(folder) -> list[Path]:
    """Return the same with another seed, and with another setting; not to be changed."""
    seed = train("digits", folder / "other-seed", *SMALL, "--epochs", 2, "--seed", 1)
    fixed = ("--set", "delays.learn=false")
    return [seed, train("digits", folder / "fixed", *SMALL, "--epochs", 2, *fixed)]


@pytest.fixture(scope="session")
def rewired(folder) -> Path:
    """Return a run of three epochs on currents with rewiring; not to be changed."""
    data = write_rawhd(folder / "rawhd")
    return train("rawhd", folder / "rewired", *REWIRED, "--data", data, "--epochs", 3)


def page(out: Path, *runs: Path) -> Path:
    make_report(list(runs), out, ReportOptions(threads=1))
    return out


@pytest.fixture(scope="session")
def one_page(folder, digits) -> Path:
    return page(folder / "one.html", digits)


@pytest.fixture(scope="session")
def rewired_page(folder, rewired) -> Path:
    return page(folder / "rewired.html", rewired)


@pytest.fixture(scope="session")
def comparison_page(folder, digits, others) -> Path:
    return page(folder / "several.html", digits, *others)
