"""A folder of recordings: its layouts, its splits, its speakers, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mlgenn_delays.data.encode import recordings as module
from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.recordings import (
    RecordingOptions,
    encode_recordings,
    frames_as_currents,
)
from mlgenn_delays.data.registry import data_items, load_dataset
from mlgenn_delays.data.types import CurrentData, SpikeData, StreamedSpikes
from mlgenn_delays.errors import InputError
from tests.data.own_helpers import word_sizes, write_wav, write_words
from tests.data.spike_helpers import counts

SHORT: dict[str, Any] = {"duration": 120.0, "encoder": {"kind": "level", "levels": [0.4, 0.7]}}
SPEAKER = {"group_by": "^([a-z]+)_"}


def load(folder: Path, **options: Any) -> dict[str, Any]:
    """Load a folder at a step of 2 ms."""
    return load_dataset("folder", folder, SHORT | options, dt=2.0)


def names(data: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Return the names of the examples by split."""
    return {split: each.names for split, each in data.items()}


def test_classes_and_splits(home: Path) -> None:
    folder = write_words(home / "words", ("yes", "no"))
    write_wav(folder / "_background_noise_" / "hum.wav", 50)
    write_wav(folder / ".hidden" / "x.wav", 50)
    write_wav(folder / "no" / "._ann_0.wav", 50)
    (folder / "README.md").write_text("no recording")
    data = load(folder)
    found = counts(data)
    shutil.rmtree(folder / "_background_noise_"), shutil.rmtree(folder / ".hidden")
    (folder / "no" / "._ann_0.wav").unlink()
    assert found == word_sizes(folder) and len(found) == 3
    found = [name for each in data.values() for name in each.names]
    assert len(set(found)) == 40
    for each in data.values():
        assert isinstance(each, SpikeData) and each.label_names == ("no", "yes")
        assert each.n_channels == LevelEncoder(levels=(0.4, 0.7)).n_channels(40)
        assert (each.n_steps, each.dt) == (60, 2.0)
        assert [name.split("/")[0] for name in each.names] == [
            each.label_names[label] for label in each.labels
        ]
        assert set(each.labels.tolist()) == {0, 1}
        assert list(each.names) == sorted(each.names)


def test_the_split_is_that_of_the_names(home: Path) -> None:
    folder = write_words(home / "words")
    first = names(load(folder))
    for path in folder.glob("*/*.wav"):
        write_wav(path, 700)
    moved = Path(shutil.move(folder, home / "elsewhere"))
    assert names(load(moved)) == first


def test_recordings_are_encoded_as_those_of_fsdd(home: Path) -> None:
    folder = write_words(home / "words", takes=1)
    write_wav(folder / "yes" / "deep" / "long.wav", 900, seconds=0.3)
    data = load(folder)
    for each in data.values():
        wavs = [read_recording(folder / name, 8000) for name in each.names]
        options = RecordingOptions(encoder=LevelEncoder(levels=(0.4, 0.7)))
        batch = encode_recordings(options, wavs, 2.0, 60)
        for row in range(len(each)):
            one, other = each.batch(np.array([row])), each.start[row]
            np.testing.assert_array_equal(
                each.time[other[0] : other[-1]],
                batch.time[batch.start[row, 0] : batch.start[row, -1]],
            )
            np.testing.assert_array_equal(np.diff(one.start[0]), np.diff(batch.start[row]))
    assert "yes/deep/long.wav" in sum(names(data).values(), ())


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_streamed_is_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_words(home / "words")
    monkeypatch.setattr("mlgenn_delays.data.blocks.BLOCK", 7)
    whole, streamed = load(folder), load(folder, stream=True)
    for split, each in streamed.items():
        assert isinstance(each, StreamedSpikes) and each.names == whole[split].names
        index = np.arange(len(each))[::-1]
        one, other = each.batch(index), whole[split].batch(index)
        np.testing.assert_array_equal(np.diff(one.start), np.diff(other.start))
        for a, b in zip(one.start, other.start, strict=True):
            np.testing.assert_array_equal(one.time[a[0] : a[-1]], other.time[b[0] : b[-1]])


