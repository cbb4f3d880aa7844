"""What the tables of a recipe are made of; kinds of values are those of `settings`."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Discriminator, Tag


class Section(BaseModel):
    """A table of a recipe: frozen, with no key but those it names."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def either(first: Any, first_tag: str, values: Any) -> Any:
    """Return the type of one value or a list of values, telling them apart by being a list."""

    def which(value: Any) -> str:
        return "list" if isinstance(value, (list, tuple)) else first_tag

    return Annotated[
        Annotated[first, Tag(first_tag)] | Annotated[values, Tag("list")],
        Discriminator(which),
    ]


# What `either` puts into the place of an error, which is no key of a recipe.
TAGS = ("list", "number", "word")
