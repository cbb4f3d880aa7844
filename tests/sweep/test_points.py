"""Laws of the points: how many, in which order, which are left out, and their names."""

import re
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.recipe import dump, fitted, load_recipe
from mlgenn_delays.sweep.folder import _is_of
from mlgenn_delays.sweep.grid import make_axes
from mlgenn_delays.sweep.plan import make_points, resolve

KEYS = ("variant", "delays.learning_rate", "learning.learning_rate", "network.sparsity")
GRIDS = st.dictionaries(
    st.sampled_from(KEYS[1:]),
    st.lists(
        st.integers(0, 50) | st.text("ab, =/", max_size=4), min_size=1, max_size=3, unique=True
    ),
    max_size=3,
)
VARIANTS = st.lists(st.sampled_from("abc"), max_size=3, unique=True).map(
    lambda names: {name: {"rewiring.rule": name} for name in names}
)


def sizes(axes) -> int:
    return prod(len(axis.choices) for axis in axes)


@given(GRIDS, VARIANTS, st.integers(1, 4))
def test_the_full_product(grid, variants, seeds):
    axes = make_axes(grid, variants)
    points = make_points(axes, [], seeds)
    assert len(points) == sizes(axes) * seeds
    assert len({point.name for point in points}) == len(points)
    assert len({(point.values, point.seed) for point in points}) == len(points)
    for point in points:
        assert re.fullmatch(r"[A-Za-z0-9._+-]{1,120}", point.name)
        assert point.overrides[-1] == f"seed={point.seed}"
        assert [key for key, _ in point.values] == [axis.key for axis in axes]


@given(GRIDS, VARIANTS, st.integers(1, 3))
def test_the_order_is_that_of_the_axes_with_seeds_quickest(grid, variants, seeds):
    axes = make_axes(grid, variants)
    places = [
        [
            *(axis.choices.index(axis.find(dict(point.values)[axis.key])) for axis in axes),
            point.seed,
        ]
        for point in make_points(axes, [], seeds)
    ]
    assert places == sorted(places)


@given(GRIDS, VARIANTS, st.data())
def test_excluded_are_those_that_have_all_values(grid, variants, data):
    axes = make_axes(grid, variants)
    if not axes:
        return
    chosen = data.draw(st.lists(st.sampled_from(axes), min_size=1, unique_by=lambda a: a.key))
    pairs = {axis.key: data.draw(st.sampled_from(axis.choices)).value for axis in chosen}
    every = make_points(axes, [], 2)
    left = make_points(axes, [pairs], 2)
    assert len(every) - len(left) == 2 * prod(
        len(axis.choices) for axis in axes if axis.key not in pairs
    )
    assert [p for p in every if p in left] == left
    for point in left:
        assert any(dict(point.values)[key] != value for key, value in pairs.items())


@given(GRIDS, VARIANTS)
def test_names_depend_neither_on_the_order_of_axes_nor_on_other_points(grid, variants):
    axes = make_axes(grid, variants)
    names = {point.name for point in make_points(axes, [], 2)}
    assert {point.name for point in make_points(axes[::-1], [], 2)} == names
    assert {point.name for point in make_points(axes, [], 3)} > names


def test_names_are_readable():
    grid = {"network.sparsity": [0.9, [0.5, 0.9]], "delays.learn": [True]}
    names = [p.name for p in make_points(make_axes(grid, {"rigl": {}}), [], 1)]
    assert re.fullmatch(r"rigl-learn_true-sparsity_0.9-seed_0-[0-9a-f]{10}", names[0])
    assert re.fullmatch(r"rigl-learn_true-sparsity_0.5_0.9-seed_0-[0-9a-f]{10}", names[1])
    both = {"delays.learning_rate": [1], "learning.learning_rate": [2]}
    assert make_points(make_axes(both, {}), [], 1)[0].name.startswith(
        "delays.learning_rate_1-learning.learning_rate_2-seed_0-"
    )
    long = make_points(make_axes({"summary": ["x" * 500]}, {}), [], 1)[0].name
    assert len(long) < 120


def test_equal_numbers_are_one_value_and_names_follow_values():
    name = {
        value: make_points(make_axes({"a": [value]}, {}), [], 1)[0].name
        for value in (0, 0.5, "0.5")
    }
    assert len(set(name.values())) == 3
    digest = make_points(make_axes({"a": [0.0]}, {}), [], 1)[0].name.rsplit("-", 1)[1]
    assert name[0].endswith(digest)


def test_no_grid_is_the_recipe_itself():
    (point,) = make_points([], [], 1)
    assert point.overrides == ("seed=0",)
    assert point.text == "seed=0"


def test_what_all_points_change_needs_an_effect_in_one():
    grid = {"delays.learn": [True, False]}
    points = make_points(make_axes(grid, {}), [], 1)
    change = ["delays.learning_rate=0.2"]
    assert len(resolve("digits", change, points)) == 2
    with pytest.raises(InputError, match="delays.learning_rate has no effect in any point"):
        resolve("digits", change, points[1:])


def test_a_point_may_have_chosen_its_duration(tmp_path):
    """By its data: the recipe of its run has the number, that of the sweep has none."""
    small = ["network.layers.0.size=3", "data.dataset=folder"]
    recipe = load_recipe("fsdd", [*small, "data.duration=0"])
    text = dump(fitted(recipe, 100, 640.0))
    assert _is_of(text, recipe, tmp_path)
    with pytest.raises(InputError, match="data.duration: 640.0, 70.0"):
        _is_of(text, load_recipe("fsdd", [*small, "data.duration=70.0"]), tmp_path)
