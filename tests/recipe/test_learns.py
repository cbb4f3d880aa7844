"""Recipes of generated data, at reduced size: they learn what they are about."""

import pytest

from mlgenn_delays.recipe import build_network, build_rule, data_shape, load_data, load_recipe
from mlgenn_delays.training import Trainer

YIN_YANG = ["network.dt=0.5", "data.train=2000", "data.validation=500", "learning.epochs=12"]
SEQUENCE = ["data.train=500", "data.validation=300", "learning.epochs=10"]
ADAPTIVE = [*SEQUENCE, "network.layers.0.model=AdaptiveLIF", "learning.rule=eventprop"]


def accuracy(name: str, overrides: list[str]) -> float:
    """Return the best validation accuracy of a training."""
    recipe = load_recipe(name, overrides)
    data = load_data(recipe)
    trainer = Trainer(
        build_network(recipe, *data_shape(recipe), seed=0),
        build_rule(recipe),
        epochs=recipe.learning.epochs,
        batch_size=recipe.learning.batch_size,
        progress="none",
    )
    trainer.fit(data["train"], data["validation"])
    return trainer.evaluate(data["validation"]).accuracy


@pytest.mark.parametrize(
    ("name", "overrides", "least"),
    [("yin-yang", YIN_YANG, 0.9), ("sequence", SEQUENCE, 0.97), ("sequence", ADAPTIVE, 0.9)],
)
def test_a_reduced_training_learns(name: str, overrides: list[str], least: float) -> None:
    assert accuracy(name, overrides) >= least