def test_cached_by_content(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_words(home / "words", takes=1)
    calls: list[int] = []
    encode = module.encode_frames
    monkeypatch.setattr(
        module, "encode_frames", lambda *args, **keys: calls.append(1) or encode(*args, **keys)
    )
    load(folder), load(folder), load(folder, stream=True)
    assert len(calls) == 1
    moved = Path(shutil.copytree(folder, home / "copy"))
    load(moved)
    assert len(calls) == 1
    write_wav(moved / "no" / "ann_0.wav", 444)
    load(moved)
    assert len(calls) == 2
    load_dataset("folder", moved, SHORT, dt=2.0, cache=False)
    assert len(calls) == 3


def test_currents(home: Path) -> None:
    folder = write_words(home / "words")
    spikes = load(folder)
    plain, scaled = (load(folder, encoding="currents", scale=s) for s in (1.0, 5.0))
    for split, each in plain.items():
        assert isinstance(each, CurrentData) and each.names == spikes[split].names
        assert each.values.shape == (len(each), 60, 40) and 0.9 < each.values.max() <= 1
        np.testing.assert_array_equal(scaled[split].values, each.values * np.float32(5))
        np.testing.assert_array_equal(each.labels, spikes[split].labels)


def test_currents_beyond_memory_are_refused() -> None:
    from mlgenn_delays.data.encode.mel import MelSettings

    frames = [np.zeros((1, 40), np.float32)] * 1000
    with pytest.raises(
        InputError, match=r"currents must fit into the memory .*got 1000 .*data\.stream"
    ):
        frames_as_currents(frames, MelSettings(), 1e-6, 10**9, 1.0)


def test_folders_of_splits(home: Path) -> None:
    for split in ("train", "valid", "test"):
        write_words(home / split, takes=1)
    write_words(home / "train", ["up"])
    data = load(home)
    assert list(counts(data).items()) == [("train", 40), ("validation", 20), ("test", 20)]
    assert data["test"].label_names == ("no", "up", "yes")
    assert data["validation"].names[0] == "valid/no/ann_0.wav"
    assert set(data["test"].labels.tolist()) == {0, 2}


def test_missing_validation_is_part_of_training_and_no_test_is_invented(home: Path) -> None:
    write_words(home / "train")
    data = load(home)
    assert list(data) == ["train", "validation"] and sum(map(len, data.values())) == 40
    write_words(home / "test", takes=1)
    assert len(load(home)["test"]) == 20
    assert list(load(home, validation=0.0)) == ["train", "test"]
    shutil.rmtree(home / "train")
    assert list(load(home)) == ["test"]


def test_a_class_may_be_called_test(home: Path) -> None:
    write_words(home)
    (home / "no").rename(home / "test")
    assert load(home)["train"].label_names == ("test", "yes")


def test_lists_of_speech_commands(home: Path) -> None:
    write_words(home, takes=1)
    (home / "testing_list.txt").write_text("no/ann_0.wav\r\nyes/bob_0.wav\nbed/gone.wav\n")
    (home / "validation_list.txt").write_text("./no/hal_0.wav\nyes//ida_0.wav\n\n")
    with pytest.warns(UserWarning, match="name 1 recordings of classes that have no folder"):
        found = names(load(home))
    assert found["test"] == ("no/ann_0.wav", "yes/bob_0.wav")
    assert found["validation"] == ("no/hal_0.wav", "yes/ida_0.wav")
    assert len(found["train"]) == 16
    (home / "validation_list.txt").unlink()
    (home / "testing_list.txt").write_text("no/ann_0.wav\nyes/bob_0.wav\n")
    found = names(load(home))
    assert found["test"] == ("no/ann_0.wav", "yes/bob_0.wav") and len(found["validation"]) >= 2


def test_listed_recordings_that_are_not_there(home: Path) -> None:
    write_words(home, ("no", "up", "yes"), takes=1)
    (home / "testing_list.txt").write_text("no/ann_0.wav\nyes/bob_0.wav\nup/ann_0.wav\n")
    (home / "validation_list.txt").write_text("no/hal_0.wav\nyes/ida_O.wav\n")
    text = "every recording that validation_list.txt names, got none called yes/ida_O.wav; correct"
    with pytest.raises(InputError, match=text):
        load(home)
    (home / "validation_list.txt").write_text("no/hal_0.wav\nyes/ida_0.wav\nup/gone.wav\n")
    with pytest.raises(InputError, match="got none called up/gone.wav"):
        load(home)
    # Of classes that are not asked for, nothing is trained on.
    assert load(home, classes=["no", "yes"])["validation"].n_classes == 2


def test_lists_that_do_not_fit(home: Path) -> None:
    write_words(home, takes=1)
    (home / "testing_list.txt").write_text("bed/gone.wav\n")
    with pytest.raises(InputError, match="must have recordings that its lists name"):
        load(home)
    (home / "testing_list.txt").write_text("no/ann_0.wav\n")
    (home / "validation_list.txt").write_text("no/ann_0.wav\n")
    with pytest.raises(InputError, match="got no/ann_0.wav in both"):
        load(home)
    (home / "validation_list.txt").write_text("no/ann_0.wav\n", encoding="utf-16")
    with pytest.raises(InputError, match="validation_list.txt: it is UTF-16 text; save it as"):
        load(home)
    (home / "validation_list.txt").write_bytes(b"no/\xff.wav")
    with pytest.raises(InputError, match="cannot read .*validation_list.txt: it is not UTF-8"):
        load(home)


@pytest.mark.parametrize("nested", [False, True])
def test_speakers_are_on_one_side(home: Path, nested: bool) -> None:
    folder = write_words(home / "words")
    options = SPEAKER
    if nested:
        for path in list(folder.glob("*/*.wav")):
            inner = path.parent / path.name.split("_")[0] / path.name.split("_")[1]
            inner.parent.mkdir(exist_ok=True)
            path.rename(inner)
        options = {"group_by": "^([a-z]+)/"}
    found = names(load(folder, **options))
    who = {
        split: {name.split("/")[1].split("_")[0] for name in each} for split, each in found.items()
    }
    assert len(who["validation"]) == len(who["test"]) == 1 and len(who["train"]) == 8
    assert not who["train"] & who["validation"] | who["train"] & who["test"]
    assert not who["validation"] & who["test"]
    assert counts(found) == {"train": 32, "validation": 4, "test": 4}
    assert names(load(folder, **options)) == found


def test_few_speakers_make_larger_parts(home: Path) -> None:
    folder = write_words(home, speakers=("ann", "bob", "cyd"))
    assert counts(load(folder, **SPEAKER)) == {"train": 4, "validation": 4, "test": 4}


def test_too_few_speakers(home: Path) -> None:
    folder = write_words(home, speakers=("ann", "bob"))
    with pytest.raises(InputError, match="cannot split 2 groups of class 'no' so that"):
        load(folder, **SPEAKER)
    assert list(load(folder, **SPEAKER, test=0.0)) == ["train", "validation"]
    for path in folder.glob("no/bob_*.wav"):
        path.unlink()
    with pytest.raises(InputError, match="cannot split 1 group of class 'no' so that"):
        load(folder, **SPEAKER, test=0.0)


def test_a_speaker_is_held_out(home: Path) -> None:
    folder = write_words(home)
    found = names(load(folder, **SPEAKER, hold_out="bob"))
    assert found["test"] == tuple(
        sorted(
            f"{label}/{path.name}"
            for label in ("no", "yes")
            for path in folder.glob(f"{label}/bob_*.wav")
        )
    )
    assert found["validation"] and not any("/bob_" in name for name in found["train"])
    without = names(load(folder, **SPEAKER, test=0.0))
    assert set(found["train"]) == {name for name in without["train"] if "/bob_" not in name}


def test_speakers_that_cannot_be_held_out(home: Path) -> None:
    folder = write_words(home / "words", speakers=("ann", "bob", "cyd"))
    with pytest.raises(InputError, match="got 'eve'; .* has ann, bob, cyd"):
        load(folder, **SPEAKER, hold_out="eve")
    with pytest.raises(InputError, match="data.hold_out must be empty .*; set data.group_by"):
        load(folder, hold_out="bob")
    (folder / "testing_list.txt").write_text("no/ann_0.wav\n")
    with pytest.raises(
        InputError, match="must be empty where the data have a test split, got 'bob'"
    ):
        load(folder, **SPEAKER, hold_out="bob")


def test_names_without_a_speaker(home: Path) -> None:
    folder = write_words(home)
    for number in range(4):
        write_wav(folder / "no" / f"{number}.wav", 300)
    message = r"data.group_by must find .* in no/0.wav, no/1.wav, no/2.wav and 1 more; change"
    with pytest.raises(InputError, match=message):
        load(folder, **SPEAKER)


def test_chosen_classes_in_their_order(home: Path) -> None:
    folder = write_words(home, ("no", "up", "yes"))
    data = load(folder, classes=["yes", "no"])
    assert data["train"].label_names == ("yes", "no")
    assert {name.split("/")[0] for name in data["train"].names} == {"yes", "no"}
    assert data["train"].labels[0] == 0 and data["train"].names[0].startswith("yes/")
    with pytest.raises(InputError, match="data.classes, got none called on; it has no, up, yes"):
        load(folder, classes=["no", "on"])


def test_no_classes_or_one(home: Path) -> None:
    file = write_wav(home / "a.wav", 300)
    with pytest.raises(InputError, match="two classes, got no folder; put a.wav and the other"):
        load(home)
    file.rename(home / "7_jackson_3.wav")
    with pytest.raises(InputError, match="FSDD: set data.dataset to 'fsdd'"):
        load(home)
    with pytest.raises(InputError, match="at least two classes, got only no"):
        load(write_words(home, ["no"]))


def test_an_empty_class(home: Path) -> None:
    (write_words(home) / "up").mkdir()
    with pytest.raises(InputError, match=r"up must have recordings \(.wav, .*, got none; .*remove"):
        load(home)
    assert load(home, classes=["no", "yes"])["train"].n_classes == 2


def test_a_class_that_is_not_trained(home: Path) -> None:
    write_words(home / "train")
    write_words(home / "test", ("no", "up"))
    with pytest.raises(InputError, match="in its train split, got none called up there"):
        load(home)


def test_splits_and_classes_together(home: Path) -> None:
    write_words(home / "train")
    write_words(home)
    with pytest.raises(InputError, match="splits or of classes, not both, got train and no, yes"):
        load(home)
    for name in ("no", "yes"):
        shutil.rmtree(home / name)
    for name in ("val", "valid"):
        write_words(home / name)
    with pytest.raises(InputError, match="one folder for the validation split, .* got val and val"):
        load(home)


def test_too_few_recordings(home: Path) -> None:
    folder = write_words(home, speakers=("ann",), takes=2)
    with pytest.raises(
        InputError, match="cannot split 2 examples of class 'no' .* or set data.test"
    ):
        load(folder)
    assert len(load(folder, test=0.0)["validation"]) == 2


@pytest.mark.parametrize("cache", [True, False])
@pytest.mark.parametrize("damage", ["empty", "cut", "text", "nan"])
def test_a_damaged_wav_is_named(home: Path, damage: str, cache: bool) -> None:
    import soundfile

    path = write_words(home / "words") / "no" / "bob_1.wav"
    content = path.read_bytes()
    if damage == "nan":
        soundfile.write(path, np.full(99, np.nan), 8000, subtype="FLOAT")
    else:
        path.write_bytes({"empty": b"", "cut": content[:200], "text": b"hello"}[damage])
    with pytest.raises(InputError, match=r"no/bob_1.wav (is|must have)"):
        load_dataset("folder", home / "words", SHORT, dt=2.0, cache=cache)


def test_formats_may_be_mixed(tmp_path: Path) -> None:
    """FLAC holds the same samples, so that the data are the same under other names."""
    write_words(tmp_path / "wav")
    shutil.copytree(tmp_path / "wav", tmp_path / "flac")
    for path in sorted((tmp_path / "flac").rglob("*_1.wav")):
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path.with_suffix(".FLAC"), samples, rate)
        path.unlink()
    options = {**SHORT, "validation": 0.0, "test": 0.0}
    wav, mixed = (
        load_dataset("folder", tmp_path / kind, options)["train"] for kind in ("wav", "flac")
    )
    assert [name.replace("FLAC", "wav") for name in mixed.names] == list(wav.names)
    assert "no/ann_0.wav" in mixed.names and "no/ann_1.FLAC" in mixed.names
    np.testing.assert_array_equal(mixed.time, wav.time)
    np.testing.assert_array_equal(mixed.start, wav.start)


