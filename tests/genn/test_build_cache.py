"""GeNN's compiled code is verified before it is loaded, and built anew when it is damaged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)

from mlgenn_delays.engines.genn import build  # noqa: E402
from tests.genn.helpers import batch_of, compiled, ours, pairs  # noqa: E402

BATCH = batch_of([[(1, 0), (4, 1)], [(2, 1)]], steps=30, labels=[0, 1])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Return a cache with a network's code, and the network's gradients."""
    cache = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELAYSNN_CACHE", str(cache))
        return cache, ours(pairs(), BATCH)


@pytest.fixture
def built(
    whole: tuple[Path, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Any]:
    """Return the folder of a copy of the code, in a cache of its own, and the gradients."""
    shutil.copytree(whole[0], tmp_path / "cache")
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path / "cache"))
    (folder,) = (tmp_path / "cache" / "genn").iterdir()
    return folder, whole[1]


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    whole = {"cut": content[: len(content) // 2], "empty": b"", "none": None}
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    changed = whole.get(how, bytes(flipped))
    if changed is None:
        path.unlink()
    else:
        path.write_bytes(changed)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("*_CODE/librunner.so", "cut"),
        *(
            pytest.param(name, how, marks=pytest.mark.slow)
            for name, how in [
                ("*_CODE/neuronUpdate.cc", "flip"), ("*_CODE/neuronUpdate.o", "empty"),
                ("built.json", "none"),
            ]
        ),
    ],
)  # fmt: skip
def test_damaged_code_is_built_anew(built: tuple[Path, Any], name: str, how: str) -> None:
    folder, expected = built
    (path,) = folder.glob(name)
    whole = path.read_bytes()
    damage(path, how)
    if path.suffix == ".so":
        # In a process of its own, which a library that was cut would end.
        code = (
            "from tests.genn.test_build_cache import BATCH, ours, pairs; import sys; "
            "sys.stdout.write(ours(pairs(), BATCH).weight['hidden->output'].tobytes().hex())"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        got = done.stdout
    else:
        got = ours(pairs(), BATCH).weight["hidden->output"].tobytes().hex()
    assert got == expected.weight["hidden->output"].tobytes().hex()
    assert path.suffix == ".o" or path.read_bytes() == whole


def test_whole_code_is_not_built_again(
    built: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected = built
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*.so")}
    assert times and set(json.loads((folder / build.RECORD).read_bytes())) >= {"librunner.so"}
    again = ours(pairs(), BATCH)
    assert not list(Path.cwd().glob("*_CODE"))  # where GeNN would put it
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*.so")} == times
    np.testing.assert_array_equal(again.weight["hidden->output"], expected.weight["hidden->output"])


def test_what_others_may_write_is_not_loaded(built: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = built
    record = folder / build.RECORD
    record.chmod(0o666)
    ours(pairs(), BATCH)  # built anew, with a record of one's own
    assert record.stat().st_mode & 0o777 == 0o644
    folder.chmod(0o777)
    assert build.code_folder("x").parent == folder.parent
    with pytest.MonkeyPatch.context() as patch:
        (tmp_path / "tmp").mkdir()
        patch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        compiled(pairs()).gradients(BATCH)
    assert list((tmp_path / "tmp").glob("delaysnn-*/genn/*/built.json"))


def test_a_full_disk_sends_code_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    check = build._check_room

    def full(folder: Path) -> None:
        if tmp_path / "cache" in folder.parents:
            raise OSError(28, "No space left on device")
        check(folder)

    monkeypatch.setattr(build, "_check_room", full)
    assert ours(pairs(), BATCH).weight
    assert list((tmp_path / "tmp").glob("delaysnn-*/genn/*/built.json"))
