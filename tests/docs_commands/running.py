"""Runs the commands of a page in a folder of its own, in order, as a reader would."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlgenn_delays.recipe import load_recipe, recipe_names
from mlgenn_delays.training.trainer import Trainer
from tests.cli.helpers import call
from tests.docs_commands import given, tables
from tests.docs_commands.pages import DOCS, ROOT, Step, recipes, steps
from tests.needs import PATH, need
from tests.processes import wait_for

LIMIT = 300  # seconds for a command, on a busy machine
OK = (0, "")  # exit code, and what is said
# What is resumed where the training itself could not run.
DIGITS = ["delaysnn", "train", "digits", "--out"]
_DATASET = "data.dataset="
SHELL = {"|", "<", ">", ">>", "&&", ";", "&"}


def found_in(table, text: str) -> list[str]:
    """Return the entries of a table that speak of a command."""
    return [pattern for pattern in table if re.search(pattern, text)]


def left_out(step: Step) -> list[str]:
    """Return why a command or a block is not run on any machine, none if it is."""
    elsewhere = filter(step.page.startswith, tables.ELSEWHERE if step.python else ())
    reasons = [tables.NOT_RUN[pattern] for pattern in found_in(tables.NOT_RUN, step.text)]
    return reasons + [tables.ELSEWHERE[start] for start in elsewhere]


def run_here(paths: list[Path]) -> list[Step]:
    return [step for path in paths for step in steps(path) if not left_out(step)]


def mentions(text: str, name: str) -> bool:
    """Return whether a command speaks of a file or folder of that name."""
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


class Shared:
    """What all pages use: data of each kind, one trained run, and answers that are known.

    Arguments:
        folder: Where all of it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answered: set[str] = set()

    def data(self, kind: str) -> Path:
        place = self.folder / "data" / kind.replace(":", "-")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            given.DATA[kind](place)
        return place

    def run(self) -> Path:
        run = self.folder / "run"
        if not run.exists():
            given.train_speech(self.data("fsdd"), run)
        return run

    def model(self) -> Path:
        path = self.folder / "model.safetensors"
        if not path.exists():
            given.export_speech(self.run(), path)
        return path


