"""Settings that differ from the shipped recipe, and runs that differ in the seed alone."""

from mlgenn_delays.recipe import load_recipe, parse_recipe, recipe_names, settings
from mlgenn_delays.report.settings import groups_of, settings_of


def recipe(name="fsdd-currents-sparse", **changes):
    return load_recipe(
        name, [f"{key.replace('__', '.')}={value}" for key, value in changes.items()]
    )


def test_settings_are_all_of_the_recipe():
    found = settings(recipe())
    assert found["learning.epochs"] == "30"
    assert found["network.layers.0.model"] == '"EulerLIF"'
    assert found["data.mel.n_bands"] == "40"
    assert found["rewiring.rule"] == '"rigl"'
    assert not [key for key in found if key.startswith(("summary", "expected"))]


def test_only_what_differs_is_marked():
    changed = {s.key: s for s in settings_of(recipe(learning__epochs=10, seed=4)) if s.differs}
    assert {key: (s.value, s.shipped) for key, s in changed.items()} == {
        "seed": ("4", "0"),
        "learning.epochs": ("10", "30"),
    }
    for name in recipe_names():
        assert not any(setting.differs for setting in settings_of(load_recipe(name)))


def test_parameters_of_other_neuron_models_are_left_out():
    plain, adaptive = (
        {s.key: s for s in settings_of(load_recipe("fsdd", overrides))}
        for overrides in ([], ["network.layers.0.model=AdaptiveLIF"])
    )
    key = "network.layers.0.tau_adapt"
    assert key not in plain and "network.layers.0.tau_mem" in plain
    assert (adaptive[key].value, adaptive[key].shipped) == ("100.0", "absent")
    models = [load_recipe("fsdd"), load_recipe("fsdd", ["network.layers.0.model=AdaptiveLIF"])]
    assert [g.title for g in groups_of(models)] == [
        "layers.0.model LIF",
        "layers.0.model AdaptiveLIF",
    ]


def test_a_setting_that_only_one_of_them_has():
    layers = (
        '[{size = 8, model = "EulerLIF", synapse = "Delta"}, '
        '{size = 8, model = "EulerLIF", synapse = "Delta"}]'
    )
    more = {
        s.key: s for s in settings_of(load_recipe("fsdd-currents", [f"network.layers={layers}"]))
    }
    assert more["network.layers.1.size"].shipped == "absent"
    assert more["network.layers.1.size"].differs


def test_a_recipe_of_ones_own_has_nothing_to_be_compared_with():
    from mlgenn_delays.recipe import dump

    own = parse_recipe(dump(recipe()).replace("fsdd-currents-sparse", "mine"), "mine")
    found = settings_of(own)
    assert found
    assert all(setting.shipped is None and not setting.differs for setting in found)


def test_runs_that_differ_in_the_seed_are_one_group():
    a, b = recipe(seed=0), recipe(seed=1)
    c, d = recipe(rewiring__rule="none"), recipe(rewiring__rule="none", seed=7)
    groups = groups_of([a, c, b, d])
    assert [(g.letter, g.members) for g in groups] == [("A", (0, 2)), ("B", (1, 3))]
    assert [g.values for g in groups] == [
        {"rewiring.rule": '"rigl"'},
        {"rewiring.rule": '"none"'},
    ]
    assert groups[1].label == "B: rewiring.rule none"
    (group,) = groups_of([a, b])
    assert group.values == {} and group.label == "A"
    groups = groups_of([recipe(), recipe("digits")])  # by name, where much differs
    assert [group.title for group in groups] == ["fsdd-currents-sparse", "digits"]
    assert len(groups[0].values) > 10


def test_many_groups_have_letters_of_their_own():
    groups = groups_of([recipe(learning__epochs=k) for k in range(1, 60)])
    letters = [group.letter for group in groups]
    assert letters[:2] == ["A", "B"]
    assert letters[25:28] == ["Z", "AA", "AB"]
    assert len(set(letters)) == 59


def test_groups_of_many_settings_are_told_apart_by_their_titles():
    common = {"network__layers__0__size": 8, "learning__epochs": 3, "learning__batch_size": 16}
    groups = groups_of([
        recipe(),
        recipe(**common),
        recipe(**common, delays__learn="false"),
        recipe(**common, delays__learn="false", delays__initial="zero"),
    ])  # fmt: skip
    titles = [group.title for group in groups]
    assert len(set(titles)) == len(titles) == 4
    assert titles[3] == "layers.0.size 8, delays.learn false, delays.initial zero, ..."
