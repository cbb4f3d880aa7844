"""The folder of a sweep, and what is there of its points.

    sweep.json            what was asked for
    results.csv           one row per point
    points/NAME/          the run directory of a point, with result.json once it ended
    logs/NAME.log         what its process said
    aside/NAME-1/         a run of it that was damaged

A point is finished when its result.json is there, which is written last and at once. All else is
found out from the folders, so a sweep may be killed at any moment. What neither a sweep nor a
training made is never moved or removed.
"""

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import unfinished, write_atomic
from mlgenn_delays.runs.files import (
    CHECKPOINT_FOLDER,
    CHECKPOINTS,
    LOCK,
    RECIPE,
    STATE,
    foreign,
    locked,
    unwritable,
)
from mlgenn_delays.sweep.results import RESULT, RESULTS, Record
from mlgenn_delays.untrusted import read_json

if TYPE_CHECKING:
    from mlgenn_delays.recipe import Recipe

NOTES = "sweep.json"
# Of one call, removed at its end.
WORK = ".work"
ASIDE = "aside"
_LEFTOVER = unfinished(f"{re.escape(NOTES)}|{re.escape(RESULTS)}")
_RESULT_LEFTOVER = unfinished(re.escape(RESULT))
# How long a training may take to notice that the sweep that started it is gone [s].
_GONE = 15.0


class PointStatus(Enum):
    """What is there of a point, and so what to do."""

    NEW = "start it"
    FINISHED = "nothing"
    RESUME = "resume it"
    CLEAR = "remove what was begun, for no epoch was finished, and start it"
    DAMAGED = "set it aside, and start it"


