"""Finding recipes, overriding settings, and what is said of what is wrong."""

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.recipe import load_recipe, parse_recipe, recipe_names


def refused(*overrides: str, recipe: str = "digits") -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(recipe, list(overrides))
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_built_in_names():
    assert {"digits", "fsdd"} <= set(recipe_names())


def test_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[data]\ndataset = "digits"\n[[network.layers]]\nsize = 3\n'
        "[network]\ndt = 0.5\n[delays]\nmax = 5\n[learning]\nepochs = 2\n"
    )
    recipe = load_recipe(file)
    assert (recipe.name, recipe.network.dt, recipe.network.layers[0].size) == ("mine", 0.5, 3)
    assert recipe.delays.max == 5.0


def test_unknown_recipe_names_the_nearest():
    text = refused(recipe="digit")
    assert "'digit'" in text
    assert "digits, fsdd" in text
    assert "did you mean 'digits'?" in text


def test_missing_file_and_folder(tmp_path):
    assert "does not exist" in refused(recipe=str(tmp_path / "no.toml"))
    assert "is a folder" in refused(recipe=str(tmp_path))


def test_no_toml(tmp_path):
    file = tmp_path / "bad.toml"
    file.write_text("name = \n")
    assert str(file) in refused(recipe=str(file))
    file.write_bytes(b"name = '\xff'")
    assert "UTF-8" in refused(recipe=str(file))


def test_missing_keys_are_all_named():
    with pytest.raises(InputError) as caught:
        parse_recipe('name = "x"', "x.toml")
    first, _, problems = str(caught.value).partition(": ")
    assert first == "x.toml has 4 problems"
    assert problems.split("; ") == [
        f"{key} must be given" for key in ("data", "network", "delays", "learning")
    ]


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("learning.epochs=3", lambda r: r.learning.epochs == 3),
        (" learning.learning_rate = 1e-4 ", lambda r: r.learning.learning_rate == 1e-4),
        ("network.layers.0.size=7", lambda r: r.network.layers[0].size == 7),
        ("network.layers.0.recurrent=true", lambda r: r.network.layers[0].recurrent is True),
        ("network.sparsity=0.5", lambda r: r.network.sparsity == 0.5),
        ("network.sparsity=[0.5, 0]", lambda r: r.network.sparsity == (0.5, 0.0)),
        ("network.readout.kind=mean", lambda r: r.network.readout.kind == "mean"),
        ('network.readout.kind="mean"', lambda r: r.network.readout.kind == "mean"),
        ("learning.schedule=one-cycle", lambda r: r.learning.schedule == "one-cycle"),
        ("delays.layers=['hidden1']", lambda r: r.delays.layers == ("hidden1",)),
        ("data.window=20", lambda r: r.data.options["window"] == 20),
        ("seed=5", lambda r: r.seed == 5),
        ("summary=a = b", lambda r: r.summary == "a = b"),
        ("summary=1\nseed=9", lambda r: r.summary == "1\nseed=9" and r.seed == 0),
    ],
)
def test_set(override, read):
    assert read(load_recipe("digits", [override]))


