"""What `delaysnn train` does: check everything, train, measure."""

import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import sleep, strftime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import click

from mlgenn_delays.errors import DivergedError, InputError

from .errors import Interrupted, report
from .init import check_fits, check_overrides
from .options import BACKENDS, ENGINES, check_engine
from .runs import environment, keep_test, losses_by_split, needed_split, tell_losses

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import Recipe
    from mlgenn_delays.runs.run import Run, Start
    from mlgenn_delays.training import RunDirectory, Trainer
    from mlgenn_delays.training.ranks import Ranks

DEFAULT_RECIPE = "digits"
GRACE = 2.0  # seconds
NOTHING_YET = "interrupted before a run directory was made; run the same command again"


@dataclass(frozen=True)
class Asked:
    """The options of `delaysnn train`, as they were given."""

    recipe: str | None
    data: str | None
    engine: str
    backend: str | None
    communicator: str | None
    overrides: tuple[str, ...]
    epochs: int | None
    seed: int | None
    threads: int | None
    out: str | None
    resume: bool
    init: str | None

    def settings(self) -> list[str]:
        """Return all changes to the recipe, as --set takes them."""
        changes = list(self.overrides)
        if self.epochs is not None:
            changes.append(f"learning.epochs={self.epochs}")
        if self.seed is not None:
            changes.append(f"seed={self.seed}")
        return changes


@dataclass(frozen=True)
class Plan:
    """A checked training: what is left is work.

    Attributes:
        recipe: What to train.
        splits: The data.
        network: Where it starts.
        folder: Folder of the data, if any.
        path: The run directory, there or not.
        run: Gives the run directory, making it where it is new.
        fresh: Whether it is new.
    """

    recipe: "Recipe"
    splits: "Mapping[str, Data]"
    network: "Network"
    folder: str | None
    path: Path
    run: "Callable[[], RunDirectory]"
    fresh: bool


def run_training(asked: Asked) -> dict[str, Any] | None:
    """Train as asked.

    Returns:
        What --json prints: run, recipe, epochs, best_epoch, by split accuracy, loss and n, and
        what of the data was lost.
        None in a process that leaves it to another to say so.

    Raises:
        InputError: Something asked for cannot be; nothing was written.
        WorkError: The work failed.
        Interrupted: The user interrupted; the run can be resumed.
    """
    check_engine(asked.engine, backend=asked.backend, communicator=asked.communicator)
    with _saying_how_to_go_on(asked, Path(asked.out) if asked.resume and asked.out else None):
        plan = plan_resume(asked) if asked.resume else plan_new(asked)
        trainer = _trainer(plan, asked)
    with _together(trainer.ranks), _saying_how_to_go_on(asked, plan.path):
        trainer.check(plan.splits["train"], plan.splits.get("validation"))
        if trainer.ranks.leads:
            return _lead(plan, trainer, asked)
        _follow(plan, trainer, asked)
    return None


@contextmanager
def _saying_how_to_go_on(asked: Asked, path: Path | None) -> Iterator[None]:
    """Say of an interruption what was kept: the run directory of a path, or nothing."""
    try:
        yield
    except KeyboardInterrupt as error:
        from mlgenn_delays.runs.files import RECIPE

        if path is None or not (path / RECIPE).is_file():
            raise Interrupted(NOTHING_YET) from error
        raise Interrupted(_how_to_go_on(asked, path)) from error


@contextmanager
def _together(ranks: "Ranks") -> Iterator[None]:
    """End the other processes where this one fails alone."""
    try:
        yield
    except (DivergedError, click.exceptions.Exit):  # which come to all
        raise
    except (Exception, KeyboardInterrupt) as error:
        if ranks.several:
            ranks.end_all(report(error if isinstance(error, Exception) else click.Abort()))
        raise


