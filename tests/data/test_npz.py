"""Arrays in .npz files: layouts, splits, what `infer` makes of them, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.registry import load_dataset
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About
from mlgenn_delays.export.inputs import Reader
from tests.data.own_helpers import examples, sizes, write_events
from tests.data.spike_helpers import counts, spikes

EVENTS, LABELS = examples(60)


def load(path: Path, dt: float = 1.0, **options: Any) -> dict[str, Any]:
    """Load a data set of arrays."""
    return load_dataset("npz", path, options, dt=dt)


def same(a: SpikeData, b: SpikeData) -> bool:
    """Return whether two splits have the same examples."""
    keys = ("names", "label_names", "n_steps", "n_channels")
    alike = all(getattr(a, key) == getattr(b, key) for key in keys)
    return alike and all(spikes(a, row) == spikes(b, row) for row in range(len(a)))


def test_events(home: Path) -> None:
    data = load(write_events(home / "data.npz", EVENTS, LABELS), dt=0.5)
    rows = list(map(str, range(60)))
    assert counts(data) == sizes(rows, LABELS)
    last = max(each[1].max() for each in EVENTS)
    for each in data.values():
        assert isinstance(each, SpikeData) and each.label_names == ("0", "1", "2")
        assert each.n_channels == 6 and each.n_steps == int(last / 0.5) + 1
        for row, name in enumerate(each.names):
            channels, times = EVENTS[int(name)]
            expected = {(c, int(t / 0.5)) for c, t in zip(channels, times, strict=True)}
            assert spikes(each, row) == expected and each.labels[row] == LABELS[int(name)]


def test_raster_is_the_same_as_events(home: Path) -> None:
    raster = np.zeros((60, 30, 6), np.uint8)
    for row, (channels, times) in enumerate(EVENTS):
        raster[row, times.astype(int), channels] = 1
    events = load(write_events(home / "events" / "data.npz", EVENTS, LABELS))
    for number, kind in enumerate((np.uint8, bool, np.float64)):
        path = home / f"{number}.npz"
        np.savez_compressed(path, raster=raster.astype(kind), labels=LABELS)
        for split, each in load(path).items():
            assert same(each, events[split])
    assert load(path, duration=12.0)["train"].n_steps == 12
    assert load(path, duration=50.0)["train"].n_steps == 50


def test_values(home: Path) -> None:
    values = np.random.default_rng(0).normal(size=(60, 20, 4))
    np.savez(home / "data.npz", values=values, labels=LABELS, names=[f"n{i}" for i in range(60)])
    for duration, kept in ((0.0, 20), (30.0, 15), (50.0, 25)):
        data = load(home, dt=2.0, encoding="currents", duration=duration)
        for each in data.values():
            assert isinstance(each, CurrentData) and each.values.shape[1:] == (kept, 4)
            rows = [int(name[1:]) for name in each.names]
            expected = np.zeros((len(rows), kept, 4), np.float32)
            expected[:, :20] = values[rows, :kept]
            np.testing.assert_array_equal(each.values, expected)


def test_names_of_labels(home: Path) -> None:
    words = np.array(["no", "yes", "up", "never"])
    for kind in ("U", "S"):
        path = write_events(home / "data.npz", EVENTS, LABELS, label_names=words.astype(kind))
        assert load(path)["test"].label_names == ("no", "yes", "up", "never")


def test_files_of_splits(home: Path) -> None:
    for name, part in (("train", slice(0, 30)), ("val", slice(30, 45)), ("test", slice(45, 60))):
        write_events(home / f"{name}.npz", EVENTS[part], LABELS[part])
    data = load(home)
    assert counts(data) == {"train": 30, "validation": 15, "test": 15}
    assert data["train"].names == tuple(str(row) for row in range(30))
    assert len({each.n_steps for each in data.values()}) == 1
    (home / "val.npz").unlink()
    expected = sizes(list(map(str, range(30))), LABELS[:30], test=0.0) | {"test": 15}
    assert counts(load(home)) == expected
    (home / "test.npz").unlink()
    assert list(load(home)) == ["train", "validation"]
    assert list(load(home, validation=0.0)) == ["train"]


def test_one_split_alone_can_be_evaluated(home: Path) -> None:
    names = np.array(["a", "b", "c"])
    write_events(home / "test.npz", EVENTS[:2], LABELS[:2], label_names=names)
    data = load(home, channels=9)
    assert list(data) == ["test"] and data["test"].n_classes == 3
    assert data["test"].n_channels == 9


def test_groups_are_on_one_side(home: Path) -> None:
    for groups in (np.arange(60) // 6, np.array([f"s{i // 6}" for i in range(60)])):
        data = load(write_events(home / "data.npz", EVENTS, LABELS, groups=groups))
        who = {s: {groups[int(n)] for n in each.names} for s, each in data.items()}
        assert [len(who[split]) for split in ("train", "validation", "test")] == [8, 1, 1]
        assert len(who["train"] | who["validation"] | who["test"]) == 10


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_the_order_of_events_does_not_matter(tmp_path_factory: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    events, labels = examples(20, seed=seed)
    folder = tmp_path_factory.mktemp("order")
    shuffled = []
    for channels, times in events:
        order = rng.permutation(len(channels))
        shuffled.append((channels[order], times[order]))
    one = load(write_events(folder / "a.npz", events, labels), validation=0.15, test=0.15)
    other = load(write_events(folder / "b.npz", shuffled, labels), validation=0.15, test=0.15)
    for split, each in one.items():
        assert same(each, other[split])
        np.testing.assert_array_equal(each.time, other[split].time)
        np.testing.assert_array_equal(each.start, other[split].start)


@pytest.mark.parametrize("layout", ["times", "raster", "values"])
def test_infer_reads_the_same(home: Path, layout: str) -> None:
    rng = np.random.default_rng(1)
    currents = layout == "values"
    path = write_events(home / "data.npz", EVENTS, LABELS)
    if layout == "raster":
        np.savez(path, raster=rng.random((60, 25, 6)) < 0.1, labels=LABELS)
    if currents:
        np.savez(path, values=rng.normal(size=(60, 25, 6)), labels=LABELS)
    options = {"encoding": "currents" if currents else "spikes", "duration": 25.0}
    data = load(path, **options)
    about = About(n_steps=25, labels=("0", "1", "2"), data={"dataset": "npz", **options})
    reader = Reader(about, 6, 1.0, currents)
    batch = reader.as_batch(reader.read(path))
    for each in data.values():
        for row, name in enumerate(each.names):
            if currents:
                np.testing.assert_array_equal(each.values[row], batch.values[int(name)])
                continue
            first, end = batch.start[int(name), [0, -1]]
            one = each.batch(np.array([row]))
            np.testing.assert_array_equal(np.diff(one.start[0]), np.diff(batch.start[int(name)]))
            np.testing.assert_array_equal(
                each.time[one.start[0, 0] : one.start[0, -1]], batch.time[first:end]
            )


def test_no_such_file(home: Path) -> None:
    with pytest.raises(InputError, match="gone.npz does not exist; give a .npz file"):
        load(home / "gone.npz")
    with pytest.raises(InputError, match="or data.npz, got no .npz; rename it"):
        load(home)
    write_events(home / "mine.npz", EVENTS, LABELS)
    with pytest.raises(InputError, match="or data.npz, got mine.npz; rename it, or give one file"):
        load(home)
    write_events(home / "train.npz", EVENTS, LABELS)
    write_events(home / "data.npz", EVENTS, LABELS)
    with pytest.raises(InputError, match="data.npz or files of splits, got both"):
        load(home)
    (home / "data.npz").unlink()
    for name in ("valid", "validation"):
        write_events(home / f"{name}.npz", EVENTS, LABELS)
    with pytest.raises(InputError, match="validation split, got validation.npz and valid.npz"):
        load(home)


class Trap:
    """What must never be unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, ("raise AssertionError('unpickled')",)


