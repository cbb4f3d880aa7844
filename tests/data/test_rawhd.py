"""RawHD: what is made of its four files, and files that cannot be used."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.sets.rawhd import FILES, load_rawhd
from mlgenn_delays.data.types import CurrentData
from mlgenn_delays.errors import InputError

T, C = 7, 5
X, Y, X_TEST, Y_TEST = FILES


def arrays(n_train: int = 200, n_test: int = 40) -> dict[str, np.ndarray]:
    """Return what the files hold: small random numbers, and as many examples of each class."""
    random = np.random.default_rng(0)
    return {
        X: random.random((n_train, T, C)).astype(np.float32),
        Y: random.permutation(np.arange(n_train) % 20),
        X_TEST: random.random((n_test, T, C)).astype(np.float32),
        Y_TEST: random.permutation(np.arange(n_test) % 20),
    }


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the files, some of them others or not at all."""

    def write(**changes: Any) -> Path:
        folder = tmp_path / "rawhd"
        folder.mkdir(exist_ok=True)
        for name, array in (arrays() | {f"{k}_data.npy": v for k, v in changes.items()}).items():
            if isinstance(array, bytes):
                (folder / name).write_bytes(array)
            elif array is not None:
                np.save(folder / name, array)
        return folder

    return write


def test_files_become_currents(write: Callable[..., Path]) -> None:
    given = arrays()
    data = load_rawhd(write(), dt=2.0)
    assert list(data) == ["train", "validation", "test"]
    assert [len(each) for each in data.values()] == [180, 20, 40]
    for split, each in data.items():
        x, y = (given[X_TEST], given[Y_TEST]) if split == "test" else (given[X], given[Y])
        rows = [int(name) for name in each.names]
        assert isinstance(each, CurrentData) and each.dt == 2.0 and rows == sorted(rows)
        assert (each.n_steps, each.n_channels, each.n_classes) == (T, C, 20)
        np.testing.assert_array_equal(each.values, x[rows] * np.float32(20.0))
        np.testing.assert_array_equal(each.labels, y[rows])
    names = data["train"].names + data["validation"].names
    assert sorted(map(int, names)) == list(range(200))
    assert sorted(data["validation"].labels) == list(range(20))


def test_validation_is_stratified_and_fixed(write: Callable[..., Path]) -> None:
    folder = write()
    first, again = load_rawhd(folder), load_rawhd(folder, scale=1.0, duration=3.0)
    assert first["validation"].names == again["validation"].names
    half = load_rawhd(folder, validation=0.5)
    for split in ("train", "validation"):
        assert np.bincount(half[split].labels).tolist() == [5] * 20
    whole = load_rawhd(folder, validation=0.0)
    assert list(whole) == ["train", "test"] and len(whole["train"]) == 200


@pytest.mark.parametrize(
    ("duration", "dt", "n_steps"), [(0.0, 3.0, T), (6.0, 2.0, 3), (30.0, 2.0, 15), (7.0, 1.0, T)]
)
def test_cut_and_padded(
    write: Callable[..., Path], duration: float, dt: float, n_steps: int
) -> None:
    test = load_rawhd(write(), duration=duration, dt=dt, scale=1.0)["test"]
    assert test.n_steps == n_steps and test.values.flags.c_contiguous
    kept = min(n_steps, T)
    np.testing.assert_array_equal(test.values[:, :kept], arrays()[X_TEST][:, :kept])
    assert not test.values[:, kept:].any()


@pytest.mark.parametrize("dtype", [np.float16, np.float64, ">f4", np.int16, np.uint8])
def test_other_types_of_numbers(write: Callable[..., Path], dtype: Any) -> None:
    given = arrays()
    x, x_test = ((10 * given[name]).astype(dtype) for name in (X, X_TEST))
    y_test = given[Y_TEST].astype(np.uint8)
    folder = write(training_x=x, testing_x=np.asfortranarray(x_test), testing_y=y_test)
    data = load_rawhd(folder, scale=3.0)["test"]
    assert data.values.dtype == np.float32 and data.labels.dtype == np.int64
    np.testing.assert_array_equal(data.values, (x_test.astype(float) * 3.0).astype(np.float32))


def test_a_file_of_many_goes(write: Callable[..., Path]) -> None:
    random = np.random.default_rng(1)
    x = random.random((60, 500, 100)).astype(np.float32)
    damaged = x.copy()
    damaged[50, 499, 99] = damaged[51, 0, 0] = np.nan
    y = np.arange(60) % 20
    folder = write(training_x=x, training_y=y, testing_x=x[:20], testing_y=y[:20])
    data = load_rawhd(folder, validation=0.4, scale=1.0)
    for each in (data["train"], data["validation"]):
        np.testing.assert_array_equal(each.values, x[[int(name) for name in each.names]])
    write(training_x=damaged, training_y=y, testing_x=x[:20], testing_y=y[:20])
    with pytest.raises(InputError, match=r"training_x.* nan in example 50 \(step 499, channel 99"):
        load_rawhd(folder)


