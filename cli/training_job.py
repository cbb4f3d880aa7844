"""What `delaysnn train` was asked for: its options, and the checked training they describe."""

import shlex
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING

import click

from mlgenn_delays.errors import InputError

from .options import BACKENDS, RUNS, baseline_of, environment, known_engine, needed_split

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import Recipe
    from mlgenn_delays.runs.directory import RunDirectory
    from mlgenn_delays.runs.run import Run
    from mlgenn_delays.training.initial_weights import InitialWeights

DEFAULT_RECIPE = "digits"
# Options that are short for a setting: its key, and what they take.
SHORTS: dict[str, tuple[str, click.ParamType]] = {
    "epochs": ("learning.epochs", click.IntRange(min=1)),
    "batch_size": ("learning.batch_size", click.IntRange(min=1)),
    "lr": ("learning.learning_rate", click.FloatRange(min=0)),
    "seed": ("seed", click.IntRange(min=0)),
}


@dataclass(frozen=True)
class TrainOptions:
    """The options of `delaysnn train`, as they were given."""

    recipe: str | None
    data: str | None
    engine: str
    backend: str | None
    communicator: str | None
    overrides: tuple[str, ...]
    epochs: int | None
    batch_size: int | None
    lr: float | None
    seed: int | None
    threads: int | None
    out: str | None
    resume: bool
    init: str | None

    def settings(self) -> list[str]:
        """All changes to the recipe, as --set takes them."""
        given = ((key, getattr(self, name)) for name, (key, _) in SHORTS.items())
        return [*self.overrides, *(f"{key}={value}" for key, value in given if value is not None)]


@dataclass(frozen=True)
class TrainingJob:
    """A checked training.

    Attributes:
        options: As given, with the engine that was chosen where that was left open.
        recipe: What is trained.
        splits: The data, by split.
        network: The network to start from.
        automatic: Whether its weights are still to be found on the data, where the recipe says so.
        path: The run directory.
        run: Returns it; made with what was found of initial weights where the job is fresh.
        fresh: Whether it is a new training.
        chosen: What was chosen by the data, in words; empty if nothing was.
    """

    options: TrainOptions
    recipe: "Recipe"
    splits: "Mapping[str, Data]"
    network: "Network"
    automatic: bool
    path: Path
    run: "Callable[[InitialWeights | None], RunDirectory]"
    fresh: bool
    chosen: str = ""


def new_job(options: TrainOptions) -> TrainingJob:
    """Check a new training."""
    from mlgenn_delays.data.encode.recordings import chosen_in_words
    from mlgenn_delays.recipe import dump, fitted, load_recipe
    from mlgenn_delays.runs.directory import RunDirectory
    from mlgenn_delays.runs.files import check_free

    from .options import check_fits, check_overrides, read_init

    recipe = load_recipe(options.recipe or DEFAULT_RECIPE, options.settings())
    path = Path(options.out) if options.out else _new_path(recipe.name)
    check_free(path)
    start, network = read_init(options.init)
    if network is not None:
        check_overrides(options.settings(), rewired=recipe.rewiring.rule != "none")
    init = None if options.init is None else Path(options.init).read_bytes()
    splits = _load(recipe, options.data)
    train = splits["train"]
    trial = train.n_steps * train.dt
    chosen = chosen_in_words(recipe.data.parsed, trial)
    recipe = fitted(recipe, len(train), trial)
    fresh = _build(recipe, splits)
    if network is not None:
        check_fits(network, fresh, str(options.init), dale=recipe.signs() == "dale")
    if recipe.hardware.limits.ram:
        from mlgenn_delays.export.c import check_ram

        check_ram(network or fresh, train.n_steps, recipe.hardware, recipe.quantisation)
    known = _with_engine(options, fresh, recipe)

    def make(initial: "InitialWeights | None") -> RunDirectory:
        backend = known.backend or BACKENDS[0]
        notes = environment(recipe, known.data, start, known.engine, backend, splits, initial)
        notes |= baseline_of(recipe, known.data)
        return RunDirectory.create(path, dump(recipe), notes, init)

    return TrainingJob(
        known,
        recipe,
        splits,
        fresh if network is None else network,
        automatic=network is None,
        path=path,
        run=make,
        fresh=True,
        chosen=chosen,
    )


def _with_engine(options: TrainOptions, network: "Network", recipe: "Recipe") -> TrainOptions:
    """The options with an engine where it was left open."""
    engine, backend = known_engine(options.engine, options.backend, network, recipe, learns=True)
    return replace(options, engine=engine, backend=backend)


def last_run(recipe: str | None) -> Path:
    """The run that was started last in `RUNS`, of a recipe if one is given.

    Raises:
        InputError: There is none.
    """
    from mlgenn_delays.recipe import load_recipe
    from mlgenn_delays.runs.files import RECIPE
    from mlgenn_delays.runs.run import Run

    name = None if recipe is None else load_recipe(recipe).name
    files = [file for file in Path(RUNS).glob(f"*/{RECIPE}") if file.is_file()]
    for file in sorted(files, key=lambda each: (each.stat().st_mtime_ns, each), reverse=True):
        try:
            if name is None or Run(file.parent).recipe.name == name:
                return file.parent
        except InputError:  # a recipe that cannot be read: of another version, or damaged
            continue
    what = "run" if name is None else f"run of the recipe {name!r}"
    raise InputError(f"there is no {what} in {RUNS}/ to resume; give it with --out RUN")


