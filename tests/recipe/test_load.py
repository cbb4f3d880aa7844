"""Finding recipes, overriding settings, and what is said of what is wrong."""

import re

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.recipe import dump, load_recipe, parse_recipe
from tests.recipe.plain import plain


def refused(*overrides: str, recipe: str = "digits") -> str:
    with pytest.raises(InputError) as caught:
        load_recipe(recipe, list(overrides))
    assert caught.value.exit_code == 2
    return str(caught.value)


def essential(wanted: str) -> list[str]:
    """Return what a message must keep: keys, values, names, ranges; its prose may change."""
    quoted, ranged, dotted = r"'[^']*'?", r"[\[(][^\])]*[\])]", r"[a-z_]\w*(?:\.\w+)+"
    return re.findall(rf"{quoted}|{ranged}|{dotted}|-?\d[\d.e+]*|(?<=got )\w+", wanted)


def test_a_file(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(
        'name = "mine"\n[data]\ndataset = "digits"\n[[network.layers]]\nsize = 3\n'
        "[network]\ndt = 0.5\n[delays]\nmax = 5\n[learning]\nepochs = 2\n"
    )
    recipe = load_recipe(file)
    assert (recipe.name, recipe.network.dt, recipe.network.layers[0].size) == ("mine", 0.5, 3)
    assert recipe.delays.max == 5.0


PLAIN = """
name = "mine"
data = { dataset = "digits" }
delays = { max = 5 }
learning = { epochs = 2 }
[network]
layers = [{ size = 3, recurrent = true }, { size = 4 }]
"""


@pytest.mark.parametrize(
    ("given", "automatic"),
    [
        ((), ["input->hidden1", "hidden1->hidden1", "hidden1->hidden2", "hidden2->output"]),
        (("layers.0.weight_mean=1",), ["hidden1->hidden2", "hidden2->output"]),
        (("layers.0.recurrent_weight_sd=1",), ["hidden1->hidden2", "hidden2->output"]),
        (("layers.1.weight_init=kaiming", "readout.weight_scale=2"),
         ["input->hidden1", "hidden1->hidden1"]),
        (("layers.0.weight_sd=0", "layers.1.weight_sd=1", "readout.weight_sd=1"), []),
        (("layers.0.weight_sd=0", "layers.1.weight_sd=1", "readout.weight_init=auto"),
         ["hidden2->output"]),
    ],
)  # fmt: skip
def test_weights_are_found_on_the_data_where_none_are_given(given, automatic):
    recipe = parse_recipe(PLAIN, "mine.toml", [f"network.{each}" for each in given])
    assert recipe.network.automatic() == automatic
    again = parse_recipe(dump(recipe), "run")
    assert again == recipe and again.network.automatic() == automatic


def test_a_recorded_recipe_without_weight_init_means_normal_weights():
    """Older runs know no weight_init, and hold all other keys."""
    text = dump(parse_recipe(PLAIN, "mine.toml"))
    lines = [line for line in text.splitlines() if not line.strip().startswith("weight_init")]
    old = parse_recipe("\n".join(lines), "run")
    layer, readout = old.network.layers[0], old.network.readout
    assert (layer.weight_init, layer.weight_mean, layer.weight_sd) == ("normal", 0.03, 0.01)
    assert (readout.weight_init, readout.weight_mean, readout.weight_sd) == ("normal", 0.0, 0.03)


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
    named = [each.split()[0] for each in problems.split("; ")]
    assert named == ["data", "network", "delays", "learning"]


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
        ("learning.epochs=99999999999", "must be a whole number in [0, 2147483647]"),
        ("network.dt=2e9", "network.dt must be in [1e-06, 1e+09] ms, got 2000000000.0"),
        ("network.layers.0.tau_mem=1e300", "network.layers.0.tau_mem (0, 1e+09], got 1e+300"),
        ("network.layers=[]", "network.layers must be a list with at least one entry"),
        ("network.layers=3", "network.layers must be a list, got 3"),
        ("network=3", "network must be a table, got 3"),
        ("network.sparsity=1.0", "network.sparsity must be in [0, 1), got 1.0"),
        ("network.sparsity=[0.1]", "or 2 for input->hidden1, hidden1->output; got 1"),
        ("network.sparsity=much", "network.sparsity must be a number, got 'much'"),
        ("network.readout.kind=men", "did you mean 'mean'?"),
        ("delays.granularity=fixed", "never learned"),
        ("delays.initial_max=1e3", "delays.initial_max must be <= delays.max"),
        ("delays.layers=hidden1", "must be 'all' or a list"),
        ("delays.layers=['hiden1']", "did you mean 'hidden1'?"),
        ("learning.schedule=onecycle", "did you mean 'one-cycle'?"),
        ("learning.schedule_options.last=0.1x", "learning.schedule_options.last"),
        ("learning.schedule_options.lost=0.1", "did you mean 'last'?"),
        ("learning.schedule_options.last=7", "Cosine.last must be a number in [0, 1], got 7"),
        ("name=a/b", "name must be letters"),
        ("data.dataset=digit", "did you mean 'digits'?"),
        ("data.window=-3", "window must be a number > 0"),
        ("data.windw=3", "did you mean 'window'?"),
        ("data.encoding=currents", "data.encoding must be one of spikes, got 'currents'"),
        ("network.readout.synapse=3", "network.readout.synapse must be text in quotes, got 3"),
        ("network.synapses=5", "network.synapses must be a list, got 5"),
        ("network.synapses=[5]", "one number for each of input->hidden1, hidden1->output, got 1"),
        ("network.synapses=[5, 0]", "must be >= 1, got 0"),
        ("network.synapses=[5, 2561]", "network.synapses must be in 1..2560 for hidden1->output"),
        ("network.sparsity=0.9999", "projection 'hidden1->output' must have at least one synapse"),
        ("network.sparsity=[0, 0.9999]", "got sparsity 0.9999 of 256 x 10 pairs; lower it"),
        ("delays.sigma_start=0.1", "delays.sigma_end must be <= delays.sigma_start (0.1 steps)"),
        ("learning.surrogate_options.slop=1", "(surrogate 'atan' has slope); did you mean 'slope'"),
        ("learning.surrogate_options.slope=0", "Atan.slope must be a number > 0, got 0"),
        ("augmentation.noise=1", "augmentation.noise must be 0 for spikes"),
    ],
)
def test_bad_value_names_key_value_and_range(override, wanted):
    text = refused(override)
    name = override.partition("=")[0].rpartition(".")[2]  # of options, the last part is told
    assert [part for part in [name, *essential(wanted)] if part not in text] == []
    assert text.startswith("recipe 'digits'")


