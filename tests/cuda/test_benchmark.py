"""What people with a GPU are asked to run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.device, pytest.mark.slow]
ROOT = Path(__file__).parents[2]


def test_one_json_object() -> None:
    small = ["digits", "--examples", "16", "--batch", "8", "--epochs", "1"]
    done = subprocess.run(
        [sys.executable, "benchmarks/genn_cuda.py", *small, "--rows", "pipelined,dcls"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["backend"] == "cuda" and found["versions"]["pygenn"]
    assert found["settings"] == {"set": "digits", "batch": 8, "epochs": 1, "examples": 16}
    own = found["rows"]["pipelined"]
    assert "error" not in own, own
    assert own["examples_per_second"] == pytest.approx(16 / own["epoch_seconds"][0])
    assert own["seconds"] > own["epoch_seconds"][0] > 0 and 0 <= own["accuracy"] <= 1
    assert "accuracy" in found["rows"]["dcls"] or "error" in found["rows"]["dcls"]
