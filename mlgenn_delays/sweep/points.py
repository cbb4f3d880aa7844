"""The points of a sweep: every combination of the axes' values and the seeds, and their names."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Any

from mlgenn_delays.sweep.grid import VARIANT, Axis, Choice, Excluded
from mlgenn_delays.sweep.values import canonical, shown, toml

_LONGEST = 80
_UNSAFE = re.compile(r"[^A-Za-z0-9.+]+")


@dataclass(frozen=True)
class Point:
    """One training of a sweep.

    Attributes:
        values: What is shown of it: axis -> value, in the order of the axes.
        seed: Its seed.
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
    """Return the full product less what is excluded, the last axis and then the seed quickest.

    Arguments:
        axes: The axes.
        excluded: Each axis -> value; a point that has all of them is left out.
        seeds: Number of seeds, from 0 on.
    """
    unwanted = [{key: canonical(value) for key, value in pairs.items()} for pairs in excluded]
    found = []
    for choices in product(*(axis.choices for axis in axes)):
        chosen = {axis.key: choice for axis, choice in zip(axes, choices, strict=True)}
        texts = {key: canonical(choice.value) for key, choice in chosen.items()}
        if not any(all(texts[key] == text for key, text in pairs.items()) for pairs in unwanted):
            found += [_point(chosen, seed) for seed in range(seeds)]
    return found


def _point(chosen: dict[str, Choice], seed: int) -> Point:
    """Return the point of some choices."""
    settings = [pair for choice in chosen.values() for pair in choice.settings]
    overrides = [f"{key}={toml(value)}" for key, value in settings]
    values = tuple((key, choice.value) for key, choice in chosen.items())
    return Point(values, seed, (*overrides, f"seed={seed}"), _name(dict(values), seed))


def _name(values: dict[str, Any], seed: int) -> str:
    """Return the name of a point's folder."""
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
