"""The glue by itself: several examples side by side, and trials longer than the series."""

import shutil
import struct
import subprocess
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.artifact import About
from mlgenn_delays.export.genn.manifest import Facts, FileFacts, Manifest
from mlgenn_delays.export.genn.runtime import GeNNModel, _Library
from tests.needs import needs

HERE = Path(__file__).parent
SIDE, STEPS, EXAMPLES = 3, 10, 7
WEIGHTS = struct.pack("<8sIIQ", b"DSNNGENN", 1, 0, 0)

pytestmark = needs("g++")


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("glue")
    templates = files("mlgenn_delays.export.genn") / "templates"
    (folder / "src").mkdir()
    for name in ("glue.cc", "network.h", "device.h", "device_single_threaded_cpu.cc"):
        (folder / "src" / name).write_bytes((templates / name).read_bytes())
    header = "delaysnn_genn.h"
    (folder / header).write_bytes((templates / header).read_bytes())
    shutil.copy(HERE / "fake_network.cc", folder / "src")
    flags = ["-std=c++11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    sources = [str(each) for each in (folder / "src").glob("*.cc")]
    done = subprocess.run(
        ["g++", *flags, *sources, "-o", str(folder / "out.so")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return (folder / "out.so").read_bytes()


def model_of(content: bytes) -> GeNNModel:
    library = _Library(content, HERE)
    library.take(WEIGHTS, HERE)
    facts = Facts(
        dt=1.0, inputs=2, currents=False, outputs=2, synapses=0, longest=0, batch_size=SIDE,
        kept={"only": (0, 1)},
    )  # fmt: skip
    about = About(n_steps=STEPS, labels=("a", "b"))
    manifest = Manifest(
        backend="cuda", genn="", about=about, network=facts,
        weights=FileFacts(bytes=1, sha256="0" * 64), built=None,
    )  # fmt: skip
    return GeNNModel(manifest, library, HERE)


def given() -> tuple[np.ndarray, SpikeBatch]:
    """Return random spikes as (B, C, T) of 0 and 1, and as a batch."""
    raster = np.random.default_rng(3).random((EXAMPLES, 2, STEPS)) < 0.4
    events = [np.nonzero(each) for each in raster]
    data = SpikeData.from_events(
        events, np.zeros(EXAMPLES, int), n_channels=2, n_steps=STEPS, dt=1.0, label_names=("a",)
    )
    return raster, data.batch(np.arange(EXAMPLES))


def test_examples_side_by_side(content: bytes) -> None:
    raster, batch = given()
    found: Recording = model_of(content).run(batch)
    np.testing.assert_array_equal(found.voltage, raster.cumsum(2))
    np.testing.assert_allclose(found.logits, raster.cumsum(2).mean(2), rtol=1e-6)
    np.testing.assert_array_equal(found.time["only"], np.nonzero(raster)[2])
    np.testing.assert_array_equal(np.diff(found.start["only"]), raster.sum(2))
    np.testing.assert_array_equal(found.start["only"], batch.start)


def test_step_by_step(content: bytes) -> None:
    raster, _ = given()
    model = model_of(content)
    handle = model._library._handle
    voltage, logits = np.zeros(2, np.float32), np.zeros(2, np.float32)
    spiked = np.zeros(2, np.uint8)
    assert handle.dsnn_step_spikes(None, 0) == 1
    assert b"dsnn_reset" in handle.dsnn_error()
    for trial in range(2):
        assert handle.dsnn_reset(0) == 0
        assert handle.dsnn_voltage(voltage.ctypes) == 1
        for t in range(STEPS):
            channels = np.flatnonzero(raster[trial, :, t]).astype(np.uint32)
            assert handle.dsnn_step_spikes(channels.ctypes, len(channels)) == 0
            assert handle.dsnn_voltage(voltage.ctypes) == 0
            assert handle.dsnn_spikes(0, spiked.ctypes) == 0
            np.testing.assert_array_equal(voltage, raster[trial, :, : t + 1].sum(1))
            np.testing.assert_array_equal(spiked, raster[trial, :, t])
            assert handle.dsnn_logits(logits.ctypes) == 0
            so_far = raster[trial, :, : t + 1].cumsum(1).mean(1)
            np.testing.assert_allclose(logits, so_far, rtol=1e-6)
    assert handle.dsnn_spikes(1, spiked.ctypes) == 1
    assert handle.dsnn_step_spikes(np.array([2], np.uint32).ctypes, 1) == 1
    assert handle.dsnn_step_values(voltage.ctypes) == 1
    assert b"another kind" in handle.dsnn_error()


def test_weights_that_are_off(content: bytes) -> None:
    model = model_of(content)
    handle = model._library._handle
    for head, why in (
        (WEIGHTS[:-1], b"cut short"),
        (b"X" + WEIGHTS[1:], b"no weights"),
        (WEIGHTS[:8] + b"\x02" + WEIGHTS[9:], b"version"),
        (WEIGHTS + b"x", b"another network"),
        (WEIGHTS[:12] + b"\x01" + WEIGHTS[13:], b"damaged"),
    ):
        assert handle.dsnn_open_bytes(head, len(head)) == 1
        assert why in handle.dsnn_error()
        assert handle.dsnn_reset(0) == 1  # what was open is closed
    assert handle.dsnn_open(b"/no/such/file") == 1
    assert handle.dsnn_open_bytes(WEIGHTS, len(WEIGHTS)) == 0
    assert handle.dsnn_reset(0) == 0
