"""One small trained run, and a cache of the tests' own."""

from pathlib import Path

import pytest

from tests.cli.helpers import SMALL, call


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Return a run of two epochs; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "run"
    result = call("train", "digits", *SMALL, "--epochs", 2, "--out", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep the user's cache of data out of the tests."""
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
