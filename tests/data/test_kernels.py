"""The home of compiled kernels: their cache, where there is none, and twins in plain loops."""

import ast
import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays import kernels
from mlgenn_delays.data.augment.augment_kernel import change_currents, rearrange
from tests.needs import needs

PACKAGE = Path(kernels.__file__).parent
DAY = 24 * 3600


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that the kernel cache lies in."""
    folder = tmp_path / "compiled"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    return folder


def test_every_file_with_kernels_counts() -> None:
    counted = {file for part in kernels.PARTS for file in kernels.kernel_files(part)}
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text()
        assert file in counted or "@kernel" not in text, file
        assert file.name == "kernels.py" or "njit" not in text, file


def needed(file: Path) -> set[Path]:
    """Return the files that a file's kernels take kernels and constants from, itself first."""
    tree = ast.parse(file.read_text())
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    compiled = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
    ]
    if compiled:
        names = {
            node.id for each in compiled for node in ast.walk(each) if isinstance(node, ast.Name)
        }
        # Constants that are made of imported ones.
        tops = [node for node in tree.body if isinstance(node, ast.Assign)]
        for node in tops:
            if names & {target.id for target in node.targets if isinstance(target, ast.Name)}:
                names |= {each.id for each in ast.walk(node.value) if isinstance(each, ast.Name)}
        used &= names
    found = {file}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlgenn_delays."):
            if {alias.asname or alias.name for alias in node.names} & (used - {"kernel"}):
                path = PACKAGE.parent / (node.module or "").replace(".", "/")
                found |= {path.with_suffix(".py")}
    return found


@pytest.mark.parametrize(
    ("part", "folders", "without"),
    [
        # Files left out have results; kernels of `cpu` take the fields of Taps one by one.
        (
            "engines.cpu",
            ("cpu", "shared"),
            {"simulation.py", "scoring.py", "taps.py", "differentiable.py"},
        ),
        ("engines.shared", ("shared",), {"simulation.py", "scoring.py"}),
    ],
)
def test_tuples_that_kernels_take_count(
    part: str, folders: tuple[str, ...], without: set[str]
) -> None:
    """Compiled code has the places of their fields, and the key of the cache only their types."""
    given = {
        file
        for folder in folders
        for file in (PACKAGE / "engines" / folder).glob("*.py")
        if "(NamedTuple):" in file.read_text() and file.name not in without
    }
    assert len(given) > 2 and given <= set(kernels.kernel_files(part))


@pytest.mark.parametrize("part", kernels.PARTS)
def test_a_part_counts_what_its_kernels_take_from_elsewhere(part: str) -> None:
    """An edit of any file that a kernel's result depends on leads to a new folder."""
    counted = set(kernels.kernel_files(part))
    compiler = {PACKAGE / name for name in ("kernels.py", "kernel_calls.py")}
    marked = {file for file in counted if "@kernel" in file.read_text()} - compiler
    assert compiler <= counted
    assert marked
    for file in marked:
        assert needed(file) <= counted, file
    if part == "engines.cpu":
        assert {file.name for file in needed(PACKAGE / "engines/cpu/eventprop_forward.py")} >= {
            "plan.py", "numerics.py", "synapses.py",
        }  # fmt: skip


