"""The settings in which runs differ."""

from collections.abc import Sequence

from mlgenn_delays.recipe import Recipe, settings

SEED = "seed"
ABSENT = "absent"
# They say how a run is called and what it keeps, not what it computes.
_ASIDE = ("name", "learning.snapshots")


def differing(recipes: Sequence[Recipe]) -> list[dict[str, str]]:
    """The settings in which recipes differ, of each as TOML by dotted key, in the same order.

    Example:
        >>> from mlgenn_delays.recipe import load_recipe
        >>> differing([load_recipe("digits"), load_recipe("digits", ["delays.learn=false"])])
        [{'delays.learn': 'true'}, {'delays.learn': 'false'}]
    """
    tables = [{k: v for k, v in settings(each).items() if k not in _ASIDE} for each in recipes]
    keys = list(dict.fromkeys(key for table in tables for key in table))
    keys = [key for key in keys if len({table.get(key, ABSENT) for table in tables}) > 1]
    return [{key: table.get(key, ABSENT) for key in keys} for table in tables]


def in_words(key: str, value: str) -> str:
    """A setting as people read it: without the table that most are in, quotes for no text only."""
    told = value.strip('"') or value
    return f"{key.removeprefix('learning.').removeprefix('network.')} {told}"
