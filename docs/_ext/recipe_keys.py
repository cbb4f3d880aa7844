"""Directives that write the reference of recipes from the code: `recipe-keys` and `data-options`.

``{recipe-keys} SECTION`` lists the keys of a table of a recipe with default, range and meaning;
``{data-options}`` lists the options of every data set.
"""

import inspect
from dataclasses import MISSING, fields
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mlgenn_delays.data.registry import DATASETS, FAMILIES, options_table
from mlgenn_delays.recipe.explain import keys
from mlgenn_delays.recipe.load import as_toml
from mlgenn_delays.settings import fields_of, meaning_of


def keys_of(table: str) -> list[tuple[str, str]]:
    """Return key and Markdown of every plain setting of a table; tables within it are left out."""
    found = []
    for each in keys(table):
        key = each.name.rsplit(".", 1)[-1]
        plain = each.default in ("required", "optional")
        default = each.default if plain else f"default `{each.default}`"
        found.append((key, f"`{key}` ({default}; {each.range})\n: {each.meaning}"))
    return found


def _shown(value: Any) -> str:
    """Return a value as a recipe has it."""
    return "{}" if value == {} else as_toml(value)


def options_of_data() -> list[str]:
    """Return the options of every data set as Markdown lines."""
    lines: list[str] = []
    family = {f"{kind}:NAME": make("NAME") for kind, make in FAMILIES.items()}
    for name, entry in {**DATASETS, **family}.items():
        folder = "needs `--data DIR`" if entry.needs_folder else "needs no data"
        lines += [f"**`{name}`** -- {entry.summary}; {folder}.", ""]
        text = (inspect.getdoc(entry.options) or "").partition("\n\nArguments:")[0]
        lines += [*text.splitlines(), ""]
        meanings = _meanings(entry.options)
        for key, default in _flat(entry.options).items():
            lines.append(
                f"- `{key}` = {default}" + (f": {meanings[key]}" if key in meanings else "")
            )
        lines.append("")
    return lines


def _meanings(options: Any, prefix: str = "") -> dict[str, str]:
    """Return what each option means, by dotted key."""
    found = {}
    for name, info in fields_of(options).items():
        found[f"{prefix}{name}"] = meaning_of(info)
        if fields_of(type(info.default)):
            found |= _meanings(type(info.default), f"{prefix}{name}.")
    return found


def _flat(options: type) -> dict[str, str]:
    """Return the defaults of a data set's options by dotted key."""
    required = {
        field.name
        for field in fields(options)
        if field.default is MISSING and field.default_factory is MISSING
    }
    assert not required, required
    found: dict[str, str] = {}
    for key, value in options_table(options).items():
        inner = value.items() if isinstance(value, dict) else ((None, value),)
        for name, each in inner:
            found[key if name is None else f"{key}.{name}"] = f"`{_shown(each)}`"
    return found


class Written(SphinxDirective):
    """A directive whose content is made by a function and read as Markdown."""

    def lines(self) -> list[str]:
        """Return the Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Parse it."""
        holder = nodes.container()
        self.state.nested_parse(StringList(self.lines(), source="recipe"), 0, holder)
        return holder.children


class RecipeKeys(Written):
    """``{recipe-keys} SECTION``; the top of a recipe without one."""

    optional_arguments = 1

    def lines(self) -> list[str]:
        """Return the keys of the table."""
        section = self.arguments[0] if self.arguments else ""
        return "\n\n".join(text for _, text in keys_of(section)).splitlines()


class DataOptions(Written):
    """``{data-options}``."""

    def lines(self) -> list[str]:
        """Return the options of all data sets."""
        return options_of_data()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("recipe-keys", RecipeKeys)
    app.add_directive("data-options", DataOptions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
