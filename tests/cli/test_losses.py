"""What data lose on their way to trials is said: by data check, train, evaluate and infer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from mlgenn_delays.cli import main
from tests.cli.helpers import call, parsed, refused
from tests.data.own_helpers import write_events, write_wav, write_words

RECIPE = """
name = "mine"
[data]
dataset = "npz"
[network]
[[network.layers]]
size = 4
weight_mean = 0.5
weight_sd = 1.0
[network.readout]
kind = "expweighted"
weight_sd = 1.0
[delays]
max = 10.0
[learning]
epochs = 1
"""


def given(scale: float, n: int = 40, reach: float = 1.9) -> tuple[list, np.ndarray]:
    """Return n examples of 60 events that are up to ``reach`` seconds late, in some unit."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % 2
    events = [(rng.integers(0, 20, 60), scale * reach * rng.random(60)) for _ in labels]
    return events, labels


def write(path: Path, scale: float, **options: Any) -> Path:
    """Write them as .npz."""
    return write_events(path, *given(scale, **options))


def checked(*arguments: object) -> tuple[str, dict[str, Any]]:
    """Return what `data check` says, in words and as JSON."""
    words = call("data", "check", *arguments)
    assert words.exit_code == 0, words.output
    return words.stdout, parsed(call("data", "check", *arguments, "--json"))


def trained(folder: Path, data: Path, *settings: str) -> tuple[str, dict[str, Any]]:
    """Train an epoch, and return stderr and the result."""
    recipe = folder / "mine.toml"
    recipe.write_text(RECIPE)
    options = [word for each in settings for word in ("--set", each)]
    result = call("train", recipe, "--data", data, "--out", folder / "run", "--json", *options)
    return result.stderr, parsed(result)


def streamed(content: bytes, run: Path, *options: object) -> Result:
    """Answer a stream."""
    arguments = ["infer", str(run), "--stream", *map(str, options)]
    result = CliRunner().invoke(main, arguments, input=content)
    assert result.exit_code == 0, result.output
    return result


def test_seconds(tmp_path: Path) -> None:
    data = write(tmp_path / "data.npz", 1.0)
    advice = "times reach 1.9: if these"
    words, found = checked("npz", data)
    assert "lost        " in words and "merged (of one channel in one step)" in words
    assert f"warning     {found['warnings'][0]}" in words
    assert "of the events are merged" in found["warnings"][0] and advice in found["warnings"][0]
    assert found["warnings"][0].endswith(
        "if these are seconds, multiply them by 1000, or set data.time_unit = 1000"
    )
    assert 0.3 < found["lost"]["merged"] < 0.6 and found["lost"]["events"] == 40 * 60
    said, result = trained(tmp_path, data)
    assert "warning: " in said and "data.time_unit = 1000" in said
    assert said.count(advice) == 1
    assert 0.3 < result["lost"]["train"]["merged"] < 0.6
    evaluated = call("evaluate", tmp_path / "run", "--json")
    assert "data.time_unit = 1000" in evaluated.stderr
    assert 0.3 < parsed(evaluated)["lost"]["test"]["merged"] < 0.6


def test_seconds_that_are_said_to_be(tmp_path: Path) -> None:
    seconds = write(tmp_path / "data.npz", 1.0)
    words, found = checked("npz", seconds, "--set", "time_unit=1000")
    assert not found["warnings"] and found["trial_ms"] == pytest.approx(1900, abs=10)
    _, same = checked("npz", write(tmp_path / "ms.npz", 1000.0))
    for key in ("spikes", "lost", "trial_ms"):
        assert found[key] == same[key]
    assert found["durations_ms"] == pytest.approx(same["durations_ms"])
    said, _ = trained(tmp_path, seconds, "data.time_unit=1000")
    assert "warning" not in said
    # A model takes files in the unit of its training.
    (answer, *_) = parsed(call("infer", tmp_path / "run", seconds, "--json"))["predictions"]
    assert answer["warning"] == "" and answer["cut"] == 0 and answer["events"] == 60


