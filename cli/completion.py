"""What a shell completes: recipes, data sets and keys of recipes, besides commands and options.

Click calls these while somebody types; whatever fails there completes nothing.
"""

from typing import TYPE_CHECKING

from mlgenn_delays.errors import DelaysnnError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def _items(words: dict[str, str], incomplete: str) -> "list[CompletionItem]":
    """The words, with what they mean, that begin as what was typed."""
    from click.shell_completion import CompletionItem

    found = [(word, text) for word, text in words.items() if word.startswith(incomplete)]
    return [CompletionItem(word, help=text) for word, text in found]


def recipes(
    context: "click.Context", parameter: "click.Parameter", incomplete: str
) -> "list[CompletionItem]":
    """The recipes that come with delaysnn, or files, which the shell lists itself."""
    from click.shell_completion import CompletionItem

    from mlgenn_delays.recipe import recipe_names

    found = _items(dict.fromkeys(recipe_names(), ""), incomplete)
    return found or [CompletionItem(incomplete, type="file")]


def datasets(
    context: "click.Context", parameter: "click.Parameter", incomplete: str
) -> "list[CompletionItem]":
    """The data sets."""
    from mlgenn_delays.data.registry import DATASETS

    return _items(dict.fromkeys(DATASETS, ""), incomplete)


def datasets_and_recipes(
    context: "click.Context", parameter: "click.Parameter", incomplete: str
) -> "list[CompletionItem]":
    """The data sets and the recipes, or files."""
    from click.shell_completion import CompletionItem

    from mlgenn_delays.data.registry import DATASETS
    from mlgenn_delays.recipe import recipe_names

    found = _items(dict.fromkeys([*DATASETS, *recipe_names()], ""), incomplete)
    return found or [CompletionItem(incomplete, type="file")]


def keys(
    context: "click.Context", parameter: "click.Parameter", incomplete: str
) -> "list[CompletionItem]":
    """The keys of the recipe of the command, with the values they have."""
    return _items(_settings(context), incomplete)


def assignments(
    context: "click.Context", parameter: "click.Parameter", incomplete: str
) -> "list[CompletionItem]":
    """The same, each with the = that comes next."""
    return _items({f"{key}=": value for key, value in _settings(context).items()}, incomplete)


def _settings(context: "click.Context") -> dict[str, str]:
    from mlgenn_delays.recipe import load_recipe, settings

    from .training_job import DEFAULT_RECIPE

    given = context.params.get("recipe") or context.params.get("name")
    words = [given, *context.args] if given else context.args  # where an option lacks its value
    try:
        return settings(load_recipe(words[0] if words else DEFAULT_RECIPE))
    except DelaysnnError:
        return {}
