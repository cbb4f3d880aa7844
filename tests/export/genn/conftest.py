"""Folders of GeNN exports, each written once."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.backend import BACKEND
from tests.export.genn.cases import artifact
from tests.genn.conftest import quick_compiler  # noqa: F401
from tests.needs import GENN, need

CUDA: dict[str, Any] = {"backend": "cuda", "batch_size": 5}
Export = Callable[[str], Path]


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """Return what writes a case's folder, and gives it; nobody may change it."""
    need(*GENN)
    from mlgenn_delays.export.genn import write_genn

    base, made = tmp_path_factory.mktemp("genn"), {}

    def folder(name: str) -> Path:
        if name not in made:
            write_genn(artifact(name), base / name, **CUDA if BACKEND == "cuda" else {})
            if BACKEND == "cuda":  # is compiled where it will run
                make = ["make", "-C", str(base / name)]
                done = subprocess.run(make, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr
            made[name] = base / name
        return made[name]

    return folder
