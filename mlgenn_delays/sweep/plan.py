"""What a sweep is to do, checked as a whole before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep.grid import Axis, within
from mlgenn_delays.sweep.points import Point

if TYPE_CHECKING:
    from mlgenn_delays.recipe import Recipe


@dataclass(frozen=True)
class Planned:
    """A point with the whole recipe that it is trained with."""

    point: Point
    recipe: "Recipe"


def resolve(recipe: str, overrides: Sequence[str], points: Sequence[Point]) -> list[Planned]:
    """Return the points with their recipes.

    Arguments:
        recipe: A name or the path of a TOML file.
        overrides: What all points change, as ``--set`` takes it.
        points: The points.

    Raises:
        InputError: A recipe says what it may not (the point is named), two points are the same, or
            what all points change has an effect in none.
    """
    from mlgenn_delays.recipe import dump, load_recipe
    from mlgenn_delays.recipe.cross_checks import effect_of, without_effect

    planned, seen = [], dict[str, Point]()
    for point in points:
        try:
            found = load_recipe(recipe, point.overrides, shared=overrides)
        except InputError as error:
            raise InputError(
                str(error) if not point.values else f"{error} (at {point.text})"
            ) from error
        text = dump(found)
        if text in seen:
            raise InputError(
                f"every point must differ from the others: {seen[text].text} and {point.text} "
                "are the same training; leave one of them out with --exclude, or of the grid"
            )
        seen[text] = point
        planned.append(Planned(point, found))
    for override in overrides:
        key = override.partition("=")[0].strip()
        reasons = [effect_of(key, without_effect(each.recipe)) for each in planned]
        if planned and all(reasons):
            raise InputError(
                f"{key} has no effect in any point with {reasons[0]}, got --set {override}; leave "
                "it out, or change that setting as well"
            )
    return planned


def check_overrides(overrides: Sequence[str], axes: Sequence[Axis]) -> None:
    """Reject what all points are to have and an axis or the seeds would set again.

    Arguments:
        overrides: As ``--set`` takes it, that of ``--epochs`` included.
        axes: The axes.

    Raises:
        InputError: A key is set twice.
    """
    for text in overrides:
        key = text.partition("=")[0].strip()
        if key == "seed":
            raise InputError("--set seed must be left out: --seeds N trains the seeds 0..N-1")
        for axis in axes:
            if any(within(key, each) for each in axis.keys()):
                raise InputError(
                    f"{key} must be set once, got --set {text} (--epochs N is "
                    f"learning.epochs=N) and the axis {axis.key}"
                )


def check_data(planned: Sequence[Planned], data: str | None, here: bool) -> None:
    """Reject a folder of data that is missing, or not wanted.

    Arguments:
        planned: The points.
        data: Folder of the data, if any.
        here: Whether trainings run on this machine, which then must have it.

    Raises:
        InputError: It is so.
    """
    from mlgenn_delays.data.registry import dataset

    names = {each.recipe.data.dataset for each in planned}
    needing = [name for name in sorted(names) if dataset(name).needs_folder]
    if needing and data is None:
        raise InputError(
            f"dataset {needing[0]!r} needs a folder of data, got none; give --data DIR"
        )
    if not needing and data is not None:
        raise InputError(
            f"dataset {min(names)!r} must have no folder of data, got {data!r}; leave --data out"
        )
    if here and data is not None and not Path(data).exists():
        raise InputError(f"the data must be in a folder, got {data}, which is not there")