def test_folder_is_of_the_content(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edit compiles the kernels of its part anew, and no others."""
    copy = tmp_path / "package"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernels, "_PACKAGE", copy)

    def folders() -> dict[str, Path | None]:
        return {part: kernels.kernel_cache(part) for part in kernels.PARTS}

    before = folders()
    assert folders() == before and len(set(before.values())) == 5
    for name, changed in {
        "data/augment/augment_kernel.py": {"data"}, "analysis/shuffle_kernel.py": {"analysis"},
        "rewiring/growth_kernel.py": {"rewiring"},
        "engines/cpu/currents.py": {"engines.cpu"}, "neurons/adjoint.py": {"engines.cpu"},
        "engines/shared/readout.py": {"engines.shared"}, "engines/cpu/event_simulation.py": set(),
        "engines/shared/numerics.py": {"engines.cpu", "engines.shared"},
        "engines/shared/vector.py": {"engines.cpu", "engines.shared"},
        "kernels.py": set(kernels.PARTS), "kernel_calls.py": set(kernels.PARTS),
    }.items():  # fmt: skip
        (copy / name).write_text((copy / name).read_text() + "# changed\n")
        after = folders()
        assert {part for part in after if after[part] != before[part]} == changed, name
        before = after
    assert {folder.parent for folder in before.values() if folder} == {base}


def test_folders_of_other_versions_go_when_unused(base: Path) -> None:
    ages = {"delaysnn-old": 31, "delaysnn-new": 29, "foreign": 99}
    for name, days in ages.items():
        (base / name).mkdir(parents=True)
        (base / name / "x.nbc").touch()
        os.utime(base / name, (0, time.time() - days * DAY))
    mine = kernels.kernel_cache()
    assert mine and {each.name for each in base.iterdir()} == {
        "delaysnn-new",
        "foreign",
        mine.name,
    }
    os.utime(mine, (0, time.time() - 31 * DAY))
    (base / "delaysnn-new").rename(base / "delaysnn-other")
    assert kernels.kernel_cache() == mine
    assert time.time() - mine.stat().st_mtime < DAY


def test_removing_never_fails(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base.mkdir()
    (base / "delaysnn-file").touch()
    os.utime(base / "delaysnn-file", (0, 0))
    (base / "delaysnn-link").symlink_to("nowhere")
    assert kernels.kernel_cache()


def test_no_folder_that_can_be_written(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one does instead, the last of which is a temporary one."""
    base.write_text("a file where the folder should be")
    found = kernels.kernel_cache()
    assert found and found.parent == tmp_path / "cache" / "kernels"
    monkeypatch.setenv("DELAYSNN_CACHE", str(base))
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    found = kernels.kernel_cache()
    assert found and found.parents[2] == tmp_path / "tmp"
    assert found.stat().st_mode & 0o022 == 0
    monkeypatch.setattr("tempfile.tempdir", str(base))
    assert kernels.kernel_cache() is None


def test_kernels_load_where_nothing_can_be_written(tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "mlgenn_delays", ignore=shutil.ignore_patterns("__pycache__"))
    # A file in place of a folder stops root, too, whom permissions do not.
    for folder in (site / "mlgenn_delays").rglob("*"):
        if folder.is_dir():
            (folder / "__pycache__").write_text("")
    (tmp_path / "tmp").mkdir()
    unset = {"NUMBA_CACHE_DIR", "DELAYSNN_CACHE", "XDG_CACHE_HOME"}
    env = {key: value for key, value in os.environ.items() if key not in unset}
    code = (
        "import mlgenn_delays.data.augment.augment_kernel as a;"
        "import mlgenn_delays.data.encode.rate_kernel;"
        "import mlgenn_delays.kernels as k; print(a.__file__, k.kernel_cache())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env | {"PYTHONPATH": str(site), "HOME": "/dev/null", "TMPDIR": str(tmp_path / "tmp")},
    )
    assert done.returncode == 0, done.stderr
    file, folder = done.stdout.split()
    assert file == str(site / "mlgenn_delays" / "data" / "augment" / "augment_kernel.py")
    assert Path(folder).is_relative_to(tmp_path / "tmp")


def test_settling_keeps_nan() -> None:
    from mlgenn_delays.engines.shared.numerics import SUBNORMAL, flush_all_subnormal

    values = np.array([np.nan, np.inf, -1.0, 2 * SUBNORMAL, SUBNORMAL, -SUBNORMAL, 0.0], np.float32)
    expected = values.copy()
    expected[4:] = 0.0
    flush_all_subnormal(values)
    np.testing.assert_array_equal(values, expected)


def rearranged(
    channels: list[list[int]],
    noise: list[float] | None,
    kept: list[bool] | None,
    move: tuple[int, float, int, int],
    mask: tuple[int, int, int, int],
) -> list[list[int]]:
    """Return the steps of each channel as the documentation of `rearrange` has them."""
    shift, steps, group, n_steps = move
    result: list[list[int]] = [[] for _ in channels]
    place = 0
    for source, spikes in enumerate(channels):
        target = source + shift
        stays = 0 <= target < len(channels) and target // group == source // group
        for step in spikes:
            moved = step + steps + (noise[place] if noise is not None else 0.0)
            rounded = math.floor(moved + 0.5)
            if rounded in range(*mask[:2]) or target % group in range(*mask[2:]):
                pass
            elif stays and (kept is None or kept[place]) and 0 <= rounded < n_steps:
                result[target].append(rounded)
            place += 1
    return [sorted(set(spikes)) for spikes in result]


def masks(n_steps: int, group: int) -> st.SearchStrategy:
    """Return runs of steps and of channels in a group, which may be empty."""
    runs = [st.lists(st.integers(0, size), min_size=2, max_size=2) for size in (n_steps, group)]
    none = st.just((0, 0, 0, 0))
    return none | st.tuples(*runs).map(lambda pair: (*sorted(pair[0]), *sorted(pair[1])))


@settings(max_examples=120)
@given(data=st.data(), n_steps=st.integers(1, 200), n_channels=st.sampled_from([1, 4, 12]))
def test_rearrange_does_as_documented(data: st.DataObject, n_steps: int, n_channels: int) -> None:
    # Up to 200 spikes in a channel: both ways of sorting.
    rows = st.sets(st.integers(0, n_steps - 1)) | st.just(set(range(n_steps)))
    channels = [sorted(data.draw(rows)) for _ in range(n_channels)]
    size = sum(map(len, channels))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    spread = data.draw(st.sampled_from([0.0, 0.5, 3.0, 300.0]))
    noise = random.normal(0.0, spread, size).astype(np.float32) if spread else np.empty(0, "f4")
    dropping = data.draw(st.booleans())
    kept = random.random(size) < 0.7 if dropping else np.empty(0, np.bool_)
    group = data.draw(st.sampled_from([g for g in (1, 2, 4, 12) if n_channels % g == 0]))
    steps = data.draw(st.floats(-n_steps, n_steps) | st.sampled_from([-0.5, 0.0, 0.5]))
    move = (data.draw(st.integers(-n_channels, n_channels)), steps, group, n_steps)
    mask = data.draw(masks(n_steps, group))
    before, used = data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))

    # The example lies behind others in its batch, and is written behind others.
    old_start = before + np.cumsum([0, *map(len, channels)])
    old_time = np.array([7] * before + sum(channels, []), np.int32)
    start, time_ = np.full(n_channels + 1, -1, np.int64), np.full(used + size, -1, np.int32)
    end = rearrange((old_start, old_time, noise, kept), move, mask, start, time_, used)

    expected = rearranged(
        channels,
        noise.tolist() if spread else None,
        kept.tolist() if dropping else None,
        move,
        mask,
    )
    assert start[0] == used and start[-1] == end
    found = [time_[a:b].tolist() for a, b in zip(start[:-1], start[1:], strict=True)]
    assert found == expected
    assert (time_[:used] == -1).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(0, 3), n_steps=st.integers(1, 12))