def test_few_events_in_seconds_merge_nothing_and_are_told(tmp_path: Path) -> None:
    events = [(np.arange(3), np.array([0.1, 0.2, 1.4]) + 0.01 * k) for k in range(40)]
    data = write_events(tmp_path / "data.npz", events, np.arange(40) % 2)
    for duration in (0, 2000):
        _, found = checked("npz", data, "--set", f"duration={duration}")
        assert found["lost"]["merged"] == 0
        assert "all events are within 1.79 ms" in found["warnings"][0]
        assert "data.time_unit = 1000" in found["warnings"][0]


def test_microseconds(tmp_path: Path) -> None:
    events, labels = given(1e6, reach=0.09)
    early = [(np.arange(3), np.array([5.0, 20.0, 50.0]))] * 2
    data = write_events(tmp_path / "data.npz", [*early, *events[2:]], labels)
    _, found = checked("npz", data, "--set", "duration=100")
    (text,) = found["warnings"]
    assert "% of the events are cut, after the end of the trial of 100 ms" in text
    assert f"{found['lost']['empty']} of 40 examples are empty" in text
    assert "microseconds, divide them by 1000, or set data.time_unit = 0.001" in text
    assert found["lost"]["cut"] > 0.9 and found["lost"]["empty"] == found["empty"]["count"] > 25
    said, result = trained(tmp_path, data, "data.duration=100")
    assert "data.time_unit = 0.001" in said and result["lost"]["train"]["cut"] > 0.9
    # Without a duration the trial would be as long as they seem to be.
    text = refused("train", tmp_path / "mine.toml", "--data", data, "--out", tmp_path / "x")
    assert "at most 20000 steps of 1 ms where data.duration is 0" in text
    assert "data.time_unit = 0.001, else set data.duration = " in text
    assert not (tmp_path / "x").exists()


def test_a_duration_meant_as_seconds(tmp_path: Path) -> None:
    data = write(tmp_path / "data.npz", 1000.0, reach=0.4)
    _, found = checked("npz", data, "--set", "duration=1")
    (text,) = found["warnings"]
    assert "data.duration is in ms; if 1 was meant as seconds, set data.duration = 1000" in text
    words = write_words(tmp_path / "words", takes=1)
    _, found = checked("folder", words, "--set", "duration=1")
    (text,) = found["warnings"]
    assert "20 of 20 examples are longer than the trial of 1 ms and cut, 99.0 % of" in text
    assert "if 1 was meant as seconds, set data.duration = 1000" in text
    _, found = checked("folder", words, "--set", "duration=70")
    assert found["warnings"][0].endswith("set data.duration = 100 to keep all")
    words_, found = checked("folder", words, "--set", "duration=90")
    assert "20 of 20 examples are longer than the trial of 90 ms" in found["warnings"][0]
    assert "10.0 % of the time cut (after the end" in words_


@pytest.mark.parametrize(("n_long", "warned"), [(4, False), (5, True)])
def test_more_than_a_fifth_of_the_recordings_are_cut(
    tmp_path: Path, n_long: int, warned: bool
) -> None:
    """However little of the time that is."""
    words = write_words(tmp_path / "words", takes=1)
    for path in sorted(words.rglob("*.wav"))[:n_long]:
        write_wav(path, 440, 0.12)
    whole = ["--set", "validation=0", "--set", "test=0"]
    _, found = checked("folder", words, "--set", "duration=110", *whole)
    text = f"{n_long} of 20 examples are longer than the trial of 110 ms and cut"
    assert bool(found["warnings"]) == warned
    for warning in found["warnings"]:
        assert text in warning and warning.endswith("set data.duration = 120 to keep all")


@pytest.mark.parametrize("stream", ["false", "true"])
def test_it_is_known_from_the_cache_as_well(tmp_path: Path, stream: str) -> None:
    words = write_words(tmp_path / "words", takes=1)
    recipe = tmp_path / "words.toml"
    recipe.write_text(RECIPE.replace('"npz"', '"folder"\nduration = 50.0'))
    lost = []
    for run in ("one", "two"):
        options = ["--data", words, "--out", tmp_path / run, "--set", f"data.stream={stream}"]
        result = call("train", recipe, *options, "--json")
        assert "longer than the trial of 50 ms and cut, 50.0 % of the time" in result.stderr
        lost.append(parsed(result)["lost"])
    assert lost[0] == lost[1] and lost[0]["train"]["cut"] == pytest.approx(0.5)


