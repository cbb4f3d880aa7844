"""HDF5 files are read in a process of their own, within bounds."""

import os
import signal
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from mlgenn_delays import hdf5
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.hdf5 import Limits, read_hdf5
from tests.fuzz.mutate import blind


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "some.h5"


def some(path: Path) -> dict:
    """Write a file with all that is read; return what it holds."""
    rows = [np.arange(n, dtype=np.float16) for n in (3, 0, 70)]
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (3,), dtype=h5py.vlen_dtype(np.float16))
        for k, row in enumerate(rows):
            times[k] = row
        file["labels"] = np.array([2, 0, 1], ">i4")
        file["one"] = 2.5
        file["flags"] = np.array([True, False])
        file.create_dataset("zip", data=np.arange(5000.0).reshape(50, 100), compression="gzip",
                            shuffle=True, fletcher32=True)  # fmt: skip
        file.create_dataset("lzf", data=np.zeros(10, np.uint8), compression="lzf")
        file["empty"] = np.zeros((0, 4), np.float32)
        file["text"], file["keys"] = "früh", np.array([b"a", b"bc"], "S9")
        file["edges"] = [("a", "b"), ("c", "d")]
        file.create_group("nothing")
    return {
        "spikes": {"times": rows}, "labels": np.array([2, 0, 1], np.int32), "one": np.array(2.5),
        "flags": np.array([True, False]), "zip": np.arange(5000.0).reshape(50, 100),
        "lzf": np.zeros(10, np.uint8), "empty": np.zeros((0, 4), np.float32), "text": "früh",
        "keys": ["a", "bc"], "edges": [["a", "b"], ["c", "d"]], "nothing": {},
    }  # fmt: skip


def assert_equal(got: object, wanted: object) -> None:
    assert type(got) is type(wanted)
    if isinstance(wanted, dict):
        assert got.keys() == wanted.keys()
        for name, each in wanted.items():
            assert_equal(got[name], each)
    elif isinstance(wanted, list):
        assert len(got) == len(wanted)
        for a, b in zip(got, wanted, strict=True):
            assert_equal(a, b)
    elif isinstance(wanted, np.ndarray):
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted, strict=True)
    else:
        assert got == wanted


def test_a_file_is_read(path: Path) -> None:
    wanted = some(path)
    assert_equal(read_hdf5(path), wanted)
    assert_equal(read_hdf5(str(path), only=("text", "spikes", "none")), {
        name: wanted[name] for name in ("spikes", "text")
    })  # fmt: skip
    one = read_hdf5(path)["zip"]
    one[:] = 0  # arrays are the caller's own


def test_a_relative_path_is_read_wherever_one_is(path: Path, monkeypatch) -> None:
    some(path)
    read_hdf5(path)
    monkeypatch.chdir(path.parent)
    assert read_hdf5(path.name)["text"] == "früh"


def refused(path: Path, words: str, **settings) -> None:
    with pytest.raises(InputError, match=words):
        read_hdf5(path, **settings)


def test_files_that_are_none(path: Path) -> None:
    refused(path, "there is no HDF5 file")
    refused(path.parent, "there is no HDF5 file")
    path.write_bytes(b"")
    refused(path, "some.h5 is damaged, or no HDF5 file")
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(5000))
    refused(path, "some.h5 is damaged, or no HDF5 file")
    some(path)
    path.write_bytes(path.read_bytes()[:-100])
    refused(path, "some.h5 is damaged, or no HDF5 file.*truncated")


def test_parts_elsewhere_are_refused(path: Path) -> None:
    other = path.with_name("other.h5")
    some(other)
    for name, link in (
        ("soft", h5py.SoftLink("/x")), ("external", h5py.ExternalLink(str(other), "/one")),
    ):  # fmt: skip
        with h5py.File(path, "w") as file:
            file["x"], file[name] = 1, link
        refused(path, f"'{name}' is a link to another place")
    raw = path.with_name("raw")
    raw.write_bytes(b"secret!!")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (8,), "u1", external=[(str(raw), 0, 8)])
    refused(path, "'x' has its numbers elsewhere")
    layout = h5py.VirtualLayout((3,), "f8")
    layout[:] = h5py.VirtualSource(str(other), "zip", (50, 100))[0, :3]
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("v", layout)
    refused(path, "'v' has its numbers elsewhere")