def test_later_overrides_win():
    assert load_recipe("digits", ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "wanted"),
    [
        ("learning.epochs=0", "learning.epochs must be >= 1, got 0"),
        ("learning.epochs=2.5", "must be a whole number, got 2.5"),
        ("learning.epochs=true", "must be a whole number, got true"),
        ("learning.epochs='3'", "must be a whole number, got '3'"),
        ("learning.epochs=99999999999", "must be <= 2147483647"),
        ("learning.learning_rate=-1", "learning.learning_rate must be >= 0, got -1"),
        ("learning.learning_rate=inf", "must be a finite number, got inf"),
        ("network.dt=nan", "network.dt must be a finite number, got nan"),
        ("network.dt=0", "network.dt must be in (0, 1e+09], got 0"),
        ("network.dt=2e9", "network.dt must be in (0, 1e+09], got 2000000000.0"),
        *(
            (f"{key}=1e300", f"{key} must be in {low}0, 1e+09], got 1e+300")
            for key, low in (
                ("network.layers.0.tau_mem", "("),
                ("network.layers.0.tau_refrac", "["),
                ("network.layers.0.tau_syn", "("),
                ("network.readout.tau_mem", "("),
                ("network.readout.tau_syn", "("),
                ("delays.max", "["),
                ("delays.initial_max", "["),
                ("augmentation.jitter", "["),
                ("augmentation.time_shift", "["),
            )
        ),
        ("network.layers.0.size=0", "network.layers.0.size must be >= 1, got 0"),
        ("network.layers.0.dropout=1", "dropout must be in [0, 1), got 1"),
        ("network.layers=[]", "network.layers must be a list with at least one entry"),
        ("network.layers=3", "network.layers must be a list, got 3"),
        ("network=3", "network must be a table, got 3"),
        ("network.sparsity=1.0", "network.sparsity must be in [0, 1), got 1.0"),
        ("network.sparsity=[0.1]", "or 2 for input->hidden1, hidden1->output; got 1"),
        ("network.sparsity=much", "network.sparsity must be a number, got 'much'"),
        ("network.readout.kind=men", "did you mean 'mean'?"),
        ("delays.granularity=neuron", "must be one of synapse, axon, fixed, got 'neuron'"),
        ("delays.granularity=fixed", "never learned"),
        ("delays.initial_max=1e3", "delays.initial_max must be <= delays.max"),
        ("delays.layers=hidden1", "must be 'all' or a list"),
        ("delays.layers=['hiden1']", "did you mean 'hidden1'?"),
        ("learning.schedule=onecycle", "did you mean 'one-cycle'?"),
        ("learning.schedule_options.last=0.1x", "learning.schedule_options.last"),
        ("learning.schedule_options.lost=0.1", "did you mean 'last'?"),
        ("learning.schedule_options.last=7", "Cosine must have last in [0, 1], got 7"),
        ("augmentation.drop=1", "augmentation.drop must be in [0, 1), got 1"),
        ("expected.accuracy=97", "expected.accuracy must be in [0, 1], got 97"),
        ("name=a/b", "name must be letters"),
        ("seed=-1", "seed must be >= 0, got -1"),
        ("data.dataset=digit", "did you mean 'digits'?"),
        ("data.window=-3", "window must have a number > 0"),
        ("data.windw=3", "did you mean 'window'?"),
    ],
)
def test_bad_value_names_key_value_and_range(override, wanted):
    text = refused(override)
    assert wanted in text
    assert text.startswith("recipe 'digits'")


@pytest.mark.parametrize(
    ("override", "works"),
    [
        ("learning.rule=surrogate", "'eventprop'"),
        ("delays.kernel=gaussian", "'dirac'"),
        ("data.encoding=currents", "'spikes'"),
        ("network.dale=true", "false"),
        ("network.layers.0.normalise=true", "false"),
        ("network.layers.0.synapse=Delta", "'Exponential'"),
        ("network.layers.0.model=SeedLIF", "'LIF'"),
        ("regularisation.l1=0.1", "0"),
        *((f"rewiring.rule={rule}", "'none'") for rule in ("deep_r", "rigl", "set")),
    ],
)
def test_what_is_planned_is_refused_by_name(override, works):
    value = override.partition("=")[2]
    text = refused(override)
    assert value in text
    assert f"is not there yet; what works today: {works}" in text
    assert f"(from --set {override})" in text


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("learning.epoch=3", "did you mean 'epochs'?"),
        ("learnin.epochs=3", "did you mean 'learning'?"),
        ("epochs=3", "did you mean 'learning.epochs'?"),
        ("dt=3", "did you mean 'network.dt'?"),
        ("network.layers.0.tau_men=3", "did you mean 'tau_mem'?"),
        ("network.layers.1.size=3", "network.layers has the entries 0..0"),
        ("network.layers.-1.size=3", "network.layers has the entries 0..0"),
        ("name.x=3", "there is no key 'name.x'"),
    ],
)
def test_unknown_key_names_the_nearest(override, hint):
    text = refused(override)
    assert hint in text
    assert override in text


def test_unknown_key_lists_those_of_its_section():
    text = refused("rewiring.foo=3")
    assert "keys of [rewiring]: rule" in text


@pytest.mark.parametrize("override", ["epochs", "=3", ""])
def test_set_needs_key_and_value(override):
    assert "--set must be key=value" in refused(override)


def test_several_problems_are_one_line():
    text = refused("learning.epochs=0", "seed=-1")
    assert "\n" not in text
    assert text == (
        "recipe 'digits' has 2 problems: seed must be >= 0, got -1 (from --set seed=-1); "
        "learning.epochs must be >= 1, got 0 (from --set learning.epochs=0)"
    )