def test_a_recording_in_two_formats(tmp_path: Path) -> None:
    write_words(tmp_path)
    soundfile.write(tmp_path / "yes" / "bob_1.flac", np.zeros(800), 8000)
    with pytest.raises(InputError, match=r"yes/bob_1\.flac and yes/bob_1\.wav, which .*; remove"):
        load_dataset("folder", tmp_path, SHORT)


def test_formats_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    write_words(tmp_path)
    for path in (tmp_path / "no").iterdir():
        path.rename(path.with_suffix(".m4a"))
    with pytest.raises(InputError, match=r"no must have recordings .*got only \.m4a; convert"):
        load_dataset("folder", tmp_path, SHORT)


def write_lengths(folder: Path, label: str, lengths: list[int]) -> None:
    """Write recordings of so many ms."""
    for number, length in enumerate(lengths):
        write_wav(folder / label / f"{number}.wav", 440, length / 1000)


def test_a_duration_is_chosen_by_the_training_recordings(tmp_path: Path) -> None:
    write_lengths(tmp_path / "train", "no", [100] * 10 + [150] * 9)
    write_lengths(tmp_path / "train", "yes", [130] * 20 + [900])
    for split in ("validation", "test"):
        for label in ("no", "yes"):
            write_lengths(tmp_path / split, label, [400, 500])
    for dt, expected in ((1.0, 150), (10.0, 15), (4.0, 38), (0.7, 215)):
        splits = load_dataset("folder", tmp_path, {"encoding": "currents"}, dt=dt, cache=False)
        # 39 of 40 are whole; with one of 20 more that were cut, it would be less than 95 %.
        assert {data.n_steps for data in splits.values()} == {expected}, dt
        assert expected * dt >= 150 > (expected - 1) * dt
    (tmp_path / "train" / "no" / "long.wav").write_bytes(b"")
    items = [each for each in data_items("folder", tmp_path, {}) if not each.problem]
    assert len(items) == 48 and {each.batch.n_steps for each in items if each.batch} == {150}


def test_a_duration_is_chosen_by_all_where_none_is_trained_on(tmp_path: Path) -> None:
    for label in ("no", "yes"):
        write_lengths(tmp_path / "test", label, [100, 260])
    assert load_dataset("folder", tmp_path, {})["test"].n_steps == 260