def _lead(plan: Plan, trainer: "Trainer", asked: Asked) -> dict[str, Any]:
    """Train, and return the result."""
    tell_losses(plan.splits)
    trainer.run = plan.run()
    if plan.fresh:
        keep_test(trainer.run, plan.splits)
    history = trainer.fit(plan.splits["train"], plan.splits.get("validation"), resume=asked.resume)
    if not plan.fresh:
        keep_test(trainer.run, plan.splits)
    measured = _measure(trainer, plan.splits)
    return {
        "run": str(trainer.run.path),
        "recipe": plan.recipe.name,
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch,
        "splits": measured,
        "lost": losses_by_split(plan.splits),
    }


def _follow(plan: Plan, trainer: "Trainer", asked: Asked) -> None:
    """Train with the process that leads, which alone writes and says how it went."""
    trainer.run = None if plan.fresh else plan.run()
    try:
        trainer.fit(plan.splits["train"], plan.splits.get("validation"), resume=not plan.fresh)
        _measure(trainer, plan.splits)
    except KeyboardInterrupt as error:
        sleep(GRACE)  # the process that leads says it and ends this one, unless it waits for it
        raise Interrupted(_how_to_go_on(asked, Path(asked.out or "RUN"))) from error
    except DivergedError as error:
        raise click.exceptions.Exit(error.exit_code) from error


def plan_new(asked: Asked) -> Plan:
    """Check a new training."""
    from mlgenn_delays.recipe import dump, load_recipe
    from mlgenn_delays.runs.directory import RunDirectory
    from mlgenn_delays.runs.files import check_free

    recipe = load_recipe(asked.recipe or DEFAULT_RECIPE, asked.settings())
    path = Path(asked.out) if asked.out else _new_path(recipe.name)
    check_free(path)
    start, network = _read_init(asked.init)
    if network is not None:
        check_overrides(asked.settings(), rewired=recipe.rewiring.rule != "none")
    init = None if asked.init is None else Path(asked.init).read_bytes()
    splits = _load(recipe, asked.data)
    fresh = _build(recipe, splits)
    if network is not None:
        check_fits(network, fresh, str(asked.init), dale=recipe.signs() == "dale")
    notes = environment(
        recipe, asked.data, start, asked.engine, asked.backend or BACKENDS[0], splits
    )
    return Plan(
        recipe,
        splits,
        fresh if network is None else network,
        asked.data,
        path,
        lambda: RunDirectory.create(path, dump(recipe), notes, init),
        fresh=True,
    )


def plan_resume(asked: Asked) -> Plan:
    """Check that a run can go on as asked."""
    from mlgenn_delays.runs.run import Run, check_labels

    if not asked.out:
        raise InputError("--resume must have the run directory to go on with: give --out RUN")
    run = Run(asked.out)
    _check_same(asked, run)
    folder = run.folder(asked.data)
    network = _resumed_start(asked, run)
    splits = _load(run.recipe, folder)
    task = run.task()
    if task is not None:
        check_labels(task.labels, splits["train"].label_names)
    if run.directory.has_checkpoint and (untold := run.untold()):
        warnings.warn(untold, stacklevel=2)
    fresh = _build(run.recipe, splits)
    return Plan(
        run.recipe,
        splits,
        fresh if network is None else network,
        folder,
        run.directory.path,
        lambda: run.directory,
        fresh=False,
    )


def _resumed_start(asked: Asked, run: "Run") -> "Network | None":
    """Return the network of --init that a run started from, None if it started without."""
    from mlgenn_delays.runs.files import INIT

    kept = run.directory.path / INIT
    noted = run.start()
    if noted is None and kept.exists():  # environment.json is gone
        noted, _ = _read_init(str(kept))
    if asked.init is None and noted is None:
        return None
    path = asked.init or (str(kept) if kept.exists() or noted is None else noted.path)
    start, network = _read_init(path)
    if noted is None or start is None or start.crc32 != noted.crc32:
        raise InputError(
            f"resuming must have the --init that the run {asked.out} was started with, "
            f"{noted.path if noted else 'none'}, got {path}, which holds something else"
        )
    return network


