"""Tests and benchmarks run on every machine, and leave out only what a machine lacks."""

import importlib.util
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs_commands.pages import ROOT
from tests.needs import needs

TESTS = ROOT / "tests"
ALONE = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]


def test_an_interrupt_arrives_here_and_in_a_child() -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    code = "import signal; signal.raise_signal(signal.SIGINT)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "KeyboardInterrupt" in done.stderr


@needs("posix")
def test_an_interrupt_arrives_where_the_tests_run_in_the_background() -> None:
    """As with `nohup make test &` in a script: the shell lets what it starts ignore SIGINT."""
    name = test_an_interrupt_arrives_here_and_in_a_child.__name__
    done = subprocess.run(
        [*ALONE, f"{Path(__file__)}::{name}"], cwd=ROOT, capture_output=True, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout


def test_skips_have_one_home() -> None:
    """What skips a test says what the machine lacks; that is for `tests.needs` to say."""
    skipping = re.compile(r"importorskip|skipif|pytest\.skip\(|mark\.skip\b|xfail")
    found = {
        file.relative_to(TESTS).as_posix()
        for file in TESTS.rglob("*.py")
        if file != Path(__file__) and skipping.search(file.read_text())
    }
    # The second looks for what GeNN's CUDA backend needs beyond programs and modules.
    assert found == {"needs.py", "cuda/test_generate.py"}


def test_exports_are_compared_without_genn_and_compilers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = importlib.util.spec_from_file_location("exports", ROOT / "benchmarks" / "exports.py")
    exports = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(exports)
    monkeypatch.setattr(exports, "find_spec", lambda name: None if name == "pygenn" else spec)
    monkeypatch.setattr(exports.shutil, "which", lambda name: None)
    assert exports.formats_here() == ["bundle", "nir"]
    said = capsys.readouterr().err
    assert "genn is left out: GeNN is not installed\n" in said
    assert "c int8 is left out: there is no gcc\n" in said