LAYER = "network.layers.0"
SURROGATE = "; or set learning.rule = 'surrogate'"


@pytest.mark.parametrize(
    ("recipe", "overrides", "wanted"),
    [
        ("digits", [f"{LAYER}.model=EulerLIF"], "model must be 'AdaptiveLIF' or 'LIF' .*'Euler"),
        ("digits", [f"{LAYER}.model=CubaLIF"], "model must be 'AdaptiveLIF' or 'LIF' .*'CubaLIF'"),
        ("digits", [f"{LAYER}.model=TwoCompartmentLIF"], f"{LAYER}.model must be 'AdaptiveLIF' or"),
        ("digits", [f"{LAYER}.synapse=Delta"], f"{LAYER}.synapse must be 'Exponential' .*'Delta'"),
        ("digits", [f"{LAYER}.normalise=true"], f"{LAYER}.normalise must be false .*got true"),
        ("digits", ["network.readout.model=EulerLI"], "readout.model must be 'LeakyIntegrator'"),
        ("digits", ["network.readout.synapse=Delta"], "readout.synapse must be 'Exponential'"),
        ("digits", ["network.readout.normalise=true"], "readout.normalise must be false"),
        ("digits", ["delays.kernel=gaussian"], "delays.kernel must be 'dirac' .*got 'gaussian'"),
        ("fsdd-currents", ["learning.rule=eventprop"], "model must be .*'LIF' .*'EulerLIF'"),
    ],
)
def test_what_eventprop_cannot_learn(recipe, overrides, wanted):
    text = refused(*overrides, recipe=recipe)
    assert re.search(wanted, text)
    assert f"{SURROGATE} (from --set {overrides[0]})" in text
    assert "with learning.rule = 'eventprop'" in text


