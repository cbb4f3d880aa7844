"""Kills and full disks at a sample of all file operations; sweep.py tries them all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.needs import needs

SCRIPT = Path(__file__).with_name("sweep.py")
pytestmark = needs("/proc", "compiled kernels")


def swept(*arguments: str) -> dict:
    """Return what the script says of the cases that it is asked for."""
    command = [sys.executable, str(SCRIPT), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_sample():
    found = swept("--sample", "60", "--without", "report")
    assert found["cases"] == 60
    assert {name.split()[0] for name in found["by"]} >= {"train", "train-init-folder", "sweep"}
    assert {name.split()[1] for name in found["by"]} == {"kill", "half", "full"}
    assert found["changes"]["train"] > 100  # it sees what is written
    assert found["changes"]["train-init"] > found["changes"]["train"]


@pytest.mark.slow
def test_a_larger_sample():
    assert swept("--sample", "100")["cases"] == 100
