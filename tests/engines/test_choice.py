"""The engine that is chosen where none is named."""

import pytest

from mlgenn_delays.engines.compile import choose_engine
from mlgenn_delays.engines.genn import checks, gpus
from mlgenn_delays.learning import EventProp, SurrogateBPTT
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU and all that GeNN takes."""
    monkeypatch.setattr(gpus, "count", lambda: 1)
    monkeypatch.setattr(checks, "available_backends", lambda: list(checks.BACKENDS))
    monkeypatch.setattr(checks, "check_compilers", lambda backend: None)


def network(normalise: bool = False) -> Network:
    made = Network()
    made.add("in", SpikeInput(3))
    made.add("hidden", LIF(4), normalise=normalise)
    made.add("out", LeakyIntegrator(2))
    made.connect("in", "hidden", Exponential(), weight=0.5)
    made.connect("hidden", "out", Exponential(), weight=0.5)
    return made


def chosen(*arguments, **options):
    found = choose_engine(*arguments, **options)
    return found.engine, found.backend


def test_genn_where_there_is_a_gpu(gpu):
    assert chosen(network(), EventProp()) == ("genn", "cuda")


def test_cpu_without_a_gpu(gpu, monkeypatch):
    monkeypatch.setattr(gpus, "count", lambda: 0)
    assert chosen(network(), EventProp()) == ("cpu", "single_threaded_cpu")


def test_cpu_where_genn_was_built_without_cuda(gpu, monkeypatch):
    monkeypatch.setattr(checks, "available_backends", lambda: ["single_threaded_cpu"])
    assert "pygenn was built with" in choose_engine(network(), EventProp()).reason


def test_cpu_for_what_genn_cannot_learn_and_genn_to_evaluate_it(gpu):
    assert chosen(network(), SurrogateBPTT()) == ("cpu", "single_threaded_cpu")  # atan
    assert chosen(network(), SurrogateBPTT(), learns=False) == ("genn", "cuda")
    assert chosen(network(True), EventProp()) == ("cpu", "single_threaded_cpu")
    assert "without normalisation" in choose_engine(network(True), EventProp()).reason
    assert chosen(network(True), EventProp(), learns=False) == ("genn", "cuda")
