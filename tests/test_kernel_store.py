"""Compiled functions are verified before they are loaded, whatever happened to their files."""

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from mlgenn_delays import kernels
from mlgenn_delays.kernels import count_kernels, pack_kernel, read_kernel, stored_in
from tests.needs import need, needs

EXPECTED = 10.0


def add_up(values):
    total = 0.0
    for value in values:
        total += value
    return total


def fresh(*folders: Path) -> Any:
    """Return the kernel as a new process has it: nothing loaded or compiled yet."""
    with stored_in(folders) as stored:
        assert stored
        return numba.njit(cache=True)(add_up)


def compiles(kernel: Any) -> bool:
    """Run the kernel; return whether it was compiled for that."""
    assert kernel(np.arange(5.0)) == EXPECTED
    return bool(sum(kernel.stats.cache_misses.values()))


@pytest.fixture(autouse=True)
def warn_again() -> None:
    kernels._warn.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a folder that holds the kernel."""
    assert compiles(fresh(tmp_path / "store"))
    assert not compiles(fresh(tmp_path / "store"))
    return tmp_path / "store"


def kernel_file(folder: Path) -> Path:
    (path,) = folder.glob("*.nbc")
    return path


def damages(whole: bytes, n: int, seed: int) -> Iterator[bytes]:
    """Return n damaged contents: emptied, cut, grown, and with one to three bits changed."""
    random = np.random.default_rng(seed)
    yield b""
    yield whole[: len(whole) // 2]
    yield whole[:20]
    yield whole + b"\0"
    yield bytes(len(whole))
    for number in range(n - 5):
        content = bytearray(whole)
        for place in random.integers(0, len(whole), 1 + number % 3):
            content[place] ^= 1 << int(random.integers(8))
        yield bytes(content)


@pytest.mark.filterwarnings("ignore:compiled kernels")
def test_a_damaged_kernel_is_compiled_anew(store: Path) -> None:
    path = kernel_file(store)
    whole = path.read_bytes()
    for content in damages(whole, 12, seed=1):
        path.write_bytes(content)
        assert count_kernels(store) == {"whole": 0, "damaged": 1, "ignored": 0}
        assert compiles(fresh(store))
        assert not compiles(fresh(store))
    assert count_kernels(store) == {"whole": 1, "damaged": 0, "ignored": 0}


def test_every_changed_bit_is_noticed(store: Path) -> None:
    path = kernel_file(store)
    whole = path.read_bytes()
    for content in damages(whole, 150, seed=2):
        path.write_bytes(content)
        with pytest.raises(ValueError):
            read_kernel(path)
    path.write_bytes(whole)
    assert whole == pack_kernel(path.name, read_kernel(path))


def test_a_damaged_kernel_is_said_once(store: Path) -> None:
    kernel_file(store).write_bytes(b"")
    with pytest.warns(
        UserWarning, match="kernels in .* are damaged .* compiling them anew"
    ) as said:
        fresh(store)(np.arange(5.0))
        kernel_file(store).write_bytes(b"")
        fresh(store)(np.arange(5.0))
    assert len(said) == 1


def test_a_kernel_under_the_name_of_another_is_damaged(store: Path) -> None:
    path = kernel_file(store)
    shutil.copy(path, store / "other.nbc")
    with pytest.raises(ValueError, match="checksum"):
        read_kernel(store / "other.nbc")


@pytest.mark.filterwarnings("ignore:compiled kernels")
def test_a_whole_file_that_cannot_be_unpickled_is_compiled_anew(store: Path) -> None:
    path = kernel_file(store)
    path.write_bytes(pack_kernel(path.name, b"no pickle"))
    assert compiles(fresh(store))
    assert not compiles(fresh(store))


@needs("posix")
def test_what_others_may_write_is_not_loaded(store: Path, tmp_path: Path) -> None:
    path = kernel_file(store)
    changes: list[tuple[Callable[[], object], Callable[[], object]]] = [
        (lambda: path.chmod(0o646), lambda: path.chmod(0o644)),
        (lambda: path.chmod(0o664), lambda: path.chmod(0o644)),
        (lambda: store.chmod(0o777), lambda: store.chmod(0o755)),
        (lambda: store.chmod(0o1775), lambda: store.chmod(0o755)),
    ]
    if os.geteuid() == 0:
        changes.append((lambda: os.chown(path, 4321, -1), lambda: os.chown(path, 0, -1)))
        changes.append((lambda: os.chown(store, 4321, -1), lambda: os.chown(store, 0, -1)))
    for change, back in changes:
        change()
        assert count_kernels(store)["ignored"] == 1
        # Another folder does instead.
        assert compiles(fresh(store, tmp_path / "other"))
        if not kernels.is_trusted(store):
            assert not compiles(fresh(store, tmp_path / "other"))
            shutil.rmtree(tmp_path / "other")
        back()
        assert not compiles(fresh(store))


def test_a_link_is_not_followed(store: Path, tmp_path: Path) -> None:
    path = kernel_file(store)
    path.rename(tmp_path / path.name)
    path.symlink_to(tmp_path / path.name)
    assert count_kernels(store)["ignored"] == 1
    assert compiles(fresh(store))
    assert not path.is_symlink()


@needs("root")
def test_kernels_of_the_superuser_are_used(store: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.geteuid", lambda: 1000)
        assert not compiles(fresh(store))


def test_a_cache_that_cannot_be_written_is_used(store: Path, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr(kernels, "make_store", refuse)
    monkeypatch.setattr("os.utime", refuse)
    kernels._renew.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not compiles(fresh(store))
    kernel_file(store).unlink()
    with pytest.warns(UserWarning, match="cannot be kept .*Read-only.* set DELAYSNN_CACHE"):
        assert compiles(fresh(store))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk without any space."""
    need("tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=755", "tmpfs", str(folder)]
    subprocess.run(command, check=True)
    try:
        with open(folder / "rest", "wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_ends_nothing(full_disk: Path, tmp_path: Path, monkeypatch) -> None:
    with pytest.warns(UserWarning, match="cannot be kept .*No space left"):
        assert compiles(fresh(full_disk / "store"))
    assert compiles(fresh(full_disk / "store", tmp_path / "other"))
    assert not compiles(fresh(full_disk / "store", tmp_path / "other"))
    from mlgenn_delays.data.cache import load_arrays, store_arrays

    monkeypatch.setenv("DELAYSNN_CACHE", str(full_disk))
    with pytest.warns(UserWarning, match="cannot store cache file .*No space left"):
        store_arrays("some-key.safetensors", {"a": np.zeros(10_000)})
    assert load_arrays("some-key.safetensors", ["a"]) is None


def test_another_numba_compiles_at_each_start(store: Path, monkeypatch) -> None:
    monkeypatch.delattr("numba.core.caching.CompileResultCacheImpl")
    with stored_in((store,)) as stored:
        assert not stored
    made = kernels.kernel(add_up_here)
    assert made(np.arange(5.0)) == EXPECTED


def add_up_here(values):
    return values.sum()


add_up_here.__module__ = "mlgenn_delays.data.nowhere"


def test_numba_is_left_as_it_was(tmp_path: Path) -> None:
    from numba.core import caching

    before = caching.IndexDataCacheFile, list(caching.CompileResultCacheImpl._locator_classes)
    fresh(tmp_path / "store")
    after = caching.IndexDataCacheFile, list(caching.CompileResultCacheImpl._locator_classes)
    assert after == before


SOUND = """
import sys
import numpy as np
from mlgenn_delays.data.encode.mel import MelSettings, mel_transform
from mlgenn_delays.machine import librosa_filters, prepare_matplotlib
tone = np.sin(np.arange(8000) / 7).astype(np.float32)
print(mel_transform(MelSettings())(tone).sum(), librosa_filters().__file__)
prepare_matplotlib()
import matplotlib
print(matplotlib.get_cachedir())
"""


@pytest.mark.slow
def test_sound_and_figures_where_nothing_can_be_written_but_a_temporary_folder(
    tmp_path: Path,
) -> None:
    """Containers and cluster nodes: neither the home nor the packages' folders are writable."""
    import librosa

    site = tmp_path / "site"
    package = Path(librosa.__file__).parent
    shutil.copytree(package, site / "librosa", ignore=shutil.ignore_patterns("__pycache__"))
    # A file in place of a folder stops root, too, whom permissions do not.
    for folder in [site / "librosa", *(site / "librosa").rglob("*")]:
        if folder.is_dir():
            (folder / "__pycache__").write_text("")
    (tmp_path / "tmp").mkdir()
    unset = {"NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"}
    env = {key: value for key, value in os.environ.items() if key not in unset}
    env |= {"HOME": "/dev/null", "DELAYSNN_CACHE": "/dev/null", "TMPDIR": str(tmp_path / "tmp")}
    root = str(Path(__file__).parent.parent)
    env |= {"PYTHONPATH": os.pathsep.join([str(site), root])}
    done = subprocess.run(
        [sys.executable, "-c", SOUND], capture_output=True, text=True, env=env, check=False
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert str(site) in done.stdout
    (own,) = (tmp_path / "tmp").glob("delaysnn-*")
    assert done.stdout.splitlines()[1] == str(own / "matplotlib")
    # No function that librosa has compiled is called.
    assert not [*(own / "kernels").glob("delaysnn-librosa-*")]
