"""What the commands know of a run: its recipe, what its environment.json adds, its data."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import InputError

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.recipe import Recipe


class Run:
    """An existing run.

    Arguments:
        path: The run directory.

    Attributes:
        directory: Its files.
        recipe: The recipe that it was started with.

    Raises:
        InputError: It is no run, or its recipe cannot be read.
    """

    def __init__(self, path: str) -> None:
        from mlgenn_delays.recipe import parse_recipe
        from mlgenn_delays.training import RunDirectory

        self.directory = RunDirectory.open(path)
        self.source = str(self.directory.path / "recipe.toml")
        self.recipe = parse_recipe(self.directory.recipe_text(), self.source)

    def noted(self, key: str) -> Any:
        """Return what environment.json says under a key, None if nothing.

        Raises:
            InputError: The file is damaged.
        """
        path = self.directory.path / "environment.json"
        try:
            return json.loads(path.read_text(encoding="utf-8")).get(key)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, AttributeError) as error:
            raise InputError(
                f"{path} is damaged: {error}; remove it, and give --data where data are needed"
            ) from error

    def folder(self, given: str | None) -> str | None:
        """Return the folder of the data: the given one, or that of the training."""
        return given if given is not None else self.noted("data")


def environment(
    recipe: "Recipe",
    data: str | None,
    start: dict[str, Any] | None,
    engine: str,
    backend: str | None,
) -> dict[str, Any]:
    """Return the content of environment.json.

    Arguments:
        recipe: The recipe.
        data: Folder of the data, if any.
        start: Path and checksum of the network given with --init, if any.
        engine: What computes.
        backend: Of GeNN.
    """
    from mlgenn_delays.training import describe_environment

    folder = str(Path(data).resolve()) if data is not None else None
    given = {"data": folder, "init": start}
    return (
        describe_environment(engine, backend)
        | {"seed": recipe.seed}
        | {key: value for key, value in given.items() if value is not None}
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