class SweepFolder:
    """The folder of a sweep, there or not."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @property
    def results(self) -> Path:
        """The table of all points."""
        return self.path / RESULTS

    @property
    def work(self) -> Path:
        """Folder for the files of running processes."""
        return self.path / WORK

    def point(self, name: str) -> Path:
        """Folder of a point."""
        return self.path / "points" / name

    def log(self, name: str) -> Path:
        """Log of a point's process."""
        return self.path / "logs" / f"{name}.log"

    def others(self, names: set[str]) -> list[str]:
        """The points that are there besides the given ones."""
        folder = self.path / "points"
        return (
            sorted(p.name for p in folder.iterdir() if p.name not in names)
            if folder.is_dir()
            else []
        )

    def check(self) -> None:
        """Reject a folder in which no sweep can be made or resumed; nothing is written."""
        from mlgenn_delays.runs.files import check_free

        if (self.path / NOTES).is_file():
            return
        if self.path.is_dir():
            names = [
                p.name
                for p in self.path.iterdir()
                if p.name != LOCK and not _LEFTOVER.fullmatch(p.name)
            ]
            if names:
                raise InputError(
                    f"{self.path} must be a new or empty folder or that of a sweep, got one with "
                    f"{min(names)} and without {NOTES}; choose another folder with --out"
                )
            return
        check_free(self.path)

    def notes(self) -> dict[str, Any]:
        """What the last sweep here was asked for, empty if that cannot be read."""
        try:
            found = read_json(self.path / NOTES)
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @contextmanager
    def opened(self, notes: dict[str, Any]) -> Iterator[None]:
        """Hold the folder for one sweep, without a killed one's leftovers; writes sweep.json."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.path, error) from error
        lock = locked(self.path)
        try:
            lock.__enter__()
        except InputError as error:
            raise InputError(
                f"another sweep is running in {self.path}; wait for it, or choose another folder"
            ) from error
        try:
            self._clean()
            text = json.dumps(notes, indent=2, ensure_ascii=False) + "\n"
            write_atomic(self.path / NOTES, text)
            yield
        finally:
            shutil.rmtree(self.work, ignore_errors=True)
            lock.__exit__(None, None, None)

    def _clean(self) -> None:
        shutil.rmtree(self.work, ignore_errors=True)
        for path in self.path.iterdir():
            if _LEFTOVER.fullmatch(path.name):
                path.unlink(missing_ok=True)

    def status(self, name: str, recipe: "Recipe") -> tuple[PointStatus, Record | None]:
        """What is there of a point, and its record if it has one; rejects one of other settings."""
        folder = self.point(name)
        if not folder.is_dir():
            if os.path.lexists(folder):
                raise _in_the_way(folder)
            return PointStatus.NEW, None
        record = Record.read(folder)
        if record is not None and _is_of(record.recipe, recipe, folder) and record.final:
            return PointStatus.FINISHED, record
        return _begun(folder, recipe), record

    def prepare(self, name: str, recipe: "Recipe") -> bool:
        """Make the folder of an unfinished point ready for its training; whether that resumes."""
        folder = self.point(name)
        if folder.is_dir():
            _wait_until_free(folder)
        status, _ = self.status(name, recipe)
        if status is PointStatus.CLEAR:  # nothing but what a training made
            for path in sorted(folder.iterdir(), key=lambda each: each.name == LOCK):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif status is PointStatus.DAMAGED:
            self._quarantine(name)
        elif folder.is_dir():
            for path in folder.iterdir():
                if path.name == RESULT or _RESULT_LEFTOVER.fullmatch(path.name):
                    path.unlink()
        return status is PointStatus.RESUME

    def _quarantine(self, name: str) -> None:
        aside, number = self.path / ASIDE, 1
        if os.path.lexists(aside) and not aside.is_dir():
            raise _in_the_way(aside)
        aside.mkdir(exist_ok=True)
        while os.path.lexists(aside / f"{name}-{number}"):
            number += 1
        self.point(name).rename(aside / f"{name}-{number}")


def _begun(folder: Path, recipe: "Recipe") -> PointStatus:
    from mlgenn_delays.training import RunDirectory

    run = RunDirectory(folder)
    others = [name for name in foreign(folder, (RESULT,)) if not _RESULT_LEFTOVER.fullmatch(name)]
    states = (run.checkpoint_path(name) / STATE for name in CHECKPOINTS)
    trained = any(state.exists() for state in states)
    if not others and not trained:
        return PointStatus.CLEAR
    try:
        text = run.recipe_text()
        run.resumable()
    except InputError:
        text = ""
    if text and _is_of(text, recipe, folder):
        return PointStatus.RESUME
    if others and (trained or (folder / RECIPE).exists()):
        raise InputError(
            f"the run {folder} is damaged, and holds {others[0]}, which is not of its making; move "
            "that to another place, and run the same command again"
        )
    if others:
        raise _in_the_way(folder)
    return PointStatus.DAMAGED


def _in_the_way(path: Path) -> InputError:
    return InputError(
        f"{path} must be left to the sweep, got something that it did not make; move it to "
        "another place, and run the same command again"
    )


def uncommit(folder: Path) -> None:
    """Delete the checkpoints and snapshots of a run: another training of it takes its place."""
    from mlgenn_delays.runs.checkpoint import kept

    states = [folder / CHECKPOINT_FOLDER / name / STATE for name in CHECKPOINTS]
    for path in (*states, *kept(folder).values()):
        path.unlink(missing_ok=True)


def _is_of(text: str, recipe: "Recipe", folder: Path) -> bool:
    """Whether a text is the given recipe, false if it is damaged; rejects other settings."""
    from mlgenn_delays.recipe import differences, fitted_like, parse_recipe

    try:
        found = parse_recipe(text, str(folder))
    except InputError:
        return False
    changed = differences(found, fitted_like(recipe, found))
    if changed:
        raise InputError(
            f"a point that is there must have the settings of the sweep: {folder} differs "
            f"(key: there, asked): {'; '.join(changed)}; choose another folder with --out, or "
            "remove that of the point"
        )
    return True


def _wait_until_free(folder: Path) -> None:
    """Wait for a training that a killed sweep left behind, which ends on its own."""
    deadline = time.monotonic() + _GONE
    while True:
        try:
            with locked(folder):
                return
        except InputError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
