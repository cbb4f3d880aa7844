"""The recipe coincidence at reduced size: learned delays come to the planted ones, fixed do not."""

import numpy as np
import pytest

from mlgenn_delays.analysis import recovered
from mlgenn_delays.data.registry import parse_options
from mlgenn_delays.data.sets.coincidence import planted_delays
from mlgenn_delays.recipe import build_augment, build_network, build_rule, load_data, load_recipe
from mlgenn_delays.training import Trainer

SMALL = ["data.train=400", "data.validation=100", "data.test=1"]
SMALL += ["learning.epochs=30", "delays.sigma_epochs=20"]


def share(*overrides: str) -> float:
    """Return the share that all hidden neurons find after a training."""
    recipe = load_recipe("coincidence", [*SMALL, *overrides])
    data = load_data(recipe)
    learning = recipe.learning
    trainer = Trainer(
        build_network(recipe, 10, 5, seed=0), build_rule(recipe), epochs=learning.epochs,
        batch_size=learning.batch_size, augment=build_augment(recipe), progress="none",
    )  # fmt: skip
    trainer.fit(data["train"], data["validation"])
    planted = planted_delays(parse_options("coincidence", recipe.data.options))
    return recovered(trainer.network, planted, np.ones(10)).share


@pytest.mark.slow
def test_learning_finds_planted_delays():
    learned, fixed = share("delays.learning_rate=0.9"), share("delays.learn=false")
    assert learned > 0.6 and fixed < 0.35