# Changes of fsdd-currents; what is said of them: a key, what it must be and is, and the remedy.
APART = [
    (f"{LAYER}.synapse=Exponential", f"{LAYER}.synapse 'Delta' {LAYER}.model 'Exponential' 'LIF'"),
    ("network.readout.synapse=Exponential", "network.readout.synapse 'Delta' 'LeakyIntegrator'"),
    (f"{LAYER}.tau_mem=9", f"{LAYER}.tau_mem network.dt (10 ms) 'EulerLIF' 9"),
    (f"{LAYER}.recurrent=true", f"{LAYER}.normalise false {LAYER}.recurrent true leave"),
    ("rewiring.rule=deep_r network.signs=free", "network.signs 'auto' 'synapse' 'deep_r' leave"),
    ("rewiring.rule=rigl network.signs=free", "'rigl' signed 'free' rewiring.form 'magnitude'"),
    ("network.dale=true network.signs=synapse", "network.signs 'auto' network.dale 'synapse'"),
    (
        "rewiring.rule=set rewiring.grow_delay=gradient",
        "rewiring.grow_delay 'kept' 'random' rewiring.rule 'set' 'rigl'",
    ),
    (
        "rewiring.rule=rigl rewiring.grow_delay=gradient delays.granularity=axon",
        "delays.granularity 'synapse' 'gradient' 'axon' 'kept'",
    ),
    (
        "rewiring.rule=rigl rewiring.grow_delay=gradient network.sparsity=[0,0.5] "
        "delays.layers=['hidden1']",
        "delays.layers hidden1->output 'gradient' 'kept'",
    ),
    ("network.synapses=[160,40] network.sparsity=0.5", "network.sparsity 0 network.synapses 0.5"),
    (
        "network.sparsity=[0.5,0.5] network.allocation=erdos-renyi",
        "network.allocation 'uniform' network.sparsity list",
    ),
    (
        "network.synapses=[160,40] network.allocation=erdos-renyi",
        "network.allocation 'uniform' network.synapses list",
    ),
    ("augmentation.drop=0.5", "augmentation.drop 0 currents augmentation.mask_time"),
    ("augmentation.blend=0.5", "augmentation.blend 0 currents augmentation.noise"),
]


@pytest.mark.parametrize(("overrides", "said"), APART)
def test_settings_that_do_not_go_together(overrides, said):
    with pytest.raises(InputError) as error:
        plain(*overrides.split())
    text = str(error.value)
    assert [part for part in said.split() if part not in text] == []
    assert "(from --set " in text


@pytest.mark.parametrize(
    "overrides",
    [
        f"{LAYER}.model=LIF {LAYER}.synapse=Exponential {LAYER}.tau_refrac=20",
        f"{LAYER}.normalise=false {LAYER}.recurrent=true",
        "delays.kernel=dirac delays.granularity=axon",
        "delays.sigma_start=3 delays.sigma_end=3 delays.sigma_epochs=0.5",
        "augmentation.noise=0.1 augmentation.scale=0.2 augmentation.mask_time=50",
    ],
)
def test_what_goes_together(overrides):
    """Others that do are in tests/recipe/test_build.py and test_effects.py."""
    plain(*overrides.split())


