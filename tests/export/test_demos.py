"""Trained networks that come with the package."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from mlgenn_delays import load
from mlgenn_delays.export.demos import demo_names, demo_or_path
from tests.cli.helpers import call

RATE, TONES = 8000, (300.0, 440.0, 900.0)
LABELS = {
    "digits-demo": [str(digit) for digit in range(10)],
    "fsdd-demo": [str(digit) for digit in range(10)],
    "words-demo": "beijing beijing2 close fandian fudan open print process project shanghai "
    "shanghang shibie shuzi signal speaker speech yuyan yuyin zhongguo zonggong".split(),
}


def test_those_that_come_are_small_and_know_their_labels() -> None:
    assert demo_names() == tuple(LABELS)
    for name in demo_names():
        assert demo_or_path(Path(name)).stat().st_size < 30_000
        assert list(load(name).labels) == LABELS[name]


def test_handwritten_digits_are_recognised() -> None:
    digits = load_digits()
    predicted = [each.index for each in load("digits-demo").predict(list(digits.images))]
    assert (np.array(predicted) == digits.target).mean() > 0.94


@pytest.mark.parametrize("name", ["fsdd-demo", "words-demo"])
def test_sounds_are_told_apart(name: str) -> None:
    times = np.arange(RATE // 2) / RATE
    sounds = [0.3 * np.sin(2 * np.pi * tone * times).astype(np.float32) for tone in TONES]
    predictions = load(name).predict(sounds)
    assert all(each.probabilities.sum() == pytest.approx(1, abs=1e-5) for each in predictions)
    assert len({each.logits.tobytes() for each in predictions}) == len(TONES)


def test_infer_and_export_take_the_name(tmp_path: Path) -> None:
    np.save(tmp_path / "seven.npy", load_digits().images[7])
    result = call("infer", "digits-demo", tmp_path / "seven.npy", "--json")
    (prediction,) = json.loads(result.stdout)["predictions"]
    assert prediction["label"] == "7"
    bundle = tmp_path / "again.safetensors"
    result = call("export", "digits-demo", "--format", "bundle", "--out", bundle)
    assert result.exit_code == 0, result.output
    again = load(bundle).predict(tmp_path / "seven.npy")
    assert (
        again.logits.tolist() == load("digits-demo").predict(tmp_path / "seven.npy").logits.tolist()
    )


def test_what_lies_there_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits-demo").write_text("mine")
    assert demo_or_path(Path("digits-demo")) == Path("digits-demo")
    result = call("infer", "digits-demo", "seven.npy")
    assert result.exit_code == 2 and "digits-demo must be a bundle" in result.stderr


def test_a_name_that_is_none_is_told_those_that_are(tmp_path: Path) -> None:
    result = call("infer", "digit-demo", "seven.npy")
    assert result.exit_code == 2
    assert "there is no model digit-demo" in result.stderr
    assert "digits-demo, fsdd-demo, words-demo" in result.stderr