def test_infer_says_what_it_did_not_take(tmp_path: Path) -> None:
    data = write(tmp_path / "data.npz", 1000.0, reach=0.1)
    trained(tmp_path, data, "data.duration=100", "data.channels=20")
    run = tmp_path / "run"
    late = [(np.arange(12), np.arange(12) + 500.0), (np.arange(20), np.arange(20) * 10.0)]
    events = write_events(tmp_path / "late.npz", late, np.arange(2))
    result = call("infer", run, events)
    assert len(result.stdout.splitlines()) == 2
    first, second, last = result.stderr.splitlines()
    assert first.startswith(f"warning: {events}[0]: 100.0 % of the events are cut, after the end")
    assert "nothing of it is left: the network gets no input, and still predicts" in first
    assert second.startswith(f"warning: {events}[1]: 50.0 % of the events are cut")
    assert "2 classified, 2 with a warning, median" in last
    answers = parsed(call("infer", run, events, "--json"))["predictions"]
    assert [each["cut"] for each in answers] == [1.0, 0.5]
    assert [each["events"] for each in answers] == [12, 20]
    assert all(each["warning"] for each in answers)
    raster = np.zeros((500, 20), bool)
    raster[:80:7] = True
    np.save(tmp_path / "long.npy", raster)
    (answer,) = parsed(call("infer", run, tmp_path / "long.npy", "--json"))["predictions"]
    assert answer["cut"] == 0.8 and answer["events"] is None
    assert "80.0 % of the time is cut" in answer["warning"]
    steps = b"\n".join([b" ".join([b"0"] * 20)] * 150)
    done = streamed(steps, run, "--json")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["warning"][:22] for row in rows] == ["nothing of it is left:"] * 2


def test_infer_of_sound(tmp_path: Path) -> None:
    words = write_words(tmp_path / "words", takes=1)
    recipe = tmp_path / "words.toml"
    recipe.write_text(RECIPE.replace('"npz"', '"folder"\nduration = 100.0'))
    assert call("train", recipe, "--data", words, "--out", tmp_path / "run").exit_code == 0
    long, fits = write_wav(tmp_path / "long.wav", 440, 0.5), write_wav(tmp_path / "fits.wav", 440)
    soundfile.write(tmp_path / "none.wav", np.zeros(800), 8000)
    inputs = [long, fits, tmp_path / "none.wav"]
    answers = parsed(call("infer", tmp_path / "run", *inputs, "--json"))["predictions"]
    assert [each["cut"] for each in answers] == [0.8, 0, 0]
    assert (
        "80.0 % of the time is cut, after the end of the trial of 100 ms" in answers[0]["warning"]
    )
    assert "it lasts 500 ms" in answers[0]["warning"]
    assert answers[1]["warning"] == ""
    assert answers[2]["warning"].startswith("nothing of it is left")
    # Half a second is five windows, whatever its rate.
    done = streamed(np.zeros(8000, "<i2").tobytes(), tmp_path / "run", "--rate", 16000)
    assert len(done.stdout.splitlines()) == 5
    assert "taking bare samples to have 16000 Hz" in done.stderr
    assert "must come with --stream" in refused("infer", tmp_path / "run", fits, "--rate", 8000)


def test_fill_values_are_named_before_training(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((40, 10, 5))
    values[3, 7, 2], values[20, 1, 1] = 9.96921e36, 1e20
    np.savez(tmp_path / "data.npz", values=values, labels=np.arange(40) % 2)
    options = ["--set", "encoding=currents"]
    result = call("data", "check", "npz", tmp_path / "data.npz", *options)
    assert result.exit_code == 1
    text = (
        f"values of {tmp_path}/data.npz must be finite and below 1e+15 in size, got 9.96921e+36 "
        "in example 3 (step 7, channel 2), and others in 1 more; it may be a fill value"
    )
    assert text in result.stdout
    recipe = tmp_path / "mine.toml"
    recipe.write_text(RECIPE)
    options = ["--set", "data.encoding=currents", "--data", tmp_path, "--out", tmp_path / "run"]
    assert text in refused("train", recipe, *options)
    assert not (tmp_path / "run").exists()
