"""An export for CUDA: written without a GPU, compiled by nvcc, and run where there is a GPU."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.engines.genn import gpus
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.export.genn.manifest import read_manifest
from mlgenn_delays.export.genn.runtime import GeNNModel
from tests.cuda import machine
from tests.cuda.test_generate import ARCHITECTURE, ROOT, Tools, tools  # noqa: F401
from tests.engines.helpers import relative
from tests.export.genn.cases import batch, ties, wanted
from tests.needs import CUDA_CODE, needs

pytestmark = pytest.mark.slow
SIDE = 5  # examples side by side
WRITE = """
import sys
from mlgenn_delays.export.genn import write_genn
from tests.export.genn.cases import artifact
write_genn(artifact(sys.argv[1]), sys.argv[2], backend="cuda", batch_size=int(sys.argv[3]))
"""


def export(name: str, folder: Path, **settings: str) -> None:
    """Write a case for CUDA, in a process that takes the emulator for NVIDIA's libraries."""
    done = subprocess.run(
        [sys.executable, "-c", WRITE, name, str(folder), str(SIDE)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | machine.emulated() | settings | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["several", "currents"])
def test_is_written_and_compiles(name: str, tools: Tools, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "model"
    export(name, folder)
    manifest = read_manifest(folder)
    assert (manifest.backend, manifest.built, manifest.network.batch_size) == ("cuda", None, SIDE)
    with pytest.raises(InputError, match="run make"):
        GeNNModel.open(folder)
    if name == "currents":  # one compilation is enough
        return
    arch = ARCHITECTURE if gpus.count() == 0 else "native"
    done = subprocess.run(
        ["make", "-j2", "-C", str(folder), f"NVCC={tools.nvcc}", f"ARCH={arch}"],
        capture_output=True,
        text=True,
        env=os.environ | {"CPATH": f"{tools.curand}{os.pathsep}{os.environ.get('CPATH', '')}"},
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr
    if gpus.count() == 0:
        with pytest.raises(WorkError, match="CUDA"):
            GeNNModel.open(folder)
        return
    got, right = GeNNModel.open(folder).run(batch(name)), wanted(name)
    for b, tie in enumerate(ties(name)):
        assert relative(got.voltage[b, :, :tie], right.voltage[b, :, :tie]) < 1e-3
        if tie == batch(name).n_steps:
            assert got.logits[b].argmax() == right.logits[b].argmax()
            np.testing.assert_array_equal(
                np.diff(got.start["hidden0"][b]), np.diff(right.start["hidden0"][b])
            )


@needs(*CUDA_CODE)
def test_a_machine_without_a_gpu(tmp_path: Path) -> None:
    # GeNN ends its process there.
    with pytest.raises(AssertionError, match="InputError: pygenn must generate code for cuda"):
        export("several", tmp_path / "model", EMULATOR_DEVICES="0")
    assert not (tmp_path / "model" / "manifest.json").exists()
