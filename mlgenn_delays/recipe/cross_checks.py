"""What settings of several tables must have in common, and which have no effect beside others.

A check raises a ValueError or an InputError. A recipe may hold settings without effect, as a start
for those who change the others; what is asked for by name, with an override, must have an effect.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.data.augment.augment import check_encoding
from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.learning.losses import LOSSES
from mlgenn_delays.recipe.network_section import Layer, Readout
from mlgenn_delays.recipe.neuron_checks import (
    check_linear,
    check_models,
    check_neurons,
    foreign_keys,
    neuron_tables,
)
from mlgenn_delays.settings import fields_of

if TYPE_CHECKING:
    from mlgenn_delays.recipe.schema import Recipe

_SURROGATE = "or set learning.rule = 'surrogate'"


def check_delayed(recipe: "Recipe") -> None:
    """Reject delays for projections that do not exist."""
    if recipe.delays.layers == "all":
        return
    names = recipe.network.projections()
    known = [*dict.fromkeys(name.split("->")[1] for name in names), *names]
    for name in recipe.delays.layers:
        if name not in known:
            raise ValueError(
                f"delays.layers must be of {', '.join(known)}; got {name!r}{nearest(name, known)}"
            )


def check_rule(recipe: "Recipe") -> None:
    """Reject what only the surrogate rule can learn."""
    if recipe.learning.rule != "eventprop":
        return
    with_rule = "with learning.rule = 'eventprop'"
    for key, table in neuron_tables(recipe):
        check_linear(recipe, key, table, f"; {_SURROGATE}")
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
    # Files may have other channels than a data set says, so those of the input are not known.
    recipe.network.counts(None, None if shape is None else shape[1])


def check_augmentation(recipe: "Recipe") -> None:
    """Reject changes that the other kind of data takes."""
    check_encoding(recipe.augmentation, currents=recipe.data.encoding == "currents")


def check_hardware(recipe: "Recipe") -> None:
    """Reject delays that the hardware does not have."""
    if any(map(recipe.has_delays, recipe.network.projections())):
        recipe.hardware.check_delay("delays.max", recipe.delays.max, recipe.network.dt)


def check_quantisation(recipe: "Recipe") -> None:
    """Reject grids of delays that the time step or the longest delays do not allow."""
    quantisation, network = recipe.quantisation, recipe.network
    if not quantisation.has_grid:
        return
    names = network.projections()
    longest = {name: recipe.delays.max if recipe.has_delays(name) else 0.0 for name in names}
    quantisation.check_grids(longest, network.dt)


CHECKS = (
    check_models,
    check_delayed,
    check_rule,
    check_neurons,
    check_rewiring,
    check_counts,
    check_augmentation,
    check_hardware,
    check_quantisation,
)


# A key, or the table that holds it, and the setting beside which it has no effect.
Found = Iterator[tuple[str, str]]


def without_effect(recipe: "Recipe") -> dict[str, str]:
    """Return the keys of a recipe that have no effect.

    Returns:
        By dotted key (that of a table stands for all keys in it) the setting that takes its effect
        away, such as ``"learning.rule = 'eventprop'"``.
    """
    found: dict[str, str] = {}
    for part in (_network, _delays, _learning, _loss, _rewiring, _hardware, _others):
        for key, why in part(recipe):
            found.setdefault(key, why)
    return found


def effect_of(key: str, table: dict[str, str]) -> str | None:
    """Return the setting of `without_effect` that takes the effect of a dotted key away, if any."""
    parts = key.split(".")
    places = (".".join(parts[: n + 1]) for n in range(len(parts)))
    return next((table[place] for place in places if place in table), None)


_RECURRENT = ("recurrent_weight_mean", "recurrent_weight_sd")
# Keys without effect beside each `weight_init`.
_WEIGHTS = {
    "auto": ("weight_mean", "weight_sd", "weight_scale", *_RECURRENT),
    "kaiming": ("weight_mean", "weight_sd"),
    "normal": (),
}


def _network(recipe: "Recipe") -> Found:
    for where, table in neuron_tables(recipe):
        for name in foreign_keys(recipe, table):
            yield f"{where}.{name}", f"{where}.model = {table.model!r}"
        if table.synapse == "Delta" and "tau_syn" not in recipe.neuron(table).parameters():
            yield f"{where}.tau_syn", f"{where}.synapse = 'Delta'"
        if isinstance(table, Readout) and table.one_to_one:
            for key in ("weight_init", "weight_mean", "weight_sd", "weight_scale"):
                yield f"{where}.{key}", f"{where}.connection = {table.connection!r}"
        for key in _WEIGHTS[table.weight_init]:
            yield f"{where}.{key}", f"{where}.weight_init = {table.weight_init!r}"
        if isinstance(table, Layer) and not table.recurrent:
            for key in _RECURRENT:
                yield f"{where}.{key}", f"{where}.recurrent = false"
    if recipe.is_dense():
        yield "network.allocation", "network.sparsity = 0"
    unused = recipe.neurons.keys() - {table.model for _, table in neuron_tables(recipe)}
    for key in (f"neurons.{name}" for name in sorted(unused)):
        yield key, "network.layers.N.model and network.readout.model of other names"
    if len(unused) == len(recipe.neurons):
        yield "neurons", "network.layers.N.model and network.readout.model of other names"


def _delays(recipe: "Recipe") -> Found:
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
    learning = recipe.learning
    if learning.epochs:
        yield "learning.steps", f"learning.epochs = {learning.epochs}"
    if learning.rule == "eventprop":
        for key in ("surrogate", "surrogate_options"):
            yield f"learning.{key}", "learning.rule = 'eventprop'"
    layers = dict(neuron_tables(recipe))
    if not any(table.learn for table in layers.values()):
        yield "learning.neuron_learning_rate", "network.layers.N.learn = [] everywhere"
    if learning.neuron_learning_rate == 0:
        for where in layers:
            yield f"{where}.learn", "learning.neuron_learning_rate = 0"
    if learning.learning_rate == 0:
        for key in ("schedule", "schedule_options", "beta1", "beta2", "clip"):
            yield f"learning.{key}", "learning.learning_rate = 0"
        for key in ("l1", "revive"):
            yield f"regularisation.{key}", "learning.learning_rate = 0"
    if recipe.regularisation.spikes_strength == 0:
        yield "regularisation.spikes_target", "regularisation.spikes_strength = 0"


def _loss(recipe: "Recipe") -> Found:
    kind = LOSSES[recipe.loss.kind]
    for other in LOSSES.values():
        for key in fields_of(other).keys() - fields_of(kind):
            yield f"loss.{key}", f"loss.kind = {recipe.loss.kind!r}"
    if kind.series:
        yield "network.readout.kind", f"loss.kind = {recipe.loss.kind!r}"


def _rewiring(recipe: "Recipe") -> Found:
    rewiring = recipe.rewiring
    shares = ("drop_fraction", "decay", "until")
    if rewiring.rule == "none":
        for key in ("form", "every", *shares, "gradient_averaging", "grow_delay", "dead_first"):
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


def _hardware(recipe: "Recipe") -> Found:
    if not recipe.hardware.limits.synapses_per_core:
        yield "hardware.neurons_per_core", "hardware.synapses_per_core = 0"


def _others(recipe: "Recipe") -> Found:
    if recipe.quantisation.weights == FLOAT:
        yield "quantisation.per", f"quantisation.weights = {FLOAT!r}"
    augmentation = recipe.augmentation
    if not (augmentation.shift or augmentation.mask_channels):
        yield "augmentation.group", "augmentation.shift = 0 and augmentation.mask_channels = 0"
    encoding = recipe.data.encoding
    if "encoder" in recipe.data.options and encoding != "spikes":
        yield "data.encoder", f"data.encoding = {encoding!r}"
    if "mel" in recipe.data.options and encoding == "cochlea":
        yield "data.mel", f"data.encoding = {encoding!r}"
