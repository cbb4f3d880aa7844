"""delaysnn doctor."""

import sys

import pytest

from mlgenn_delays import __version__
from tests.cli.helpers import call, parsed


def test_it_works_here():
    found = parsed(call("doctor", "--json"))
    assert found["works"] is True
    assert found["versions"]["delaysnn"] == __version__
    assert found["cpu"]["compiles"] is True
    assert found["cpu"]["cores"] >= 1


def test_text():
    result = call("doctor")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "training on the CPU engine works"


@pytest.fixture
def nothing_there(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    module = __import__("mlgenn_delays.cli.doctor", fromlist=["doctor"])
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    return module


def test_what_is_missing_comes_with_what_to_do(nothing_there):
    result = call("doctor")
    assert result.exit_code == 0  # none of it is needed on the CPU engine
    for name in ("nvidia-smi", "nvcc", "pygenn", "ml_genn", "tonic"):
        assert f"  {name}: only for" in result.stdout
    assert nothing_there.GENN in result.stdout


def test_numba_that_does_not_compile(nothing_there, monkeypatch):
    def broken():
        raise RuntimeError("no LLVM")

    monkeypatch.setattr(nothing_there, "_compiles", broken)
    result = call("doctor")
    assert result.exit_code == 1
    assert "cannot compile (RuntimeError: no LLVM)" in result.stdout
    assert result.stdout.splitlines()[-1] == "training on the CPU engine does not work"


@pytest.mark.parametrize("name", ["augment_kernel", "encode_kernel"])
def test_kernels_of_the_data_belong_to_the_engine(monkeypatch, name):
    monkeypatch.setitem(sys.modules, f"mlgenn_delays.data.{name}", None)
    monkeypatch.delattr(f"mlgenn_delays.data.{name}", raising=False)
    result = call("doctor")
    assert result.exit_code == 1
    assert (
        f"engine: cannot be imported (ModuleNotFoundError: import of mlgenn_delays.data.{name}"
        in (result.stdout)
    )


def test_cores_are_those_of_the_engine(monkeypatch):
    monkeypatch.setattr("mlgenn_delays.engines.cpu.workers.available_cores", lambda: 77)
    assert parsed(call("doctor", "--json"))["cpu"]["cores"] == 77


def test_no_folder_for_compiled_kernels(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file" / "cache"))
    found = parsed(call("doctor", "--json"))
    assert found["cpu"]["cache"] is None
    assert "NUMBA_CACHE_DIR" in found["hints"]["cache"]
