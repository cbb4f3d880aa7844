"""delaysnn doctor."""

import sys
import time

import pytest

from mlgenn_delays import __version__
from mlgenn_delays.cli import doctor
from mlgenn_delays.cli.options import BACKENDS
from mlgenn_delays.data.encode.mel import mel_transform
from mlgenn_delays.engines.genn import checks
from mlgenn_delays.kernels import kernel_cache, pack_kernel
from tests.cli.helpers import call, parsed
from tests.needs import needs

TRIED = {
    "single_threaded_cpu": {"works": True, "seconds": 3.14},
    "cuda": {"works": False, "reason": "it cannot\nno GPU"},
}
TRY = doctor.try_backends  # the processes themselves; see tests/genn/test_cli.py for GeNN's


@pytest.fixture(autouse=True)
def tried(monkeypatch):
    """What the processes that try GeNN's backends answer."""
    monkeypatch.setattr(doctor, "try_backends", lambda names: {n: TRIED[n] for n in names})


@pytest.fixture
def genn_there(monkeypatch):
    """GeNN, whether it is installed or not."""
    module = __import__("mlgenn_delays.cli.doctor", fromlist=["doctor"])
    monkeypatch.setattr(module, "_module", lambda name: f"/there/{name}")
    here = {"pygenn": "5.4.0", "ml_genn": "2.3.1"}
    found = checks.installed_version
    monkeypatch.setattr(
        checks, "installed_version", lambda name: here[name] if name in here else found(name)
    )
    return here


def test_it_works_here():
    found = parsed(call("doctor", "--json"))
    assert found["works"] is True
    assert found["versions"]["delaysnn"] == __version__
    assert found["cpu"]["compiles"] is True
    assert found["cpu"]["cores"] >= 1
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


def test_genn_that_is_not_installed(nothing_there):
    genn = parsed(call("doctor", "--json"))["genn"]
    assert genn["installed"] is False
    for name in BACKENDS:
        assert genn["backends"][name]["works"] is False
        assert "not installed" in genn["backends"][name]["reason"]
    result = call("doctor")
    assert "GeNN cuda                  does not work: pygenn or ml_genn is not" in result.stdout
    assert "says (pygenn 5.4 and ml_genn 2.3.1, or later)" in result.stdout


def test_backends_of_genn(genn_there):
    found = parsed(call("doctor", "--json"))
    assert found["genn"] == {"installed": True, "versions": genn_there, "backends": TRIED}
    assert not {"pygenn", "ml_genn"} & set(found["hints"])
    result = call("doctor")
    assert result.exit_code == 0  # CUDA is not needed on the CPU engine
    assert "GeNN single_threaded_cpu   works (3.1 s)\n" in result.stdout
    assert "GeNN cuda                  does not work: it cannot\n    no GPU\n" in result.stdout
    assert "pygenn         5.4.0  /there/pygenn\n" in result.stdout


