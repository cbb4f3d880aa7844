"""delaysnn data prepare, with a web server of this machine or none at all."""

import gzip
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tonic.datasets as tonic

from mlgenn_delays.data.download import fsdd, prepare
from mlgenn_delays.data.download.fsdd import ARCHIVE, group_checksum, published
from tests.cli.helpers import call, refused
from tests.cli.published import make_release, point_at, serve, zipped
from tests.data.shd_helpers import write_shd, write_ssc
from tests.needs import needs
from tests.processes import ENOUGH, wait_for
from tests.web import Web, only_this_machine, web


@pytest.fixture
def served(monkeypatch) -> Web:
    """Return a web server that has everything which may be asked for; no other is asked."""
    with web() as given:
        point_at(given, monkeypatch)
        yield given


@pytest.fixture(autouse=True)
def no_internet(monkeypatch) -> None:
    """Let no test, however wrong, ask another machine."""
    only_this_machine(monkeypatch)


def failed(*arguments: object) -> str:
    """Run a command whose work must fail, and return what it says."""
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("error: ")
    return result.stderr


def everything_in(folder: Path) -> list[str]:
    """Return the names of all files, hidden ones as well."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# SHD and SSC


@pytest.mark.parametrize(("kind", "sized"), [("shd", True), ("ssc", False)])
def test_download(kind, sized, served, tmp_path, monkeypatch) -> None:
    served.sized = sized
    contents = serve(served, kind, tmp_path / "source", monkeypatch)
    folder = tmp_path / "new" / "with space"
    result = call("data", "prepare", kind, folder)
    assert result.exit_code == 0, result.output
    assert everything_in(folder) == sorted(contents)
    for name, content in contents.items():
        assert (folder / name).read_bytes() == content
        assert f"{folder / name}: downloaded, " in result.stdout
    assert f"next: delaysnn data check {kind} '{folder}'\n" in result.stdout
    assert call("data", "check", kind, folder).exit_code == 0
    asked = len(served.asked)
    again = call("data", "prepare", kind, folder)
    assert again.exit_code == 0 and again.stdout.count(": was there, ") == len(contents)
    assert len(served.asked) == asked == len(contents)


def test_files_that_are_there_need_neither_network_nor_tonic(tmp_path, monkeypatch) -> None:
    folder = write_shd(tmp_path / "SHD")
    monkeypatch.setitem(sys.modules, "tonic", None)
    result = call("data", "prepare", "shd", tmp_path)
    assert result.exit_code == 0
    assert f"{folder / 'shd_train.h5'}: was there, 200 examples, 0.1 MB\n" in result.stdout
    assert everything_in(tmp_path) == ["SHD/shd_test.h5", "SHD/shd_train.h5"]


@pytest.mark.parametrize("end", [".zip", ".gz"])
def test_packed_files_are_unpacked_without_a_network(end, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    path = write_ssc(tmp_path / "d" / "SSC") / "ssc_valid.h5"
    content = path.read_bytes()
    packed = zipped({f"in/{path.name}": content}) if end == ".zip" else gzip.compress(content)
    path.unlink()
    (path.parent / f"ssc_valid.h5{end}").write_bytes(packed)
    result = call("data", "prepare", "ssc", tmp_path / "d")
    assert result.exit_code == 0
    assert path.read_bytes() == content
    assert f"{path}: unpacked from ssc_valid.h5{end}, 35 examples" in result.stdout
    assert len(everything_in(tmp_path)) == 4  # the packed one stays


@pytest.mark.parametrize("end", [".zip", ".gz"])
@pytest.mark.parametrize("half", [True, False])
def test_a_damaged_packed_file(end, half, tmp_path) -> None:
    path = write_shd(tmp_path) / "shd_test.h5"
    content = path.read_bytes()
    packed = zipped({path.name: content}) if end == ".zip" else gzip.compress(content)
    path.unlink()
    changed = packed[: len(packed) // 2] if half else packed[:800] + b"?" * 40 + packed[840:]
    (tmp_path / f"shd_test.h5{end}").write_bytes(changed)
    text = refused("data", "prepare", "shd", tmp_path)
    assert f"shd_test.h5{end} is damaged or no {end} file: " in text
    assert "remove it, and run the same command again" in text
    assert everything_in(tmp_path) == [f"shd_test.h5{end}", "shd_train.h5"]


def test_a_damaged_file_and_a_zip_without_it(tmp_path) -> None:
    path = write_shd(tmp_path) / "shd_test.h5"
    path.write_bytes(path.read_bytes()[:5000])
    text = refused("data", "prepare", "shd", tmp_path)
    assert f"{path} is damaged" in text and "run the same command again" in text
    path.unlink()
    (tmp_path / "shd_test.h5.zip").write_bytes(zipped({"readme": b""}))
    assert "must have shd_test.h5 in it" in refused("data", "prepare", "shd", tmp_path)


def test_without_tonic(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    text = refused("data", "prepare", "ssc", tmp_path / "d")
    assert 'pip install "delaysnn[datasets]", or fetch https://zenkelab.org/datasets/ssc_tr' in text
    assert f"ssc_test.h5.zip into {tmp_path / 'd'} by hand and run the same command again" in text
    assert not (tmp_path / "d").exists()


def test_a_tonic_that_does_not_know(tmp_path, monkeypatch) -> None:
    monkeypatch.delattr(tonic.SHD, "train_md5")
    assert "tonic must know the address and the checksum of shd_train.h5" in refused(
        "data", "prepare", "shd", tmp_path
    )


@pytest.mark.parametrize(
    ("kind", "file", "as_"), [("shd", "shd_train.h5.zip", ""), ("fsdd", "v1.0.10.zip", ARCHIVE)]
)
def test_offline(kind, file, as_, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tonic.SHD, "base_url", "http://nowhere.invalid/")
    monkeypatch.setattr(fsdd, "URL", "http://nowhere.invalid/v1.0.10.zip")
    text = failed("data", "prepare", kind, tmp_path / "d")
    assert f"cannot download http://nowhere.invalid/{file}: Name or service not known" in text
    assert f"fetch it by hand into {tmp_path / 'd'} " in text and as_ in text
    assert not (tmp_path / "d").exists()


def test_an_address_without_the_file(served, tmp_path) -> None:
    assert "shd_train.h5.zip: the server answers 404 " in failed("data", "prepare", "shd", tmp_path)


def test_a_wrong_checksum(served, tmp_path, monkeypatch) -> None:
    serve(served, "shd", tmp_path / "source", monkeypatch)
    monkeypatch.setattr(tonic.SHD, "train_md5", "0" * 32)
    text = failed("data", "prepare", "shd", tmp_path / "d")
    assert f"its checksum must be {'0' * 32}, got " in text
    assert everything_in(tmp_path / "d") == []


@pytest.mark.parametrize("sized", [True, False])
def test_a_download_that_ends_early(sized, served, tmp_path, monkeypatch) -> None:
    contents = serve(served, "shd", tmp_path / "source", monkeypatch)
    served.cut, served.sized = 100, sized
    text = failed("data", "prepare", "shd", tmp_path / "d")
    assert ("it ended after" if sized else "its checksum must be") in text
    assert everything_in(tmp_path / "d") == []
    served.cut = 0
    assert call("data", "prepare", "shd", tmp_path / "d").exit_code == 0
    assert everything_in(tmp_path / "d") == sorted(contents)


def test_a_server_that_falls_silent(served, tmp_path, monkeypatch) -> None:
    serve(served, "shd", tmp_path / "source", monkeypatch)
    monkeypatch.setattr(prepare, "_PATIENCE", 0.3)
    served.silent = True
    assert "timed out" in failed("data", "prepare", "shd", tmp_path / "d")
    assert everything_in(tmp_path / "d") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_interrupted(number, served, tmp_path, monkeypatch) -> None:
    """Nothing has the final name; the next call takes what a killed one left away."""
    serve(served, "shd", tmp_path / "source", monkeypatch)
    served.files["/shd_train.h5.zip"] *= 20  # more than is read at once
    served.silent = True
    code = (
        "import sys, tonic.datasets as t, mlgenn_delays.cli as c\n"
        f"t.SHD.base_url = {tonic.SHD.base_url!r}\n"
        f"c.main(['data', 'prepare', 'shd', {str(tmp_path / 'd')!r}])\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    wait_for(lambda: (tmp_path / "d").is_dir() and everything_in(tmp_path / "d"), process)
    process.send_signal(number)
    said = process.communicate(timeout=ENOUGH)[1]
    left = everything_in(tmp_path / "d")
    if number != signal.SIGKILL:
        assert process.returncode == 128 + number
        assert said.strip() == "interrupted; run the same command again"
        assert left == []
    assert not [name for name in left if not name.startswith(".")]
    served.silent = False
    serve(served, "shd", tmp_path / "source", monkeypatch)
    assert call("data", "prepare", "shd", tmp_path / "d").exit_code == 0
    assert everything_in(tmp_path / "d") == ["shd_test.h5", "shd_train.h5"]


def test_no_space(served, tmp_path, monkeypatch) -> None:
    serve(served, "shd", tmp_path / "source", monkeypatch)

    class Full:
        free = 10

    monkeypatch.setattr(prepare.shutil, "disk_usage", lambda path: Full)
    text = failed("data", "prepare", "shd", tmp_path / "d")
    assert "cannot write" in text and "free space or give another DIR" in text


@needs("/proc")
def test_a_folder_that_cannot_be_written(served, monkeypatch, tmp_path) -> None:
    serve(served, "shd", tmp_path / "source", monkeypatch)
    text = failed("data", "prepare", "shd", "/proc/delaysnn")
    assert "cannot write /proc/delaysnn/shd_train.h5.zip" in text
    assert "free space or give another DIR" in text


def test_progress_as_plain_lines(served, tmp_path, monkeypatch) -> None:
    from mlgenn_delays import progress

    monkeypatch.setattr(progress, "_QUIET", 0.0)
    serve(served, "shd", tmp_path / "source", monkeypatch)
    result = call("data", "prepare", "shd", tmp_path / "d")
    assert "downloading shd_train.h5.zip: 0 of 0 MB (100 %)\n" in result.stderr
    assert "unpacking shd_train.h5.zip: 0 of 0 MB (100 %)\n" in result.stderr
    assert "\r" not in result.stderr


# FSDD


@pytest.fixture
def release(tmp_path, monkeypatch) -> dict[str, bytes]:
    """Return a release of two digits and one speaker, of which the checksums are known."""
    return make_release(tmp_path / "words", monkeypatch)


def test_download_of_recordings(served, release, tmp_path) -> None:
    served.sized = False  # as that server does
    served.files["/v1.0.10.zip"] = zipped(release)
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / f".{ARCHIVE}.x7y_abcd.delaysnn-part").write_bytes(b"left by a call that was killed")
    result = call("data", "prepare", "fsdd", folder)
    assert result.exit_code == 0, result.output
    assert "100 recordings downloaded; all 100 are there, takes 5-49 are the" in result.stdout
    assert f"next: delaysnn data check fsdd {folder / 'recordings'}\n" in result.stdout
    assert f"next: delaysnn train fsdd --data {folder / 'recordings'}\n" in result.stdout
    names = everything_in(folder)
    assert len(names) == 100 and all(name.startswith("recordings/") for name in names)
    for place in (folder, folder / "recordings"):
        again = call("data", "prepare", "fsdd", place)
        assert again.exit_code == 0 and "recordings: was there; all 100" in again.stdout
    assert len(served.asked) == 1


def test_an_archive_fetched_by_hand_needs_no_network(release, tmp_path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / ARCHIVE).write_bytes(zipped(release))
    result = call("data", "prepare", "fsdd", tmp_path / "d")
    assert result.exit_code == 0 and f"100 recordings unpacked from {ARCHIVE}" in result.stdout
    assert (tmp_path / "d" / ARCHIVE).exists()


def test_missing_and_damaged_recordings_are_mended(served, release, tmp_path) -> None:
    served.files["/v1.0.10.zip"] = zipped(release)
    folder = tmp_path / "d"
    call("data", "prepare", "fsdd", folder)
    place = folder / "recordings"
    (place / "0_ann_7.wav").unlink()
    whole = (place / "1_ann_30.wav").read_bytes()
    (place / "1_ann_30.wav").write_bytes(whole[:-2] + b"??")
    (place / "1_ann_3.wav").write_bytes(whole[:100])
    (place / ".0_ann_7.wav.x7y_abcd.delaysnn-part").write_bytes(b"left by a call that was killed")
    result = call("data", "prepare", "fsdd", folder)
    assert result.exit_code == 0 and "recordings: 3 recordings downloaded" in result.stdout
    assert f"{place} is not complete: digit 0 of ann: 1 of 50 missing, " in result.stderr
    assert "digit 1 of ann: a recording of takes 5-49 is damaged or another, " in result.stderr
    assert "1_ann_3.wav is truncated" in result.stderr
    assert (place / "1_ann_30.wav").read_bytes() == whole
    assert len(everything_in(folder)) == 100


def test_a_release_of_other_recordings(served, release, tmp_path) -> None:
    name = "free-1.0.10/recordings/1_ann_49.wav"
    release[name] = release[name][:-2] + b"??"
    served.files["/v1.0.10.zip"] = zipped(release)
    text = failed("data", "prepare", "fsdd", tmp_path / "d")
    assert "digit 1 of ann: a recording of takes 5-49 is damaged or another" in text
    assert "digit 0" not in text and "they stay as they are" in text
    assert len(everything_in(tmp_path / "d")) == 101


def test_nothing_leads_out_of_the_folder(served, release, tmp_path) -> None:
    evil = {
        "../recordings/1_eve_7.wav": b"a",
        "free/recordings/../../1_eve_8.wav": b"b",
        "/recordings/1_eve_9.wav": b"c",
        "free/recordings/..\\1_eve_10.wav": b"d",
        "free/recordings/setup.py": b"e",
        f"{tmp_path}/recordings/1_eve_11.wav": b"f",
    }
    served.files["/v1.0.10.zip"] = zipped(release | evil)
    before = set(everything_in(tmp_path))
    assert call("data", "prepare", "fsdd", tmp_path / "d").exit_code == 0
    new = set(everything_in(tmp_path)) - before
    assert {str(Path(name).parent) for name in new} == {"d/recordings"}
    assert not [
        name for name in new if name.endswith((".py", "10.wav", "11.wav")) and "eve" in name
    ]


@pytest.mark.parametrize("content", [b"no archive", zipped({"readme": b""})], ids=["text", "zip"])
def test_an_archive_that_is_none(content, release, tmp_path) -> None:
    (tmp_path / ARCHIVE).write_bytes(content)
    text = refused("data", "prepare", "fsdd", tmp_path)
    assert ARCHIVE in text and "remove it, and run the same command again" in text


def test_a_monstrous_recording(release, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(fsdd, "_LARGEST", 3000)
    (tmp_path / ARCHIVE).write_bytes(zipped(release))
    assert "must have at most 3000 bytes" in refused("data", "prepare", "fsdd", tmp_path)


def test_checksums_of_the_published_recordings() -> None:
    known = published()
    assert len(known) == 60 and {digit for digit, _ in known} == set(range(10))
    assert len({speaker for _, speaker in known}) == 6
    assert all(len(each) == 16 and int(each, 16) for each in known.values())
    folder = Path(__file__).parents[3] / "shared" / "data" / "fsdd"
    if folder.is_dir():
        for (digit, speaker), checksum in known.items():
            assert group_checksum(folder, digit, speaker) == checksum


# The others


@pytest.mark.parametrize("name", ["digits", "yin-yang", "sequence", "coincidence"])
def test_data_that_need_no_preparation(name) -> None:
    result = call("data", "prepare", name)
    assert result.exit_code == 0
    assert f"{name} needs no preparation and no folder" in result.stdout
    assert f"next: delaysnn data check {name}\n" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rawhd", "DIR"], "are not freely at hand; ask the authors"),
        (
            ["npz", "DIR"],
            "only shd, ssc, fsdd can; it is read from your own files: delaysnn data ch",
        ),
        (["tonic:NMNIST", "DIR"], "is downloaded by tonic itself when it is first loaded"),
        (["sdh", "DIR"], "did you mean 'shd'?"),
        (["shd"], "dataset 'shd' needs a folder to go to, got none; give DIR"),
        (["fsdd", "FILE"], "DIR must be a folder, new or not, got the file"),
    ],
)
def test_bad_input(arguments, message, tmp_path) -> None:
    (tmp_path / "file").touch()
    places = {"DIR": str(tmp_path), "FILE": str(tmp_path / "file")}
    assert message in refused("data", "prepare", *(places.get(each, each) for each in arguments))


def test_files_of_others_are_no_halves(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "tonic", None)
    path = write_shd(tmp_path) / "shd_test.h5"
    path.with_name("shd_test.h5.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    mine = [tmp_path / ".shd_test.h5.backup", tmp_path / ".shd_test.h5.md5"]
    half = tmp_path / ".shd_test.h5.abcd1234.delaysnn-part"
    for each in (*mine, half):
        each.write_bytes(b"x")
    assert call("data", "prepare", "shd", tmp_path).exit_code == 0
    assert all(each.exists() for each in mine) and not half.exists()