def test_other_types_are_refused(path: Path) -> None:
    makers = {
        "pair": lambda file: file.create_dataset("x", data=np.zeros(2, [("a", "f4"), ("b", "i4")])),
        "complex": lambda file: file.create_dataset("x", data=np.zeros(2, complex)),
        "opaque": lambda file: file.create_dataset("x", data=np.void(b"abc")),
        "reference": lambda file: file.create_dataset("x", data=file.ref, dtype=h5py.ref_dtype),
        "type": lambda file: file.__setitem__("x", np.dtype("f8")),
        "none": lambda file: file.create_dataset("x", data=h5py.Empty("f4")),
        "long": lambda file: file.create_dataset("x", data=np.zeros(2, np.longdouble)),
        "scaled": lambda file: file.create_dataset("x", data=np.arange(9), scaleoffset=4),
        "latin": lambda file: file.create_dataset("x", data=np.bytes_(b"fr\xfch")),
    }
    for make in makers.values():
        with h5py.File(path, "w") as file:
            make(file)
        refused(path, "some.h5 cannot be read: .*'x'")


def test_limits(path: Path) -> None:
    some(path)
    refused(path, "more than 3 arrays and texts", limits=Limits(nodes=3))
    refused(path, "more than 0 MiB of numbers", limits=Limits(bytes=1000))
    with h5py.File(path, "w") as file:
        file["a/b/c/d"] = 1
        file["a/b/again"] = file["a"]  # a circle
    refused(path, "groups more than 16 deep")
    with pytest.raises(InputError, match="nodes .* >= 1, got 0"):
        Limits(nodes=0)


def test_an_array_that_the_file_cannot_hold(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2**40,), "f8", chunks=(1024,), compression="gzip")
    assert path.stat().st_size < 10_000
    refused(path, f"'x' must have {2**43} bytes of numbers, but stores 0")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros(10**7), compression="gzip", chunks=(10**6,))
    assert not read_hdf5(path)["x"].any()


def test_damaged_files_do_no_harm(path: Path) -> None:
    wanted = some(path)
    content, rng, good = path.read_bytes(), np.random.default_rng(1), 0
    bad = path.with_name("bad.h5")
    for _ in range(100):
        bad.write_bytes(blind(content, rng))
        try:
            read_hdf5(bad, limits=Limits(seconds=1))
            good += 1
        except InputError:
            pass
    assert good < 80
    assert_equal(read_hdf5(path), wanted)


def test_many_reads_leave_nothing_behind(path: Path, monkeypatch) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(10)
    monkeypatch.setattr(hdf5, "_READS", 40)
    read_hdf5(path)
    before = len(os.listdir("/dev/fd"))
    pids = set()
    for _ in range(100):
        read_hdf5(path)
        pids.add(hdf5._kept[0].process.pid)
    assert len(os.listdir("/dev/fd")) <= before
    assert 2 <= len(pids) <= 4


def test_a_process_that_ends_is_started_again(path: Path) -> None:
    wanted = some(path)
    read_hdf5(path)
    os.kill(hdf5._kept[0].process.pid, signal.SIGKILL)
    hdf5._kept[0].process.wait()
    assert_equal(read_hdf5(path), wanted)


# What stands in for the process: each does to any file what the library might do to a bad one.
ENDS = {
    "import os; os.read(0, 9); os.abort()": "ended the process",
    "import os, time; os.read(0, 9); time.sleep(60)": "takes too long",
    "import os; os.read(0, 999); os.write(0, b'x' * 100)": "went wrong",
    "import os; os.read(0, 999); os.write(0, (9).to_bytes(4, 'big') + b'{}')": "ended",
}


@pytest.mark.parametrize("code", ENDS)
def test_a_process_that_fails_is_one_clear_error(code: str, path: Path, monkeypatch) -> None:
    wanted = some(path)
    script = path.with_name("worker.py")
    script.write_text(code)
    hdf5._stop()
    with monkeypatch.context() as patch:
        patch.setattr(hdf5, "_WORKER", script)
        patch.setattr(hdf5, "_GRACE", 0.0)
        with pytest.raises(InputError, match=f"some.h5 is damaged.*{ENDS[code]}"):
            read_hdf5(path, limits=Limits(seconds=1))
    assert not hdf5._kept
    assert_equal(read_hdf5(path), wanted)


def test_a_python_that_is_missing(path: Path, monkeypatch) -> None:
    some(path)
    hdf5._stop()
    monkeypatch.setattr(hdf5.sys, "executable", "/nowhere/python")
    with pytest.raises(WorkError, match="cannot start /nowhere/python"):
        read_hdf5(path)


def test_threads_take_turns(path: Path) -> None:
    wanted, found = some(path), []
    threads = [
        threading.Thread(target=lambda: found.extend(read_hdf5(path)["text"] for _ in range(5)))
        for _ in range(4)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [wanted["text"]] * 20


def test_a_forked_process_has_its_own(path: Path) -> None:
    some(path)
    read_hdf5(path)
    kept = hdf5._kept[0].process.pid
    child = os.fork()
    if not child:
        text = read_hdf5(path)["text"]
        own = hdf5._kept[0].process.pid
        hdf5._stop()
        os._exit(0 if (text == "früh" and own != kept) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_hdf5(path)["text"] == "früh"
    assert hdf5._kept[0].process.pid == kept