def test_pickle_is_refused(home: Path) -> None:
    path = write_events(home / "data.npz", EVENTS, LABELS, names=np.array([Trap()] * 60))
    with pytest.raises(InputError, match=r"data.npz \(names\) must have .*Python objects, which"):
        load(path)
    np.save(home / "one.npy", np.array([Trap()]), allow_pickle=True)
    (home / "one.npy").rename(path)
    with pytest.raises(InputError, match="no archive, as numpy.savez writes"):
        load(path)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flip"])
def test_damaged_files(home: Path, damage: str) -> None:
    path = write_events(home / "data.npz", EVENTS, LABELS)
    content = bytearray(path.read_bytes())
    flipped = bytearray(content)
    flipped[300] ^= 255
    path.write_bytes(
        {"empty": b"", "cut": content[:900], "text": b"x" * 99, "flip": bytes(flipped)}[damage]
    )
    with pytest.raises(InputError, match="data.npz must have arrays .* got what cannot be read"):
        load(path)


def altered(**changes: Any) -> dict[str, Any]:
    """Return changes of arrays, each a function of what there was."""
    times = np.concatenate([each[1] for each in EVENTS])
    channels = np.concatenate([each[0] for each in EVENTS])
    start = np.cumsum([0] + [len(each[0]) for each in EVENTS])
    arrays = {"times": times, "channels": channels, "start": start, "labels": LABELS}
    return {name: change(arrays[name].copy()) for name, change in changes.items()}