class Page:
    """A page, what of it has been run, and the folder in which it was.

    Arguments:
        path: The page.
        folder: Where its commands run, new.
        shared: What all pages use.
    """

    def __init__(self, path: Path, folder: Path, shared: Shared) -> None:
        self.steps = steps(path)
        self.folder, self.shared = folder, shared
        self.outcomes: list[BaseException | None] = []
        self.trained: dict[str, list[str]] = {}
        self.kind, self.prepared = "fsdd", ""
        self.port = ""  # that of the scheduler
        self.background: list[subprocess.Popen] = []
        folder.mkdir(parents=True)
        for name, text in recipes(path).items():
            (folder / f"{name}.toml").write_text(text)
        # A clone's scripts, as copies where they write beside themselves.
        (folder / "docs" / "images").mkdir(parents=True)
        for script in DOCS.glob("*.py"):
            shutil.copy(script, folder / "docs")
        for name in ("benchmarks", "tests"):
            (folder / name).symlink_to(ROOT / name)

    def check(self, number: int) -> None:
        """Run the commands up to one, and tell of this one."""
        while len(self.outcomes) <= number:
            step = self.steps[len(self.outcomes)]
            try:
                self.run(step)
                self.outcomes.append(None)
            except (Exception, pytest.skip.Exception, pytest.fail.Exception) as error:
                self.outcomes.append(error)
        if (outcome := self.outcomes[number]) is not None:
            raise outcome

    def run(self, step: Step) -> None:
        if left_out(step):
            return
        for pattern in found_in(tables.NEEDS, step.text):
            need(*tables.NEEDS[pattern])
        if found_in(tables.ONCE, step.text):
            if step.text in self.shared.answered:
                return
            self.shared.answered.add(step.text)
        text = self.shortened(step)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(self.folder)
            self.provide(text)
            if step.python:
                exec(compile(text, step.page, "exec"), {"__name__": "__main__"})
                return
            words = shlex.split(text)
            self.clear_way(words)
            if ready := found_in(tables.BACKGROUND, step.text):
                self.start(text, tables.BACKGROUND[ready[0]])
            elif words[0] == "delaysnn" and not SHELL & set(words):
                if "--resume" in words:
                    self.interrupt(words)
                done = call(*words[1:])
                code, said = next(map(tables.FAILING.get, found_in(tables.FAILING, step.text)), OK)
                assert done.exit_code == code and said in done.output, f"{text}\n{done.output}"
                if words[1] == "train" and "--resume" not in words:
                    self.trained[out_of(words)] = words
                assert "nothing to do" not in done.output, text
            else:
                self.shell(text)
            out = out_of(words)
            assert not out or given.is_there(Path(out)), f"{text}\nmade no {out}"

    def shortened(self, step: Step) -> str:
        """Return what is run: the command with what the tables change."""
        text = step.text
        for pattern, new in tables.REPLACED.items():
            text = re.sub(pattern, new, text)
        port = "0" if text.startswith("dask scheduler") else self.port  # it takes a free one
        text = text.replace("PORT", port).replace("RUN...", "RUN")
        if not step.python:
            added = [tables.ADDED[pattern] for pattern in found_in(tables.ADDED, step.text)]
            text = " ".join([text, *added])
        return text

    def provide(self, text: str) -> None:
        """Make what the command speaks of and none before it has made."""
        if not mentions(text, "--out RUN"):
            if mentions(text, "RUN") and not Path("RUN").exists():
                shutil.copytree(self.shared.run(), "RUN")
        for name in ("MODEL", "fsdd.safetensors"):
            if mentions(text, name) and f"--out {name}" not in text and not Path(name).exists():
                shutil.copy(self.shared.model(), name)
        for name, make in given.FILES.items():
            if mentions(text, name) and f"--out {name}" not in text and not Path(name).exists():
                make(Path(name))
        if mentions(text, "DIR") and "--out DIR" not in text:
            self.link_data(text)

    def link_data(self, text: str) -> None:
        """Let DIR be the data of the data set or recipe that the command names."""
        words, place = shlex.split(text), Path("DIR")
        words.sort(key=lambda word: not word.startswith(_DATASET))  # goes before the recipe's
        self.kind = next(filter(None, map(kind_of, words)), self.kind)
        if place.is_symlink():
            place.unlink()
        if "prepare" in words:
            self.prepared = self.kind
        elif self.prepared == self.kind and place.exists():
            return
        shutil.rmtree(place, ignore_errors=True)
        if "prepare" not in words:
            place.symlink_to(self.shared.data(self.kind))

    def clear_way(self, words: list[str]) -> None:
        """Remove what stands for another run or sweep on the page: RUN, SWEEP and so on."""
        out = out_of(words)
        if re.fullmatch("[A-Z0-9]+", out) and "--resume" not in words:
            shutil.rmtree(out, ignore_errors=True)

    def interrupt(self, words: list[str]) -> None:
        """Train the run to be resumed anew, and stop after the first of two epochs."""
        out, learn = out_of(words), Trainer._learn

        def stop(trainer, compiled, epoch, *others):
            if epoch > 1:
                raise KeyboardInterrupt
            return learn(trainer, compiled, epoch, *others)

        if "mpi" in words:
            return
        shutil.rmtree(out, ignore_errors=True)
        train = self.trained.get(out, [*DIGITS, out])
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Trainer, "_learn", stop)
            done = call(*train[1:], "--epochs", 2)
        assert done.exit_code == 130, done.output

    def shell(self, text: str) -> None:
        """Run a line in a shell."""
        need("bash")
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", text],
            env=environment(), capture_output=True, text=True, timeout=LIMIT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"

    def start(self, text: str, ready: str) -> None:
        """Start what goes on until it is stopped, and wait until it says that it is there."""
        need("bash")
        if text.startswith("dask scheduler"):
            self.stop()  # another one, with workers of its own
        log = self.folder / f"background{time.monotonic_ns()}.log"
        # It ends when the other end of its standard input is closed, however that happens.
        line = f"exec 3<&0; {text} & {{ read -r <&3; kill $!; }} & wait %1"
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["bash", "-c", line], env=environment(), stdin=subprocess.PIPE, stdout=file,
                stderr=file,
            )  # fmt: skip
        self.background.append(process)
        wait_for(lambda: ready in log.read_text(), process)
        said = log.read_text()
        assert ready in said, f"{text}\n{said}"
        if address := re.search(r"Scheduler at: +tcp://127\.0\.0\.1:(\d+)", said):
            self.port = address[1]

    def stop(self) -> None:
        while self.background:
            self.background.pop().communicate(timeout=60)


def environment() -> dict[str, str]:
    """Return the environment of a reader who has activated this one."""
    return dict(os.environ) | {"PATH": PATH, "VIRTUAL_ENV": sys.prefix}


def kind_of(word: str) -> str | None:
    """Return the kind of data that a word of a command names, if it is a data set or a recipe."""
    word = word.removeprefix(_DATASET)
    if word in given.DATA:
        return word
    if word in recipe_names() or (word.endswith(".toml") and Path(word).is_file()):
        return load_recipe(word).data.dataset
    return None


def out_of(words: list[str]) -> str:
    """Return the value of --out, "" if there is none."""
    return words[words.index("--out") + 1] if "--out" in words else ""


@contextmanager
def opened(base: Path, paths: list[Path]) -> Iterator[dict[str, Page]]:
    """Give pages by name, and end in the end what they started."""
    shared, made = Shared(base / "shared"), {}
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        made[name] = Page(path, base / name.removesuffix(".md"), shared)
    try:
        yield made
    finally:
        for page in made.values():
            page.stop()
