"""Folders of GeNN exports, each written once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.export.genn.cases import artifact
from tests.needs import GENN, need

Export = Callable[[str], Path]


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return what writes a case's folder, and gives it; nobody may change it."""
    need(*GENN)
    from mlgenn_delays.export.genn import write_genn

    base, made = tmp_path_factory.mktemp("genn"), {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = base / name
            write_genn(artifact(name), made[name])
        return made[name]

    return folder
