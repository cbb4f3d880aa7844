"""A run directory as its recipe tells of it."""

import json
from pathlib import Path
from typing import Any

from mlgenn_delays.errors import InputError


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

    def __init__(self, path: Path | str) -> None:
        from mlgenn_delays.recipe import parse_recipe
        from mlgenn_delays.training.run import RunDirectory

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
