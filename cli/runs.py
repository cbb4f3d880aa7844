"""What the commands note of a run, and what they need of its data."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import InputError

from .output import say

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.recipe import Recipe
    from mlgenn_delays.runs.run import Start
    from mlgenn_delays.training import RunDirectory


def environment(
    recipe: "Recipe",
    data: str | None,
    start: "Start | None",
    engine: str,
    backend: str | None,
    splits: Mapping[str, "Data"],
) -> dict[str, Any]:
    """Return the content of environment.json.

    Arguments:
        recipe: The recipe.
        data: Folder of the data, if any.
        start: Path and checksum of the network given with --init, if any.
        engine: What computes.
        backend: Of GeNN.
        splits: The data, whose labels and length an export needs without having them.
    """
    from mlgenn_delays.training import describe_environment

    folder = str(Path(data).resolve()) if data is not None else None
    given = {"data": folder, "init": None if start is None else start.model_dump()}
    return (
        describe_environment(engine, backend)
        | {"seed": recipe.seed, "task": _task(splits)}
        | {key: value for key, value in given.items() if value is not None}
    )


def _task(splits: Mapping[str, "Data"]) -> dict[str, Any]:
    """Return what a network must answer, ready for JSON."""
    train = splits["train"]
    return {
        "labels": list(train.label_names),
        "n_steps": train.n_steps,
        "examples": {name: len(data) for name, data in splits.items()},
    }


def tell_losses(splits: Mapping[str, "Data"]) -> None:
    """Say on stderr what was cut, merged or empty in data that were loaded, if anything was."""
    from mlgenn_delays.data.losses import Losses
    from mlgenn_delays.data.registry import known_losses

    lost = known_losses(splits)
    if lost:
        data = next(iter(splits.values()))
        said = Losses.together(lost.values()).sentence(data.n_steps * data.dt)
        if said:
            say(f"data: {said}", err=True)


def losses_by_split(splits: Mapping[str, "Data"]) -> dict[str, dict[str, Any]]:
    """Return the same for --json, by split."""
    from mlgenn_delays.data.registry import known_losses

    return {
        name: lost.shares(splits[name].n_steps * splits[name].dt)
        for name, lost in known_losses(splits).items()
    }


def keep_test(run: "RunDirectory", splits: Mapping[str, "Data"]) -> None:
    """Keep in a run which test examples it has, or warn that they are not those it had.

    Arguments:
        run: The run directory.
        splits: The data.

    Raises:
        InputError: What the run keeps of its data is damaged.
        WorkError: The file cannot be written.
    """
    from mlgenn_delays.data.fingerprint import compare, fingerprint
    from mlgenn_delays.training.record import keep_record, read_record

    if "test" not in splits:
        return
    found, before = fingerprint(splits["test"]), read_record(run.path).get("test")
    if before is None:
        keep_record(run.path, {"test": found})
    elif found.digest != before.digest:
        warnings.warn(
            f"since the training was started, the split 'test' has changed: "
            f"{compare(before, found)}",
            stacklevel=2,
        )


def needed_split(splits: Mapping[str, "Data"], wanted: str, remedy: str) -> "Data":
    """Return a split that must have examples.

    Arguments:
        splits: The data.
        wanted: Name of the split.
        remedy: What to do if it has none.

    Raises:
        InputError: It has none; the text says which splits have some.
    """
    found = [name for name, data in splits.items() if len(data)]
    if wanted not in found:
        raise InputError(
            f"the data must have examples of the split {wanted!r}, "
            f"got {', '.join(found) or 'none at all'}; {remedy}"
        )
    return splits[wanted]