def resumed_job(options: TrainOptions) -> TrainingJob:
    """Check that a run can be resumed with these options."""
    from mlgenn_delays.recipe import dump
    from mlgenn_delays.runs.run import Run, check_labels

    from .options import init_of_run

    run = Run(str(options.out))
    recipe = _resumed_recipe(options, run)
    network = init_of_run(options.init, run)
    splits = _load(recipe, run.folder(options.data))
    task = run.task()
    if task is not None:
        check_labels(task.labels, splits["train"])
    if run.directory.has_checkpoint and (untold := run.untold()):
        warnings.warn(untold, stacklevel=2)
    known = network is not None
    if network is None:
        network, known = _starting_network(run, splits)

    def reopen(_: "InitialWeights | None") -> "RunDirectory":
        if recipe != run.recipe:
            run.directory.replace_recipe(dump(recipe))
        return run.directory

    return TrainingJob(
        _with_engine(options, network, recipe),
        recipe,
        splits,
        network,
        automatic=not known,
        path=run.directory.path,
        run=reopen,
        fresh=False,
    )


def _resumed_recipe(options: TrainOptions, run: "Run") -> "Recipe":
    """The recipe of a run, with more epochs if they are asked for; rejects any other change.

    A recipe that comes with delaysnn says by its name which run is meant, one in a file by all
    that is in it.
    """
    from mlgenn_delays.recipe import (
        differences,
        dump,
        fitted_like,
        load_recipe,
        parse_recipe,
        recipe_names,
    )

    name = run.recipe.name if options.recipe is None else load_recipe(options.recipe).name
    if name != run.recipe.name or (options.recipe and options.recipe not in recipe_names()):
        wanted = load_recipe(str(options.recipe), options.settings())
    else:
        wanted = parse_recipe(dump(run.recipe), run.source, options.settings())
    wanted = fitted_like(wanted, run.recipe)
    changed = differences(run.recipe, wanted)
    if name != run.recipe.name:  # of another recipe, nothing else is worth saying
        changed = [each for each in changed if each.startswith("name: ")]
    longer = wanted.learning.epochs > run.recipe.learning.epochs
    if longer and [each.split(":")[0] for each in changed] == ["learning.epochs"]:
        _check_longer(run, wanted)
    elif changed:
        raise InputError(
            f"resuming needs the settings of the run {run.directory.path}; these differ "
            f"(key: run, asked): {'; '.join(changed)}; leave them out, or start a new run"
        )
    return wanted


def _check_longer(run: "Run", wanted: "Recipe") -> None:
    """Reject more epochs for a run that would have been another with so many from the start."""
    from mlgenn_delays.recipe import build_rewiring, build_rule
    from mlgenn_delays.runs.files import NETWORK
    from mlgenn_delays.training.checks import length_followers

    followers = length_followers(build_rule(wanted), build_rewiring(wanted))
    if build_rule(wanted) != build_rule(run.recipe):
        followers.append("sigma of the Gaussian delays (delays.sigma_epochs = 0)")
    if followers:
        epochs, network = wanted.learning.epochs, run.directory.path / NETWORK
        raise InputError(
            f"--resume takes more epochs where nothing depends on how many there are, got "
            f"{' and '.join(followers)}; train on from this network in a new run: --init "
            f"{shlex.quote(str(network))} --epochs {epochs} without --resume"
        )


def _new_path(name: str) -> Path:
    base = Path(RUNS) / f"{name}-{strftime('%Y%m%d-%H%M%S')}"
    number = 2
    path = base
    while path.exists():
        path = base.with_name(f"{base.name}-{number}")
        number += 1
    return path


def _load(recipe: "Recipe", folder: str | None) -> Mapping[str, "Data"]:
    from mlgenn_delays.recipe import load_data

    splits = load_data(recipe, folder)
    remedy = "give other data with --data"
    if recipe.data.dataset == "fsdd":
        remedy += "; takes from 10 on are the training split"
    needed_split(splits, "train", remedy)
    return {name: data for name, data in splits.items() if len(data)}


def _build(recipe: "Recipe", splits: Mapping[str, "Data"]) -> "Network":
    from mlgenn_delays.recipe import build_network

    train = splits["train"]
    return build_network(recipe, train.n_channels, train.n_classes, recipe.seed)


def _starting_network(run: "Run", splits: Mapping[str, "Data"]) -> tuple["Network", bool]:
    """The network a run started from, and whether it has the weights that were found on the data:
    these are not found again.
    """
    from mlgenn_delays.network import Network

    if run.recipe.network.automatic() and run.directory.has_checkpoint and 0 in run.snapshots():
        return Network.load(run.snapshots()[0]), True
    return _build(run.recipe, splits), False
