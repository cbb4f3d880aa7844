"""Runs in a few numbers: all that are in a folder, in whatever state they are, or two compared."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgenn_delays.data.dataset import SPLITS
from mlgenn_delays.errors import DelaysnnError
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import Recipe, parse_recipe
from mlgenn_delays.runs.columns import COLUMNS
from mlgenn_delays.runs.costs import read_cost
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.files import CHECKPOINT_FOLDER, METRICS, RECIPE, in_use
from mlgenn_delays.runs.history import History
from mlgenn_delays.runs.record import compare, read_record
from mlgenn_delays.runs.run import Run
from mlgenn_delays.runs.sessions import FAILED, FINISHED, INTERRUPTED, Session, read_sessions
from mlgenn_delays.runs.settings import ABSENT, differing

TRAINING, DAMAGED = "training", "damaged"
# Of environment.json: folders, and what is said elsewhere.
ASIDE = ("baseline", "data", "init", "initial_weights", "task", "seed")
# What runs have, so that one without recipe.toml is found as well.
_MARKS = {RECIPE, METRICS, CHECKPOINT_FOLDER}


def headline_numbers(
    path: Path, recipe: Recipe | None, history: History, network: Network
) -> dict[str, Any]:
    """What a run is and reached, ready for JSON.

    Returns:
        ``run`` (its path), ``recipe``, ``seed``, finished ``epochs``, ``best_epoch``, ``minutes``
        of training, ``synapses``, hidden ``spikes`` per example in the training of the best epoch,
        effective synaptic ``operations`` per example and bytes by format (None where they were not
        counted),
        and ``accuracy`` or ``nrmse`` with what the best epoch reached on ``validation``, if there
        was such data. Recipe and seed are None for a run that no recipe made.
    """
    sizes = {population.name: population.n for population in network.spiking()}
    means = {name: history.best.get(f"spikes_{name}") or 0.0 for name in sizes}
    score = history.score()
    return {
        "run": str(path),
        "recipe": None if recipe is None else recipe.name,
        "seed": None if recipe is None else recipe.seed,
        "epochs": len(history),
        "best_epoch": history.best_epoch,
        "minutes": sum(float(v or 0.0) for v in history.column("seconds")) / 60,
        "synapses": network.n_synapses(),
        "spikes": float(sum(means[name] * n for name, n in sizes.items())),
        **read_cost(path),
        history.metric.name: {} if score is None else {"validation": float(score)},
    }


def amount(value: float) -> str:
    """A number as people read it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


