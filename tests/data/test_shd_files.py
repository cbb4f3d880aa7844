"""The files of SHD and SSC: where they are found, and those that cannot be used."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mlgenn_delays.data.registry import load_dataset
from mlgenn_delays.data.sets import shd_files
from mlgenn_delays.data.sets.shd import load_shd
from mlgenn_delays.data.sets.ssc import load_ssc
from mlgenn_delays.errors import InputError
from mlgenn_delays.hdf5 import UnreadableError
from tests.data.shd_helpers import Events, events, write_file, write_shd, write_ssc
from tests.needs import needs

MEBI = 2**20

# Where files lie


@pytest.mark.parametrize("place", ["", "SHD", "shd", "data/heidelberg"])
def test_files_are_found(tmp_path: Path, place: str) -> None:
    write_shd(tmp_path / place)
    assert len(load_shd(tmp_path)["test"]) == 40
    write_ssc(tmp_path / place.replace("shd", "ssc").replace("SHD", "SSC"))
    assert len(load_ssc(str(tmp_path))["test"]) == 36


def test_a_packed_file_beside_is_left_alone(tmp_path: Path) -> None:
    write_shd(tmp_path / "SHD")
    for name in ("shd_train.h5.zip", "shd_test.h5.gz"):
        (tmp_path / "SHD" / name).write_bytes(b"unfinished")
    assert len(load_shd(tmp_path)["test"]) == 40


def test_the_folder_with_all_files_comes_first(tmp_path: Path) -> None:
    write_shd(tmp_path / "z")
    write_shd(tmp_path / "a", n_test=7)
    (tmp_path / "a" / "shd_train.h5").unlink()
    (tmp_path / ".hidden").mkdir()
    shutil.copytree(tmp_path / "z", tmp_path / ".hidden" / "SHD")
    assert len(load_shd(tmp_path)["test"]) == 40
    (tmp_path / "z" / "shd_test.h5").unlink()
    assert len(load_shd(tmp_path)["test"]) == 7


def test_packed_files_are_named_with_the_command(tmp_path: Path) -> None:
    folder = write_shd(tmp_path / "with space" / "SHD")
    packed = folder / "shd_train.h5.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "shd_train.h5", "shd_train.h5")
    (folder / "shd_train.h5").unlink()
    with pytest.raises(InputError) as caught:
        load_shd(tmp_path)
    command = f"unzip '{packed}' -d '{folder}'"
    assert str(caught.value).endswith(
        f"got none named shd_train.h5; unpack what is there: {command}"
    )
    packed.rename(folder / "shd_train.h5.gz")
    with pytest.raises(InputError, match=r"gunzip -k '.*shd_train\.h5\.gz'$"):
        load_shd(tmp_path)


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load_dataset("ssc", tmp_path)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path} must have ssc_train.h5, ssc_valid.h5 and ssc_test.h5, ")
    assert f"such as {tmp_path / 'SSC'}, got none" in text
    assert text.endswith(f"delaysnn data prepare ssc {tmp_path} fetches them")
    write_file(tmp_path / "shd_train.h5", events(2))
    with pytest.raises(InputError, match="got none named shd_test.h5; https"):
        load_shd(tmp_path)


# Files that cannot be used

BAD_TIMES = np.array([0.1, np.nan], np.float16)
LATE = "example 3 of .*shd_train.h5 must have finite times >= 0, got "


def changed(place: int, value: Any) -> Events:
    """Return examples, the fourth of which has other units (0) or times (1)."""
    some = [list(each) for each in events(40)]
    some[3] = [np.array([1, 2], np.uint16), np.array([0.1, 0.2], np.float16)]
    some[3][place] = value
    return [(units, times) for units, times in some]


@pytest.mark.parametrize(
    ("given", "more", "message"),
    [
        (changed(1, BAD_TIMES), {}, LATE + "nan at event 1"),
        (changed(1, -BAD_TIMES), {}, LATE + "-0.0999.* at event 0"),
        (
            changed(1, BAD_TIMES[:1]),
            {},
            "example 3 of .* as many times as units, got 1 times and 2",
        ),
        (changed(0, np.array([700, 2])), {}, r"example 3 of .* units in 0..699, got 2..700"),
        (
            changed(0, np.array([-1, 2])),
            {"kinds": (np.int32, np.float16)},
            r"example 3 of .* units in 0..699, got -1..2",
        ),
        (events(40), {"labels": np.arange(40)}, r"example 20 of .* a label in 0..19, got 20"),
        (events(40), {"labels": np.zeros(40)}, "whole number for each .* at /labels, got type fl"),
        (events(40), {"labels": np.zeros((40, 1), int)}, r"at /labels, got .* shape \(40, 1\)"),
        (events(40), {"labels": np.zeros(39, int)}, "examples at /spikes/times as labels, got 40"),
        (events(40), {"__labels": None, "classes": [1]}, "got no array /labels .at the top: /cla"),
        (
            events(40),
            {"times": "spikes/time"},
            "got no array /spikes/times .at the top: /extra, /l",
        ),
        (events(40), {"times": "spikes/times/x"}, "got no array /spikes/times"),
        (events(40), {"spikes": [1, 2]}, "shd_train.h5 (must have the arrays|is damaged)"),
        (events(40), {"spikes__times": np.zeros((40, 3))}, "real numbers for each example at /spi"),
        (events(40), {"kinds": (np.uint16, np.int32)}, "real numbers .* got arrays of int32"),
        (events(40), {"kinds": (np.float32, np.float16)}, "whole numbers .* arrays of float32"),
        (
            events(40),
            {"speakers": np.zeros(4, int)},
            "examples at /extra/speaker as labels, got 4 ",
        ),
        (events(40), {"speakers": ["al"] * 40}, "whole number for each example at /extra/speaker"),
        (events(40), {"keys": [b"one"]}, "names of 20 classes at /extra/keys, got 1 of str"),
        (events(40), {"keys": np.arange(20)}, "names of 20 classes at /extra/keys, got 20 of int"),
        ([], {}, "shd_train.h5 must have examples, got none"),
    ],
)
def test_other_content(tmp_path: Path, given: Events, more: dict, message: str) -> None:
    write_shd(tmp_path)
    write_file(tmp_path / "shd_train.h5", given, **more)
    with pytest.raises(InputError, match=message) as caught:
        load_shd(tmp_path)
    assert "shd_train.h5" in str(caught.value) and "\n" not in str(caught.value)


def test_truncated(tmp_path: Path) -> None:
    path = write_shd(tmp_path) / "shd_test.h5"
    content = path.read_bytes()
    for size in (0, 1, 100, 2000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="shd_test.h5 is damaged, or no HDF5 file: .* another"):
            load_shd(tmp_path)


def test_damaged_events_are_named(tmp_path: Path) -> None:
    path = write_shd(tmp_path, n_train=400) / "shd_train.h5"
    content = path.read_bytes()
    # The events lie in collections that begin with this.
    places = [place for place in range(len(content)) if content.startswith(b"GCOL", place)]
    assert len(places) > 2
    broken = bytearray(content)
    broken[places[-1] : places[-1] + 4] = b"\0\0\0\0"
    path.write_bytes(broken)
    message = r"shd_train.h5 is damaged.*: /spikes/times\[[1-9]\d*\] cannot be read \("
    with pytest.raises(InputError, match=message):
        load_shd(tmp_path)


@pytest.mark.parametrize("replace", [bytes(64), b"PK\3\4" + bytes(999), b"<html>not found</html>"])
def test_no_hdf5(tmp_path: Path, replace: bytes) -> None:
    (write_shd(tmp_path) / "shd_train.h5").write_bytes(replace)
    with pytest.raises(InputError, match="shd_train.h5 is damaged, or no HDF5 file"):
        load_shd(tmp_path)


def test_content_counts_besides_the_time_of_change(tmp_path: Path) -> None:
    path = tmp_path / "shd_train.h5"
    path.write_bytes(bytes(3 * MEBI))
    state, facts = path.stat(), shd_files.file_facts(path)
    with open(path, "r+b") as file:
        file.seek(3 * MEBI - 1)
        file.write(b"x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert shd_files.file_facts(path) != facts
    assert {**shd_files.file_facts(path), "places": ""} == {**facts, "places": ""}


LENGTHS = """
import resource, sys
from mlgenn_delays.data.sets.shd import load_shd
from mlgenn_delays.errors import InputError
try:
    load_shd(sys.argv[1], cache=False)
