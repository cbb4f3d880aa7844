"""A run directory as its recipe tells of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    InstanceOf,
    TypeAdapter,
    ValidationError,
)

from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.files import ENVIRONMENT, RECIPE, RECORD
from mlgenn_delays.untrusted import first_problem, read_json, reason

if TYPE_CHECKING:
    from mlgenn_delays.data.dataset import Space
    from mlgenn_delays.data.types import Data
    from mlgenn_delays.runs.history import History
    from mlgenn_delays.runs.record import Changes

LONGEST_NAME = 4096  # characters, as of a path
_Noted = TypeVar("_Noted")


def _not_too_long(name: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ValueError(f"must be at most {LONGEST_NAME} characters long")
    return name


# Names of files and classes may have bytes that are no UTF-8, which text for JSON has not.
Name = Annotated[InstanceOf[str], AfterValidator(_not_too_long)]


class Start(BaseModel):
    """The network of --init, as environment.json notes it."""

    model_config = ConfigDict(strict=True, frozen=True)

    path: Name
    crc32: Annotated[int, Field(ge=0, le=2**32 - 1)]


class Task(BaseModel):
    """What a network was trained to classify, as environment.json notes it; T is `n_steps`."""

    model_config = ConfigDict(strict=True, frozen=True)

    labels: Annotated[list[Name], Field(min_length=1)]
    n_steps: Annotated[int, Field(ge=1, le=2**31 - 1)]
    examples: dict[str, Annotated[int, Field(ge=0, le=2**63 - 1)]] = {}


def check_labels(trained: Sequence[str], data: "Data") -> None:
    """Reject data of other classes, or series, than those that a network was trained on."""
    found = data.label_names
    if list(trained) != list(found):
        what = "classes" if data.targets is None else "series"
        raise InputError(
            f"the data must have the {what} of the training, {_listed(trained)}, got "
            f"{_listed(found)}; give data of the same {what}, or name them in the recipe "
            "(data.classes of a folder, label_names in .npz)"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


@dataclass(frozen=True)
class Seen:
    """What of a split of n examples a run has seen.

    Attributes:
        trained_on: Names of the examples that the run was trained on, by their content.
        changes: How it differs from the split of that name when the run was started; None if the
            run had none, or does not say.
    """

    n: int
    trained_on: tuple[str, ...]
    changes: "Changes | None"

    def warning(self, split: str) -> str:
        """What to warn of, empty if nothing."""
        from mlgenn_delays.runs.record import some

        if split == "train" or not self.trained_on:
            return ""
        return (
            f"{len(self.trained_on)} of {self.n} examples of the split {split!r} were trained on "
            f"({some(self.trained_on)}): what is measured on them says nothing of new data"
        )

    def note(self, split: str) -> str:
        """How the split differs from that of the training, empty if it does not."""
        if not self.changes:
            return ""
        if len(self.changes.new) == self.n:
            return f"none of the {self.n} examples of the split {split!r} was in it at the training"
        return f"since the training, the split {split!r} has changed: {self.changes}"

    def counts(self) -> dict[str, int]:
        """How many examples were trained on, and are new, gone or changed, for JSON."""
        kinds = ("new", "gone", "changed")
        changes = {
            kind: len(getattr(self.changes, kind)) for kind in kinds if self.changes is not None
        }
        return {"trained_on": len(self.trained_on), **changes}


class Run:
    """An existing run, with its files (`directory`) and the recipe that it was started with.

    Every method raises an `InputError` where the file that it needs is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        from mlgenn_delays.recipe import parse_recipe
        from mlgenn_delays.runs.directory import RunDirectory

        self.directory = RunDirectory.open(path)
        self.source = str(self.directory.path / RECIPE)
        self.recipe = parse_recipe(self.directory.recipe_text(), self.source)

    def __repr__(self) -> str:
        return f"Run({str(self.directory.path)!r}, recipe {self.recipe.name!r})"

    def environment(self) -> dict[str, Any]:
        """The content of environment.json, empty if it is not there."""
        path = self.directory.path / ENVIRONMENT
        try:
            found = read_json(path)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise self._damaged(reason(error)) from error
        if not isinstance(found, dict):
            raise self._damaged("it must be an object")
        return found

    def noted(self, key: str) -> Any:
        """An entry of environment.json, None if it is not there."""
        return self.environment().get(key)

    def folder(self, given: str | None) -> str | None:
        """The folder of the data: the given one, or that of the training."""
        noted = given if given is not None else self.noted("data")
        if noted is not None and (not isinstance(noted, str) or len(noted) > LONGEST_NAME):
            raise self._damaged("data must be the path of a folder")
        return noted

    def task(self) -> Task | None:
        """What the network was trained to classify; older runs do not say."""
        return self.validated("task", Task)

    def start(self) -> "Start | None":
        """The network that the run was started from with --init, None without."""
        return self.validated("init", Start)

    def validated(self, key: str, kind: type[_Noted]) -> _Noted | None:
        """An entry of environment.json as a model or dataclass, None if it is not there."""
        noted = self.noted(key)
        try:
            return None if noted is None else TypeAdapter(kind).validate_python(noted)
        except ValidationError as error:
            raise self._damaged(f"{key}: {first_problem(error)}") from error

    def untold(self) -> str:
        """What to warn of where the run does not say what it was trained on, or nothing.

        That concerns data that are split by names: runs that keep no record split them otherwise.
        """
        from mlgenn_delays.data.registry import splits_by_name

        path = self.directory.path / RECORD
        if path.exists() or not splits_by_name(self.recipe.data.dataset):
            return ""
        return (
            f"{self.directory.path} does not say which examples it was trained on ({path.name} is "
            "missing); older runs split such data otherwise, so that its test split may now hold "
            "examples it was trained on: train it again to be sure"
        )

    def seen(self, split: str, data: "Data") -> Seen | None:
        """What of a split (or of "all") the run has seen; None if it does not say."""
        from mlgenn_delays.data.registry import dataset
        from mlgenn_delays.runs.record import compare, fingerprint, joined, read_record

        record = read_record(self.directory.path)
        if not record:
            return None
        found = fingerprint(data)
        before = joined(list(record.values())) if split == "all" else record.get(split)
        rows: list[int] = []
        # Of few channels or steps, generated examples are equal by chance.
        if "train" in record and dataset(self.recipe.data.dataset).needs_folder:
            others = [each for name, each in record.items() if name != "train"]
            rows = found.trained_on(record["train"], others).tolist()
        names = tuple(found.names[row] for row in rows)
        return Seen(len(found), names, None if before is None else compare(before, found))

    def history(self) -> "History":
        """The epochs of the run, see `RunDirectory.history`."""
        return self.directory.history()

    def snapshots(self) -> dict[int, Path]:
        """The network files at several epochs that the run kept, in order."""
        from mlgenn_delays.runs.checkpoint import kept

        return kept(self.directory.path)

    def space(self) -> "Space":
        """How the input channels lie to each other, see `mlgenn_delays.data.dataset`."""
        space: Space = self.recipe.data.parsed.space
        return space

    def _damaged(self, why: object) -> InputError:
        path = self.directory.path / ENVIRONMENT
        return InputError(
            f"{path} is damaged: {why}; remove it, and give --data where data are needed"
        )
