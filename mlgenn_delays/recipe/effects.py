"""Settings that have no effect beside others: which ones, and why.

A recipe may hold them, as a start for those who change the others; what is asked for by name,
with an override, must have an effect.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlgenn_delays.recipe.network_section import Layer, Readout

if TYPE_CHECKING:
    from mlgenn_delays.recipe.schema import Recipe

# A key, or the table that holds it, and the setting beside which it has no effect.
Found = Iterator[tuple[str, str]]


def without_effect(recipe: "Recipe") -> dict[str, str]:
    """Return what has no effect in a recipe.

    Returns:
        By dotted key (that of a table stands for all keys in it) the setting that takes its effect
        away, such as ``"learning.rule = 'eventprop'"``.
    """
    found: dict[str, str] = {}
    for part in (_network, _delays, _learning, _rewiring, _others):
        for key, why in part(recipe):
            found.setdefault(key, why)
    return found


def effect_of(key: str, table: dict[str, str]) -> str | None:
    """Return what takes the effect of a dotted key away, None if nothing does.

    Arguments:
        key: The key.
        table: What `without_effect` returned.
    """
    parts = key.split(".")
    places = (".".join(parts[: n + 1]) for n in range(len(parts)))
    return next((table[place] for place in places if place in table), None)


def _neurons(recipe: "Recipe") -> Iterator[tuple[str, Layer | Readout]]:
    """Yield the key and the table of every population of neurons."""
    for number, layer in enumerate(recipe.network.layers):
        yield f"network.layers.{number}", layer
    yield "network.readout", recipe.network.readout


def _network(recipe: "Recipe") -> Found:
    """Yield what has no effect in [network]."""
    for where, table in _neurons(recipe):
        if table.synapse == "Delta":
            yield f"{where}.tau_syn", f"{where}.synapse = 'Delta'"
        if table.weight_init == "kaiming":
            for key in ("weight_mean", "weight_sd"):
                yield f"{where}.{key}", f"{where}.weight_init = 'kaiming'"
        if isinstance(table, Layer) and not table.recurrent:
            for key in ("recurrent_weight_mean", "recurrent_weight_sd"):
                yield f"{where}.{key}", f"{where}.recurrent = false"
    if recipe.is_dense():
        yield "network.allocation", "network.sparsity = 0"


def _delays(recipe: "Recipe") -> Found:
    """Yield what has no effect in [delays]."""
    delays, optimiser = recipe.delays, ("schedule", "schedule_options", "clip")
    own = (*optimiser, "learning_rate")
    kernel = ("kernel", "sigma_start", "sigma_end", "sigma_epochs")
    start = ("initial", "recurrent_initial")
    if not any(map(recipe.has_delays, recipe.network.projections())):
        for key in (*own, *kernel, *start, "initial_max", "max"):
            yield f"delays.{key}", "delays.layers = []"
    if delays.max == 0:
        for key in (*own, *kernel, *start):
            yield f"delays.{key}", "delays.max = 0"
    if not delays.learn:
        for key in own:
            yield f"delays.{key}", "delays.learn = false"
    elif delays.learning_rate == 0:
        for key in optimiser:
            yield f"delays.{key}", "delays.learning_rate = 0"
    if delays.kernel == "dirac":
        for key in kernel[1:]:
            yield f"delays.{key}", "delays.kernel = 'dirac'"
    if delays.initial == "zero":
        yield "delays.initial_max", "delays.initial = 'zero'"
    elif delays.initial == "constant" and delays.initial_max == 0:
        yield "delays.initial", "delays.initial_max = 0"
    loops = (f"hidden{n}->hidden{n}" for n, x in enumerate(recipe.network.layers, 1) if x.recurrent)
    if not any(map(recipe.has_delays, loops)):
        yield "delays.recurrent_initial", "no recurrent layer that has delays"


def _learning(recipe: "Recipe") -> Found:
    """Yield what has no effect in [learning] and [regularisation]."""
    learning = recipe.learning
    if learning.rule == "eventprop":
        for key in ("surrogate", "surrogate_options"):
            yield f"learning.{key}", "learning.rule = 'eventprop'"
    if learning.learning_rate == 0:
        for key in ("schedule", "schedule_options", "beta1", "beta2", "clip"):
            yield f"learning.{key}", "learning.learning_rate = 0"
        for key in ("l1", "revive"):
            yield f"regularisation.{key}", "learning.learning_rate = 0"
    if recipe.regularisation.spikes_strength == 0:
        yield "regularisation.spikes_target", "regularisation.spikes_strength = 0"


def _rewiring(recipe: "Recipe") -> Found:
    """Yield what has no effect in [rewiring]."""
    rewiring = recipe.rewiring
    shares = ("drop_fraction", "decay", "until")
    if rewiring.rule == "none":
        for key in ("form", "every", *shares, "gradient_averaging", "grow_delay"):
            yield f"rewiring.{key}", "rewiring.rule = 'none'"
        return
    if recipe.is_dense():
        yield "rewiring", "network.sparsity = 0: every pair of neurons has its synapse"
    if rewiring.rule != "rigl":
        for key in ("form", "gradient_averaging"):
            yield f"rewiring.{key}", f"rewiring.rule = {rewiring.rule!r}"
    if rewiring.needs_signs and rewiring.every in (-1, 1):
        yield "learning.pipelined", "rewiring after every batch (rewiring.every = 1)"
    if rewiring.needs_signs:
        form = "" if rewiring.rule == "deep_r" else " and rewiring.form = 'signed'"
        for key in shares:
            yield f"rewiring.{key}", f"rewiring.rule = {rewiring.rule!r}{form}"
    if recipe.delays.max == 0:
        yield "rewiring.grow_delay", "delays.max = 0"


def _others(recipe: "Recipe") -> Found:
    """Yield what has no effect in [augmentation] and [data]."""
    augmentation = recipe.augmentation
    if not (augmentation.shift or augmentation.mask_channels):
        yield "augmentation.group", "augmentation.shift = 0 and augmentation.mask_channels = 0"
    if "encoder" in recipe.data.options and recipe.data.encoding == "currents":
        yield "data.encoder", "data.encoding = 'currents'"
