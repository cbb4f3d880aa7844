"""From a run directory to what is exported."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from mlgenn_delays import __version__
from mlgenn_delays.export.artifact import About, Artifact, Measured
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import load_data
from mlgenn_delays.runs.run import Run, Task


def artifact_of_run(
    path: Path | str, *, checkpoint: str = "best", data: Path | str | None = None
) -> Artifact:
    """Return what a run is exported as.

    Arguments:
        path: The run directory.
        checkpoint: ``"best"`` or ``"last"``.
        data: Folder of the data; asked for only where the run does not say its labels.

    Raises:
        InputError: It is no run, or has no such checkpoint.
    """
    run = Run(path)
    network = Network.load(run.directory.network_path(checkpoint))
    task = _task(run, data)
    epoch, measured = _measured(run, checkpoint, task)
    about = About(
        n_steps=task.n_steps,
        labels=tuple(task.labels),
        data={"dataset": run.recipe.data.dataset, **run.recipe.data.options},
        recipe=run.recipe.name,
        recipe_sha256=sha256(run.directory.recipe_text().encode()).hexdigest(),
        epoch=epoch,
        measured=measured,
        version=__version__,
    )
    return Artifact.of(network, about)


def _task(run: Run, data: Path | str | None) -> Task:
    """Return labels, length and sizes of the data; a run that does not say must ask its data."""
    noted = run.task()
    if noted is not None:
        return noted
    splits = load_data(run.recipe, run.folder(None if data is None else str(data)))
    part: Any = next(iter(splits.values()))
    return Task(
        labels=list(part.label_names),
        n_steps=part.n_steps,
        examples={name: len(each) for name, each in splits.items()},
    )


def _measured(run: Run, checkpoint: str, task: Task) -> tuple[int | None, tuple[Measured, ...]]:
    """Return the epoch of a checkpoint and what its training measured."""
    commit = run.directory.load_checkpoint()
    if commit is None:
        return None, ()
    history = commit.history
    row = history.best if checkpoint == "best" else history.rows[-1]
    accuracy, epoch = row["validation_accuracy"], int(row["epoch"] or 0)
    if accuracy is None:
        return epoch, ()
    n = task.examples.get("validation") or None
    return epoch, (Measured(split="validation", accuracy=float(accuracy), n=n),)
