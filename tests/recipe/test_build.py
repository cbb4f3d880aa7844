"""From recipe to network, rule and augmentation."""

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import (
    Adam,
    Atan,
    Boxcar,
    Cosine,
    Dirac,
    EaseIn,
    EventProp,
    Gaussian,
    OneCycle,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import CurrentInput, Delta, EulerLI, EulerLIF, Exponential, SpikeInput
from mlgenn_delays.recipe import (
    build_augment,
    build_network,
    build_rewiring,
    build_rule,
    data_shape,
    fitted,
    load_recipe,
    recipe_names,
)
from mlgenn_delays.rewiring import SET, DeepR, RigL
from tests.recipe.plain import plain

# fsdd-currents without what tells it from the paper's network.
RECURRENT = ("network.layers.0.recurrent=true", "network.layers.0.size=20")


def network(*overrides: str, seed: int = 0):
    return build_network(load_recipe("digits", overrides), 64, 10, seed)


def currents(*overrides: str, seed: int = 0):
    return build_network(plain(*overrides), 40, 10, seed)


def rule_of(*overrides: str):
    return build_rule(plain(*overrides))


def rewiring_of(*overrides: str):
    sparse = () if any("sparsity" in each for each in overrides) else ("network.sparsity=0.5",)
    return build_rewiring(plain(*sparse, *overrides))


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name):
    recipe = fitted(load_recipe(name), 100, 640.0)
    assert recipe.name == name
    assert recipe.summary
    channels, classes = data_shape(recipe) or (recipe.data.parsed.n_channels, 20)
    built = build_network(recipe, channels, classes, 0)
    assert built.input().n == channels
    assert built.output().n == classes
    build_rule(recipe)
    build_augment(recipe)
    assert (build_rewiring(recipe) is None) == (recipe.rewiring.rule == "none")


def test_populations_projections_and_delays():
    built = network(*RECURRENT, "delays.max=40", "delays.initial_max=10")
    assert list(built.populations) == ["input", "hidden1", "output"]
    assert list(built.projections) == ["input->hidden1", "hidden1->hidden1", "hidden1->output"]
    for projection in built.projections.values():
        assert projection.granularity == "synapse"
        assert projection.max_delay == 40
        assert 0 <= projection.delay.min() < projection.delay.max() <= 10
        assert projection.delay.max() > 9


def test_two_layers_follow_each_other():
    layers = "network.layers=[{size=5}, {size=7, tau_mem=10.0, tau_syn=2.0}]"
    built = network(layers)
    assert list(built.projections) == ["input->hidden1", "hidden1->hidden2", "hidden2->output"]
    assert built.populations["hidden2"].model.tau_mem == 10
    assert built.projections["hidden1->hidden2"].synapse.tau_syn == 2


@pytest.mark.parametrize(
    ("layers", "with_delays"),
    [
        ("['hidden1']", ["input->hidden1", "hidden1->hidden1"]),
        ("['hidden1->hidden1', 'output']", ["hidden1->hidden1", "hidden1->output"]),
        ("[]", []),
    ],
)
def test_chosen_projections_have_delays_and_the_others_none(layers, with_delays):
    built = network(*RECURRENT, f"delays.layers={layers}")
    for name, projection in built.projections.items():
        if name in with_delays:
            assert projection.granularity == "synapse"
        else:
            assert projection.granularity == "fixed"
            assert projection.delay.tolist() == [0.0]
            assert projection.max_delay == 0.0


@pytest.mark.parametrize(("initial", "start"), [("zero", 0.0), ("constant", 4.0)])
def test_delays_that_start_alike(initial, start):
    most = ("delays.initial_max=4",) * (initial == "constant")
    built = network(f"delays.initial={initial}", *most)
    assert set(built.projections["input->hidden1"].delay) == {start}


def test_granularity():
    built = network("delays.granularity=axon")
    assert built.projections["input->hidden1"].delay.shape == (64,)
    built = network("delays.granularity=fixed", "delays.learn=false")
    assert built.projections["input->hidden1"].delay.shape == (1,)


