"""delaysnn train: check everything, train, measure."""

import shlex
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from time import sleep, strftime
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.errors import DivergedError, InputError

from .console import Interrupted, report, say, say_json
from .options import (
    BACKEND,
    BACKENDS,
    COMMUNICATOR,
    DATA,
    ENGINE,
    ENGINES,
    JSON,
    THREADS,
    baseline_of,
    check_backend,
    environment,
    keep_test,
    losses_by_split,
    needed_split,
    tell_few_steps,
    tell_losses,
)

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.engines.ranks import Ranks
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import Recipe
    from mlgenn_delays.runs.directory import RunDirectory
    from mlgenn_delays.runs.run import Run
    from mlgenn_delays.training.initial_weights import InitialWeights
    from mlgenn_delays.training.trainer import Trainer

DEFAULT_RECIPE = "digits"
GRACE = 2.0  # seconds
COMPILING = "compiling kernels, which are kept for later runs"
NOTHING_YET = "interrupted before a run directory was made; run the same command again"


@click.command()
@click.argument("recipe", required=False)
@DATA
@ENGINE
@BACKEND
@COMMUNICATOR
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting of the recipe."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set learning.epochs=N.")
@click.option("--seed", type=click.IntRange(min=0), help="Short for --set seed=N.")
@THREADS
@click.option(
    "--out", metavar="RUN", help="Run directory, new or empty; runs/RECIPE-TIME by default."
)
@click.option("--resume", is_flag=True, help="Resume the run of --out.")
@click.option("--init", metavar="NETWORK", help="Network file (.safetensors) to start from.")
@JSON
def train(**options: Any) -> None:
    """Train RECIPE: a name that `delaysnn recipes` lists, or a TOML file; `digits` by default.

    A checkpoint is kept after every epoch, and `--resume --out RUN` resumes from the last one, on
    the same engine or another. The best epoch is chosen by the validation split; the test split
    chooses nothing.
    """
    as_json = options.pop("as_json")
    result = run_training(TrainOptions(**options))
    if result is None:  # another process says it
        return
    if as_json:
        say_json(result)
        return
    from .tables import show_training

    show_training(result)


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
    seed: int | None
    threads: int | None
    out: str | None
    resume: bool
    init: str | None

    def settings(self) -> list[str]:
        """All changes to the recipe, as --set takes them."""
        changes = list(self.overrides)
        if self.epochs is not None:
            changes.append(f"learning.epochs={self.epochs}")
        if self.seed is not None:
            changes.append(f"seed={self.seed}")
        return changes


@dataclass(frozen=True)
class TrainingJob:
    """A checked training; `run` makes the run directory at `path` where the job is fresh."""

    recipe: "Recipe"
    splits: "Mapping[str, Data]"
    network: "Network"
    folder: str | None
    path: Path
    run: "Callable[[], RunDirectory]"
    fresh: bool
    initial: "InitialWeights | None" = None  # those found on the data
    chosen: str = ""  # what was chosen by the data, in words


def run_training(options: TrainOptions) -> dict[str, Any] | None:
    """Train as the options say; what --json prints, or None in a process that does not lead.

    Raises:
        InputError: Nothing was written.
        WorkError: The work failed.
        Interrupted: The run can be resumed.
    """
    from mlgenn_delays.progress import telling

    check_backend(options.engine, options.backend)
    ranks = _ranks(options)
    told = telling(lambda: say(COMPILING, err=True)) if ranks.leads else nullcontext()
    with _all_ending(ranks), told:
        with _resumable(options, Path(options.out) if options.resume and options.out else None):
            job = resumed_job(options) if options.resume else new_job(options)
            trainer = _trainer(job, options)
        with _resumable(options, job.path):
            trainer.check(job.splits["train"], job.splits.get("validation"))
            if ranks.leads:
                return _lead(job, trainer, options)
            _follow(job, trainer, options)
    return None


def _ranks(options: TrainOptions) -> "Ranks":
    """The processes that train together, known first, so that one that fails can end the others."""
    from mlgenn_delays.engines.ranks import Ranks

    if options.communicator is not None:
        from mlgenn_delays.training.checks import check_engine

        check_engine(options.engine, options.backend or BACKENDS[0], options.communicator)
    return Ranks(options.communicator)


