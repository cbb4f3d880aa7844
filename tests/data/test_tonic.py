"""Data sets of tonic: what its classes give, channels, labels, splits, and what is refused."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tonic

from mlgenn_delays.data.registry import dataset, dataset_shape, load_dataset
from mlgenn_delays.data.sets.tonic_spikes import Sensor, example_spikes
from mlgenn_delays.data.types import SpikeData, StreamedSpikes
from mlgenn_delays.errors import InputError
from tests.data.shd_helpers import write_ssc
from tests.data.spike_helpers import counts, spikes
from tests.data.tonic_helpers import (
    fake,
    nmnist_sizes,
    no_network,
    recording,
    row_sizes,
    write_gestures,
    write_nmnist,
    write_shd,
    write_smnist,
    write_tidigits,
)

pytestmark = pytest.mark.filterwarnings("ignore:tonic takes its", "ignore:data.dataset = 's")


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let no test download anything; what they tried to."""
    return no_network(monkeypatch)


def load(name: str, folder: Path, dt: float = 1.0, **options: Any) -> dict[str, Any]:
    """Load a data set of tonic."""
    return load_dataset(f"tonic:{name}", folder, options, dt=dt)


def test_nmnist(home: Path, asked: list[str]) -> None:
    written = write_nmnist(home)
    data = load("NMNIST", home, dt=2.0, duration=250.0)
    assert not asked
    assert counts(data) == nmnist_sizes()
    for split, each in data.items():
        assert isinstance(each, StreamedSpikes) and each.n_channels == 2 * 34 * 34
        assert each.n_steps == 125 and each.label_names[3] == "3 - three"
        for row in (0, len(each) - 1):
            path = str(home / "NMNIST" / each.names[row])
            assert each.names[row].startswith("Test" if split == "test" else "Train")
            assert each.labels[row] == int(Path(path).parts[-2])
            expected = {
                ((p * 34 + y) * 34 + x, t // 2000)
                for x, y, p, t in written[path].tolist()
                if t < 250_000
            }
            assert spikes(each, row) == expected
    assert dataset_shape("tonic:NMNIST") == (data["test"].n_channels, data["test"].n_classes)


def test_in_memory_is_the_same(home: Path) -> None:
    write_nmnist(home)
    streamed, whole = (load("NMNIST", home, stream=stream) for stream in (True, False))
    for split, each in whole.items():
        assert isinstance(each, SpikeData)
        for row in range(0, len(each), 7):
            assert spikes(each, row) == spikes(streamed[split], row)


def test_folder_of_the_class_itself(home: Path) -> None:
    write_nmnist(home)
    assert counts(load("NMNIST", home / "NMNIST")) == counts(load("NMNIST", home))


def test_encoded_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_nmnist(home)
    whole = load("NMNIST", home)

    def refuse(self: Any, index: int) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr(tonic.datasets.NMNIST, "__getitem__", refuse)
    again = load("NMNIST", home)
    assert spikes(again["train"], 0) == spikes(whole["train"], 0)
    (home / "NMNIST" / "Train" / "0" / "00000.bin").write_bytes(b"\x01\x02\x00\x00\x09")
    with pytest.raises(
        InputError, match="example Train/0/00000.bin of tonic:NMNIST .train. cannot"
    ):
        load("NMNIST", home)


def test_incomplete_data_are_said(home: Path) -> None:
    write_nmnist(home)
    with pytest.warns(UserWarning, match="NMNIST data in .* incomplete .* 120 examples of train=T"):
        load("NMNIST", home)


def test_shd_without_its_archive(home: Path, asked: list[str]) -> None:
    written = write_shd(home)
    with pytest.warns(UserWarning, match="data.dataset = 'shd' reads the files of SHD itself"):
        data = load("SHD", home, downsample=5)
    labels = np.arange(200) % 20
    assert not asked and counts(data) == row_sizes(labels) | {"test": 200}
    own = load_dataset("shd", home, {"channels": 140}, dt=1.0)
    assert data["test"].label_names == own["test"].label_names
    np.testing.assert_array_equal(data["test"].labels, own["test"].labels)
    for row in range(200):
        # tonic cuts times to whole microseconds.
        units, times = written["test"][row]
        whole = (times.astype(np.float64) * 1e6).astype(np.int64)
        expected = {(int(u) // 5, t // 1000) for u, t in zip(units, whole, strict=True)}
        assert spikes(data["test"], row) == {each for each in expected if each[1] < 1000}
    by_speaker = load("SHD", home, downsample=5, group_by="speaker")
    rows = np.array([int(name) for name in by_speaker["validation"].names])
    assert len(set((rows // 20).tolist())) == 1


def test_ssc_has_a_validation_part(home: Path) -> None:
    write_ssc(home / "SSC", keys=[f"w{label}".encode() for label in range(35)])
    assert counts(load("SSC", home)) == {"train": 70, "validation": 35, "test": 36}


def test_smnist_has_its_size_from_an_instance(home: Path) -> None:
    write_smnist(home)
    data = load("SMNIST", home, duration=1600.0, arguments={"num_neurons": 39})
    assert counts(data) == row_sizes(np.arange(100) % 10) | {"test": 100}
    assert data["train"].n_channels == 39 and data["train"].n_classes == 10
    assert dataset_shape("tonic:SMNIST") is None


def test_gestures_by_user(home: Path) -> None:
    write_gestures(home)
    data = load("DVSGesture", home, downsample=16, polarity="merged", group_by="users")
    assert counts(data) == {"train": 99, "validation": 11, "test": 22}
    assert data["train"].n_channels == 64 and data["train"].label_names[0] == "Hand clapping"


def test_single_digits_of_tidigits(home: Path) -> None:
    write_tidigits(home)
    data = load("NTIDIGITS18", home)
    assert counts(data) == row_sizes(np.arange(132) % 11) | {"test": 132}
    assert data["train"].label_names == tuple("o123456789z") and data["train"].n_channels == 64
    assert data["test"].labels[:11].tolist() == list(range(11))


LABELLED = [(recording(seed=i), f"word{i % 3}") for i in range(60)]


def test_texts_as_labels_and_no_splits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "Words", samples=LABELLED, sensor_size=(8, 1, 1))
    data = load("Words", home, duration=100.0)
    assert counts(data) == row_sizes(np.arange(60) % 3, test=0.1)
    assert data["test"].label_names == ("word0", "word1", "word2")
    for each in data.values():
        assert [int(name) % 3 for name in each.names] == each.labels.tolist()
    assert dataset_shape("tonic:Words") is None


@pytest.mark.parametrize(
    "classes, targets, names",
    [
        (None, [7, 3, 7], ("3", "7")),
        (["a", "b", "c"], [0, 2, 1], ("a", "b", "c")),
        ({"b": 1, "a": 0}, [np.int64(1), np.uint8(0), np.array(1)], ("a", "b")),
        (np.array([b"x", b"y"]), [1, 0, 1], ("x", "y")),
        (["a", "b"], ["b", "a", b"b"], ("a", "b")),
    ],
)
def test_labels_are_numbered(
    home: Path, monkeypatch: pytest.MonkeyPatch, classes: Any, targets: list, names: tuple
) -> None:
    samples = [(recording(seed=i), targets[i % 3]) for i in range(30)]
    fake(monkeypatch, "Any", samples=samples, sensor_size=(8, 1, 1), classes=classes)
    data = load("Any", home, duration=100.0, test=0.0)
    assert data["train"].label_names == names
    for each in data.values():
        for name, label in zip(each.names, each.labels, strict=True):
            target = targets[int(name) % 3]
            text = target.decode() if isinstance(target, bytes) else target
            by_number = names[int(text)] if classes is not None and text in (0, 1, 2) else str(text)
            assert names[label] == by_number
    if classes is not None:
        assert dataset_shape("tonic:Any") == (8, len(names))


def naive(events: np.ndarray, width: int, height: int, down: int, polarity: str) -> set:
    """Return the channels and steps of 1 ms of events, one by one."""
    columns, rows = -(-width // down), -(-height // down)
    found = set()
    for event in events:
        x, y, p = int(event["x"]), int(event["y"]), int(event["p"] > 0)
        if polarity == "on" and not p:
            continue
        plane = p if polarity == "both" else 0
        found.add(
            (plane * rows * columns + y // down * columns + x // down, int(event["t"]) // 1000)
        )
    return found


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint64, "signed"])
@pytest.mark.parametrize("polarity", ["both", "merged", "on"])
@pytest.mark.parametrize("down", [1, 2, 3, 50])
def test_channels(down: int, polarity: str, kind: Any) -> None:
    rng = np.random.default_rng(0)
    p = rng.integers(0, 2, 200)
    p = 2 * p - 1 if kind == "signed" else p.astype(kind)
    events = recording(200, x=rng.integers(0, 11, 200), y=rng.integers(0, 7, 200), p=p)
    sensor = Sensor.of((11, 7, 2), down, polarity)
    bounds, time, losses = example_spikes(
        "it", events, sensor, n_steps=90, dt=1.0, unit=0.001, align=False
    )
    found = {
        (channel, int(step))
        for channel in range(sensor.n_channels)
        for step in time[bounds[channel] : bounds[channel + 1]]
    }
    assert found == naive(events, 11, 7, down, polarity)
    given = 200 if polarity != "on" else int((events["p"] > 0).sum())
    assert losses.table.tolist() == [[given, 0, given - len(time), losses.lengths[0], len(time)]]
    assert len(bounds) == sensor.n_channels + 1 and len(found) == len(time)


def test_fields_are_read_by_name_and_may_be_missing() -> None:
    sensor = Sensor.of((8, 1, 1), 1, "both")
    how: dict[str, Any] = {"n_steps": 90, "dt": 1.0, "unit": 0.001, "align": False}
    plain = recording()
    full = recording(p=np.ones(20, int), y=np.zeros(20, int))[["p", "y", "x", "t"]]
    column = plain.reshape(-1, 1)
    found = [example_spikes("it", each, sensor, **how) for each in (plain, full, column)]
    for bounds, time, _ in found[1:]:
        np.testing.assert_array_equal(bounds, found[0][0])
        np.testing.assert_array_equal(time, found[0][1])
    for wrong in (plain[["t"]], np.zeros((3, 4)), [1, 2], {"events": 3}):
        with pytest.raises(InputError, match="it must have events with the fields t and x"):
            example_spikes("it", wrong, sensor, **how)
    with pytest.raises(InputError, match=r"it must have x in 0..2, got \d..\d; set data.sensor"):
        example_spikes("it", plain, Sensor.of((3, 1, 1), 1, "both"), **how)


def test_other_units_and_clocks(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = [(recording(seed=i), i % 2) for i in range(20)]
    for events, _ in late:
        events["t"] += 10**9
    fake(monkeypatch, "Late", samples=late, sensor_size=(8, 1, 1), classes=["a", "b"])
    with pytest.raises(InputError, match="got none in examples 0..19 .train.; set data.align"):
        load("Late", home)
    aligned = load("Late", home, align=True)["train"]
    first = late[int(aligned.names[0])][0]
    steps = (first["t"] - first["t"].min()) // 1000
    assert spikes(aligned, 0) == set(zip(first["x"].tolist(), steps.tolist(), strict=True))
    coarse = load("Late", home, align=True, time_unit=0.0001)["train"]
    assert max(step for _, step in spikes(coarse, 0)) == steps.max() // 10


def test_several_sizes_need_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, "Sizes", samples=LABELLED, sensor_size=None)
    with pytest.raises(InputError, match="recordings of several sizes; set data.sensor_size"):
        load("Sizes", home)
    data = load("Sizes", home, sensor_size=[9, 2, 1], duration=100.0)
    assert data["train"].n_channels == 18
    assert dataset("tonic:Sizes").options(sensor_size=(9, 2, 1), downsample=2).group == 5


@pytest.mark.parametrize("name", ["NMNIST", "SHD", "SMNIST", "DVSGesture", "NTIDIGITS18", "DVSLip"])
def test_no_data_and_no_network(
    home: Path, asked: list[str], capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with (
        pytest.warns(UserWarning, match=f"tonic cannot read {name} data in .*tries to download"),
        pytest.raises(InputError) as caught,
    ):
        load(name, home)
    text = str(caught.value)
    assert f"must have the {name} data" in text and "nor download (" in text
    more = ", single_digits=True" if name == "NTIDIGITS18" else ""
    assert f"import tonic; tonic.datasets.{name}('{home}'{more}, train=True)\"" in text
    assert capsys.readouterr().out == ""
    if name != "DVSLip":  # is for its users to fetch
        assert asked and "no network" in text


def test_no_such_folder(home: Path) -> None:
    with pytest.raises(InputError, match="gone does not exist; give the folder in which tonic"):
        load("NMNIST", home / "gone")
    (home / "file").write_text("")
    with pytest.raises(InputError, match="file is a file; give the folder"):
        load("NMNIST", home / "file")


def test_unknown_classes(home: Path) -> None:
    with pytest.raises(InputError, match="which has none called NMINST; did you mean 'NMNIST'?"):
        load("NMINST", home)
    with pytest.raises(InputError, match="none called NMINST; did you mean 'NMNIST'?"):
        dataset_shape("tonic:NMINST")
    for name in ("tonic", "tonic:", "toinc:NMNIST"):
        with pytest.raises(InputError, match="dataset must be one of digits, .*, tonic:NAME, got"):
            dataset(name)


def test_without_tonic(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    monkeypatch.setitem(sys.modules, "tonic.datasets", None)
    with pytest.raises(InputError, match=r"needs tonic, .* pip install \"delaysnn\[datasets\]\""):
        load("NMNIST", home)
    assert dataset_shape("tonic:NMNIST") is None


def test_an_old_tonic(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tonic, "__version__", "1.6.0")
    with pytest.raises(InputError, match="needs tonic 1.7 or later, got 1.6.0; update it"):
        load("NMNIST", home)


@pytest.mark.parametrize(
    "samples, parts, message",
    [
        ([(recording(), {"boxes": 3})] * 9, {}, "a class for each example, .* got dict; this one"),
        ([(recording(), np.zeros(3))] * 9, {}, "a class for each example, .* got ndarray"),
        ([(recording(), 0.5)] * 9, {}, "a class for each example, .* got float"),
        ([(recording(), 1, 2)] * 9, {}, "must have events and a label, got tuple"),
        ([(recording(), 3)] * 9, {"classes": ["a", "b"]}, "labels of 2 classes, got 3; its files"),
        ([(recording(), 3)] * 9, {}, "at least two classes, got 3; give all"),
        ([(np.zeros((9, 4)), i % 2) for i in range(20)], {}, "example 0 of tonic:Odd .train. must"),
        ([(recording(x=np.full(20, 9)), i % 2) for i in range(20)], {}, "x in 0..7, got 9..9"),
        (
            [(recording(), i % 2) for i in range(3)],
            {},
            "tonic:Odd: cannot split 2 examples of class '0'",
        ),
    ],
)
def test_other_tasks_and_damage(
    home: Path, monkeypatch: pytest.MonkeyPatch, samples: list, parts: dict, message: str
) -> None:
    fake(monkeypatch, "Odd", samples=samples, sensor_size=(8, 1, 1), **parts)
    with pytest.raises(InputError, match=message):
        load("Odd", home)


def test_arguments(home: Path) -> None:
    write_nmnist(home)
    data = load("NMNIST", home, arguments={"first_saccade_only": True})
    assert max(step for row in range(9) for _, step in spikes(data["train"], row)) < 100
    with pytest.raises(InputError, match="first_saccade_only, stabilize.*, got 'stabilise'; did"):
        load("NMNIST", home, arguments={"stabilise": True})
    with pytest.raises(InputError, match="data.arguments must be.* got 'train'"):
        load("NMNIST", home, arguments={"train": True})
    with pytest.raises(InputError, match="data.group_by must be"):
        load("NMNIST", home, group_by="users")
