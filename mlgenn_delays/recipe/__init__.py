"""Recipes: one TOML file says a network, its task and its training; read, checked and built."""

from mlgenn_delays.recipe.build import (
    build_augment,
    build_loss,
    build_network,
    build_quantisation,
    build_rewiring,
    build_rule,
    data_shape,
    load_data,
    load_whole,
)
from mlgenn_delays.recipe.commented import commented
from mlgenn_delays.recipe.left_to_data import fitted, fitted_like
from mlgenn_delays.recipe.load import (
    differences,
    dump,
    load_recipe,
    parse_recipe,
    recipe_names,
    settings,
)
from mlgenn_delays.recipe.schema import Recipe

__all__ = [
    "Recipe",
    "build_augment",
    "build_loss",
    "build_network",
    "build_quantisation",
    "build_rewiring",
    "build_rule",
    "commented",
    "data_shape",
    "differences",
    "dump",
    "fitted",
    "fitted_like",
    "load_data",
    "load_recipe",
    "load_whole",
    "parse_recipe",
    "recipe_names",
    "settings",
]
