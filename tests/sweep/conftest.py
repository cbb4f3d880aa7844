"""Kernels that are compiled once, and a cache of the tests' own."""

import pytest

from tests.sweep.helpers import share_kernels


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    share_kernels(monkeypatch)
