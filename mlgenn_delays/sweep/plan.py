"""What a sweep is to do: its points, their names, all checked before anything starts."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep.grid import VARIANT, Axis, Choice, Excluded, canonical, shown, toml, within

if TYPE_CHECKING:
    from mlgenn_delays.recipe import Recipe

_LONGEST = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9.+]+")


@dataclass(frozen=True)
class Point:
    """One training of a sweep.

    Attributes:
        values: What is shown of it: axis -> value, in the order of the axes.
        overrides: What it changes in the recipe, as ``--set`` takes it, the seed included.
        name: Name of its folder: readable, unique, the same whatever the order of the axes.
    """

    values: tuple[tuple[str, Any], ...]
    seed: int
    overrides: tuple[str, ...]
    name: str

    @property
    def text(self) -> str:
        """What it is, in words."""
        return " ".join(
            [*(f"{key}={shown(value)}" for key, value in self.values), f"seed={self.seed}"]
        )


def make_points(axes: Sequence[Axis], excluded: Sequence[Excluded], seeds: int) -> list[Point]:
    """The full product less what is excluded, the last axis and then the seed quickest."""
    unwanted = [{key: canonical(value) for key, value in pairs.items()} for pairs in excluded]
    found = []
    for choices in product(*(axis.choices for axis in axes)):
        chosen = {axis.key: choice for axis, choice in zip(axes, choices, strict=True)}
        texts = {key: canonical(choice.value) for key, choice in chosen.items()}
        if not any(all(texts[key] == text for key, text in pairs.items()) for pairs in unwanted):
            found += [_point(chosen, seed) for seed in range(seeds)]
    return found


def _point(chosen: dict[str, Choice], seed: int) -> Point:
    settings = [pair for choice in chosen.values() for pair in choice.settings]
    overrides = [f"{key}={toml(value)}" for key, value in settings]
    values = tuple((key, choice.value) for key, choice in chosen.items())
    return Point(values, seed, (*overrides, f"seed={seed}"), _name(dict(values), seed))


def _name(values: dict[str, Any], seed: int) -> str:
    last = [key.split(".")[-1] for key in values]
    parts = []
    for key in sorted(values, key=lambda key: (key != VARIANT, key)):
        short = key.split(".")[-1]
        # Two learning rates need their whole keys.
        label = "" if key == VARIANT else f"{short if last.count(short) == 1 else key}_"
        parts.append(label + _UNSAFE.sub("_", shown(values[key])).strip("_"))
    identity = [f"{key}={canonical(value)}" for key, value in sorted(values.items())]
    digest = sha256("\n".join([*identity, str(seed)]).encode()).hexdigest()[:10]
    text = "-".join(parts)[:_LONGEST]
    return "-".join([*filter(None, [text]), f"seed_{seed}", digest])


@dataclass(frozen=True)
class Planned:
    """A point with the whole recipe that it is trained with."""

    point: Point
    recipe: "Recipe"


def resolve(recipe: str, overrides: Sequence[str], points: Sequence[Point]) -> list[Planned]:
    """The points with their recipes; rejects equal points and `overrides` without effect in any."""
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
    """Reject overrides of all points that an axis or the seeds would set again."""
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
    """Reject a folder of data that is not wanted, or missing; `here` means on this machine."""
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