def test_currents_change_as_documented(data: st.DataObject, n: int, n_steps: int) -> None:
    n_channels = data.draw(st.sampled_from([1, 4, 12]))
    group = data.draw(st.sampled_from([g for g in (1, 2, 4, 12) if n_channels % g == 0]))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    values = random.normal(size=(n, n_steps, n_channels)).astype(np.float32)
    moves = np.array(
        [
            [random.integers(-n_channels, n_channels + 1), random.integers(-n_steps, n_steps + 1)]
            for _ in range(n)
        ],
        np.int64,
    ).reshape(n, 2)
    some = [data.draw(masks(n_steps, group)) for _ in range(n)]
    factors = random.uniform(0.5, 1.5, n).astype(np.float32)
    noisy = data.draw(st.booleans())
    table = random.normal(size=2**16).astype(np.float32) if noisy else np.empty(0, np.float32)
    words = random.integers(0, 2**64, (n, math.ceil(n_steps * n_channels / 4)), np.uint64)
    out = np.full_like(values, np.nan)
    draws = (moves, np.array(some, np.int64).reshape(n, 4), factors, words)
    change_currents(values, draws, table, group, out)
    for b in range(n):
        shift, late = moves[b].tolist()
        for t in range(n_steps):
            for c in range(n_channels):
                value = np.float32(0.0)
                source, before = c - shift, t - late
                if before in range(n_steps) and source in range(n_channels):
                    if source // group == c // group:
                        value = values[b, before, source] * factors[b]
                if noisy:
                    number = t * n_channels + c
                    bits = int(words[b, number // 4]) >> 16 * (number % 4)
                    value += table[bits % 2**16]
                if t in range(*some[b][:2]) or c % group in range(*some[b][2:]):
                    value = np.float32(0.0)
                assert out[b, t, c] == value


@needs("compiled kernels")
def test_a_kernel_that_is_called_is_compiled_within_its_caller_alone(tmp_path: Path) -> None:
    """It is a part of the one file that is cached, which other processes can load and run."""
    code = (
        "import numpy as np;"
        "from mlgenn_delays.engines.shared.numerics import flush_all_subnormal as every;"
        "from mlgenn_delays.engines.shared.numerics import flush_subnormal as one;"
        "values = np.array([1e-31, 1.0], np.float32); every(values);"
        "print(values.tolist(), len(one.signatures), sum(every.stats.cache_hits.values()));"
        "print(one(np.float32(1e-31)), len(one.signatures))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NUMBA_CACHE_DIR"}
    for hits in (0, 1):
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=environment | {"DELAYSNN_CACHE": str(tmp_path)},
        )
        assert done.stdout.splitlines() == [f"[0.0, 1.0] 0 {hits}", "0.0 1"], done.stderr
        names = [file.name.split("-")[0] for file in tmp_path.rglob("*.nbc")]
        assert sorted(names) == ["numerics.flush_all_subnormal", "numerics.flush_subnormal"]
