"""`delaysnn` and `mlgenn_delays` are one package of two names."""

import importlib
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import delaysnn
import mlgenn_delays

ROOT = Path(__file__).parent.parent
MODULES = sorted(
    module.name.removeprefix("mlgenn_delays.")
    for path, prefix in ((ROOT / "mlgenn_delays", "mlgenn_delays."), (ROOT / "cli", "cli."))
    for module in pkgutil.iter_modules([str(path)], prefix)
    if not module.name.endswith((".__main__", ".probe"))  # which run
)


def python(code: str, *options: str) -> str:
    """Return what a new process prints; a warning is an error."""
    command = [sys.executable, "-W", "error", *options, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_the_same(name):
    ours = importlib.import_module(f"delaysnn.{name}")
    theirs = importlib.import_module(f"mlgenn_delays.{name}")
    assert ours is theirs
    assert ours.__name__ == ours.__spec__.name == f"mlgenn_delays.{name}"
    assert importlib.util.find_spec(f"delaysnn.{name}") is not None


def test_every_name_is_the_same():
    assert delaysnn is mlgenn_delays
    assert delaysnn.__version__ == mlgenn_delays.__version__
    for name in mlgenn_delays.__all__:
        assert getattr(delaysnn, name) is getattr(mlgenn_delays, name)


@pytest.mark.parametrize("first", ["delaysnn", "mlgenn_delays"])
def test_whichever_is_imported_first(first):
    code = (
        f"from {first}.network import Network as a; import {first}.data.registry; "
        "from delaysnn.network import Network as b; from mlgenn_delays.network import Network as c;"
        "import delaysnn.data, mlgenn_delays.data, importlib; "
        "importlib.reload(delaysnn.data.registry); "
        "print(a is b is c, delaysnn.data is mlgenn_delays.data)"
    )
    assert python(code) == "True True\n"


def test_objects_are_pickled_under_one_name():
    from delaysnn.network import LIF

    pickled = pickle.dumps(LIF(3))
    assert b"delaysnn" not in pickled
    assert python(f"import pickle; print(pickle.loads({pickled!r}).n)") == "3\n"


def test_what_there_is_not():
    with pytest.raises(ModuleNotFoundError, match="^No module named 'delaysnn.nothing'$"):
        importlib.import_module("delaysnn.nothing")
    with pytest.raises(ModuleNotFoundError, match="^No module named 'delaysnn.nothing'$"):
        importlib.import_module("delaysnn.nothing.within")
    with pytest.raises(AttributeError, match="nothing"):
        _ = delaysnn.nothing


@pytest.mark.parametrize("name", ["delaysnn", "mlgenn_delays"])
def test_either_runs_the_command(name):
    command = [sys.executable, "-m", name, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.stderr) == (f"delaysnn {mlgenn_delays.__version__}\n", "")


def test_type_checkers_find_the_public_names():
    stubs = {path.stem: path.read_text() for path in (ROOT / "delaysnn").glob("*.pyi")}
    del stubs["__init__"]
    for name, text in stubs.items():
        assert text == f"from mlgenn_delays.{name} import *\n"
    public = {
        name for name in MODULES if hasattr(importlib.import_module(f"delaysnn.{name}"), "__all__")
    }
    assert public <= set(stubs)


@pytest.mark.slow
def test_types_are_those_of_the_package(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(
        "from typing import assert_type\n"
        "import mlgenn_delays\n"
        "from delaysnn import LIF, Trainer\n"
        "from delaysnn.network import Network\n"
        "net = Network(1.0)\n"
        "assert_type(net, mlgenn_delays.Network)\n"
        "assert_type(LIF(3).n, int)\n"
        "Trainer(net, 1)\n"
    )
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(snippet)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    (error,) = done.stdout.splitlines()
    assert "snippet.py:8: error: " in error and '"Trainer" has incompatible type' in error