def put(place: int, value: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that sets one value of an array."""

    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


@pytest.mark.parametrize(
    "changes, message",
    [
        (altered(labels=put(3, -1)), "labels >= 0, got -1 in example 3"),
        (altered(labels=put(3, 7)), r"labels 0..K-1 with examples of each, got none of 3 and"),
        (altered(labels=lambda a: a * 0), "labels of at least two classes, got only 0"),
        (altered(labels=put(3, 2_000_000)), "K classes, got 2000000 in example 3"),
        (altered(labels=lambda a: a.astype(float)), r"labels as whole numbers .* got float64"),
        (altered(labels=lambda a: a[:, None]), r"labels as whole .* got int64 of shape \(60, 1\)"),
        (altered(labels=lambda a: a[:-1]), r"start .* 59 examples, got .* shape \(61,\)"),
        ({"label_names": np.array(["a", "b"])}, "labels in 0..1, one of 2 label_names, got 2 in"),
        ({"label_names": np.arange(3)}, "label_names as texts of shape .classes,., got int64"),
        ({"names": np.array(["a"])}, r"names as texts of shape \(60,\), got <U1 of shape \(1,\)"),
        ({"groups": np.arange(3)}, r"groups as whole numbers or texts of shape \(60,\), got int64"),
        (altered(start=put(5, 1000)), "start .* got 0..584, falling after 5;"),
        (altered(start=put(0, 1)), "start .* got 1..584;"),
        (altered(start=put(60, 3)), "start .* got 0..3, falling after 59;"),
        (altered(start=lambda a: a.astype(float)), "start .* got float64"),
        ({"start": None}, "channels .events,. and start .* besides times, got no start"),
        ({"channels": None}, "besides times, got no channels"),
        (altered(times=put(4, np.nan)), "finite times >= 0, got nan at event 4 .example 0."),
        (altered(times=put(4, -0.1)), "finite times >= 0, got -0.1 at event 4"),
        (
            altered(times=lambda a: a[:-1]),
            r"as many times as channels, got \d+ times and \d+ channels",
        ),
        (altered(times=lambda a: a[None]), r"times of one dimension, got shape \(1, \d+\)"),
        (altered(times=lambda a: a.astype(str)), "real numbers as times, got type <U"),
        (altered(times=lambda a: a / 1000), "got all events within the first step of 1 ms"),
        (
            altered(times=lambda a: a * 1000 * 30),
            "at most 20000 steps .* microseconds, set data.time_unit = 0.001",
        ),
        (altered(channels=put(4, -1)), "channels >= 0, got -1 at event 4"),
        (
            altered(channels=lambda a: a + 0.5),
            r"whole numbers as channels, got \d.5 at event 0 .example 0.",
        ),
        (altered(channels=put(4, 20_000_000)), "channels below 10000000, got 20000000"),
        ({"raster": np.zeros((60, 2, 2))}, "and one of times .* got times, raster, channels"),
        (
            {"labels": None},
            "must have labels or targets, and one of .*, got times, channels, start; save",
        ),
        (
            {"times": None},
            "must have labels or targets, and one of .*, got channels, start, labels; save",
        ),
    ],
)
def test_what_does_not_fit_is_named(home: Path, changes: dict, message: str) -> None:
    path = write_events(home / "data.npz", EVENTS, **{"labels": LABELS, **changes})
    with pytest.raises(InputError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "arrays, options, message",
    [
        ({"raster": np.full((60, 4, 2), 2)}, {}, "0 and 1, got 2 at example 0, step 0"),
        ({"raster": np.full((60, 4, 2), np.nan)}, {}, "0 and 1, got nan at example 0"),
        ({"raster": np.zeros((60, 4))}, {}, r"raster as 0 and 1 of shape \(60, steps, channels\)"),
        ({"raster": np.zeros((59, 4, 2))}, {}, r"shape \(59, 4, 2\); there are 60 labels"),
        ({"raster": np.zeros((60, 0, 2))}, {}, r"got float64 of shape \(60, 0, 2\)"),
        ({"values": np.zeros((60, 4, 2))}, {}, "set data.encoding to 'currents'"),
        ({"raster": np.zeros((60, 4, 2))}, {"encoding": "currents"}, "data.encoding to 'spikes'"),
        ({"values": np.zeros((60, 4, 2), bool)}, {"encoding": "currents"}, "values as real numbe"),
        (
            {"values": np.full((60, 4, 2), np.nan)},
            {"encoding": "currents"},
            r"values of .* must be finite and below 1e\+15 in size, got nan in example 0 .step 0",
        ),
        (
            {"values": np.full((60, 4, 2), 1e39)},
            {"encoding": "currents"},
            "got 1e.39 in example 0 .step 0, channel 0., and others in 59 more; it may be a fill",
        ),
        ({"raster": np.zeros((60, 4, 2))}, {"channels": 3}, "3 channels .* data.channels says"),
    ],
)
def test_dense_arrays_that_do_not_fit(
    home: Path, arrays: dict, options: dict, message: str
) -> None:
    np.savez(home / "data.npz", labels=LABELS, **arrays)
    with pytest.raises(InputError, match=message):
        load(home, **options)


def test_files_that_differ(home: Path) -> None:
    write_events(home / "train.npz", EVENTS, LABELS)
    np.savez(home / "test.npz", raster=np.zeros((3, 5, 4)), labels=np.arange(3))
    with pytest.raises(InputError, match="train.npz must have channels in 0..3, got 5"):
        load(home)
    np.savez(home / "test.npz", raster=np.zeros((3, 5, 8)), labels=np.arange(3))
    assert load(home)["train"].n_channels == 8
    for name, word in (("train", "a"), ("test", "b")):
        names = np.array([word, "c", "d"])
        write_events(home / f"{name}.npz", EVENTS, LABELS, label_names=names)
    with pytest.raises(InputError, match="test.npz must have the label_names of train.npz, got"):
        load(home)


def test_trials_that_end_before_the_first_event(home: Path) -> None:
    events = [(channels, times + 200) for channels, times in EVENTS]
    path = write_events(home / "data.npz", events, LABELS)
    with pytest.raises(InputError, match=r"within the trial of 100 ms, got 200.* microseconds set"):
        load(path, duration=100.0)
    with pytest.raises(InputError, match="channels in 0..2, got 5; set data.channels"):
        load(path, channels=3)
    none = write_events(home / "none.npz", [(np.zeros(0, int), np.zeros(0))] * 6, LABELS[:6])
    with pytest.raises(InputError, match="must have events, got none; set data.channels otherwise"):
        load(none)
