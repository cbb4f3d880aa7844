"""delaysnn data check: what there is, and what is damaged."""

import json
import shutil
import tracemalloc
import wave
from pathlib import Path

import h5py
import matplotlib.image
import numpy as np
import pytest

from mlgenn_delays.data.inspect import report as inspecting
from mlgenn_delays.data.inspect.report import LISTED, inspect
from mlgenn_delays.data.registry import load_dataset
from tests.cli.helpers import call, parsed, refused, write_rawhd, write_words
from tests.data.own_helpers import write_words as write_own_words
from tests.data.shd_helpers import events, write_file, write_shd, write_ssc


@pytest.fixture
def words(tmp_path) -> Path:
    """Return a folder of two digits, four recordings of each, in all splits."""
    return write_words(tmp_path / "words", [0, 7, 20, 21])


def damaged(result) -> list[str]:
    """Return the lines of the damaged, of a check that must have found some."""
    assert result.exit_code == 1, result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")
    lines = result.stdout.splitlines()
    place = next(k for k, line in enumerate(lines) if line.startswith("damaged"))
    return [line.strip() for line in lines[place + 1 :] if line.startswith("  ")]


def test_a_sound_folder(words) -> None:
    result = call("data", "check", "fsdd", words, "--set", "duration=150")
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0][:8] == ["fsdd", "in", f"{words}:", "8", "examples,", "2", "classes,", "200"]
    assert " ".join(lines[0][8:]) == "channels of spikes, trials of 150 ms, dt 1 ms"
    assert ["class", "train", "validation", "test", "all"] in lines
    assert ["1", "2", "1", "1", "4"] in lines and ["all", "4", "2", "2", "8"] in lines
    text = result.stdout
    assert "200 to 200, median 200 ms; 100.0 % are longer than 150 ms and cut" in text
    assert "train has no example of class 2, 3, 4, 5, 6 and 3 more" in text
    for name in ("empty", "duplicates", "damaged"):
        assert [name, "none"] in lines
    assert lines[-1] == ["next:", "delaysnn", "train", "fsdd", "--data", str(words)]


def test_json_is_one_object_of_all_figures(words) -> None:
    found = parsed(call("data", "check", "fsdd", words, "--dt", 2, "--json"))
    data = load_dataset("fsdd", words, dt=2.0)
    assert found["splits"]["train"] == {"examples": 4, "classes": {"0": 2, "1": 2}}
    assert list(found["splits"]) == ["train", "validation", "test"]
    counts = np.concatenate([np.diff(part.start, axis=1) for part in data.values()])
    spikes, rates = found["spikes"], counts.sum(axis=0) / 8
    assert spikes["per_example"]["min"] == counts.sum(axis=1).min()
    assert spikes["per_example"]["median"] == np.median(counts.sum(axis=1))
    assert spikes["silent_channels"] == (rates == 0).sum()
    assert spikes["busiest"]["channel"] == rates.argmax()
    assert spikes["busiest"]["rate_hz"] == pytest.approx(rates.max())
    assert spikes["rate_hz"]["median"] == pytest.approx(np.median(rates))
    assert found["durations_ms"] == {"min": 200.0, "median": 200.0, "max": 200.0, "cut": 0.0}
    assert (found["dt_ms"], found["trial_ms"], found["channels"]) == (2.0, 1000.0, 200)
    assert found["damaged"] == {"count": 0, "listed": []} and found["picture"] is None


def test_json_of_damaged_data_is_one_object_too(words) -> None:
    (words / "x.wav").write_bytes(b"")
    result = call("data", "check", "fsdd", words, "--json")
    assert result.exit_code == 1 and result.stdout.count("\n") == 1
    assert json.loads(result.stdout)["damaged"]["listed"][0]["name"] == "x.wav"
    assert "1 damaged in" in result.stderr


def test_currents(tmp_path) -> None:
    folder = write_rawhd(tmp_path / "r")
    values = np.load(folder / "training_x_data.npy")
    values[:, :, 6], values[0] = 0.0, 0.0
    np.save(folder / "training_x_data.npy", values)
    test = np.load(folder / "testing_x_data.npy")
    test[:, :, 6] = 0.0
    np.save(folder / "testing_x_data.npy", test)
    options = ["--set", "data.validation=0.25", "--set", "scale=10"]
    found = parsed(call("data", "check", "rawhd", folder, *options, "--json"))
    both = 10 * np.concatenate([values, test])
    for name in ("min", "mean", "max", "std"):
        assert found["currents"][name] == pytest.approx(getattr(both, name)(), rel=1e-4)
    assert found["currents"]["silent_channels"] == 1
    assert found["empty"] == {"count": 1, "listed": [{"split": "validation", "name": "0"}]}
    text = call("data", "check", "rawhd", folder, *options).stdout
    assert "1 always 0; busiest is channel" in text and "empty       1\n  validation 0\n" in text