@contextmanager
def _resumable(options: TrainOptions, path: Path | None) -> Iterator[None]:
    """Say of an interruption what was kept: the run directory at `path`, or nothing."""
    try:
        yield
    except KeyboardInterrupt as error:
        from mlgenn_delays.runs.files import RECIPE

        if path is None or not (path / RECIPE).is_file():
            raise Interrupted(NOTHING_YET) from error
        raise Interrupted(resume_command(options, path)) from error


@contextmanager
def _all_ending(ranks: "Ranks") -> Iterator[None]:
    """End the other processes where this one fails alone."""
    try:
        yield
    except (DivergedError, click.exceptions.Exit):  # which come to all
        raise
    except (Exception, KeyboardInterrupt) as error:
        if ranks.several:
            ranks.end_all(report(error if isinstance(error, Exception) else click.Abort()))
        raise


def _lead(job: TrainingJob, trainer: "Trainer", options: TrainOptions) -> dict[str, Any]:
    from mlgenn_delays.data.baseline import Baseline
    from mlgenn_delays.runs.run import Run

    if job.chosen:
        say(f"data: {job.chosen}", err=True)
    tell_losses(job.splits)
    if job.initial is not None:
        say(f"initial weights: {job.initial}", err=True)
    trainer.run = job.run()
    if job.fresh:
        tell_few_steps(job.recipe, len(job.splits["train"]))
        keep_test(trainer.run, job.splits)
    baseline = Run(trainer.run.path).validated("baseline", Baseline)
    if job.fresh and baseline is not None:
        say(f"baseline: {baseline}", err=True)
    history = trainer.fit(job.splits["train"], job.splits.get("validation"), resume=options.resume)
    if not job.fresh:
        keep_test(trainer.run, job.splits)
    measured = _measure(trainer, job.splits)
    return {
        "run": str(trainer.run.path),
        "recipe": job.recipe.name,
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch,
        "splits": measured,
        "baseline": None if baseline is None else asdict(baseline),
        "lost": losses_by_split(job.splits),
    }


def _follow(job: TrainingJob, trainer: "Trainer", options: TrainOptions) -> None:
    """Train along with the process that leads, which alone writes and prints."""
    trainer.run = None if job.fresh else job.run()
    try:
        trainer.fit(job.splits["train"], job.splits.get("validation"), resume=not job.fresh)
        _measure(trainer, job.splits)
    except KeyboardInterrupt as error:
        sleep(GRACE)  # the process that leads says it and ends this one, unless it waits for it
        raise Interrupted(resume_command(options, Path(options.out or "RUN"))) from error
    except DivergedError as error:
        raise click.exceptions.Exit(error.exit_code) from error


def new_job(options: TrainOptions) -> TrainingJob:
    """Check a new training."""
    from mlgenn_delays.data.encode.recordings import chosen_in_words
    from mlgenn_delays.recipe import dump, load_recipe, with_duration
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
    chosen = chosen_in_words(recipe.data.parsed, train.n_steps * train.dt)
    recipe, folder = with_duration(recipe, train.n_steps * train.dt), options.data
    fresh = _build(recipe, splits)
    if network is not None:
        check_fits(network, fresh, str(options.init), dale=recipe.signs() == "dale")
    initial = _initialise(recipe, fresh, splits, options) if network is None else None
    notes = environment(
        recipe, options.data, start, options.engine, options.backend or BACKENDS[0], splits, initial
    )
    return TrainingJob(
        recipe,
        splits,
        fresh if network is None else network,
        options.data,
        path,
        lambda: RunDirectory.create(path, dump(recipe), notes | baseline_of(recipe, folder), init),
        fresh=True,
        initial=initial,
        chosen=chosen,
    )


