"""The house: what is packaged, what depends on what, what is declared."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlgenn_delays import __version__
from tests.order import FIRST

ROOT = Path(__file__).parent.parent
# Folder -> the package it is imported as.
FOLDERS = {
    "delaysnn": "delaysnn",
    "mlgenn_delays": "mlgenn_delays",
    "cli": "mlgenn_delays/cli",
    "models": "mlgenn_delays/models",
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Distribution -> module, where they differ.
MODULES = {"ipython": "IPython", "pillow": "PIL", "scikit-learn": "sklearn"}
# Part -> the parts it may import; besides itself and the single files of the package.
BELOW = {
    "network": set(),
    "learning": {"network"},
    "rewiring": set(),
    "data": set(),
    "engines": {"network", "learning", "rewiring", "data"},
    "recipe": {"network", "learning", "rewiring", "data"},
    "runs": {"network", "data", "engines", "recipe"},
    "training": {"network", "learning", "rewiring", "data", "engines", "runs"},
    "analysis": {"network", "data", "engines", "recipe", "runs", "training"},
    "sweep": {"data", "engines", "recipe", "runs", "training"},
    "torch": {"network", "learning", "data", "engines"},
    "export": {"network", "learning", "data", "engines", "recipe", "runs", "training"},
    "cost": {"network", "data", "engines", "runs", "export"},
    "imports": {"network", "export"},
    "report": {
        "network",
        "learning",
        "data",
        "engines",
        "recipe",
        "runs",
        "training",
        "analysis",
        "cost",
    },
}


def sources() -> list[Path]:
    """Return every Python file that is packaged."""
    found = [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]
    assert len(found) > 20
    return sorted(found)


def imports(file: Path) -> set[str]:
    """Return the modules that a file imports by their full names."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    """Return the wheel, built from a copy so that the tree stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    copy.mkdir()
    for name in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    command += ["--no-index", "--quiet", "--wheel-dir", str(folder), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    return zipfile.ZipFile(file)


def test_the_wheel_has_every_source_and_recipe(wheel):
    expected = {
        f"{package}/{file.relative_to(ROOT / folder).as_posix()}"
        for folder, package in FOLDERS.items()
        for kind in (
            "*.py",
            "*.pyi",
            "*.toml",
            "*.safetensors",
            "*.sha256",
            "py.typed",
            "templates/*",
        )
        for file in (ROOT / folder).rglob(kind)
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert "mlgenn_delays/models/digits.toml" in packed
    assert {"mlgenn_delays/py.typed", "delaysnn/py.typed", "delaysnn/network.pyi"} <= packed
    assert packed == expected


def test_the_wheel_has_one_package_and_its_other_name(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {"mlgenn_delays", "delaysnn", f"delaysnn-{__version__}.dist-info"}


def test_the_wheel_has_the_script_and_the_licence(wheel):
    folder = f"delaysnn-{__version__}.dist-info"
    assert "delaysnn = mlgenn_delays.cli:main" in wheel.read(f"{folder}/entry_points.txt").decode()
    assert "License-Expression: MIT" in wheel.read(f"{folder}/METADATA").decode()
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()


def test_the_wheel_works_away_from_the_tree(wheel, tmp_path):
    wheel.extractall(tmp_path / "site")
    code = "import delaysnn.cli as c; print(c.__file__); c.main(['recipes'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert "digits" in done.stdout


def test_every_import_is_declared():
    requirements = PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), [])
    names = {re.match(r"[A-Za-z0-9_-]+", each)[0] for each in requirements}
    declared = {MODULES.get(name, name.replace("-", "_")) for name in names}
    allowed = declared | set(sys.stdlib_module_names) | {"mlgenn_delays"}
    allowed |= {"pygenn", "ml_genn"}  # on no package registry, so no extra can name them
    for file in sources():
        tops = {name.split(".")[0] for name in imports(file)}
        assert tops <= allowed, f"{file} imports {tops - allowed}"


@pytest.mark.parametrize("folder", ["benchmarks", "docs"])
def test_scripts_import_names_that_there_are(folder):
    """Nobody runs them after every change, and types are checked of the package alone."""
    for file in (ROOT / folder).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.startswith("mlgenn_delays"):
                try:
                    of = import_module(module)
                except ModuleNotFoundError as error:
                    assert error.name in ("pygenn", "ml_genn"), f"{file}: {error}"
                    continue
                for alias in node.names:
                    inside = hasattr(of, "__path__") and find_spec(f"{module}.{alias.name}")
                    assert hasattr(of, alias.name) or inside, f"{file}: {module}.{alias.name}"


def test_arrows_go_downwards():
    for part, below in BELOW.items():
        files = list((ROOT / "mlgenn_delays" / part).rglob("*.py"))
        assert files, part
        for file in files:
            parts = {
                name.split(".")[1] for name in imports(file) if name.startswith("mlgenn_delays.")
            }
            wrong = (parts & {*BELOW, "cli", "models"}) - below - {part}
            assert not wrong, f"{file} imports {wrong}"


def needed(file: Path, modules: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a file imports when it runs, anywhere in it."""
    tree, found = ast.parse(file.read_text()), set()
    types = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node not in types:
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            found |= {name if name in modules else node.module for name in names}
    return found & set(modules)


def test_nothing_goes_in_circles():
    modules = {}
    for file in sources():
        folder = file.relative_to(ROOT).parts[0]
        path = Path(FOLDERS[folder]) / file.relative_to(ROOT / folder).with_suffix("")
        modules[".".join(path.parts).removesuffix(".__init__")] = file
    graph = {name: needed(file, modules) - {name} for name, file in modules.items()}
    assert sum(map(len, graph.values())) > 1000
    TopologicalSorter(graph).prepare()  # raises an error that shows a circle


def test_no_pickle():
    for file in sources():
        tops = {name.split(".")[0] for name in imports(file)}
        # Numba's cache is pickled; it is verified before.
        allowed = {"pickle"} if file.name == "kernels.py" else set()
        assert not tops & {"pickle", "dill", "joblib", "shelve", "marshal"} - allowed, file


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^version: (.+)$", citation, re.MULTILINE)[1] == __version__


def test_ci_runs_what_developers_run():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().rstrip().endswith("exec make test check")


@pytest.mark.slow
def test_without_genn_all_tests_are_found():
    # Where GeNN is, nothing else shows that a file imports it before it asks whether it is there.
    options = ["-q", "--collect-only", "-m", "slow or not slow", "-p", "no:cacheprovider", "tests"]
    code = "import sys; sys.modules.update(pygenn=None, ml_genn=None); import pytest; "
    code += f"sys.exit(pytest.main({options}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:]


def test_files_that_come_first_are_there() -> None:
    assert [name for name in FIRST if not (ROOT / "tests" / name).is_file()] == []
