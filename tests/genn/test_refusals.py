"""What GeNN refuses, with the reason and what works instead."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.needs import need

need("genn")

from mlgenn_delays.engines.compile import compile_network  # noqa: E402
from mlgenn_delays.engines.genn import checks  # noqa: E402
from mlgenn_delays.engines.genn.build import LINES  # noqa: E402
from mlgenn_delays.engines.genn.checks import available_backends  # noqa: E402
from mlgenn_delays.errors import InputError  # noqa: E402
from mlgenn_delays.learning import Atan, EventProp, SurrogateBPTT, Triangle  # noqa: E402
from mlgenn_delays.network import Network  # noqa: E402
from tests.engines.helpers import relative  # noqa: E402
from tests.reference import nets  # noqa: E402
from tests.reference.nets import Recipe, StepRecipe  # noqa: E402

RECIPE = Recipe(1400, steps=40, sizes=(6, 5, 3))
NORMALISED = StepRecipe(1401, normalised="all", sizes=(9, 8, 7, 3), current=True)


def genn(net: Network | None = None, rule: Any = None, **options: Any) -> Any:
    own = nets.network(RECIPE) if net is None else net
    return compile_network(own, rule or EventProp(), engine="genn", total_steps=1, **options)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder, so that code must be compiled."""
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


# Networks and rules


def test_delays_of_more_than_16_bits() -> None:
    net = nets.network(RECIPE)
    net.projections["input->hidden0"].max_delay = 65535.0
    genn(net)
    net.projections["input->hidden0"].max_delay = 65536.0
    with pytest.raises(InputError, match=r"at most 65535 steps, got 65536 .*'input->hidden0'"):
        genn(net)
    net.projections["input->hidden0"].max_delay, net.dt = 40000.0, 0.5
    with pytest.raises(InputError, match="got 80000 .* raise dt"):
        genn(net)


def test_networks_and_rules() -> None:
    triangle = SurrogateBPTT(surrogate=Triangle())
    genn(None, triangle)
    for net, rule, match in (
        (None, SurrogateBPTT(surrogate=Atan()), "compact support, got Atan; take Triangle"),
        (
            nets.step_network(NORMALISED), triangle,
            "without normalisation to learn, got 'hidden0'.* cpu",
        ),
        # What the CPU engine refuses too.
        (
            nets.step_network(StepRecipe(1403, neuron="BalancedResonator")), None,
            "must be linear between spikes for EventProp, got line",
        ),
        (nets.step_network(StepRecipe(1402, delta=True)), None, "must have Exponential synapses"),
        (None, EventProp(dropout={"nothing": 0.5}), "dropout must name populations that spike"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=match):
            genn(net, rule)


def test_normalisation_that_only_answers_is_folded() -> None:
    net, rule = nets.step_network(NORMALISED), SurrogateBPTT(surrogate=Triangle())
    batch = nets.step_data(NORMALISED, 6).batch(np.arange(6))
    wanted = compile_network(net, rule, total_steps=1, threads=1).evaluate([batch])
    got = genn(net, rule, learns=False).evaluate([batch])
    assert relative(got.logits, wanted.logits) < 1e-4
    assert got.loss == pytest.approx(wanted.loss, rel=1e-4)
    np.testing.assert_array_equal(got.predictions, wanted.predictions)
    assert got.spikes == wanted.spikes and wanted.spikes["hidden1"] > 0
    assert net.populations["hidden0"].normalisation is not None


# Backends


def test_unknown_engines_and_backends() -> None:
    with pytest.raises(InputError, match="no engine 'gen'; did you mean 'genn'"):
        compile_network(nets.network(RECIPE), EventProp(), total_steps=1, engine="gen")
    with pytest.raises(InputError, match="one of single_threaded_cpu, cuda, got 'cudo'"):
        genn(backend="cudo")


def test_a_backend_that_pygenn_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    from pygenn import genn_model

    here = {"single_threaded_cpu": genn_model.backend_modules["single_threaded_cpu"]}
    monkeypatch.setattr(genn_model, "backend_modules", here)
    assert available_backends() == ["single_threaded_cpu"]
    with pytest.raises(InputError, match="got pygenn with single_threaded_cpu; .* CUDA_PATH"):
        genn(backend="cuda")


@pytest.mark.parametrize("missing", ["pygenn", "ml_genn"])
def test_a_missing_package(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    if missing == "pygenn":
        monkeypatch.setitem(sys.modules, "pygenn.genn_model", None)
    for backend in ("single_threaded_cpu", "cuda"):
        with pytest.raises(InputError, match=f"{missing}.*genn-team.github.io.*--engine cpu"):
            genn(backend=backend)
    compile_network(nets.network(RECIPE), EventProp(), total_steps=1)


# Compilers


@pytest.mark.parametrize("program", ["g++", "make"])
def test_a_missing_program(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    other = "make" if program == "g++" else "g++"
    script(tmp_path / other, "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError) as caught:
        genn()
    assert f"must have {program}" in str(caught.value) and "--engine cpu" in str(caught.value)


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "does-not-exist")
    with pytest.raises(InputError, match=r"'does-not-exist' is not on PATH"):
        genn()


def test_a_compiler_that_fails(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    text = "i=1\nwhile [ $i -le 50 ]; do echo oops $i >&2; i=$((i+1)); done\nexit 1"
    failing, batch = script(tmp_path / "failing", text), nets.batch(RECIPE)
    monkeypatch.setenv("CXX", str(failing))
    engine = genn()
    with pytest.raises(InputError) as caught:
        engine.evaluate([batch])
    message, (folder,) = str(caught.value), (cache / "genn").glob("genn-*")
    assert "oops 50" in message and "oops 1\n" not in message
    assert len(message.splitlines()) <= LINES + 4
    assert str(folder) in message and "--engine cpu" in message
    said = (folder / "build.log").read_text()
    assert "oops 1\n" in said and said.count("oops 50") >= 1
    out, err = capfd.readouterr()
    assert "oops" not in out + err
    # Once it is mended, the same call works; what was there does not stand in the way.
    monkeypatch.delenv("CXX")
    assert engine.evaluate([batch]).n == 3
    out, err = capfd.readouterr()
    assert not out and not err


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path / "file"))
    # A temporary folder does instead.
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    assert genn().evaluate([nets.batch(RECIPE)]).n == 3
    assert list((tmp_path / "tmp").glob("delaysnn-*/genn/genn-*/built.json"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    with pytest.raises(InputError, match="cannot write GeNN's code .* set DELAYSNN_CACHE"):
        genn().evaluate([nets.batch(RECIPE)])


@pytest.mark.parametrize(("name", "found"), [("pygenn", "5.3.0"), ("ml_genn", "2.2.1")])
def test_a_package_that_is_too_old(name: str, found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = {"pygenn": "5.4.0", "ml_genn": "2.3.1"} | {name: found}
    monkeypatch.setattr(checks, "installed_version", here.get)
    with pytest.raises(InputError, match=f"{name} .* or later, got {found}; .* --engine cpu"):
        genn()
