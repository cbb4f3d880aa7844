"""Inputs: encoded as in training, whatever they come in."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.data import load_dataset
from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.data.encode.cochlea import SAMPLE_RATE, cochlea_spikes
from mlgenn_delays.data.registry import DATASETS
from mlgenn_delays.data.sets import digits
from mlgenn_delays.data.types import CurrentData
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.inputs import Reader
from tests.export.readers import RATE, analogue, events_of, reader, recording
from tests.reference.nets import Recipe, data, network

T = 150
LEVEL = {"encoder": {"kind": "level", "levels": [0.4, 0.7]}}
COUNTS = {"encoding": "currents"}
CURRENTS = {"encoding": "currents", "scale": 3.0}


def same(batch: Any, data: Any) -> None:
    if isinstance(data, CurrentData):
        assert batch.values.dtype == np.float32 and batch.values.flags.c_contiguous
        np.testing.assert_array_equal(batch.values, data.values)
    else:
        assert batch.start.dtype == np.int64 and batch.time.dtype == np.int32
        np.testing.assert_array_equal(batch.start, data.start)
        np.testing.assert_array_equal(batch.time, data.time)
    assert batch.n_steps == data.n_steps and (batch.labels == -1).all()
    assert batch.index.tolist() == list(range(len(data)))


# As in training


def test_every_data_set_is_tested_here() -> None:
    kinds = {name: entry.raw.kind for name, entry in DATASETS.items() if entry.raw is not None}
    recordings = dict.fromkeys(("fsdd", "folder", "shd", "ssc"), "recording")
    assert kinds == {"digits": "image", "rawhd": "frames"} | recordings
    digits_raw = DATASETS["digits"].raw
    assert digits_raw is not None
    assert np.prod(digits_raw.size) == digits.N_PIXELS and digits_raw.white == digits.WHITE


NAMES = {"fsdd": ["0_al_0.wav", "1_al_0.wav"], "folder": ["test/a/0.wav", "test/b/0.wav"]}


# How a recording becomes spikes or currents does not depend on which of the data sets it is from.
@pytest.mark.parametrize(
    "data, dt, options",
    [
        ("fsdd", 1.0, LEVEL),
        ("fsdd", 2.5, {}),
        ("fsdd", 10.0, CURRENTS),
        ("folder", 1.0, {}),
        ("folder", 2.5, {**CURRENTS, "mel": {"hop": 5.0}}),
        ("folder", 10.0, LEVEL),
    ],
)
def test_recordings_as_in_training(tmp_path: Path, data: str, dt: float, options: dict) -> None:
    folder, names = tmp_path / "wavs", NAMES[data]
    for name, seconds in zip(names, (0.12, 0.4), strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, recording(seconds), RATE)
    options = {**options, "duration": T}
    expected = load_dataset(data, folder, options, dt=dt, cache=False)["test"]
    one = reader(data, expected.n_channels, expected.n_steps, dt, **options)
    same(one.as_batch(list(one.items([folder]))), expected)
    for form in (recording(0.4), recording(0.4).astype(np.float64) / 2**15):
        np.save(tmp_path / "samples.npy", form)
        same(one.as_batch(one.of([recording(), tmp_path / "samples.npy"])), expected)


def test_recordings_through_the_cochlea_as_in_training(tmp_path: Path) -> None:
    path, options = tmp_path / "0_al_0.wav", {"encoding": "cochlea", "duration": T}
    soundfile.write(path, recording(), RATE)
    expected = load_dataset("fsdd", tmp_path, options, cache=False)["test"]
    one = reader("fsdd", steps=T, **options)
    same(one.as_batch(one.read(path)), expected)
    assert one.sample_rate == SAMPLE_RATE
    same(one.as_batch(one.of(read_recording(path, SAMPLE_RATE))), expected)


@pytest.mark.parametrize("options", [{}, {"channels": 140}, {"channels": 70, **COUNTS}])
@pytest.mark.parametrize("name", ["shd", "ssc"])
def test_networks_of_shd_hear_what_made_their_data(tmp_path: Path, name: str, options: dict):
    path = tmp_path / "word.wav"
    soundfile.write(path, recording(), RATE)
    units, seconds = cochlea_spikes(read_recording(path, SAMPLE_RATE))
    with h5py.File(tmp_path / "word.h5", "w") as file:
        for key, values in (("units", units), ("times", seconds)):
            kind = h5py.vlen_dtype(values.dtype)
            file.create_dataset(f"spikes/{key}", (1,), dtype=kind)[0] = values
    if name == "ssc" and "encoding" in options:
        options = options | {"stream": False}
    one = reader(name, steps=T, **options)
    heard, read = (one.as_batch(one.read(tmp_path / each)) for each in ("word.wav", "word.h5"))
    if "encoding" in options:
        assert read.values.sum() > 100
        np.testing.assert_array_equal(heard.values, read.values)
    else:
        assert len(read.time) > 100
        np.testing.assert_array_equal(heard.start, read.start)
        np.testing.assert_array_equal(heard.time, read.time)


def test_other_rates_and_channels(tmp_path: Path) -> None:
    one = reader("fsdd", steps=T, **LEVEL, duration=T)
    stereo = np.repeat(recording(0.15, 16000)[:, None], 2, 1)
    soundfile.write(tmp_path / "x.WAV", stereo, 16000, format="WAV")
    (item,) = one.read(tmp_path / "x.WAV")
    assert item.kind == "recording" and item.raw.shape == (1200,) and len(one.as_batch([item])) == 1


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
def test_pcm_is_scaled(dtype: str) -> None:
    info = np.iinfo(dtype)
    middle = 128 if dtype == "uint8" else 0
    samples = np.array([info.min, middle, info.max], dtype)
    (item,) = reader("fsdd", steps=T, duration=T).of(samples)
    assert item.raw.dtype == np.float32
    np.testing.assert_allclose(item.raw, [-1, 0, 1], atol=0.01)
    assert item.raw[0] == -1 and item.raw[1] == 0


@pytest.mark.parametrize("options", [{}, {"both": True}, {"window": 12.0}])
@pytest.mark.parametrize("dt", [1.0, 0.7])
def test_images_as_in_training(tmp_path: Path, options: dict, dt: float) -> None:
    from sklearn.datasets import load_digits

    expected = load_dataset("digits", options=options, dt=dt)["test"]
    one = reader("digits", steps=expected.n_steps, dt=dt, **options)
    images = load_digits().images[[int(name) for name in expected.names]]
    forms = (images, images.reshape(-1, 64), images.astype(np.uint8), images.astype(np.float16))
    for number, form in enumerate(forms):
        np.save(tmp_path / f"{number}.npy", form)
        items = one.read(tmp_path / f"{number}.npy")
        assert items[3].name == f"{tmp_path / f'{number}.npy'}[3]"
        same(one.as_batch(items), expected)
    singles = {"input": (images[0], images[0].ravel()), "input[0]": (images[:1], forms[1][:1])}
    for name, arrays in singles.items():
        for single in arrays:
            (item,) = one.of(single)
            assert item.name == name
            np.testing.assert_array_equal(one.as_batch([item]).start, expected.start[:1])


def test_brightness_of_any_type_is_as_in_float64() -> None:
    one = reader("digits", steps=50, both=True)
    images = (np.random.default_rng(0).random((200, 64)) * 16).astype(np.float16)
    for dtype in (np.float16, np.float32):
        got, wide = (one.as_batch(one.of(images.astype(each))) for each in (dtype, np.float64))
        np.testing.assert_array_equal(got.time, wide.time)


def test_a_trial_is_as_long_as_the_model_says() -> None:
    whole, part = (reader("fsdd", steps=steps, duration=100.0, **LEVEL) for steps in (100, 60))
    long, short = (each.as_batch(each.of(recording())) for each in (whole, part))
    assert (long.n_steps, short.n_steps) == (100, 60)
    assert events_of(short) == [event for event in events_of(long) if event[1] < 60]


def test_frames_as_in_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x = {part: rng.random((60, 9, 5)) for part in ("training", "testing")}
    for part, values in x.items():
        np.save(tmp_path / f"{part}_x_data.npy", values)
        np.save(tmp_path / f"{part}_y_data.npy", np.arange(60) % 20)
    options = {"scale": 7.3, "duration": 12.0, "validation": 0.0}
    expected = load_dataset("rawhd", tmp_path, options)["test"]
    one = reader("rawhd", n=5, steps=12, **options)
    items = one.read(tmp_path / "testing_x_data.npy")
    same(one.as_batch(items), expected)
    same(one.as_batch(one.of(list(x["testing"]))), expected)
    same(one.as_batch(one.of(expected)), expected)  # scaled already
    np.savez(tmp_path / "scaled.npz", values=expected.values)
    same(one.as_batch(one.read(tmp_path / "scaled.npz")), expected)


# Events and rows


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 19)), max_size=30), min_size=1),
    st.sampled_from([0.1, 0.3, 0.7, 1.0, 2.5]),
    st.data(),
)
def test_all_ways_to_give_events_agree(events: list, dt: float, draw: st.DataObject) -> None:
    one = Reader(About(n_steps=20, labels=("a",)), 6, dt, False)
    pairs = [np.array(each, np.int64).reshape(-1, 2).T for each in events]
    raster = np.zeros((len(events), 20, 6), np.bool_)
    for row, (channel, step) in enumerate(pairs):
        raster[row, step, channel] = True
    within = draw.draw(st.floats(0, 0.999))
    lists = [(channel, (step + within) * dt) for channel, step in pairs]
    batch = one.as_batch(one.of(lists))
    assert [events_of(batch, row) for row in range(len(events))] == [
        sorted(set(each)) for each in events
    ]
    np.testing.assert_array_equal(one.as_batch(one.of(raster)).time, batch.time)
    again = one.as_batch(one.of(batch))
    np.testing.assert_array_equal(again.start, batch.start)
    np.testing.assert_array_equal(again.time, batch.time)


def test_events_in_files(tmp_path: Path) -> None:
    one = reader(dt=0.1)
    path = tmp_path / "x.npz"
    np.savez(path, times=[0.3, 0.0, 0.34, 9.9], channels=np.array([5, 2, 5, 0], np.uint8), other=1)
    assert events_of(one.as_batch(one.read(path))) == [(2, 0), (5, 3)]
    np.savez_compressed(path, times=[0.3, 0.0, 0.5], channels=[5, 2, 1], start=[0, 2, 2, 3])
    items = one.read(path)
    assert [item.name for item in items] == [f"{path}[{row}]" for row in range(3)]
    batch = one.as_batch(items)
    assert [events_of(batch, row) for row in range(3)] == [[(2, 0), (5, 3)], [], [(1, 5)]]
    assert one.of(str(path))[2].name == f"{path}[2]"
    for key in ("values", "raster"):
        np.savez(path, **{key: np.eye(6)})
        assert events_of(one.as_batch(one.read(path))) == [(row, row) for row in range(6)]


def test_a_decimal_time_is_of_the_step_it_names() -> None:
    for dt in (0.1, 0.3, 0.7, 1.1):
        one = Reader(About(n_steps=1000, labels=("a",)), 1, dt, False)
        times = np.array([float(f"{step * dt:.1f}") for step in range(1000)])
        batch = one.as_batch(one.of((np.zeros(1000, int), times)))
        assert batch.time.tolist() == list(range(1000))


def test_data_and_batches() -> None:
    given_data = data(Recipe(steps=20))
    one = reader(n=given_data.n_channels)
    items = one.of(given_data)
    assert items[2].name == "input[2]"
    same(one.as_batch(items), given_data)
    batch = given_data.batch(np.array([2, 0]))
    some = one.as_batch(one.of(batch))
    assert [events_of(some, row) for row in (0, 1)] == [events_of(given_data, k) for k in (2, 0)]
    values = np.random.default_rng(0).random((4, 20, 6), np.float32)
    currents = CurrentData(values, np.zeros(4, int), 1.0, ("a",), tuple("wxyz"))
    other = analogue()
    assert [item.name for item in other.of(currents)] == list("wxyz")
    same(other.as_batch(other.of(currents)), currents)
    same(other.as_batch(other.of(currents.batch(np.arange(4)))), currents)


def test_cut_and_padded() -> None:
    values = np.random.default_rng(0).random((30, 6), np.float32)
    for n in (1, 19, 20, 30):
        (got,) = analogue().as_batch(analogue().of(values[:n])).values
        kept = min(n, 20)
        assert got.shape == (20, 6) and not got[kept:].any()
        np.testing.assert_array_equal(got[:kept], values[:kept])
    spikes = values > 0.5
    batch = reader().as_batch(reader().of(spikes))
    assert batch.time.max() == 19 and len(batch.time) == spikes[:20].sum()


def test_examples_of_several_forms_keep_their_order(tmp_path: Path) -> None:
    one = reader("digits", steps=50)
    image, raster = np.zeros((8, 8)), np.zeros((1, 4, 64))
    image[0, 1], raster[0, 3, 7] = 16, 1
    given_items = [(np.array([5]), [2.0]), image, raster, image, (np.array([9]), [1.0])]
    items = one.of(given_items)
    names = ["input[0]", "input[1]", "input[2][0]", "input[3]", "input[4]"]
    assert [item.name for item in items] == names
    batch = one.as_batch(items)
    expected = [(5, 2), (1, 0), (7, 3), (1, 0), (9, 1)]
    assert [events_of(batch, row) for row in range(5)] == [[pair] for pair in expected]
    assert batch.index.tolist() == [0, 1, 2, 3, 4] and (batch.labels == -1).all()
    both = analogue().of([np.ones((1, 6)), np.ones((2, 1, 6))])
    assert analogue().as_batch(both).values.sum() == 18


def test_an_engine_takes_it() -> None:
    from mlgenn_delays.engines.compile import compile_network
    from mlgenn_delays.learning import EventProp

    net = network(Recipe(steps=20))
    artifact = Artifact.of(net, About(n_steps=20, labels=tuple("abc")))
    one = Reader(artifact.about, net.input().n, net.dt, False)
    batch = one.as_batch(one.of(data(Recipe(steps=20))))
    rule = EventProp(weights=None, delays=None)
    cpu = compile_network(artifact.network, rule, total_steps=1, learns=False)
    assert cpu.record(batch).logits.shape == (len(batch), 3)