def resumed_job(options: TrainOptions) -> TrainingJob:
    """Check that a run can be resumed with these options."""
    from mlgenn_delays.runs.run import Run, check_labels

    from .options import init_of_run

    if not options.out:
        raise InputError("--resume needs --out RUN, the run to continue")
    run = Run(options.out)
    _check_same(options, run)
    folder = run.folder(options.data)
    network = init_of_run(options.init, run)
    splits = _load(run.recipe, folder)
    task = run.task()
    if task is not None:
        check_labels(task.labels, splits["train"])
    if run.directory.has_checkpoint and (untold := run.untold()):
        warnings.warn(untold, stacklevel=2)
    if network is None:
        network = _starting_network(run, splits, options)
    return TrainingJob(
        run.recipe,
        splits,
        network,
        folder,
        run.directory.path,
        lambda: run.directory,
        fresh=False,
    )


def _check_same(options: TrainOptions, run: "Run") -> None:
    from mlgenn_delays.recipe import differences, dump, load_recipe, parse_recipe, with_duration

    if options.recipe is not None:
        wanted = load_recipe(options.recipe, options.settings())
    elif not options.settings():
        return
    else:
        wanted = parse_recipe(dump(run.recipe), run.source, options.settings())
    wanted = with_duration(wanted, run.recipe.data.options.get("duration", 0.0))
    changed = differences(run.recipe, wanted)
    if wanted.name != run.recipe.name:  # of another recipe, nothing else is worth saying
        changed = [each for each in changed if each.startswith("name: ")]
    if changed:
        raise InputError(
            f"resuming needs the settings of the run {run.directory.path}; these differ "
            f"(key: run, asked): {'; '.join(changed)}; leave them out, or start a new run"
        )


def _new_path(name: str) -> Path:
    base = Path("runs") / f"{name}-{strftime('%Y%m%d-%H%M%S')}"
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


def _initialise(
    recipe: "Recipe", network: "Network", splits: Mapping[str, "Data"], options: TrainOptions
) -> "InitialWeights | None":
    """Give the network the initial weights that depend on the data, if it has any."""
    from mlgenn_delays.training import initialise_weights

    names = recipe.network.automatic()
    if not names:
        return None
    return initialise_weights(network, splits["train"], names, threads=options.threads)


def _starting_network(run: "Run", splits: Mapping[str, "Data"], options: TrainOptions) -> "Network":
    """The network a run started from; weights that were found on data are not found again."""
    from mlgenn_delays.network import Network

    if run.recipe.network.automatic() and run.directory.has_checkpoint and 0 in run.snapshots():
        return Network.load(run.snapshots()[0])
    fresh = _build(run.recipe, splits)
    _initialise(run.recipe, fresh, splits, options)
    return fresh


def _trainer(job: TrainingJob, options: TrainOptions) -> "Trainer":
    from mlgenn_delays.recipe import build_augment, build_loss, build_rewiring, build_rule
    from mlgenn_delays.training.trainer import Trainer

    learning = job.recipe.learning
    return Trainer(
        job.network,
        build_rule(job.recipe),
        loss=build_loss(job.recipe),
        rewiring=build_rewiring(job.recipe),
        epochs=learning.epochs,
        batch_size=learning.batch_size,
        seed=job.recipe.seed,
        threads=options.threads,
        engine=options.engine,
        backend=options.backend or BACKENDS[0],
        communicator=options.communicator,
        augment=build_augment(job.recipe),
        patience=learning.patience or None,
        snapshots=learning.snapshots,
    )


def _measure(trainer: "Trainer", splits: Mapping[str, "Data"]) -> dict[str, dict[str, Any]]:
    measured: dict[str, dict[str, Any]] = {}
    for name in ("validation", "test"):
        if name in splits:
            measured[name] = trainer.evaluate(splits[name]).measured
    return measured


def resume_command(options: TrainOptions, path: Path) -> str:
    """What to say to an interrupted user: the command that resumes."""
    words = ["delaysnn", "train"]
    words += ["--data", options.data] if options.data else []
    words += ["--engine", options.engine] if options.engine != ENGINES[0] else []
    words += ["--backend", options.backend] if options.backend not in (None, BACKENDS[0]) else []
    words += ["--communicator", options.communicator] if options.communicator else []
    again = shlex.join([*words, "--resume", "--out", str(path)])
    return f"interrupted; continue {'under MPI ' * bool(options.communicator)}with: {again}"
