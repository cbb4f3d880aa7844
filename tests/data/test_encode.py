"""Encoders: one list of them, and the laws that each must keep."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mlgenn_delays.data.encode.base import ENCODERS, Encoder, encode_frames
from mlgenn_delays.data.encode.interpolate import interpolate_frames
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.types import SpikeData

BANDS = 3
FRAMES = arrays(
    np.float32,
    st.tuples(st.integers(1, 8), st.just(BANDS)),
    elements=st.floats(0, 1, width=32, allow_subnormal=False),
)
KINDS = pytest.mark.parametrize("kind", sorted(ENCODERS))
QUICK = settings(max_examples=25, deadline=None)


def encode(encoder: Encoder, *frames: np.ndarray, duration: float = 50.0, dt: float = 1.0):
    """Encode with frames 10 ms apart."""
    return encode_frames(frames, encoder, hop=10.0, duration=duration, dt=dt)


@KINDS
@QUICK
@given(frames=st.lists(FRAMES, min_size=1, max_size=3), dt=st.sampled_from([0.5, 1.0, 3.0]))
def test_sorted_in_range_without_repeats(kind: str, frames: list[np.ndarray], dt: float) -> None:
    encoder = ENCODERS[kind]()
    start, time = encode(encoder, *frames, dt=dt)
    n_steps = int(50 / dt + 0.5)
    assert start.shape == (len(frames), encoder.n_channels(BANDS) + 1) and start.dtype == np.int64
    assert time.dtype == np.int32 and start[0, 0] == 0 and start[-1, -1] == len(time)
    assert (start[1:, 0] == start[:-1, -1]).all()
    assert (np.diff(start, axis=1) >= 0).all()
    SpikeData(start, time, np.zeros(len(frames), np.int64), n_steps, dt, ("x",))
    for row in start:
        for first, last in zip(row[:-1], row[1:], strict=True):
            assert (np.diff(time[first:last]) > 0).all()


@KINDS
def test_silence_gives_no_spikes(kind: str) -> None:
    _, time = encode(ENCODERS[kind](), np.zeros((4, BANDS), np.float32))
    assert not len(time)


@KINDS
@QUICK
@given(frames=st.lists(FRAMES, min_size=2, max_size=4))
def test_each_recording_alone_gives_the_same(kind: str, frames: list[np.ndarray]) -> None:
    encoder = ENCODERS[kind]()
    start, time = encode(encoder, *frames)
    for row, each in zip(start, frames, strict=True):
        alone_start, alone_time = encode(encoder, each)
        np.testing.assert_array_equal(row - row[0], alone_start[0])
        np.testing.assert_array_equal(time[row[0] : row[-1]], alone_time)


@KINDS
@QUICK
@given(frames=FRAMES)
def test_longer_trial_changes_no_earlier_spike(kind: str, frames: np.ndarray) -> None:
    encoder = ENCODERS[kind]()
    short = encoder.raster(frames[None], 10.0, 1.0, 40)
    longer = encoder.raster(np.pad(frames[None], ((0, 0), (0, 5), (0, 0))), 10.0, 1.0, 90)
    np.testing.assert_array_equal(short, longer[:, :, :40])


@QUICK
@given(frames=FRAMES, gain=st.floats(1.0, 3.0), refractory=st.sampled_from([0.0, 1.0, 4.0]))
def test_louder_gives_not_fewer_for_rate(
    frames: np.ndarray, gain: float, refractory: float
) -> None:
    quiet = RateEncoder(refractory=refractory).raster(frames[None], 10.0, 1.0, 50)
    loud = RateEncoder(refractory=refractory, gain=gain).raster(frames[None], 10.0, 1.0, 50)
    assert (loud.cumsum(axis=2) >= quiet.cumsum(axis=2)).all()


@pytest.mark.parametrize(
    ("bands", "thresholds", "refractory", "dt"),
    [(3, (0.3, 0.6), 3.0, 1.0), (5, (0.2, 0.5, 0.9), 0.0, 0.7), (1, (0.1,), 500.0, 2.5)],
)
def test_rate_equals_plain_loop(
    bands: int, thresholds: tuple[float, ...], refractory: float, dt: float
) -> None:
    frames = np.random.default_rng(1).random((3, 6, bands)).astype(np.float32)
    frames[1, 3:] = frames[2] = 0.0  # silence behind, and nothing else
    frames[0, 2] = 0.0  # silence between
    encoder = RateEncoder(thresholds=thresholds, gain=1.5, tau=7.0, refractory=refractory)
    raster = encoder.raster(frames, 10.0, dt, 90)
    drive = 1.5 * interpolate_frames(frames, 10.0, dt, 90)
    decay, pause = np.exp(-dt / 7), min(int(refractory / dt + 0.5), 90)
    for n, k, band in np.ndindex(3, len(thresholds), bands):
        voltage, wait, spikes = 0.0, 0, []
        for t in range(90):
            if wait:
                wait -= 1
                continue
            voltage = decay * voltage + (1 - decay) * drive[n, t, band]
            if voltage >= thresholds[k]:
                spikes.append(t)
                voltage, wait = 0.0, pause
        assert np.flatnonzero(raster[n, k * bands + band]).tolist() == spikes
    assert raster[0].any() and raster[1].any()


def test_level_crossings_of_a_triangle() -> None:
    frames = np.zeros((1, 5, 1), np.float32)
    frames[0, 2] = 1.0
    raster = LevelEncoder(levels=(0.25, 0.75)).raster(frames, 10.0, 1.0, 50)
    # Up through 0.25 at 12.5 ms, down at 27.5; up through 0.75 at 17.5, down at 22.5.
    assert [np.flatnonzero(channel).tolist() for channel in raster[0]] == [[12], [27], [17], [22]]
    one_way = LevelEncoder(levels=(0.25, 0.75), down=False).raster(frames, 10.0, 1.0, 50)
    assert [np.flatnonzero(channel).tolist() for channel in one_way[0]] == [[12], [17]]


def test_level_that_begins_loud_spikes_at_once() -> None:
    frames = np.ones((1, 2, 1), np.float32)
    raster = LevelEncoder(levels=(0.5,)).raster(frames, 10.0, 1.0, 50)
    assert [np.flatnonzero(channel).tolist() for channel in raster[0]] == [[0], [15]]


def test_interpolation_runs_to_silence() -> None:
    frames = np.array([[[0.0], [1.0]]], np.float32)
    trace = interpolate_frames(frames, 4.0, 2.0, 7)
    np.testing.assert_allclose(trace[0, :, 0], [0, 0.5, 1, 0.5, 0, 0, 0])
