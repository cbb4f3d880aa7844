"""Directives that write the reference of recipes from the code: `recipe-keys` and `data-options`.

``{recipe-keys} SECTION`` lists the keys of a table of a recipe with default, range and meaning;
``{data-options}`` lists the options of every data set.
"""

import inspect
from dataclasses import MISSING, fields
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from mlgenn_delays.data.registry import DATASETS, FAMILIES, options_table
from mlgenn_delays.recipe import sections
from mlgenn_delays.recipe.fields import LARGEST, LONGEST
from mlgenn_delays.recipe.network_section import Layer, NetworkSection, Readout
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.recipe.toml import _value as as_toml
from mlgenn_delays.settings import fields_of, is_settings, meaning_of

# Table of a recipe -> the model that reads it; "" is the top.
SECTIONS: dict[str, type[BaseModel]] = {
    "": Recipe,
    "data": sections.Data,
    "network": NetworkSection,
    "network.layers": Layer,
    "network.readout": Readout,
    "delays": sections.Delays,
    "learning": sections.Learning,
    "regularisation": sections.Regularisation,
    "augmentation": sections.Augmentation,
    "rewiring": sections.RewiringSection,
    "expected": sections.Expected,
}
BOUNDS = (
    ("exclusiveMinimum", "> {}"),
    ("minimum", ">= {}"),
    ("exclusiveMaximum", "< {}"),
    ("maximum", "<= {}"),
)


def keys_of(section: str) -> list[tuple[str, str]]:
    """Return key and Markdown of every plain setting of a table; tables within it are left out."""
    model = SECTIONS[section]
    schema = model.model_json_schema()
    found = []
    for key, field in model.model_fields.items():
        if f"{section}.{key}".lstrip(".") in SECTIONS:
            continue
        told = [_default(field.default), *_range(schema, key, field)]
        found.append((key, f"`{key}` ({', '.join(told)})\n: {field.description}"))
    return found


def _default(value: Any) -> str:
    """Return a default in words."""
    if value is PydanticUndefined:
        return "required"
    if value is None:
        return "optional"
    return f"default `{_shown(value)}`"


def _shown(value: Any) -> str:
    """Return a value as a recipe has it."""
    return "{}" if value == {} else as_toml(value)


def _range(schema: dict[str, Any], key: str, field: Any) -> list[str]:
    """Return what a value may be, in words."""
    choices = _choices(field)
    if choices:
        return ["one of " + ", ".join(f"`{choice}`" for choice in choices)]
    shape = schema["properties"][key]
    kinds = shape.get("oneOf") or shape.get("anyOf") or [shape]
    told = []
    for kind in kinds:
        if "enum" in kind:
            return ["one of " + ", ".join(f"`{each}`" for each in kind["enum"])]
        told += _bounds(kind)
        if kind.get("type") == "array":
            told.append("a list" if len(kinds) == 1 else "or a list")
    return told


def _bounds(kind: dict[str, Any]) -> list[str]:
    """Return the bounds of a number, without those that only keep it from overflowing."""
    return [
        text.format(f"{kind[name]:g}")
        for name, text in BOUNDS
        if name in kind and kind[name] not in (LARGEST, LONGEST)
    ]


def _choices(field: Any) -> tuple[str, ...]:
    """Return the words that a setting takes, as `recipe.fields.one_of` knows them."""
    for each in field.metadata:
        check = getattr(each, "func", None)
        if check is not None:
            choices = inspect.getclosurevars(check).nonlocals.get("choices")
            if choices is not None:
                return tuple(choices())
    return ()


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
        if is_settings(info.default):
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
