"""Data with target series: what they hold, generated sets, .npz files, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import CurrentData, SpikeData, StreamedSpikes, load_dataset
from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.registry import dataset_shape
from mlgenn_delays.data.sets.mackey_glass import DEVIATION, MEAN, mackey_glass
from mlgenn_delays.data.types import examples
from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.record import compare, fingerprint
from tests.data.spike_helpers import counts

SMALL = {"train": 12, "validation": 3, "test": 2, "duration": 200.0}


def signals(data: CurrentData) -> np.ndarray:
    """Return the input (N, T) of one channel."""
    assert isinstance(data, CurrentData) and data.n_channels == 1
    return data.values[:, :, 0]


@pytest.mark.parametrize("dt", [1.0, 0.5])
def test_the_copy_is_the_signal_later(dt: float) -> None:
    options = SMALL | {"encoding": "currents", "delay": 30.0}
    data = load_dataset("delayed-copy", options=options, dt=dt)["train"]
    lag, targets = int(30 / dt), data.targets
    assert targets is not None and targets.shape == (12, 1, int(200 / dt))
    np.testing.assert_array_equal(targets[:, 0, lag:], signals(data)[:, :-lag])
    assert not targets[:, 0, :lag].any()
    assert abs(signals(data).mean()) < 0.15 and 0.8 < signals(data).std() < 1.2
    assert np.abs(np.diff(signals(data))).max() < 0.3 * dt  # smooth


def test_mackey_glass_is_the_equation() -> None:
    """Against Euler's method in steps of a hundredth."""
    tau, length, fine = 17.0, 60.0, 0.01
    x = [1.2] * (int(tau / fine) + 1)
    for _ in range(int(length / fine)):
        then = x[-1 - int(tau / fine)]
        x.append(x[-1] + fine * (0.2 * then / (1 + then**10) - 0.1 * x[-1]))
    wanted = np.array(x[int(tau / fine) :: 10])
    np.testing.assert_allclose(mackey_glass(np.array([1.2]), tau, length)[0], wanted, atol=2e-3)


def test_mackey_glass_is_predicted_ahead() -> None:
    options = SMALL | {"encoding": "currents", "horizon": 20.0}
    data = load_dataset("mackey-glass", options=options)["train"]
    assert data.targets is not None
    np.testing.assert_allclose(data.targets[:, 0, :-20], signals(data)[:, 20:], atol=1e-6)
    long = mackey_glass(np.array([0.9]), 17.0, 5000.0)[0, 5000:]
    assert long.mean() == pytest.approx(MEAN, abs=0.01)
    assert long.std() == pytest.approx(DEVIATION, abs=0.01)


@pytest.mark.parametrize("name", ["delayed-copy", "mackey-glass"])
def test_spikes_tell_the_value(name: str) -> None:
    data = load_dataset(name, options=SMALL | {"channels": 16})
    values = load_dataset(name, options=SMALL | {"encoding": "currents"})["train"]
    train = data["train"]
    assert counts(data) == {k: SMALL[k] for k in ("train", "validation", "test")}
    assert isinstance(train, SpikeData) and train.labels.max() == 0
    assert dataset_shape(name, SMALL | {"channels": 16}) == (16, 1)
    np.testing.assert_array_equal(train.targets, values.targets)
    preferred = np.linspace(-2.5, 2.5, 16)
    for row in range(4):
        start = train.start[row]
        channel = np.repeat(np.arange(16), np.diff(start))
        time = train.time[start[0] : start[-1]]
        off = preferred[channel] - np.clip(signals(values)[row][time], -2.5, 2.5)
        assert np.abs(off).mean() < 0.5 and len(time) > 50


@pytest.mark.parametrize("name", ["delayed-copy", "mackey-glass"])
def test_a_seed_gives_the_same(name: str) -> None:
    one, two = (load_dataset(name, options=SMALL)["train"] for _ in range(2))
    np.testing.assert_array_equal(one.time, two.time)
    fewer = load_dataset(name, options=SMALL | {"test": 5})["train"]
    np.testing.assert_array_equal(one.targets, fewer.targets)
    other = load_dataset(name, options=SMALL | {"seed": 1})["train"]
    assert not np.array_equal(one.targets, other.targets)