def _check_same(asked: Asked, run: "Run") -> None:
    """Refuse settings that differ from the run's."""
    from mlgenn_delays.recipe import differences, dump, load_recipe, parse_recipe

    if asked.recipe is not None:
        wanted = load_recipe(asked.recipe, asked.settings())
    else:
        wanted = parse_recipe(dump(run.recipe), run.source, asked.settings())
    changed = differences(run.recipe, wanted)
    if wanted.name != run.recipe.name:  # of another recipe, nothing else is worth saying
        changed = [each for each in changed if each.startswith("name: ")]
    if changed:
        raise InputError(
            f"resuming must have the settings of the run {run.directory.path}; these differ "
            f"(key: run, asked): {'; '.join(changed)}; leave them out, or start a new run"
        )


def _new_path(name: str) -> Path:
    """Return a run directory that is not there yet."""
    base = Path("runs") / f"{name}-{strftime('%Y%m%d-%H%M%S')}"
    number = 2
    path = base
    while path.exists():
        path = base.with_name(f"{base.name}-{number}")
        number += 1
    return path


def _read_init(path: str | None) -> tuple["Start | None", "Network | None"]:
    """Return what to note of a network file, and the network."""
    if path is None:
        return None, None
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.run import Start

    network = Network.load(path)
    note = Start(path=str(Path(path).resolve()), crc32=crc32(Path(path).read_bytes()))
    return note, network


def _load(recipe: "Recipe", folder: str | None) -> Mapping[str, "Data"]:
    """Return the data, with examples to train on."""
    from mlgenn_delays.recipe import load_data

    splits = load_data(recipe, folder)
    remedy = "give other data with --data"
    if recipe.data.dataset == "fsdd":
        remedy += "; takes from 10 on are the training split"
    needed_split(splits, "train", remedy)
    return {name: data for name, data in splits.items() if len(data)}


def _build(recipe: "Recipe", splits: Mapping[str, "Data"]) -> "Network":
    """Return the starting network of a recipe for its data."""
    from mlgenn_delays.recipe import build_network

    train = splits["train"]
    return build_network(recipe, train.n_channels, train.n_classes, recipe.seed)


def _trainer(plan: Plan, asked: Asked) -> "Trainer":
    """Return the trainer of a plan, with no run yet."""
    from mlgenn_delays.recipe import build_augment, build_rewiring, build_rule
    from mlgenn_delays.training import Trainer

    learning = plan.recipe.learning
    return Trainer(
        plan.network,
        build_rule(plan.recipe),
        rewiring=build_rewiring(plan.recipe),
        epochs=learning.epochs,
        batch_size=learning.batch_size,
        seed=plan.recipe.seed,
        threads=asked.threads,
        engine=asked.engine,
        backend=asked.backend or BACKENDS[0],
        communicator=asked.communicator,
        augment=build_augment(plan.recipe),
        patience=learning.patience or None,
        snapshots=learning.snapshots,
    )


def _measure(trainer: "Trainer", splits: Mapping[str, "Data"]) -> dict[str, dict[str, Any]]:
    """Return accuracy, loss and size of the splits that training did not learn from."""
    measured: dict[str, dict[str, Any]] = {}
    for name in ("validation", "test"):
        if name in splits:
            found = trainer.evaluate(splits[name])
            measured[name] = {"accuracy": found.accuracy, "loss": found.loss, "n": found.n}
    return measured


def _how_to_go_on(asked: Asked, path: Path) -> str:
    """Return the line for an interrupted training."""
    words = ["delaysnn", "train"]
    words += ["--data", asked.data] if asked.data else []
    words += ["--engine", asked.engine] if asked.engine != ENGINES[0] else []
    words += ["--backend", asked.backend] if asked.backend not in (None, BACKENDS[0]) else []
    words += ["--communicator", asked.communicator] if asked.communicator else []
    again = shlex.join([*words, "--resume", "--out", str(path)])
    return f"interrupted; continue {'under MPI ' * bool(asked.communicator)}with: {again}"