def test_sparsity_of_all_or_each():
    built = network("network.layers.0.size=20", "network.sparsity=0.75")
    assert [p.n_synapses for p in built.projections.values()] == [64 * 20 // 4, 200 // 4]
    built = network("network.layers.0.size=20", "network.sparsity=[0.5, 0]")
    assert [p.n_synapses for p in built.projections.values()] == [64 * 20 // 2, 200]


def test_starting_weights():
    overrides = ("network.layers.0.weight_mean=3", "network.layers.0.weight_sd=0.5")
    weight = network(*overrides, "network.layers.0.size=200").projections["input->hidden1"].weight
    assert weight.mean() == pytest.approx(3, abs=0.05)
    assert weight.std() == pytest.approx(0.5, abs=0.05)


def test_seed_decides():
    a, b, c = (network(seed=seed).projections["input->hidden1"] for seed in (1, 1, 2))
    assert np.array_equal(a.weight, b.weight)
    assert np.array_equal(a.delay, b.delay)
    assert not np.array_equal(a.weight, c.weight)


def test_rule():
    rule = build_rule(
        load_recipe(
            "digits",
            [
                "learning.learning_rate=0.25",
                "learning.schedule=ease-in",
                "learning.schedule_options.growth=1.5",
                "learning.beta1=0.5",
                "learning.clip=2",
                "delays.learning_rate=0.75",
                "delays.schedule=cosine",
                "regularisation.spikes_target=3",
                "regularisation.spikes_strength=0.1",
                "regularisation.revive=0.01",
                "regularisation.operations=1e-5",
                "network.layers.0.dropout=0.25",
            ],
        )
    )
    assert rule.weights == Adam(0.25, beta1=0.5, schedule=EaseIn(growth=1.5), clip=2.0)
    assert rule.delays == Adam(0.75, schedule=Cosine())
    assert (rule.spike_count.target, rule.spike_count.strength) == (3, 0.1)
    assert rule.revive == 0.01
    assert rule.operations == 1e-5
    assert dict(rule.dropout) == {"hidden1": 0.25}


def test_augmentation():
    assert build_augment(load_recipe("digits", ["augmentation.drop=0"])) is None
    augment = build_augment(load_recipe("digits", ["augmentation.shift=2"]))
    assert (augment.shift, augment.group) == (2, 8)  # within rows of pixels
    augment = build_augment(load_recipe("digits", ["augmentation.shift=1", "augmentation.group=4"]))
    assert (augment.shift, augment.group) == (1, 4)
    augment = build_augment(plain("augmentation.noise=0.1"))
    assert (augment.noise, augment.group) == (0.1, 40)
    augment = build_augment(
        load_recipe("digits", ["augmentation.drop=0", "augmentation.blend=0.5"])
    )
    assert (augment.blend, augment.drop, augment.group) == (0.5, 0, 8)


def test_the_seeds_network():
    built = currents()
    assert built.dt == 10
    assert built.input().model == CurrentInput(40)
    assert built.populations["hidden1"].model == EulerLIF(256, 100.5)
    assert built.populations["hidden1"].normalisation is not None
    assert built.output().model == EulerLI(10, 100.5, "softmax-sum")
    assert built.output().normalisation is None
    for projection, n_pre in zip(built.projections.values(), (40, 256), strict=True):
        assert projection.synapse == Delta()
        assert projection.sign is None
        assert projection.max_delay == 240
        bound = (6 / n_pre) ** 0.5
        size = np.abs(projection.weight).max()
        assert 0.99 * bound < size <= bound
        assert projection.delay.min() < 1 and projection.delay.max() > 239


def test_weights_are_scaled_of_either_kind():
    normal = ("network.layers.0.weight_init=normal",)
    for make, name, given, override, scale in (
        (currents, "input->hidden1", (), "network.layers.0.weight_scale=0.5", 0.5),
        (network, "input->hidden1", normal, "network.layers.0.weight_scale=0.5", 0.5),
        (currents, "hidden1->output", (), "network.readout.weight_scale=3", 3.0),
    ):
        made = (make(*given, *each) for each in ((override,), ()))
        scaled, plain_ = (each.projections[name].weight for each in made)
        assert scaled == pytest.approx(scale * plain_)


def test_models_and_synapses_may_be_mixed():
    built = currents(
        "network.layers.0.model=LIF", "network.layers.0.synapse=Delta", "network.readout.kind=mean",
        "network.readout.model=LeakyIntegrator", "network.readout.synapse=Exponential",
        "network.readout.tau_syn=30", "network.readout.normalise=true",
    )  # fmt: skip
    assert built.projections["input->hidden1"].synapse == Delta()
    assert built.projections["hidden1->output"].synapse == Exponential(30.0)
    assert built.output().normalisation is not None


@pytest.mark.parametrize(
    ("overrides", "counts"),
    [
        (["network.sparsity=0.984375"], [160, 40]),
        (["network.sparsity=[0.5, 0.75]"], [5120, 640]),
        (["network.synapses=[200, 7]"], [200, 7]),
        # 1280 in all, in proportion to 296 and 266
        (["network.sparsity=0.9", "network.allocation=erdos-renyi"], [674, 606]),
    ],
)
def test_counts(overrides, counts):
    assert [p.n_synapses for p in currents(*overrides).projections.values()] == counts


def test_counts_that_only_the_data_show_to_be_wrong():
    with pytest.raises(InputError, match="'input->hidden1' must have at least one synapse, got"):
        currents("network.sparsity=[0.99999, 0]")
    with pytest.raises(InputError, match="network.synapses must be in 1..10240 for input->hidden1"):
        currents("network.synapses=[10241, 1]")
    with pytest.raises(InputError, match="every projection .* must have at least one synapse"):
        currents("network.sparsity=0.99999", "network.allocation=erdos-renyi")


@pytest.mark.parametrize(
    ("overrides", "signs"),
    [
        ([], "free"),
        (["rewiring.rule=set"], "free"),
        (["rewiring.rule=rigl", "rewiring.form=magnitude"], "free"),
        (["rewiring.rule=rigl"], "synapse"),
        (["rewiring.rule=deep_r"], "synapse"),
        (["network.signs=synapse"], "synapse"),
        (["rewiring.rule=set", "network.signs=synapse"], "synapse"),
        (["network.dale=true"], "dale"),
        (["rewiring.rule=set", "network.dale=true"], "dale"),
        (["rewiring.rule=rigl", "network.dale=true"], "dale"),
    ],
)
def test_signs(overrides, signs):
    built = currents(*overrides, "network.sparsity=0.5")
    rewiring = rewiring_of(*overrides)
    assert rewiring is None or rewiring.signs == signs
    for projection in built.projections.values():
        if signs == "free":
            assert projection.sign is None
            continue
        assert (projection.weight * projection.sign >= 0).all()
        assert {-1, 1} == set(projection.sign.tolist())
        of_neurons = [len(set(projection.sign[projection.pre() == i])) for i in range(40)]
        assert (max(of_neurons) == 1) == (signs == "dale")


def test_the_rule_of_surrogate_gradients():
    rule = rule_of("learning.clip=2", "regularisation.l1=0.5", "regularisation.revive=0.25")
    assert rule == SurrogateBPTT(
        weights=Adam(1e-3, schedule=OneCycle(), clip=2.0),
        delays=Adam(0.1, schedule=Cosine()),
        surrogate=Atan(5.0),
        kernel=Gaussian(12.0, 0.23, 7.5),
        spike_count=SpikeCount(14.0, 0.0),
        revive=0.25,
        dropout={"hidden1": 0.1},
        l1=0.5,
    )
    assert rule_of("delays.learn=false").delays is None
    assert rule_of("learning.learning_rate=0").weights is None
    assert isinstance(build_rule(load_recipe("digits")), EventProp)
    assert isinstance(currents("data.encoding=spikes").input().model, SpikeInput)
    assert build_rule(load_recipe("digits", ["regularisation.l1=0.5"])).l1 == 0.5


@pytest.mark.parametrize(
    ("overrides", "surrogate"),
    [
        (["learning.surrogate_options.slope=2"], Atan(2.0)),
        (["learning.surrogate=triangle"], Triangle()),
        (["learning.surrogate=boxcar", "learning.surrogate_options.width=3"], Boxcar(3.0)),
    ],
)
def test_surrogates(overrides, surrogate):
    assert rule_of(*overrides).surrogate == surrogate


@pytest.mark.parametrize(
    ("overrides", "kernel"),
    [
        (["delays.kernel=dirac"], Dirac()),
        (["learning.epochs=150"], Gaussian(12.0, 0.23, 37.5)),
        (["delays.max=640"], Gaussian(32.0, 0.23, 7.5)),  # 65 taps
        (["delays.max=0", "delays.initial_max=0"], Gaussian(0.23, 0.23, 7.5)),
        (
            ["delays.sigma_start=5", "delays.sigma_end=0.5", "delays.sigma_epochs=3"],
            Gaussian(5.0, 0.5, 3.0),
        ),
    ],
)
def test_kernels(overrides, kernel):
    assert rule_of(*overrides).kernel == kernel


SHARE = {"drop_fraction": 0.3, "decay": "cosine", "until": 0.75}


@pytest.mark.parametrize(
    ("overrides", "rewiring"),
    [
        ([], None),
        (["rewiring.rule=deep_r"], DeepR(every=1, signs="synapse", longest=240.0)),
        (["rewiring.rule=deep_r", "rewiring.every=0"], DeepR(every=0, longest=240.0)),
        (["rewiring.rule=rigl"], RigL(form="signed", every=1, averaging=0.9, longest=240.0)),
        (
            ["rewiring.rule=rigl", "rewiring.gradient_averaging=0", "rewiring.grow_delay=gradient"],
            RigL(averaging=0.0, grow_delay="gradient", longest=240.0),
        ),
        (
            ["rewiring.rule=rigl", "rewiring.form=magnitude"],
            RigL(form="magnitude", every=20, signs="free", longest=240.0, **SHARE),
        ),
        (
            [
                "rewiring.rule=rigl", "rewiring.form=magnitude", "rewiring.every=7",
                "rewiring.drop_fraction=0.1", "rewiring.decay=constant", "rewiring.until=1",
            ],
            RigL(
                form="magnitude", every=7, signs="free", longest=240.0, drop_fraction=0.1,
                decay="constant", until=1.0,
            ),
        ),
        (
            ["rewiring.rule=set", "rewiring.grow_delay=random"],
            SET(every=20, signs="free", grow_delay="random", longest=240.0, **SHARE),
        ),
        (["rewiring.rule=deep_r", "delays.initial=zero"], DeepR(longest=0.0)),
        (["rewiring.rule=deep_r", "delays.initial_max=50"], DeepR(longest=50.0)),
    ],
)  # fmt: skip
def test_rewiring(overrides, rewiring):
    assert rewiring_of(*overrides) == rewiring


def test_projections_without_delays_of_their_own_stay_so():
    overrides = ["rewiring.rule=rigl", "network.sparsity=0.5", "delays.layers=['hidden1']"]
    assert currents(*overrides).projections["hidden1->output"].granularity == "fixed"
    assert rewiring_of(*overrides).grow_delay == "kept"


def test_recurrent_delays_may_start_at_zero():
    for start in ("same", "zero"):
        recipe = load_recipe("digits", [*RECURRENT, f"delays.recurrent_initial={start}"])
        net = build_network(recipe, 64, 10, seed=0)
        delays = {name: p.delay for name, p in net.projections.items()}
        assert delays["hidden1->hidden1"].any() == (start == "same")
        assert delays["input->hidden1"].any() and delays["hidden1->output"].any()
