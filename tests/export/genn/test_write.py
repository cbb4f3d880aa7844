"""What cannot be exported, and why; and the file of weights."""

import struct
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.engines.genn import checks
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.genn import write, write_genn
from mlgenn_delays.export.genn.bind import network_source, offsets
from mlgenn_delays.export.genn.layout import LONGEST, DeviceArrays
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from tests.export.genn.cases import artifact


def small(delay: float) -> Artifact:
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(3))
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "hidden", Exponential(), weight=1.0, delay=delay, synapses=5)
    net.connect("hidden", "output", Exponential(), weight=2.0, delay=3.0)
    return Artifact.of(net, About(n_steps=10, labels=("a", "b")))


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the backends that pygenn is taken to have, and a compiler, which nothing runs."""
    monkeypatch.setenv("CXX", sys.executable)
    found = ["single_threaded_cpu"]
    monkeypatch.setattr(checks, "available_backends", lambda: found)
    return found


def test_pygenn_that_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ml_genn", None)
    with pytest.raises(InputError, match="must have pygenn 5.4 and ml_genn"):
        write_genn(small(1.0), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_settings(backends: list[str], tmp_path: Path) -> None:
    for options, why in (
        ({"backend": "cdua"}, "did you mean 'cuda'"),
        ({"backend": "cuda"}, "must have a pygenn with that backend"),
        ({"batch_size": 2}, "batch_size must be 1 on the CPU"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"batch_size": 1.0}, "batch_size"),
    ):
        with pytest.raises(InputError, match=why):
            write_genn(small(1.0), tmp_path / "out", **options)
    backends.append("cuda")
    with pytest.raises(InputError, match="1..4096 on CUDA, got 5000"):
        write_genn(small(1.0), tmp_path / "out", backend="cuda", batch_size=5000)


@pytest.mark.usefixtures("backends")
def test_delays_that_are_too_long(tmp_path: Path) -> None:
    assert DeviceArrays(small(LONGEST).network, 1).slots == LONGEST + 1
    with pytest.raises(
        InputError, match="projection 'input->.*at most 65535 steps for GeNN, got 65536"
    ):
        write_genn(small(LONGEST + 1.0), tmp_path / "out")


def test_arrays_that_are_too_long() -> None:
    net = small(LONGEST).network
    with pytest.raises(InputError, match="at most 4294967295 values"):
        DeviceArrays(net, 2**31)


@pytest.mark.usefixtures("backends")
def test_a_generator_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(write.sys, "executable", "false")
    with pytest.raises(InputError, match="generate code for single_threaded_cpu, but that failed"):
        write_genn(small(1.0), tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.usefixtures("backends")
def test_a_compiler_or_a_folder_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match="cannot write"):
        write_genn(small(1.0), tmp_path / "file")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match="no-such-compiler"):
        write_genn(small(1.0), tmp_path / "out")


def test_code_of_another_genn() -> None:
    layout = DeviceArrays(small(1.0).network, 1)
    for text in (
        "",
        "EXPORT_FUNC void pushMergedOtherGroup0ToDevice(unsigned int idx, float* V_p1);",
        "EXPORT_FUNC void pushMergedNeuronUpdateGroup0ToDevice(unsigned int idx, double* V_p1);",
        "EXPORT_FUNC void pushMergedNeuronUpdateGroup0ToDevice(unsigned int idx, float* X_p1);",
        "EXPORT_FUNC void pushMergedPresynapticUpdateGroup0ToDevice(unsigned int idx, float* w);",
    ):
        with pytest.raises(WorkError, match="install pygenn 5.4"):
            network_source(layout, text, 10)


@pytest.mark.parametrize("name", ["several", "delta"])
def test_weights(name: str) -> None:
    layout = DeviceArrays(artifact(name).network, 1)
    content = write.weights_of(layout)
    magic, version, crc, size = struct.unpack_from("<8sIIQ", content)
    assert (magic, version, size) == (b"DSNNGENN", 1, len(content) - 24)
    assert crc == zlib.crc32(content[24:])
    places = offsets(layout)
    assert all(place % 64 == 0 for place in places.values())
    for k, p in enumerate(layout.projections):

        def read(kind: str, k: int = k) -> np.ndarray | None:
            array = layout.arrays.get(f"{kind}_q{k}")
            if array is None:
                return None
            return np.frombuffer(content, array.type, array.size, 24 + places[array.name])

        n_pre, lengths = len(p.indptr) - 1, read("rowLength")
        used = np.ones((n_pre, p.n_synapses // n_pre), bool)
        if lengths is not None:
            used = np.arange(layout.stride(p)) < lengths[:, None]
            np.testing.assert_array_equal(read("ind").reshape(used.shape)[used], p.post)
        np.testing.assert_array_equal(read("g").reshape(used.shape)[used], p.weight)
        delays = read("d")
        found = np.zeros(p.n_synapses) if delays is None else delays.reshape(used.shape)[used]
        np.testing.assert_array_equal(found * layout.network.dt, p.delay)


def test_population_names_do_not_reach_the_code() -> None:
    made = small(1.0)
    hostile = '"); system("x"); //\n'
    net = made.network.copy()
    net.populations[hostile] = replace(net.populations.pop("hidden"), name=hostile)
    for p in net.projections.values():
        p.source, p.target = (hostile if n == "hidden" else n for n in (p.source, p.target))
    assert [*DeviceArrays(net, 1).arrays] == [*DeviceArrays(made.network, 1).arrays]


def test_synapses_that_differ_between_neurons_are_refused() -> None:
    net = small(1.0).network
    net.projections["hidden->output"].synapse = Exponential(np.array([1.0, 2.0]))
    with pytest.raises(InputError, match="tau_syn of projection 'hidden->output' must be one"):
        DeviceArrays(net, 1)
