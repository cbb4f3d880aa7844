"""Small commands that write files, what they begin with, and what they must leave."""

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlgenn_delays.files import PART
from tests.cli.helpers import write_words


def _settings(*texts: str) -> tuple[str, ...]:
    """Return settings as the command line takes them."""
    return tuple(word for text in texts for word in ("--set", text))


# A training that takes next to no time.
_SMALL = _settings("network.layers.0.size=4", "learning.batch_size=20")
_TWO = ("--epochs", "2")
_FEW = _settings("data.train=20", "data.validation=10", "data.test=10")
_WORDS = _settings("data.duration=200", "data.mel.n_bands=8")


@dataclass(frozen=True)
class Scenario:
    """A command, in the folder that it works in.

    Attributes:
        name: What it is called.
        command: Its arguments; ``BASE`` is the folder.
        begin: Puts what it needs, from a folder of inputs, into the folder.
        alone: Of a command with several processes: whether a kill ends one of them, not all.
        cost: Of a sample it has so many times fewer cases than others.
    """

    name: str
    command: tuple[str, ...]
    begin: Callable[[Path, Path], None]
    alone: bool = False
    cost: float = 1.0

    def words(self, base: Path) -> list[str]:
        return [word.replace("BASE", str(base)) for word in self.command]


def _nothing(inputs: Path, base: Path) -> None:
    """Begin with an empty folder."""


def _copies(*names: str) -> Callable[[Path, Path], None]:
    """Begin with copies of inputs."""

    def begin(inputs: Path, base: Path) -> None:
        for name in names:
            if (inputs / name).is_dir():
                shutil.copytree(inputs / name, base / name)
            else:
                shutil.copy(inputs / name, base / name)

    return begin


def _init_and_folder(inputs: Path, base: Path) -> None:
    """Begin with a network, and with an empty folder for the run."""
    _copies("init.safetensors")(inputs, base)
    (base / "run").mkdir()


_SWEEP = ("sweep", "yin-yang", *_SMALL, *_FEW, "--epochs", "1", "--seeds", "2", "--workers", "1")
_SWEEP += ("--out", "BASE/dir")
_END = ("--threads", "1", "--out", "BASE/run")
_TRAIN = ("train", "yin-yang", *_SMALL, *_TWO, *_FEW, *_END)
_SPOKEN = ("train", "fsdd", *_SMALL, *_TWO, *_WORDS, "--data", "BASE/words", *_END)
_INIT = ("--init", "BASE/init.safetensors")
SCENARIOS = (
    Scenario("train", _TRAIN, _nothing),
    Scenario("train-init", (*_TRAIN, *_INIT), _copies("init.safetensors")),
    Scenario("train-init-folder", (*_TRAIN, *_INIT), _init_and_folder),
    Scenario("train-cache", _SPOKEN, _copies("words")),
    Scenario("sweep", _SWEEP, _nothing, cost=8.0),
    Scenario("sweep-point", _SWEEP, _nothing, alone=True, cost=8.0),
    Scenario(
        "bundle",
        ("export", "BASE/run", "--format", "bundle", "--out", "BASE/new/a"),
        _copies("run"),
    ),
    Scenario("c", ("export", "BASE/run", "--format", "c", "--out", "BASE/c"), _copies("run")),
    Scenario("report", ("report", "BASE/run", "--out", "BASE/a.html"), _copies("run")),
    Scenario("prepare-shd", ("data", "prepare", "shd", "BASE/shd"), _copies("shd")),
    Scenario("prepare-fsdd", ("data", "prepare", "fsdd", "BASE/fsdd"), _copies("fsdd")),
)


def make_inputs(folder: Path, call: Callable[..., int]) -> None:
    """Make what the scenarios begin with.

    Arguments:
        folder: Where to; it must not be there.
        call: Runs a command and returns its exit code.
    """
    import gzip

    from mlgenn_delays.data.download import fsdd
    from tests.cli.published import zipped
    from tests.data.shd_helpers import write_shd

    folder.mkdir()
    assert call(*_TRAIN[:-1], str(folder / "run")) == 0
    shutil.copy(folder / "run" / "network.safetensors", folder / "init.safetensors")
    write_words(folder / "words", [0, 5, 10, 11])
    path = write_shd(folder / "shd") / "shd_train.h5"
    (path.parent / "shd_train.h5.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    path.unlink()
    fsdd.TEST, fsdd.CHECKED = range(1), range(5, 8)
    source = write_words(folder / "source", [0, 5, 6, 7])
    known = {(digit, "ann"): fsdd.group_checksum(source, digit, "ann") for digit in (0, 1)}
    fsdd.published = lambda: known
    files = {f"free/recordings/{path.name}": path.read_bytes() for path in source.glob("*.wav")}
    (folder / "fsdd").mkdir()
    (folder / "fsdd" / fsdd.ARCHIVE).write_bytes(zipped(files))


def is_unfinished(path: Path) -> bool:
    """Return whether a path is of a file or folder that a process had not finished, or within."""
    return any(part.endswith(PART) for part in path.parts)


def contents(base: Path) -> tuple[dict[str, object], list[str]]:
    """Return what is in a folder, by path, and the temporary files that a kill left.

    Times, peaks of memory, locks and the logs of a sweep's processes are left out.
    """
    found: dict[str, object] = {}
    left = []
    for path in sorted(base.rglob("*")):
        name = path.relative_to(base).as_posix()
        if is_unfinished(path):
            left.append(name)
        elif path.is_dir():
            found[name] = None
        elif path.name != ".lock" and path.parent.name != "logs":
            found[name] = _content(path)
    return found, left


def _content(path: Path) -> object:
    """Return the content of a file but for times and memory."""
    raw = path.read_bytes()
    if path.name == "sessions.json":  # which tells of the kills
        return json.loads(raw)[0]["after"]
    if path.name in ("metrics.csv", "results.csv"):
        changing = {"seconds": "", "peak_memory_mb": ""}
        return [{**row, **changing} for row in csv.DictReader(io.StringIO(raw.decode()))]
    if path.name == "result.json":
        return {**json.loads(raw), "seconds": 0, "peak": 0}
    if path.name == "state.safetensors":
        from mlgenn_delays.runs.checkpoint import Checkpoint

        each = Checkpoint.load(path)
        rows = [{**row, "seconds": 0.0} for row in each.history]
        arrays = {k: (v.dtype.str, v.shape, v.tobytes()) for k, v in each.state.items()}
        return rows, each.settings, arrays, each.best_network
    return raw
