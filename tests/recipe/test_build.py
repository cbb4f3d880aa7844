"""From recipe to network, rule and augmentation."""

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Adam, Cosine, EaseIn
from mlgenn_delays.recipe import (
    build_augment,
    build_network,
    build_rule,
    data_shape,
    load_data,
    load_recipe,
    recipe_names,
)

RECURRENT = ("network.layers.0.recurrent=true", "network.layers.0.size=20")


def network(*overrides: str, seed: int = 0):
    return build_network(load_recipe("digits", overrides), 64, 10, seed)


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_builds(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary
    channels, classes = data_shape(recipe)
    built = build_network(recipe, channels, classes, 0)
    assert built.input().n == channels
    assert built.output().n == classes
    build_rule(recipe)
    build_augment(recipe)


def test_digits_data_have_the_shape_that_is_said():
    recipe = load_recipe("digits", ["data.both=true"])
    train = load_data(recipe)["train"]
    assert data_shape(recipe) == (train.n_channels, train.n_classes) == (128, 10)


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
    built = network(f"delays.initial={initial}", "delays.initial_max=4")
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
    with pytest.raises(InputError, match="at least one"):
        network("network.sparsity=0.99999")


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
                "network.layers.0.dropout=0.25",
            ],
        )
    )
    assert rule.weights == Adam(0.25, beta1=0.5, schedule=EaseIn(growth=1.5), clip=2.0)
    assert rule.delays == Adam(0.75, schedule=Cosine())
    assert (rule.spike_count.target, rule.spike_count.strength) == (3, 0.1)
    assert rule.revive == 0.01
    assert dict(rule.dropout) == {"hidden1": 0.25}


def test_what_is_not_learned_has_no_optimiser():
    assert build_rule(load_recipe("digits", ["delays.learn=false"])).delays is None
    assert build_rule(load_recipe("digits", ["learning.learning_rate=0"])).weights is None


def test_augmentation():
    assert build_augment(load_recipe("digits", ["augmentation.drop=0"])) is None
    augment = build_augment(load_recipe("digits", ["augmentation.shift=2"]))
    assert (augment.shift, augment.group) == (2, 8)  # within rows of pixels
    augment = build_augment(
        load_recipe("digits", ["augmentation.drop=0.5", "augmentation.group=4"])
    )
    assert (augment.drop, augment.group) == (0.5, 4)