def of(kind: str, n: int = 4) -> Any:
    """Return a split of a kind with targets that tell their example."""
    targets = np.arange(n, dtype=np.float64)[:, None, None] + np.zeros((n, 2, 10))
    labels, names = np.zeros(n, np.int64), ("x", "y")
    if kind == "currents":
        return CurrentData(np.ones((n, 10, 3)), labels, 1.0, names, targets=targets)
    start, time = np.zeros((n, 4), np.int64), np.zeros(0, np.int32)
    if kind == "spikes":
        return SpikeData(start, time, labels, 10, 1.0, names, targets=targets)

    class Silence:
        def read(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros((len(rows), 4), np.int64), time

    return StreamedSpikes(Silence(), np.arange(n), labels, 3, 10, 1.0, names, targets=targets)


@pytest.mark.parametrize("kind", ["spikes", "currents", "streamed"])
def test_targets_go_along(kind: str) -> None:
    data = of(kind)
    assert data.targets.dtype == np.float32
    batch = data.batch(np.array([2, 0, 3]))
    assert batch.targets[:, 0, 0].tolist() == [2, 0, 3]
    assert examples(batch, 1, 3).targets[:, 1, 9].tolist() == [0, 3]
    assert data.take(np.array([3, 1])).targets[:, 0, 5].tolist() == [3, 1]
    augment = Augment(noise=0.1) if kind == "currents" else Augment(drop=0.1)
    batches = list(epoch_batches(data, 2, seed=0, epoch=1, augment=augment))
    for each in batches:
        assert each.targets[:, 0, 0].tolist() == each.index.tolist()
    for moved in ({"time_shift": 2.0},) + ({"blend": 0.5},) * (kind != "currents"):
        with pytest.raises(InputError, match="must be 0 for data with target series"):
            list(epoch_batches(data, 2, seed=0, epoch=1, augment=Augment(**moved)))


def test_other_targets_are_other_data() -> None:
    data = of("currents")
    moved = replace(data, targets=data.targets + (np.arange(4) == 2)[:, None, None])
    changes = compare(fingerprint(data), fingerprint(moved))
    assert changes.changed == ("2",) and not changes.new and not changes.gone


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"targets": np.zeros((4, 1, 10))}, r"must have shape \(4, 2, 10\)"),
        ({"targets": np.full((4, 2, 10), np.nan)}, "must be finite, got nan in example 0"),
        ({"targets": np.zeros((4, 2, 10), complex)}, "must be real numbers"),
        ({"labels": np.array([0, 1, 0, 0])}, "labels must be 0 for data with targets"),
    ],
)
def test_targets_that_do_not_fit(change: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        replace(of("currents"), **change)


RNG = np.random.default_rng(5)
VALUES, TARGETS = RNG.normal(0, 1, (40, 30, 2)), RNG.normal(0, 1, (40, 3, 30))


def load(path: Path, **options: Any) -> Any:
    return load_dataset("npz", path, {"encoding": "currents"} | options)


def test_npz_with_targets(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", values=VALUES, targets=TARGETS, label_names=["a", "b", "c"])
    found = load(tmp_path)
    assert sum(map(len, found.values())) == 40 and set(found) == {"train", "validation", "test"}
    for data in found.values():
        rows = [int(name) for name in data.names]
        np.testing.assert_array_equal(data.targets, TARGETS[rows].astype(np.float32))
        assert data.label_names == ("a", "b", "c")
    short = load(tmp_path, duration=12.0)["train"]
    assert short.targets.shape[2] == short.n_steps == 12
    with pytest.raises(InputError, match=r"must have targets of shape \(40, 3, 50\)"):
        load(tmp_path, duration=50.0)


def test_npz_events_last_as_long_as_their_targets(tmp_path: Path) -> None:
    times, channels = np.array([1.0, 4.0]), np.array([0, 1])
    start = np.array([0, 1] + [2] * 39)
    path = tmp_path / "train.npz"
    np.savez(path, times=times, channels=channels, start=start, targets=TARGETS)
    data = load_dataset("npz", tmp_path, {"validation": 0.0})["train"]
    assert data.n_steps == 30 and data.label_names == ("0", "1", "2")


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"labels": np.zeros(40, int)}, "must have labels or targets"),
        ({"targets": TARGETS[:, 0]}, "must have targets as real numbers of shape"),
        ({"targets": TARGETS[:9]}, "there are 9 labels or targets"),
        ({"targets": np.full((40, 3, 30), np.inf)}, "targets must be finite"),
        ({"label_names": np.array(["a"])}, "label_names of the 3 series of targets, got 1"),
    ],
)
def test_npz_that_does_not_fit(tmp_path: Path, arrays: dict[str, Any], why: str) -> None:
    np.savez(tmp_path / "data.npz", **({"values": VALUES, "targets": TARGETS} | arrays))
    with pytest.raises(InputError, match=why):
        load(tmp_path)


def test_npz_files_that_differ(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", values=VALUES, targets=TARGETS)
    np.savez(tmp_path / "test.npz", values=VALUES, labels=np.arange(40) % 2)
    with pytest.raises(InputError, match="test.npz must have targets as the other files do"):
        load(tmp_path)
    np.savez(tmp_path / "test.npz", values=VALUES, targets=TARGETS[:, :2])
    with pytest.raises(InputError, match=r"test.npz must have targets of shape \(40, 3, 30\)"):
        load(tmp_path)
