"""The settings of runs: which differ from the shipped recipe, and which between runs."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlgenn_delays.recipe import Recipe, load_recipe, recipe_names, settings
from mlgenn_delays.recipe.neuron_checks import of_other_models
from mlgenn_delays.runs.settings import ABSENT, SEED, differing, in_words

_FEW = 3  # settings that a title names


@dataclass(frozen=True)
class Setting:
    """One setting of a run."""

    key: str  # dotted
    value: str  # as TOML
    shipped: str | None  # of the shipped recipe of the same name, None if there is none

    @property
    def differs(self) -> bool:
        """Whether the shipped recipe says something else."""
        return self.shipped is not None and self.shipped != self.value


def settings_of(recipe: Recipe) -> list[Setting]:
    """Every setting of a run, beside what the shipped recipe of its name says."""
    own = _own_settings(recipe)
    if recipe.name not in recipe_names():
        return [Setting(key, value, None) for key, value in own.items()]
    shipped = _own_settings(load_recipe(recipe.name))
    keys = [*own, *(key for key in shipped if key not in own)]
    return [Setting(key, own.get(key, ABSENT), shipped.get(key, ABSENT)) for key in keys]


def _own_settings(recipe: Recipe) -> dict[str, str]:
    """Every setting, without those of other neuron models than its own."""
    others = of_other_models(recipe)
    return {key: value for key, value in settings(recipe).items() if key not in others}


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed."""

    letter: str  # what it is called in figures
    title: str  # what tells it from the others, in a few words
    members: tuple[int, ...]  # their places in the list of runs
    values: dict[str, str]  # the settings that differ between the groups, as TOML by key

    @property
    def label(self) -> str:
        """Letter and title."""
        return f"{self.letter}: {self.title}" if self.title else self.letter


def groups_of(recipes: Sequence[Recipe]) -> list[Group]:
    """Group runs by all of their settings but the seed, in the order of the runs."""
    found: dict[tuple[str, ...], list[int]] = {}
    tables = [{k: v for k, v in table.items() if k != SEED} for table in differing(recipes)]
    for place, table in enumerate(tables):
        found.setdefault(tuple(table.values()), []).append(place)
    names = [recipes[members[0]].name for members in found.values()]
    firsts = [tables[members[0]] for members in found.values()]
    chosen = _telling(firsts)
    groups = []
    for number, (own, members) in enumerate(zip(firsts, found.values(), strict=True)):
        title = _title(own, chosen, names, number)
        groups.append(Group(_letter(number), title, tuple(members), own))
    return groups


def _telling(tables: Sequence[dict[str, str]]) -> list[str]:
    """The settings that a title names: all if they are few, else some that tell groups apart."""
    keys = list(tables[0])
    if len(keys) <= _FEW:
        return keys
    chosen: list[str] = []

    def told_apart(key: str) -> int:
        return len({tuple(table[k] for k in (*chosen, key)) for table in tables})

    while not chosen or told_apart(chosen[-1]) < len(tables):
        chosen.append(max((key for key in keys if key not in chosen), key=told_apart))
    return [key for key in keys if key in chosen]


def _title(values: dict[str, str], chosen: Sequence[str], names: Sequence[str], number: int) -> str:
    """What tells a group from the others: some settings, or the name of its recipe."""
    if len(values) > _FEW and len(set(names)) == len(names):
        return names[number]
    more = ["..."] if len(values) > len(chosen) else []
    return ", ".join([*(in_words(key, values[key]) for key in chosen), *more])


def _letter(number: int) -> str:
    """A, B ... Z, AA, AB ..."""
    letter = chr(ord("A") + number % 26)
    return letter if number < 26 else _letter(number // 26 - 1) + letter
