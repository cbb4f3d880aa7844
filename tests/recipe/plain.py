"""fsdd-currents without augmentation, and with the paper's form of rigl."""

from mlgenn_delays.recipe import Recipe, dump, load_recipe, parse_recipe

PLAIN = (
    "augmentation.noise=0",
    "augmentation.shift=0",
    "augmentation.time_shift=0",
    "network.layers.0.dropout=0.1",
    "network.readout.weight_scale=1",
)


def plain(*overrides: str) -> Recipe:
    """Return it with further changes."""
    text = dump(load_recipe("fsdd-currents", PLAIN))
    text = text.replace('form = "magnitude"', 'form = "signed"')
    return parse_recipe(text, "recipe 'fsdd-currents'", overrides)