@pytest.mark.parametrize(
    ("name", "version", "old"),
    [
        ("pygenn", "5.3.9", True), ("pygenn", "5.10.0", False), ("pygenn", "5.4.0.dev1", False),
        ("ml_genn", "2.3", True), ("ml_genn", "2.3.0", True), ("ml_genn", "3", False),
        ("ml_genn", None, False),
    ],
)  # fmt: skip
def test_versions_of_genn(genn_there, name, version, old):
    genn_there[name] = version
    hints = parsed(call("doctor", "--json"))["hints"]
    assert (name in hints) == old
    if old:
        assert f"version {version} is too old: install {checks.OLDEST[name]}" in hints[name]


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A shell script in the place of Python, and a folder for what the processes leave."""
    monkeypatch.setattr(doctor.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()

    def write(text):
        file = tmp_path / "python"
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        monkeypatch.setattr(doctor.sys, "executable", str(file))
        return tmp_path / "tmp"

    return write


@needs("posix")
def test_processes_that_answer_or_end(script):
    folder = script(
        'if [ $3 = cuda ]; then echo out; seq 9 >&2; exit 3; fi; echo "*"; '
        """echo '{"works": true, "seconds": 2.5}'"""
    )
    found = TRY(BACKENDS)
    assert found["single_threaded_cpu"] == {"works": True, "seconds": 2.5}
    reason = "it ended with exit code 3\n5\n6\n7\n8\n9"
    assert found["cuda"] == {"works": False, "reason": reason}
    assert list(folder.iterdir()) == []


@needs("posix")
def test_what_a_reason_speaks_of_stays(script):
    text = """echo "{\\"works\\": false, \\"reason\\": \\"see $DELAYSNN_CACHE/log\\"}" """
    folder = script(text)
    reason = TRY(("cuda",))["cuda"]["reason"]
    (kept,) = folder.iterdir()
    assert reason == f"see {kept}/log"


@needs("posix")
def test_processes_that_never_end(script):
    folder = script("sleep 60 & wait")
    began = time.monotonic()
    found = TRY(BACKENDS, 0.5)
    assert time.monotonic() - began < 55  # what was started sleeps for 60
    reason = "no answer within 0.5 s"
    assert found == dict.fromkeys(BACKENDS, {"works": False, "reason": reason})
    assert list(folder.iterdir()) == []


def test_numba_that_does_not_compile(nothing_there, monkeypatch):
    def broken():
        raise RuntimeError("no LLVM")

    monkeypatch.setattr(nothing_there, "_compiles", broken)
    result = call("doctor")
    assert result.exit_code == 1
    assert "cannot compile (RuntimeError: no LLVM)" in result.stdout
    assert result.stdout.splitlines()[-1] == "training on the CPU engine does not work"


@pytest.mark.parametrize(
    "name", ["augment.augment_kernel", "augment.blend_kernel", "encode.rate_kernel"]
)
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
    monkeypatch.setattr("mlgenn_delays.machine.available_cores", lambda: 77)
    assert parsed(call("doctor", "--json"))["cpu"]["cores"] == 77


def test_no_folder_for_compiled_kernels(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    for name in ("NUMBA_CACHE_DIR", "DELAYSNN_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "file" / "cache"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    found = parsed(call("doctor", "--json"))
    assert found["cpu"]["cache"].startswith(str(tmp_path / "tmp"))
    assert "kept in the temporary folder" in found["hints"]["cache"]
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    found = parsed(call("doctor", "--json"))
    assert found["cpu"]["cache"] is None
    assert "NUMBA_CACHE_DIR" in found["hints"]["cache"]


def test_the_state_of_compiled_kernels(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = kernel_cache()
    for name in ("a", "b", "c"):
        (folder / f"{name}.nbc").write_bytes(pack_kernel(f"{name}.nbc", b"x"))
    (folder / "b.nbc").write_bytes(b"")
    (folder / "c.nbc").chmod(0o666)
    found = parsed(call("doctor", "--json"))
    assert found["cpu"]["kernels"] == {"whole": 1, "damaged": 1, "ignored": 1}
    assert found["hints"]["kernels"].startswith("1 are damaged")
    assert "others may write" in found["hints"]["owner"]
    result = call("doctor")
    assert f"kernel cache   {tmp_path} (1 whole, 1 damaged, 1 ignored)\n" in result.stdout


def test_recordings_are_tried(monkeypatch):
    assert parsed(call("doctor", "--json"))["cpu"]["sound"] is True

    def fail():
        raise RuntimeError("cannot cache function '__o_fold'")

    monkeypatch.setattr("mlgenn_delays.data.encode.mel.librosa_filters", fail)
    mel_transform.cache_clear()
    result = call("doctor")
    assert result.exit_code == 1
    assert "recordings     cannot be encoded\n" in result.stdout
    assert "sound: recordings cannot be encoded (RuntimeError: cannot cache func" in result.stdout
    mel_transform.cache_clear()
