"""The baseline of recordings: what it tells apart, and that it keeps to the splits."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mlgenn_delays.data import MelSettings, measure_baseline
from mlgenn_delays.data import baseline as module
from mlgenn_delays.data.baseline import Baseline, pooled_frames
from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.data.encode.mel import mel_transform
from mlgenn_delays.data.registry import dataset, load_dataset, parse_options
from mlgenn_delays.errors import InputError
from tests.data.own_helpers import RATE, write_wav, write_words

SPEAKER = {"group_by": "^([^_]+)_"}


def measured(folder: Path, *, cache: bool = False, **options: object) -> Baseline:
    found = measure_baseline("folder", folder, options, cache=cache)
    assert found is not None
    return found


def write_noise(path: Path, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * rng.standard_normal(RATE // 10), RATE)


def test_it_tells_pitches_apart(tmp_path: Path) -> None:
    found = measured(write_words(tmp_path), **SPEAKER)
    assert found.accuracy == {"validation": 1.0, "test": 1.0}
    train = load_dataset("folder", tmp_path, SPEAKER)["train"]
    assert found.examples == len(train)


def test_it_tells_nothing_apart_where_there_is_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for split, n in (("train", 60), ("test", 100)):
        for label in ("no", "yes"):
            for number in range(n):
                write_noise(tmp_path / split / label / f"{number}.wav", rng)
    # 200 guesses: five standard deviations around a half.
    assert abs(measured(tmp_path, validation=0.0).accuracy["test"] - 0.5) < 0.18


def write_voices(folder: Path, takes: int = 8) -> Path:
    """Write words whose pitch is neither the word's nor the speaker's: each pair has its own."""
    rng = np.random.default_rng(1)
    for word in ("no", "yes"):
        for speaker in "abcdefghijkl":
            pitch = float(rng.uniform(300, 3000))
            for take in range(takes):
                write_wav(folder / word / f"{speaker}_{take}.wav", pitch * (1 + 0.002 * take))
    return folder


def test_speakers_of_other_splits_are_unheard(tmp_path: Path) -> None:
    """Voices known by heart are all there is to know, and of no use for others."""
    folder = write_voices(tmp_path)
    assert measured(folder, test=0.3).accuracy["test"] > 0.9
    assert measured(folder, test=0.3, **SPEAKER).accuracy["test"] < 0.75


@pytest.mark.parametrize("options", [{}, SPEAKER])
def test_its_splits_are_those_of_training(tmp_path: Path, options: dict[str, str]) -> None:
    write_words(tmp_path, ("no", "up", "yes"))
    listing = dataset("folder").recordings
    assert listing is not None
    found = listing(tmp_path, parse_options("folder", options), 1.0)
    splits = load_dataset("folder", tmp_path, options)
    assert list(found.rows) == list(splits)
    for split, data in splits.items():
        rows = found.rows[split]
        assert [found.names[row] for row in rows] == list(data.names)
        np.testing.assert_array_equal(found.labels[rows], data.labels)
        assert found.n_steps == data.n_steps and found.label_names == data.label_names


def test_of_fsdd(make_wavs) -> None:
    takes = [*range(5, 8), *range(10, 14)]
    folder = make_wavs(*(f"{digit}_al_{take}.wav" for digit in range(3) for take in takes))
    found = measure_baseline("fsdd", folder, {}, cache=False)
    assert found is not None and list(found.accuracy) == ["validation"] and found.examples == 12


def test_other_splits_choose_nothing(tmp_path: Path) -> None:
    for split, first in (("train", 0), ("validation", 20), ("test", 24)):
        for word, pitch in (("no", 500), ("yes", 520)):
            for number in range(first, first + (20 if split == "train" else 4)):
                path = tmp_path / split / word / f"{number}.wav"
                write_wav(path, pitch + 3 * (number % 7))
    before = measured(tmp_path)
    rng = np.random.default_rng(0)
    for path in (tmp_path / "test").rglob("*.wav"):
        write_noise(path, rng)
    after = measured(tmp_path)
    assert after.strength == before.strength
    assert after.accuracy["validation"] == before.accuracy["validation"]
    assert after.accuracy["test"] != before.accuracy["test"]


def test_it_is_the_same_each_time_and_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_voices(tmp_path / "data", takes=2)
    first = measured(folder)
    assert measured(folder) == first == measured(folder, cache=True)
    with monkeypatch.context() as patched:
        patched.setattr(module, "_compute", computed)
        assert measured(folder, cache=True) == first
        for other in ({"duration": 50.0}, {"mel": {"n_bands": 13}}, {"test": 0.3}, SPEAKER):
            with pytest.raises(AssertionError, match="computed anew"):
                measured(folder, cache=True, **other)
        write_wav(folder / "no" / "a_0.wav", 2000)
        with pytest.raises(AssertionError, match="computed anew"):
            measured(folder, cache=True)


def computed(*arguments: object) -> None:
    raise AssertionError("computed anew")


def test_features_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    mel, trial = MelSettings(n_bands=7), 180.0
    for seconds in (0.005, 0.025, 0.06, 0.13, 0.4):
        path = write_wav(tmp_path / "a.wav", 440, seconds)
        frames = mel_transform(mel)(read_recording(path, mel.sample_rate))
        frames = frames[:18]  # those that begin within the trial
        n, expected = len(frames), []
        for segment in range(4):
            begin, end = segment * n // 4, max(segment * n // 4 + 1, -(-(segment + 1) * n // 4))
            for kind in ("mean", "sd"):
                for band in range(7):
                    values = [float(frames[i][band]) for i in range(begin, end)]
                    mean = sum(values) / len(values)
                    square = sum((value - mean) ** 2 for value in values) / len(values)
                    expected.append(mean if kind == "mean" else square**0.5)
        (found,) = pooled_frames([path], mel, trial)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_of_very_many_some_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TRAINED_ON", 20)
    found = measured(write_words(tmp_path), **SPEAKER)
    assert found.examples == 20 and found.accuracy["test"] == 1.0


def test_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a baseline must be of recordings, .*'digits'; leave"):
        measure_baseline("digits", tmp_path)
    write_words(tmp_path)
    assert measure_baseline("folder", tmp_path, {"validation": 0.0, "test": 0.0}) is None
    for path in tmp_path.rglob("*_1.wav"):
        path.write_bytes(b"no sound")
    with pytest.raises(InputError, match="no readable recording"):
        measured(tmp_path)
