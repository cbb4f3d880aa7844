"""What settings of several tables must have in common; each check raises a ValueError."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.recipe.network_section import Layer, Readout

if TYPE_CHECKING:
    from mlgenn_delays.recipe.schema import Recipe

_SURROGATE = "or set learning.rule = 'surrogate'"


def check_delayed(recipe: "Recipe") -> None:
    """Reject delays of projections that there are not."""
    if recipe.delays.layers == "all":
        return
    names = recipe.network.projections()
    known = [*dict.fromkeys(name.split("->")[1] for name in names), *names]
    for name in recipe.delays.layers:
        if name not in known:
            raise ValueError(
                f"delays.layers must be of {', '.join(known)}; got {name!r}{nearest(name, known)}"
            )


def _neurons(recipe: "Recipe") -> Iterator[tuple[str, Layer | Readout]]:
    """Yield the key and the table of every population of neurons."""
    for number, layer in enumerate(recipe.network.layers):
        yield f"network.layers.{number}", layer
    yield "network.readout", recipe.network.readout


def check_neurons(recipe: "Recipe") -> None:
    """Reject what a neuron model cannot have, and normalisation of what has not come in yet."""
    dt = recipe.network.dt
    for key, table in _neurons(recipe):
        if table.model in ("SeedLIF", "SeedLI"):
            if table.synapse != "Delta":
                plain = "LIF" if isinstance(table, Layer) else "LeakyIntegrator"
                raise ValueError(
                    f"{key}.synapse must be 'Delta' with {key}.model = {table.model!r}, got "
                    f"{table.synapse!r}; or set the model to {plain!r}"
                )
            if table.tau_mem < dt:
                raise ValueError(
                    f"{key}.tau_mem must be >= network.dt ({dt:g} ms) with {key}.model = "
                    f"{table.model!r}, got {table.tau_mem:g}"
                )
        if isinstance(table, Layer) and table.model == "SeedLIF" and table.tau_refrac:
            raise ValueError(
                f"{key}.tau_refrac must be 0 with {key}.model = 'SeedLIF', got "
                f"{table.tau_refrac:g}; or set the model to 'LIF'"
            )
        if isinstance(table, Layer) and table.normalise and recipe.learning.pipelined:
            raise ValueError(
                f"{key}.normalise must be false with learning.pipelined = true, got true; leave "
                "one of them out"
            )
        if isinstance(table, Layer) and table.normalise and table.recurrent:
            raise ValueError(
                f"{key}.normalise must be false with {key}.recurrent = true, got true: a "
                "recurrent current is not known before its spikes; leave one of them out"
            )


def check_rule(recipe: "Recipe") -> None:
    """Reject what only the surrogate rule can learn."""
    if recipe.learning.rule != "eventprop":
        return
    with_rule = "with learning.rule = 'eventprop'"
    for key, table in _neurons(recipe):
        plain = "LIF" if isinstance(table, Layer) else "LeakyIntegrator"
        if table.model != plain:
            raise ValueError(
                f"{key}.model must be {plain!r} {with_rule}, got {table.model!r}; {_SURROGATE}"
            )
        if table.synapse != "Exponential":
            raise ValueError(
                f"{key}.synapse must be 'Exponential' {with_rule}, got {table.synapse!r}; "
                f"{_SURROGATE}"
            )
        if table.normalise:
            raise ValueError(f"{key}.normalise must be false {with_rule}, got true; {_SURROGATE}")
    if recipe.delays.kernel != "dirac":
        raise ValueError(
            f"delays.kernel must be 'dirac' {with_rule}, got {recipe.delays.kernel!r}; {_SURROGATE}"
        )


def check_rewiring(recipe: "Recipe") -> None:
    """Reject rewiring that cannot keep signs or choose delays."""
    rewiring, network = recipe.rewiring, recipe.network
    if rewiring.needs_signs and network.signs == "free":
        form = " in its signed form" if rewiring.rule == "rigl" else ""
        other = ", or set rewiring.form = 'magnitude'" if rewiring.rule == "rigl" else ""
        raise ValueError(
            f"network.signs must be 'auto' or 'synapse' with rewiring.rule = {rewiring.rule!r}"
            f"{form}, got 'free': a synapse goes where its magnitude reaches zero, which needs a "
            f"sign; leave network.signs out{other}"
        )
    if rewiring.rule == "none" or rewiring.grow_delay != "gradient":
        return
    if rewiring.rule != "rigl":
        raise ValueError(
            "rewiring.grow_delay must be 'kept' or 'random' with rewiring.rule = "
            f"{rewiring.rule!r}, got 'gradient': only 'rigl' grows by gradient"
        )
    if recipe.delays.granularity != "synapse":
        raise ValueError(
            "delays.granularity must be 'synapse' with rewiring.grow_delay = 'gradient', got "
            f"{recipe.delays.granularity!r}; or set rewiring.grow_delay to 'kept'"
        )
    for name in network.projections():
        if network.surely_sparse(name) and not recipe.has_delays(name):
            raise ValueError(
                f"delays.layers must have {name} with rewiring.grow_delay = 'gradient' and "
                f"absent synapses in it, got {list(recipe.delays.layers)!r}; or set "
                "rewiring.grow_delay to 'kept'"
            )


def check_counts(recipe: "Recipe") -> None:
    """Reject a projection without a synapse, where the sizes are known without the data."""
    from mlgenn_delays.data.registry import dataset_shape

    try:
        shape = dataset_shape(recipe.data.dataset, recipe.data.parsed)
    except InputError as error:
        raise ValueError(f"data.dataset: {error}") from error
    try:
        # Files may have other channels than a data set says, so those of the input are not known.
        recipe.network.counts(None, None if shape is None else shape[1])
    except InputError as error:
        raise ValueError(str(error)) from error


def check_augmentation(recipe: "Recipe") -> None:
    """Reject changes that the other kind of data takes."""
    import numpy as np

    from mlgenn_delays.data.augment.augment import check_kind
    from mlgenn_delays.data.types import CurrentBatch, SpikeBatch

    none = np.zeros(0, np.int64)
    try:
        batch: CurrentBatch | SpikeBatch
        if recipe.data.encoding == "currents":
            batch = CurrentBatch(np.zeros((0, 1, 1), np.float32), none, none)
        else:
            batch = SpikeBatch(np.zeros((0, 2), np.int64), none, none, none, 1)
        check_kind(recipe.augmentation, batch)
    except InputError as error:
        raise ValueError(str(error)) from error


CHECKS = (
    check_delayed,
    check_rule,
    check_neurons,
    check_rewiring,
    check_counts,
    check_augmentation,
)