def test_damaged_recordings(words) -> None:
    whole = (words / "1_ann_20.wav").read_bytes()
    (words / "1_ann_20.wav").write_bytes(whole[:1000])
    (words / "0_ann_21.wav").rename(words / "zero.wav")
    lines = damaged(call("data", "check", "fsdd", words))
    assert len(lines) == 2
    assert lines[0].startswith("zero.wav: ") and "must be named" in lines[0]
    assert lines[1].startswith("train 1_ann_20.wav: ") and "is truncated" in lines[1]


def test_a_truncated_file(tmp_path) -> None:
    path = write_ssc(tmp_path) / "ssc_test.h5"
    path.write_bytes(path.read_bytes()[:5000])
    result = call("data", "check", "ssc", tmp_path)
    (line,) = damaged(result)
    assert line.startswith(f"test ssc_test.h5: {path} is damaged, or no HDF5 file")
    assert "there is no test example" in result.stdout and "105 examples" in result.stdout


def test_many_damaged_are_counted(tmp_path) -> None:
    given = [(units, -times - 1) for units, times in events(60)]
    write_file(write_shd(tmp_path) / "shd_test.h5", given)
    result = call("data", "check", "shd", tmp_path)
    lines = damaged(result)
    assert len(lines) == LISTED + 1
    assert lines[-1] == f"and {59 - LISTED} more"
    assert "error: 59 damaged in" in result.stderr
    assert "\n  test 0\n" in result.stdout  # the one without events is fine, and empty


def test_duplicates_across_splits_are_a_warning(words) -> None:
    shutil.copy(words / "1_ann_20.wav", words / "1_ann_2.wav")
    shutil.copy(words / "0_ann_20.wav", words / "1_ann_22.wav")
    result = call("data", "check", "fsdd", words)
    assert result.exit_code == 0
    assert "duplicates  warning: 1 also in another split:" in result.stdout
    assert "\n  test 1_ann_2.wav is train 1_ann_20.wav\n" in result.stdout
    assert "duplicates  1 within a split\n" in result.stdout
    found = parsed(call("data", "check", "fsdd", words, "--json"))["duplicates"]
    assert found["across_splits"]["listed"] == [
        {"split": "test", "name": "1_ann_2.wav", "same_as": ["train", "1_ann_20.wav"]}
    ]
    assert found["within_a_split"] == 1


