"""delaysnn train: check everything, train, measure."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from time import sleep
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.errors import DivergedError, InputError

from . import completion
from .console import Interrupted, report, say, say_json, say_prose
from .options import (
    AUTO,
    BACKEND,
    BACKENDS,
    COMMUNICATOR,
    DATA,
    ENGINE,
    ENGINES,
    JSON,
    PATH,
    THREADS,
    check_backend,
    keep_test,
    losses_by_split,
    tell_few_steps,
    tell_losses,
    tell_splits,
)
from .training_job import (
    DEFAULT_RECIPE,
    SHORTS,
    TrainingJob,
    TrainOptions,
    last_run,
    new_job,
    resumed_job,
)

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.engines.ranks import Ranks
    from mlgenn_delays.engines.results import Evaluation
    from mlgenn_delays.runs.history import History
    from mlgenn_delays.training.initial_weights import InitialWeights
    from mlgenn_delays.training.trainer import Trainer

GRACE = 2.0  # seconds
COMPILING = "compiling kernels, which are kept for later runs"
NOTHING_YET = "interrupted before a run directory was made; run the same command again"


def shorts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of `SHORTS`."""
    for name, (key, kind) in reversed(SHORTS.items()):
        flag = f"--{name.replace('_', '-')}"
        command = click.option(flag, type=kind, help=f"Short for --set {key}=...")(command)
    return command


@click.command()
@click.argument("recipe", required=False, shell_complete=completion.recipes)
@DATA
@ENGINE
@BACKEND
@COMMUNICATOR
@click.option(
    "--set",
    "overrides",
    multiple=True,
    shell_complete=completion.assignments,
    metavar="KEY=VALUE",
    help="Change a setting of the recipe.",
)
@shorts
@THREADS
@click.option(
    "--out",
    type=PATH,
    metavar="RUN",
    help="Run directory, new or empty; runs/RECIPE-TIME by default.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume the run of --out, by default the one that was started last in runs/ (of RECIPE, "
    "if given).",
)
@click.option(
    "--init", type=PATH, metavar="NETWORK", help="Network file (.safetensors) to start from."
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Print the recipe with all changes as TOML, say what would be trained, and stop.",
)
@JSON
def train(as_json: bool, dry_run: bool, **given: Any) -> None:
    """Train RECIPE: a name that `delaysnn recipes` lists, or a TOML file; `digits` by default.

    A checkpoint is kept after every epoch, and `--resume --out RUN` resumes from the last one, on
    the same engine or another. The best epoch is chosen by the validation split; the test split
    chooses nothing.
    """
    options = TrainOptions(**given)
    if dry_run:
        show_plan(options, as_json)
        return
    result = run_training(options)
    if result is None:  # another process says it
        return
    if as_json:
        say_json(result)
        return
    from .tables import show_training

    show_training(result)


def show_plan(options: TrainOptions, as_json: bool) -> None:
    """Print the recipe of a new training, and what it would train where its data are given."""
    from mlgenn_delays.data.registry import dataset
    from mlgenn_delays.recipe import commented, load_recipe

    from .banner import show_job

    if options.resume or as_json:
        other = "--resume" if options.resume else "--json"
        raise InputError(f"--dry-run must come without {other}, got both; leave one out")
    check_backend(options.engine, options.backend)
    recipe = load_recipe(options.recipe or DEFAULT_RECIPE, options.settings())
    if options.data is None and dataset(recipe.data.dataset).needs_folder:
        note = "nothing was trained or written; with --data it says what would be"
    else:
        job = new_job(options)
        recipe, note = job.recipe, "nothing was trained or written"
        show_job(job)
    for line in commented(recipe).splitlines():
        say(line)
    say(f"dry run: {note}", err=True)


def run_training(options: TrainOptions) -> dict[str, Any] | None:
    """Train as the options say; what --json prints, or None in a process that does not lead.

    Raises:
        InputError: Nothing was written.
        WorkError: The work failed.
        Interrupted: The run can be resumed.
    """
    from mlgenn_delays.progress import telling

    from .banner import show_job

    check_backend(options.engine, options.backend)
    if options.resume and not options.out:
        options = replace(options, out=str(last_run(options.recipe)))
    ranks = _ranks(options)
    told = telling(lambda: say(COMPILING, err=True)) if ranks.leads else nullcontext()
    with _all_ending(ranks), told:
        with _resumable(options, Path(options.out) if options.resume and options.out else None):
            job = resumed_job(options) if options.resume else new_job(options)
            if ranks.leads:
                show_job(job)
            initial = _initialise(job)
            trainer = _trainer(job)
        with _resumable(job.options, job.path):
            trainer.check(job.splits["train"], job.splits.get("validation"))
            if ranks.leads:
                return _lead(job, trainer, initial)
            _follow(job, trainer)
    return None


def _ranks(options: TrainOptions) -> "Ranks":
    """The processes that train together, known first, so that one that fails can end the others."""
    from mlgenn_delays.engines.ranks import Ranks

    if options.communicator is not None:
        from mlgenn_delays.training.checks import check_engine

        if options.engine == AUTO:
            raise InputError(
                f"--engine must be one of {', '.join(ENGINES)} with --communicator, got {AUTO}; "
                "name one"
            )
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