class Harmful:
    """An object that tells when it is unpickled."""

    done: list[int] = []

    def __reduce__(self) -> tuple:
        return Harmful.done.append, (1,)


def saved(array: object) -> bytes:
    """Return what `numpy.save` writes, pickles and all."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)  # type: ignore[arg-type]
    return file.getvalue()


def archive() -> bytes:
    """Return what `numpy.savez` writes."""
    file = io.BytesIO()
    np.savez(file, arrays()[X])
    return file.getvalue()


def with_value(name: str, place: tuple, value: float, dtype: Any = None) -> np.ndarray:
    """Return the array of a file with one value changed."""
    array = arrays()[name].astype(dtype or arrays()[name].dtype)
    array[place] = value
    return array


GOOD = arrays()
CLASSES = GOOD[Y].copy()
CLASSES[CLASSES == 3] = 4
CLASSES[0] = 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"training_x": None},
            r"rawhd must have training_x.*, got none named training_x_data.npy;",
        ),
        ({"training_y": None, "testing_y": None}, "none named training_y_data.npy, testing_y_dat"),
        ({"training_x": b""}, r"training_x_data.npy must have one whole array .*cannot be read"),
        ({"training_x": saved(GOOD[X])[:-1]}, r"training_x_data.npy must have one whole array"),
        ({"testing_x": archive()}, "testing_x_data.npy must have one whole array"),
        ({"testing_x": saved([Harmful()])}, r"testing_x_data.npy .*objects"),
        ({"training_x": GOOD[X][0]}, r"training_x.* \(examples, steps, channels\).* got \(7, 5\);"),
        ({"testing_x": GOOD[X_TEST][:0]}, r"testing_x.* at least one of each, got \(0, 7, 5\)"),
        (
            {"testing_x": GOOD[X_TEST][:, 1:]},
            r"testing_x_data.npy must have .* of training_x_data.npy, 7 steps of 5 channels, "
            r"got 6 steps of 5 channels; make both",
        ),
        ({"training_x": GOOD[X] > 0.5}, r"training_x.* floating-point .*, got type bool; save"),
        ({"training_x": GOOD[X].astype(complex)}, r"training_x.* got type complex"),
        ({"training_x": np.zeros(200, "f4,f4")}, r"training_x.* got type \[\("),
        (
            {"training_x": with_value(X, (7, 2, 4), np.nan)},
            r"finite .*got nan in example 7 \(step 2",
        ),
        ({"testing_x": with_value(X_TEST, (3, 0, 1), -np.inf)}, r"testing_x.* -inf in example 3"),
        (
            {"testing_x": with_value(X_TEST, (3, 0, 1), 1e38, float)},
            r"testing_x.* below 5e\+13 .1e\+15 over the scale 20.* 1e\+38 in example 3 \(step 0",
        ),
        (
            {"training_y": GOOD[Y].astype(float)},
            r"training_y.* whole numbers, got type float64; sa",
        ),
        ({"training_y": with_value(Y, (8,), -1)}, r"training_y.* 0\.\.19, got -1 for example 8;"),
        ({"testing_y": with_value(Y_TEST, (9,), 20)}, r"testing_y.* 0\.\.19, got 20 for example 9"),
        (
            {"testing_y": GOOD[Y_TEST][1:]},
            r"testing_y.* one label for each example of testing_x_data.npy, shape \(40,\), "
            r"got \(39,\)",
        ),
        ({"training_y": GOOD[Y][:, None]}, r"training_y.* shape \(200,\), got \(200, 1\)"),
        ({"training_y": CLASSES}, r"training_y.*cannot split 20 of 200 .* or set data.validation"),
    ],
)
def test_bad_files(write: Callable[..., Path], changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_rawhd(write(**changes))
    assert "\n" not in str(caught.value) and ";" in str(caught.value)
    assert not Harmful.done


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.integers(0, 127), byte=st.integers(0, 255))
def test_a_damaged_header_is_refused_or_harmless(
    write: Callable[..., Path], place: int, byte: int
) -> None:
    content = bytearray(saved(GOOD[X_TEST]))
    content[place] = byte
    try:
        data = load_rawhd(write(testing_x=bytes(content)))["test"]
    except InputError as error:
        assert "testing_x_data.npy" in str(error)
    else:
        assert data.values.shape == (40, T, C)
