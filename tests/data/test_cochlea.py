"""The cochlea: kernels beside their twins, laws of the whole, and `lauscher` where it is there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.encode import recordings
from mlgenn_delays.data.encode.cochlea import (
    MEMBRANE_RATE,
    N_CHANNELS,
    SAMPLE_RATE,
    bushy_constants,
    cochlea_spikes,
    firing_probability,
    membrane,
    membrane_gain,
    prepared,
)
from mlgenn_delays.data.encode.cochlea_kernel import bushy_cells, nerve_fibres
from mlgenn_delays.data.encode.recordings import RecordingOptions, encode_recordings
from mlgenn_delays.data.registry import load_dataset
from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.errors import InputError
from tests.needs import needs
from tests.reference import cochlea as twin

QUICK = settings(max_examples=20, deadline=None)
COCHLEA = {"encoding": "cochlea"}
REFRACTORY = round(1e-3 * MEMBRANE_RATE)


def tone(hertz: float, seconds: float = 0.05) -> np.ndarray:
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = np.random.default_rng(int(hertz)).normal(0, 0.01, len(time))
    return (np.sin(2 * np.pi * hertz * time) + noise).astype(np.float32)


def velocities(samples: np.ndarray) -> np.ndarray:
    """Return the motion of the whole membrane."""
    firsts, parts = zip(*membrane(prepared(samples)), strict=True)
    assert list(firsts) == np.cumsum([0, *map(len, parts[:-1])]).tolist()
    return np.concatenate(parts)


# Beside the twin


@pytest.mark.parametrize("place", [0.0, 1.0, 2.5, 3.5])
def test_gain_of_the_membrane(place: float) -> None:
    omega = 2 * np.pi * np.geomspace(1.0, MEMBRANE_RATE, 40)
    expected = np.array([twin.gain(each, place) for each in omega])
    np.testing.assert_allclose(
        membrane_gain(omega, place), expected, rtol=1e-3, atol=1e-6 * abs(expected).max()
    )


def test_motion_of_the_membrane() -> None:
    samples = tone(700.0, 0.002)
    moved = velocities(samples)
    n = moved.shape[1]
    assert len(moved) == N_CHANNELS and n >= len(samples) // 2 + 1
    for channel in (0, 300, 699):
        place = 3.5 * channel / (N_CHANNELS - 1)
        expected = twin.velocity(prepared(samples), place, MEMBRANE_RATE, n)
        np.testing.assert_allclose(moved[channel], expected, atol=1e-3 * abs(expected).max())


def test_hair_cells() -> None:
    velocity = np.random.default_rng(0).normal(0, 20, (3, 400)).astype(np.float32)
    found = firing_probability(velocity)
    for row, each in zip(found, velocity, strict=True):
        np.testing.assert_allclose(row, twin.hair_cell(each, MEMBRANE_RATE), rtol=1e-5)


@QUICK
@given(
    seed=st.integers(0, 99),
    height=st.sampled_from([0.01, 0.3, 1.0]),
    n=st.integers(1, 40),
    refractory=st.integers(2, 30),
)
def test_nerve_fibres(seed: int, height: float, n: int, refractory: int) -> None:
    rng = np.random.default_rng(seed)
    chance = (height * rng.random((2, 80))).astype(np.float32)
    uniform = rng.random((2, 80), dtype=np.float32)
    counts = np.empty(chance.shape, np.uint8)
    nerve_fibres(chance, uniform, n, refractory, counts)
    for row, some, draws in zip(counts, chance.astype(float), uniform, strict=True):
        np.testing.assert_array_equal(row, twin.fibre_counts(some, draws, n, refractory))


def test_certain_fibres_spike_as_often_as_they_can() -> None:
    counts = np.empty((1, 9), np.uint8)
    nerve_fibres(np.full((1, 9), 1.5, np.float32), np.zeros((1, 9), np.float32), 5, 3, counts)
    assert counts.tolist() == [[5, 0, 0] * 3]


def test_nerve_fibres_are_like_single_ones() -> None:
    rng, shape, n = np.random.default_rng(1), (200, 100), 8
    chance = np.broadcast_to(0.1 * (1 + np.sin(np.arange(shape[1]) / 5)), shape)
    counts = np.empty(shape, np.uint8)
    uniform = rng.random(shape, dtype=np.float32)
    nerve_fibres(chance.astype(np.float32), uniform, n, 10, counts)
    single = [twin.fibre_by_fibre(chance[0], rng.random((shape[1], n)), 10) for _ in counts]
    pairs = (counts.astype(float), np.array(single, float))
    mean = [each.mean(axis=0) for each in pairs]
    deviation = np.sqrt(sum(each.var(axis=0) for each in pairs) / shape[0])
    # Of 100 standard normal numbers the greatest is below 4.
    assert (np.abs(mean[0] - mean[1]) < 4 * deviation + 1e-9).all()
    assert abs(pairs[0].var() / pairs[1].var() - 1) < 0.05


@QUICK
@given(seed=st.integers(0, 99), rate=st.sampled_from([0.05, 0.5, 5.0]))
def test_bushy_cells(seed: int, rate: float) -> None:
    counts = np.random.default_rng(seed).poisson(rate, (2, 200)).astype(np.uint8)
    spiked = np.zeros(counts.shape, np.bool_)
    bushy_cells(counts, *bushy_constants(), REFRACTORY, spiked)
    for row, each in zip(spiked, counts, strict=True):
        assert np.flatnonzero(row).tolist() == twin.bushy_cell(each, MEMBRANE_RATE)


# Laws


def test_deep_tones_are_heard_at_high_channels() -> None:
    heard = [np.median(cochlea_spikes(tone(hertz))[0]) for hertz in (200, 800, 3200, 12_800)]
    assert (np.diff(heard) < -50).all()


def test_spikes_are_sorted_and_within_the_recording() -> None:
    samples = tone(500.0)
    channels, times = cochlea_spikes(samples)
    assert channels.dtype == np.int64 and times.dtype == np.float64 and len(channels)
    assert channels.min() >= 0 and channels.max() < N_CHANNELS
    assert times.min() >= 0 and times.max() <= len(samples) / SAMPLE_RATE
    same = channels[1:] == channels[:-1]
    assert (np.diff(channels) >= 0).all()
    assert (np.diff(times)[same] * MEMBRANE_RATE > REFRACTORY - 1e-6).all()
    np.testing.assert_allclose(times * MEMBRANE_RATE, np.rint(times * MEMBRANE_RATE), atol=1e-9)


def test_longer_duration_changes_no_earlier_spike() -> None:
    samples = tone(900.0)
    channels, times = cochlea_spikes(samples)
    some, early = cochlea_spikes(samples, duration=20.0)
    kept = times < early.max()
    assert 0 < early.max() < 0.02 and len(early) > 10
    # A spike in the last sample of all would need one more.
    np.testing.assert_array_equal(some[early < early.max()], channels[kept])
    np.testing.assert_array_equal(early[early < early.max()], times[kept])


def test_loudness_makes_no_difference() -> None:
    samples = tone(300.0)
    np.testing.assert_allclose(prepared(samples), prepared(samples * 100), rtol=1e-5, atol=1e-9)


def test_silence_is_not_heard() -> None:
    channels, times = cochlea_spikes(np.zeros(999, np.float32))
    assert len(channels) == len(times) == 0


@pytest.mark.parametrize("n", [1, 2, 3, 10, 101])
def test_short_recordings(n: int) -> None:
    channels, times = cochlea_spikes(np.ones(n, np.float32))
    assert len(channels) == len(times)


def test_a_recording_is_heard_as_it_is_alone() -> None:
    options = RecordingOptions(**COCHLEA)
    some = [tone(400.0), tone(900.0), tone(400.0)]
    batch = encode_recordings(options, some, 1.0, 50)
    assert isinstance(batch, SpikeBatch) and batch.n_channels == N_CHANNELS
    assert batch.time.max() < 50
    for row, samples in enumerate(some):
        alone = encode_recordings(options, [samples], 1.0, 50)
        bounds = batch.start[row]
        np.testing.assert_array_equal(bounds - bounds[0], alone.start[0])
        np.testing.assert_array_equal(batch.time[bounds[0] : bounds[-1]], alone.time)
    assert np.diff(batch.start[0]).sum() != np.diff(batch.start[1]).sum()


def test_time_goes_to_the_step_in_which_it_is() -> None:
    samples = tone(400.0)
    channels, times = cochlea_spikes(samples, duration=50.0)
    batch = encode_recordings(RecordingOptions(**COCHLEA), [samples], 2.0, 25)
    expected = sorted({(int(c), int(t * 500 + 1e-6)) for c, t in zip(channels, times, strict=True)})
    found = np.repeat(np.arange(N_CHANNELS), np.diff(batch.start[0]))
    assert list(zip(found.tolist(), batch.time.tolist(), strict=True)) == expected


# As a data set


def test_fsdd_is_encoded_once(
    make_wavs: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_wavs("0_al_0.wav", "1_al_5.wav", "2_al_10.wav")
    first = load_dataset("fsdd", folder, COCHLEA)

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("encoded again")

    monkeypatch.setattr(recordings, "cochlea_spikes", fail)
    again = load_dataset("fsdd", folder, COCHLEA)
    for split, data in first.items():
        assert data.n_channels == N_CHANNELS and data.n_steps == 1000 and len(data.time)
        np.testing.assert_array_equal(data.start, again[split].start)
        np.testing.assert_array_equal(data.time, again[split].time)
        assert data.losses is not None
        np.testing.assert_allclose(data.losses.lengths, 120.0)
    with pytest.raises(AssertionError, match="encoded again"):
        load_dataset("fsdd", folder, COCHLEA, dt=2.0)


def test_streamed_recordings_are_the_same(make_wavs: Callable[..., Path]) -> None:
    wavs = make_wavs("0_al_0.wav", "1_al_0.wav")
    for label in "ab":
        place = wavs.parent / "words" / "train" / label
        place.mkdir(parents=True)
        for number, wav in enumerate(sorted(wavs.iterdir())):
            (place / f"{number}.wav").write_bytes(wav.read_bytes())
    options = {**COCHLEA, "validation": 0.0, "duration": 130.0}
    data, streamed = (
        load_dataset("folder", wavs.parent / "words", {**options, "stream": stream})["train"]
        for stream in (False, True)
    )
    rows = np.array([2, 0])
    for row in rows:
        one, other = data.batch(rows[rows == row]), streamed.batch(rows[rows == row])
        first, end = one.start[0, 0], one.start[0, -1]
        np.testing.assert_array_equal(one.start - first, other.start)
        np.testing.assert_array_equal(one.time[first:end], other.time)


def test_what_does_not_belong_to_it_is_refused() -> None:
    with pytest.raises(InputError, match="scale must .* 1 with encoding 'cochlea'"):
        RecordingOptions(encoding="cochlea", scale=2.0)


# Beside the program that made SHD


@needs("lauscher")
def test_lauscher_moves_the_membrane_and_hair_cells_alike() -> None:
    from lauscher.audiowaves import MonoAudioWave
    from lauscher.transformations import BasilarMembrane, HairCell, HanningWindow, RmsNormalizer

    samples = tone(1000.0, 1198 / SAMPLE_RATE)  # 600 frequencies, of which the transform is fast
    wave = MonoAudioWave(samples.astype(float), SAMPLE_RATE)
    wave = wave.transform(RmsNormalizer(0.3)).transform(HanningWindow())
    np.testing.assert_allclose(prepared(samples), wave.samples, rtol=1e-12, atol=1e-15)
    moved = wave.transform(BasilarMembrane(channels=4))  # every 233rd of ours
    ours = velocities(samples)[::233]
    assert ours.shape == moved.channels.shape and moved.sample_rate == MEMBRANE_RATE
    for one, other in zip(ours, moved.channels, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4 * abs(other).max())
    chances = moved.transform(HairCell()).channels
    np.testing.assert_allclose(firing_probability(moved.channels), chances, rtol=1e-5)


@needs("lauscher")
def test_lauscher_draws_and_integrates_alike() -> None:
    from lauscher.transformations import BushyCell

    cell, chance = BushyCell(), np.full(600, 0.02)
    np.random.seed(0)
    drawn = [cell._sample(chance, MEMBRANE_RATE) for _ in range(40)]
    counts = np.empty((40, 600), np.uint8)
    uniform = np.random.default_rng(0).random(counts.shape, dtype=np.float32)
    nerve_fibres(np.tile(chance.astype(np.float32), (40, 1)), uniform, 40, REFRACTORY, counts)
    theirs = np.array([each.sum(axis=1) for each in drawn], float)
    totals = theirs.sum(axis=1), counts.sum(axis=1, dtype=float)
    deviation = np.sqrt(sum(each.var() for each in totals) / 40)
    assert abs(totals[0].mean() - totals[1].mean()) < 4 * deviation
    spiked = np.zeros(counts.shape, np.bool_)
    bushy_cells(theirs.astype(np.uint8), *bushy_constants(), REFRACTORY, spiked)
    for row, each in zip(spiked, drawn[:10], strict=False):
        np.testing.assert_array_equal(row, cell._lif(each, MEMBRANE_RATE).astype(bool))
    assert spiked[:10].any()