def _lead(job: TrainingJob, trainer: "Trainer", initial: "InitialWeights | None") -> dict[str, Any]:
    from mlgenn_delays.data.baseline import Baseline
    from mlgenn_delays.runs.run import Run

    tell_losses(job.splits)
    if initial is not None and job.fresh:
        say_prose(f"initial weights: {initial}", err=True)
    trainer.run = job.run(initial)
    if job.fresh:
        tell_few_steps(job.recipe, len(job.splits["train"]))
        tell_splits(job.recipe, job.options.data)
        keep_test(trainer.run, job.splits)
    baseline = Run(trainer.run.path).validated("baseline", Baseline)
    if job.fresh and baseline is not None:
        say_prose(f"baseline: {baseline}", err=True)
    train, validation = job.splits["train"], job.splits.get("validation")
    history = trainer.fit(train, validation, resume=not job.fresh)
    if not job.fresh:
        keep_test(trainer.run, job.splits)
    measured = _measure(trainer, job.splits)
    _draw(job, history, measured)
    cost = _note_cost(job, trainer, measured)
    return {
        "run": str(trainer.run.path),
        "recipe": job.recipe.name,
        "epochs": len(history.rows),
        "best_epoch": history.best_epoch,
        "splits": {name: each.measured for name, each in measured.items()},
        "baseline": None if baseline is None else asdict(baseline),
        "lost": losses_by_split(job.splits),
        "cost": cost,
    }


def _follow(job: TrainingJob, trainer: "Trainer") -> None:
    """Train along with the process that leads, which alone writes and prints."""
    from mlgenn_delays.runs.directory import RunDirectory

    trainer.run = None if job.fresh else RunDirectory.open(job.path)
    try:
        trainer.fit(job.splits["train"], job.splits.get("validation"), resume=not job.fresh)
        _measure(trainer, job.splits)
    except KeyboardInterrupt as error:
        sleep(GRACE)  # the process that leads says it and ends this one, unless it waits for it
        path = Path(job.options.out or "RUN")
        raise Interrupted(resume_command(job.options, path)) from error
    except DivergedError as error:
        raise click.exceptions.Exit(error.exit_code) from error


def _initialise(job: TrainingJob) -> "InitialWeights | None":
    """Give the network the initial weights that depend on the data, if it has any."""
    from mlgenn_delays.training import initialise_weights

    names = job.recipe.network.automatic()
    if not names or not job.automatic:
        return None
    threads = job.options.threads
    return initialise_weights(job.network, job.splits["train"], names, threads=threads)


def _trainer(job: TrainingJob) -> "Trainer":
    from mlgenn_delays.recipe import (
        build_augment,
        build_hardware,
        build_loss,
        build_quantisation,
        build_rewiring,
        build_rule,
    )
    from mlgenn_delays.training.callbacks import EarlyStopping
    from mlgenn_delays.training.trainer import Trainer

    learning, options = job.recipe.learning, job.options
    return Trainer(
        job.network,
        build_rule(job.recipe),
        loss=build_loss(job.recipe),
        rewiring=build_rewiring(job.recipe),
        hardware=build_hardware(job.recipe),
        quantisation=build_quantisation(job.recipe),
        epochs=learning.epochs,
        batch_size=learning.batch_size,
        seed=job.recipe.seed,
        threads=options.threads,
        engine=options.engine,
        backend=options.backend or BACKENDS[0],
        communicator=options.communicator,
        augment=build_augment(job.recipe),
        snapshots=learning.snapshots,
        callbacks=[EarlyStopping(learning.patience)] if learning.patience else [],
    )


def _measure(trainer: "Trainer", splits: Mapping[str, "Data"]) -> dict[str, "Evaluation"]:
    names = (name for name in ("validation", "test") if name in splits)
    return {name: trainer.evaluate(splits[name]) for name in names}


def _note_cost(
    job: TrainingJob, trainer: "Trainer", measured: dict[str, "Evaluation"]
) -> dict[str, Any] | None:
    """Write what the network costs, by what its evaluation has counted; None without one."""
    import json

    from mlgenn_delays.cost import about_of, cost_of
    from mlgenn_delays.files import write_atomic
    from mlgenn_delays.runs.files import COST

    for split, evaluation in measured.items():
        about = about_of(job.splits[split], **job.recipe.quantisation.told())
        cost = {"split": split} | cost_of(trainer.network, evaluation, about).as_dict()
        write_atomic(job.path / COST, json.dumps(cost, indent=2) + "\n")
        return cost
    return None


def _draw(job: TrainingJob, history: "History", measured: dict[str, "Evaluation"]) -> None:
    """Draw what was reached into the run directory."""
    from mlgenn_delays.files import write_atomic
    from mlgenn_delays.report.results_plot import results_picture
    from mlgenn_delays.runs.files import RESULTS

    labels = job.splits["train"].label_names
    picture = results_picture(history, labels, measured, job.recipe.loss.kind)
    write_atomic(job.path / RESULTS, picture.png())


def resume_command(options: TrainOptions, path: Path) -> str:
    """What to say to an interrupted user: the command that resumes."""
    words = ["delaysnn", "train"]
    words += ["--data", options.data] if options.data else []
    words += ["--engine", options.engine] if options.engine != ENGINES[0] else []
    words += ["--backend", options.backend] if options.backend not in (None, BACKENDS[0]) else []
    words += ["--communicator", options.communicator] if options.communicator else []
    again = shlex.join([*words, "--resume", "--out", str(path)])
    return f"interrupted; continue {'under MPI ' * bool(options.communicator)}with: {again}"