# With a recipe, changes without effect in it, and what takes the effect away.
WITHOUT_EFFECT = [
    ("digits", "rewiring.until=0.5", "rewiring.rule = 'none'"),
    ("digits", "rewiring.every=5", "rewiring.rule = 'none'"),
    ("digits", "rewiring.rule=set", "network.sparsity = 0"),
    ("digits", "network.allocation=erdos-renyi", "network.sparsity = 0"),
    ("digits", "learning.surrogate=boxcar", "learning.rule = 'eventprop'"),
    ("digits", "learning.surrogate_options.slope=3", "learning.rule = 'eventprop'"),
    ("digits", "regularisation.spikes_target=3", "regularisation.spikes_strength = 0"),
    ("digits", "delays.sigma_end=0.5", "delays.kernel = 'dirac'"),
    ("digits", "delays.recurrent_initial=zero", "no recurrent layer"),
    ("digits", "network.layers.0.recurrent_weight_sd=1", "network.layers.0.recurrent = false"),
    ("digits", "augmentation.group=4", "augmentation.shift = 0"),
    ("fsdd-currents", "network.layers.0.tau_syn=3", "network.layers.0.synapse = 'Delta'"),
    ("fsdd-currents", "network.layers.0.tau_refrac=20", "network.layers.0.model = 'EulerLIF'"),
    (
        "fsdd-currents",
        "network.layers.0.model=TwoCompartmentLIF network.layers.0.tau_mem=20",
        "network.layers.0.model = 'TwoCompartmentLIF'",
    ),
    ("fsdd-currents", "network.readout.weight_sd=3", "network.readout.weight_init = 'kaiming'"),
    ("digits", "network.readout.weight_init=auto network.readout.weight_sd=3", "'auto'"),
    ("digits", "network.layers.0.weight_init=auto network.layers.0.weight_scale=3", "'auto'"),
    ("fsdd-currents", "data.encoder.gain=3", "data.encoding = 'currents'"),
    ("fsdd-currents-sparse", "rewiring.form=signed rewiring.until=0.5", "rewiring.form = 'signed'"),
    ("digits", "network.sparsity=0.5 rewiring.rule=deep_r rewiring.until=0.5", "'deep_r'"),
    ("digits", "network.sparsity=0.5 rewiring.rule=set rewiring.gradient_averaging=0", "'set'"),
    ("digits", "delays.learn=false delays.learning_rate=3", "delays.learn = false"),
    ("digits", "delays.initial=zero delays.initial_max=3", "delays.initial = 'zero'"),
    ("digits", "delays.max=0 delays.initial_max=0 delays.clip=2", "delays.max = 0"),
    ("digits", "delays.layers=[] delays.max=40", "delays.layers = []"),
    ("digits", "learning.learning_rate=0 learning.beta1=0.5", "learning.learning_rate = 0"),
    ("digits", "learning.learning_rate=0 regularisation.l1=0.5", "learning.learning_rate = 0"),
    ("digits", "quantisation.per=projection", "quantisation.weights = 'float32'"),
]


@pytest.mark.parametrize(("name", "overrides", "why"), WITHOUT_EFFECT)
def test_an_override_without_effect_is_refused(name, overrides, why):
    *others, last = overrides.split()
    load_recipe(name, others)
    with pytest.raises(InputError) as error:
        load_recipe(name, [*others, last])
    text = str(error.value)
    assert text.startswith(f"{last.partition('=')[0]} has no effect with ")
    assert why in text and f"got --set {last}" in text


def test_what_a_recipe_holds_for_other_settings_may_stay():
    """The form of rigl waits in it for a rule, and a run can be read again whatever it holds."""
    recipe = load_recipe("fsdd-currents")
    assert (recipe.rewiring.rule, recipe.rewiring.form) == ("none", "magnitude")
    changed = load_recipe("fsdd-currents", ["delays.kernel=dirac", "rewiring.form=magnitude"])
    assert parse_recipe(dump(changed), "a run") == changed


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
        ("rewiring.foo=3", "keys of [rewiring]: rule, form, every"),
    ],
)
def test_unknown_key_names_the_nearest(override, hint):
    text = refused(override)
    assert hint in text
    assert override in text


@pytest.mark.parametrize("override", ["epochs", "=3", ""])
def test_set_needs_key_and_value(override):
    assert "--set must be key=value" in refused(override)


def test_several_problems_are_one_line():
    text = refused("learning.epochs=-3", "seed=-1")
    assert "\n" not in text
    assert text == (
        "recipe 'digits' has 2 problems: seed must be a whole number >= 0, got -1 "
        "(from --set seed=-1); learning.epochs must be a whole number >= 0, got -3 "
        "(from --set learning.epochs=-3)"
    )