@dataclass(frozen=True)
class RunSummary:
    """What a run directory tells, as far as it can be read.

    Attributes:
        path: The folder.
        status: "finished" (also where it stopped early), "training" (now), "interrupted" (epochs
            are left; it can be resumed), "failed" (the training diverged, say) or "damaged".
        reason: Why it failed, or what is damaged.
        recipe: Its recipe; None where it has none, as some that are made in Python.
        history: Its finished epochs.
        sessions: Its start and every time that it was resumed.
        numbers: See `headline_numbers`; empty without a finished epoch.
    """

    path: Path
    status: str
    reason: str = ""
    recipe: Recipe | None = None
    history: History = field(default_factory=History)
    sessions: Sequence[Session] = ()
    numbers: dict[str, Any] = field(default_factory=dict)

    @property
    def planned(self) -> int | None:
        """Epochs of the whole training."""
        return None if self.recipe is None else self.recipe.learning.epochs

    @property
    def state(self) -> str:
        """The status in words, empty for a run that finished at one go with all of its epochs."""
        done, planned = len(self.history), self.planned
        words = [] if self.status == FINISHED else [self.status]
        if done and planned is not None and done < planned:
            stopped = "stopped early" if self.status == FINISHED else self.status
            words = [f"{stopped} after {done} of {planned} epochs"]
        return ", ".join([*words, *(["resumed"] if len(self.sessions) > 1 else [])])

    @property
    def remark(self) -> str:
        """Why it failed, what is damaged, or how it is resumed; empty where nothing is to do."""
        again = f"continue with: {RunDirectory(self.path).resume_command()}"
        return self.reason or (again if self.status == INTERRUPTED else "")

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON; None for what is not known."""
        recipe = self.recipe
        known = {
            "run": str(self.path),
            "recipe": None if recipe is None else recipe.name,
            "seed": None if recipe is None else recipe.seed,
            "epochs": len(self.history),
            **dict.fromkeys(("best_epoch", "minutes", "synapses", "spikes", *COLUMNS)),
        }
        state = {
            "status": self.status,
            "reason": self.reason,
            "planned_epochs": self.planned,
            "resumed": max(0, len(self.sessions) - 1),
        }
        return known | self.numbers | state


def find_runs(folder: Path | str) -> list[Path]:
    """The run directories in a folder and its folders, or the folder itself, in order.

    Links are followed. Hidden folders are left out; with a warning, those that cannot be listed.

    Example:
        >>> find_runs("run")
        [PosixPath('run')]
    """
    found: list[Path] = []
    seen: set[str] = set()

    def skip(error: OSError) -> None:
        warnings.warn(f"cannot list {error.filename}: {error.strerror or error}", stacklevel=2)

    for root, folders, files in os.walk(folder, onerror=skip, followlinks=True):
        real = os.path.realpath(root)
        inside = sorted(name for name in folders if not name.startswith("."))
        if real in seen or _MARKS & {*files, *folders}:
            found += [] if real in seen else [Path(root)]
            inside = []
        folders[:] = inside
        seen.add(real)
    return sorted(found)


def summarise_run(path: Path | str) -> RunSummary:
    """What a run directory tells, as far as it can be read; whatever is wrong is its status.

    Example:
        >>> found = summarise_run("run")
        >>> found.status, len(found.history)
        ('finished', 2)
    """
    path = Path(path)
    busy, sessions = in_use(path), read_sessions(path)
    recipe, history, numbers, fault = None, History(), {}, ""
    try:
        directory = RunDirectory.open(path)
        text = directory.recipe_text()
        recipe = parse_recipe(text, str(path / RECIPE)) if text.strip() else None
        if directory.has_checkpoint or (path / METRICS).is_file():
            history = directory.history()
            network = Network.load(directory.network_path("best"))
            numbers = headline_numbers(path, recipe, history, network)
    except (DelaysnnError, OSError) as error:
        fault = str(error)
    status, reason = _status(busy, fault, recipe, history, sessions)
    return RunSummary(path, status, reason, recipe, history, sessions, numbers)


def _status(
    busy: bool, fault: str, recipe: Recipe | None, history: History, sessions: Sequence[Session]
) -> tuple[str, str]:
    last = sessions[-1] if sessions else None
    if busy:  # then a file may be there before another that it needs
        return TRAINING, ""
    if fault:
        return DAMAGED, fault
    if recipe is not None and history.ended(
        recipe.learning.epochs, recipe.learning.patience or None
    ):
        return FINISHED, ""
    if last is not None and last.end == FINISHED and recipe is None:
        return FINISHED, ""
    if last is not None and last.end == FAILED:
        return FAILED, last.reason
    return INTERRUPTED, ""


def differing_settings(runs: Sequence[RunSummary]) -> list[dict[str, str]]:
    """Of each run the settings in which those of its recipe differ, as TOML by dotted key."""
    found: list[dict[str, str]] = [{} for _ in runs]
    for name in {run.recipe.name for run in runs if run.recipe is not None}:
        places = [k for k, run in enumerate(runs) if run.recipe and run.recipe.name == name]
        tables = differing([recipe for k in places if (recipe := runs[k].recipe)])
        for place, table in zip(places, tables, strict=True):
            found[place] = table
    return found


@dataclass(frozen=True)
class Comparison:
    """In what two runs differ.

    Attributes:
        runs: The two.
        settings: Both values of each setting that differs, as TOML by dotted key.
        environment: The same of what they were made with: engine, versions, system.
        data: By split, how the second run's examples differ from the first one's; empty if they
            are the same, None if one of them does not say.
    """

    runs: tuple[RunSummary, RunSummary]
    settings: dict[str, tuple[str, str]]
    environment: dict[str, tuple[str, str]]
    data: dict[str, str | None]

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON, with the rows of both histories."""
        return {
            "runs": [run.as_dict() | {"history": run.history.rows} for run in self.runs],
            "settings": self.settings,
            "environment": self.environment,
            "data": self.data,
        }


def compare_runs(first: Path | str, second: Path | str) -> Comparison:
    """Compare two runs.

    Raises:
        InputError: One of them is no run, or what it was made with cannot be read.

    Example:
        >>> compare_runs("run", "run").settings
        {}
    """
    paths = Path(first), Path(second)
    runs = [Run(path) for path in paths]
    settings = differing([run.recipe for run in runs])
    made = [{k: str(v) for k, v in run.environment().items() if k not in ASIDE} for run in runs]
    return Comparison(
        (summarise_run(paths[0]), summarise_run(paths[1])),
        _pairs(*settings),
        {key: pair for key, pair in _pairs(*made).items() if pair[0] != pair[1]},
        _data(*paths),
    )


def _pairs(first: dict[str, str], second: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {key: (first.get(key, ABSENT), second.get(key, ABSENT)) for key in first | second}


def _data(first: Path, second: Path) -> dict[str, str | None]:
    before, now = read_record(first), read_record(second)
    found: dict[str, str | None] = {}
    for split in (name for name in SPLITS if name in before | now):
        one, other = before.get(split), now.get(split)
        if one is None or other is None:
            found[split] = None
        else:
            found[split] = "" if one.digest == other.digest else str(compare(one, other))
    return found