def test_the_same_audio_with_another_header_is_a_duplicate(words) -> None:
    with wave.open(str(words / "1_ann_20.wav")) as file:
        frames = file.readframes(2000)
    stereo = np.repeat(np.frombuffer(frames, "<i2"), 2).tobytes()
    with wave.open(str(words / "1_ann_8.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(stereo)
    assert (
        "\n  validation 1_ann_8.wav is train 1_ann_20.wav\n"
        in call("data", "check", "fsdd", words).stdout
    )


@pytest.mark.parametrize(("suffix", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_picture(suffix, begin, words, tmp_path) -> None:
    path = tmp_path / f"picture.{suffix}"
    result = call("data", "check", "fsdd", words, "--out", path)
    assert result.exit_code == 0 and f"picture     {path}" in result.stdout
    assert path.read_bytes().startswith(begin)
    if suffix == "png":
        height, width, _ = matplotlib.image.imread(path).shape
        assert 800 < width < 2000 and 300 < height < 1000
        assert matplotlib.image.imread(path)[..., :3].std() > 0.05


def test_picture_of_currents_and_of_many_classes(tmp_path) -> None:
    folder = write_rawhd(tmp_path / "r")
    options = ["--set", "validation=0.25", "--out", tmp_path / "p.png", "--json"]
    found = parsed(call("data", "check", "rawhd", folder, *options))
    assert found["picture"] == str(tmp_path / "p.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "p.png").shape
    assert 1000 < width < 2000 and 500 < height < 1000


@pytest.mark.parametrize("name", ["digits", "yin-yang", "sequence", "coincidence"])
def test_data_that_need_no_folder(name) -> None:
    options = [] if name == "digits" else ["--set", "train=50", "--set", "validation=9"]
    result = call("data", "check", name, *options)
    assert result.exit_code == 0
    assert "unknown (events carry no end)" in result.stdout
    assert "duplicates" not in result.stdout and "damaged     none" in result.stdout
    assert "must have no folder" in refused("data", "check", name, "somewhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fsdd"], "needs a folder of data, got none; give DIR"),
        (["fsdd", "nowhere"], "folder nowhere does not exist"),
        (["shd", "DIR"], "got none named shd_train.h5 and shd_test.h5"),
        (["digits", "--set", "duration"], "--set must be key=value, such as duration=800"),
        (["digits", "--dt", "0"], "dt must be a number > 0 ms, got 0.0"),
        (["digits", "--dt", "nan"], "dt must be a number"),
        (["digits", "--out", "x.jpg"], "--out must be a .png or .svg file, got 'x.jpg'"),
        (["digits", "--out", "no/x.png"], "must be a file in a folder that exists"),
    ],
)
def test_bad_input(arguments, message, tmp_path) -> None:
    given = [str(tmp_path) if each == "DIR" else each for each in arguments]
    assert message in refused("data", "check", *given)


def test_unknown_command_names_the_nearest() -> None:
    text = refused("data", "chekc", "fsdd")
    assert "there is no command 'chekc' (known: prepare, check); did you mean 'check'?" in text


@pytest.mark.slow
def test_memory_does_not_grow_with_examples(tmp_path) -> None:
    """A file of many times the memory: examples are looked at and let go."""
    n, size = 1200, 6000
    random = np.random.default_rng(0)
    units = random.integers(0, 700, size).astype(np.uint16)
    for part in ("train", "valid", "test"):
        with h5py.File(tmp_path / f"ssc_{part}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (n,), h5py.vlen_dtype(np.float32))
            channels = file.create_dataset("spikes/units", (n,), h5py.vlen_dtype(np.uint16))
            for row in range(n):
                times[row] = np.sort(random.random(size)).astype(np.float32)
                channels[row] = units
            file["labels"] = np.arange(n) % 35
    inspect("sequence")  # what is imported is not counted
    tracemalloc.start()
    report = inspect("ssc", tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.examples == 3 * n
    assert len(report.pictured) == 35
    assert peak < 3 * n * size * 6 / 8


def test_progress_is_on_stderr(words, monkeypatch) -> None:
    from mlgenn_delays import progress

    monkeypatch.setattr(progress, "_QUIET", 0.0)
    result = call("data", "check", "fsdd", words, "--json")
    assert "checking fsdd: 8 examples, 0 s\n" in result.stderr
    assert result.stdout.count("\n") == 1


def test_examples_of_another_size_are_damaged(monkeypatch) -> None:
    from mlgenn_delays.data.registry import data_items

    def two(name, folder, options, *, dt):
        yield next(data_items("digits"))
        yield next(data_items("sequence"))

    monkeypatch.setattr(inspecting, "data_items", two)
    (found,) = inspect("digits").damaged.listed
    assert found["reason"] == "it has 60 steps of 2 channels, those before have 50 of 64"


def test_a_recipe_stands_for_its_data(tmp_path) -> None:
    folder = write_own_words(tmp_path / "own", takes=1)
    result = call("data", "check", "words", folder, "--set", "validation=0.2")
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "40 channels of currents, trials of 100 ms, dt 10 ms" in text
    assert "are in several splits; if so, set data.group_by='^([^_/]+)_'" in text
    assert "recordings to test on are few" in text
    assert text.splitlines()[-1] == f"next: delaysnn train words --data {folder}"
    found = parsed(call("data", "check", "words", folder, "--set", "validation=0.2", "--json"))
    assert found["options"]["validation"] == 0.2 and found["dt_ms"] == 10
    text = call("data", "check", "folder", folder).stdout
    assert "channels of spikes" in text and f"train words-spikes --data {folder}" in text


def test_a_training_that_meets_a_damaged_file_says_what_finds_them_all(tmp_path) -> None:
    folder = write_own_words(tmp_path / "own", takes=1)
    path = folder / "no" / "ann_0.wav"
    path.write_bytes(path.read_bytes()[:1000])
    text = refused("train", "words", "--data", folder, "--out", tmp_path / "run")
    assert "ann_0.wav is truncated" in text
    assert text.endswith(f"delaysnn data check folder {folder} lists all that are damaged\n")