except InputError as error:
    print(error)
from mlgenn_delays import hdf5
hdf5._stop()
used = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
# Not ru_maxrss of this process: that has in it what the process had that it was forked from.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
most = max(used[0].ru_maxrss, int(status["VmHWM"].split()[0])) // 1024
print(most, sum(each.ru_utime + each.ru_stime for each in used))
"""


@needs("linux")
@pytest.mark.parametrize("name", ["times", "units"])
def test_a_wrong_length_takes_neither_memory_nor_time(tmp_path: Path, name: str) -> None:
    """HDF5 asks for as much memory as the length of an example says: 4 and 8 GiB here."""
    folder = write_shd(tmp_path)
    path = folder / "shd_train.h5"
    with h5py.File(path) as file:
        place = file[f"spikes/{name}"].id.get_offset() + 16 * 150
    with open(path, "r+b") as raw:
        raw.seek(place)
        raw.write((2**31 if name == "times" else 2**32 - 9).to_bytes(4, "little"))
    done = subprocess.run(
        [sys.executable, "-c", LENGTHS, str(folder)], capture_output=True, text=True, check=True
    )
    said, figures = done.stdout.splitlines()
    assert f"shd_train.h5 is damaged, or no HDF5 file: /spikes/{name}[150] cannot be read" in said
    memory, seconds = map(float, figures.split())
    assert memory < 1000 and seconds < 20, figures


def test_a_file_that_ends_each_process_is_not_asked_for_every_example(tmp_path, monkeypatch):
    """Each end costs a process and seconds, so that a file of thousands would take hours."""
    path = write_shd(tmp_path) / "shd_train.h5"
    file, asked = shd_files.EventFile(path, None), []

    def end(path: Path, parts: object, **_: object) -> None:
        asked.append(parts)
        raise UnreadableError(f"{path} is damaged", "the process ended", ended=True)

    monkeypatch.setattr(shd_files, "read_hdf5_parts", end)
    for row in range(len(file)):
        with pytest.raises(InputError, match="is damaged, or no HDF5 file"):
            file.examples(row, row + 1)
    assert len(file) > 3 and len(asked) == 3
