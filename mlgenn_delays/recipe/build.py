"""From a recipe to a network, a learning rule, rewiring, quantisation and the augmentation."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.distributions import Uniform
from mlgenn_delays.errors import InputError
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.learning import (
    Adam,
    Dirac,
    EventProp,
    Gaussian,
    Rule,
    SpikeCount,
    SurrogateBPTT,
)
from mlgenn_delays.learning.losses import LOSSES, NamedLoss
from mlgenn_delays.learning.optimisers import SCHEDULES
from mlgenn_delays.learning.rules import SURROGATES, DelayKernel
from mlgenn_delays.network import (
    CurrentInput,
    Delta,
    Exponential,
    Network,
    Normal,
    SpikeInput,
)
from mlgenn_delays.network.delays import longest_steps
from mlgenn_delays.network.initialise import Initial, kaiming
from mlgenn_delays.network.models import SynapseModel
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.recipe.network_section import Layer, Readout
from mlgenn_delays.recipe.schema import Recipe
from mlgenn_delays.recipe.sections import Delays, Learning
from mlgenn_delays.rewiring import RULES, Rewiring
from mlgenn_delays.settings import fields_of

if TYPE_CHECKING:
    from mlgenn_delays.data import Augment
    from mlgenn_delays.data.registry import Splits


def build_network(recipe: Recipe, n_inputs: int, n_classes: int, seed: int) -> Network:
    """Return the network of a recipe with its starting weights and delays.

    Weights of ``weight_init = "auto"`` depend on the data: give the network and
    ``recipe.network.automatic()`` to `initialise_weights`, before which they are Kaiming's.

    Arguments:
        recipe: The recipe.
        n_inputs: Channels of the data.
        n_classes: Classes of the data.
        seed: Seed of connectivity, signs, weights and delays.

    Raises:
        InputError: The sparsity leaves a projection without synapses, or the hardware has no room
            for them.

    Example:
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> network = build_network(load_recipe("digits"), n_inputs=64, n_classes=10, seed=0)
        >>> list(network.populations)
        ['input', 'hidden1', 'output']
    """
    section = recipe.network
    counts = section.counts(n_inputs, n_classes)
    network = Network(dt=section.dt, seed=seed)
    kind = CurrentInput if recipe.data.encoding == "currents" else SpikeInput
    before = network.add("input", kind(n_inputs))
    for number, layer in enumerate(section.layers, 1):
        neurons = _neurons(recipe, layer, layer.size)
        added = network.add(
            f"hidden{number}",
            neurons,
            normalise=layer.normalise,
            learn=layer.learned_by(recipe.neuron(layer)),
        )
        weight = _weight(layer, before.n)
        _connect(network, recipe, counts, before.name, added.name, _synapse(layer), weight)
        if layer.recurrent:
            weight = Normal(layer.recurrent_weight_mean, layer.recurrent_weight_sd)
            _connect(network, recipe, counts, added.name, added.name, _synapse(layer), weight)
        before = added
    readout = section.readout
    neurons = _neurons(recipe, readout, n_classes, readout=readout.kind)
    learn = readout.learned_by(recipe.neuron(readout))
    network.add("output", neurons, normalise=readout.normalise, learn=learn)
    if readout.one_to_one:
        network.connect(
            before.name, "output", _synapse(readout), weight=1.0, granularity="fixed",
            one_to_one=True, frozen=True,
        )  # fmt: skip
    else:
        weight = _weight(readout, before.n)
        _connect(network, recipe, counts, before.name, "output", _synapse(readout), weight)
    network.limit(recipe.hardware)
    recipe.hardware.check(network)
    return network


def _neurons(recipe: Recipe, table: Layer | Readout, n: int, **others: str) -> Any:
    model: Any = recipe.neuron(table)
    return model(n, **table.values_for(model), **others)


def _synapse(table: Layer | Readout) -> SynapseModel:
    learns = "tau_syn" in table.learn
    return Delta() if table.synapse == "Delta" else Exponential(table.tau_syn, learn=learns)


def _weight(table: Layer | Readout, n_pre: int) -> Uniform | Normal:
    if table.weight_init == "auto":
        return kaiming(n_pre)
    scale = table.weight_scale
    if table.weight_init == "kaiming":
        found = kaiming(n_pre)
        return Uniform(found.low * scale, found.high * scale)
    return Normal(table.weight_mean * scale, table.weight_sd * scale)


def _connect(
    network: Network,
    recipe: Recipe,
    counts: dict[str, int],
    source: str,
    target: str,
    synapse: SynapseModel,
    weight: Uniform | Normal,
) -> None:
    name = f"{source}->{target}"
    delays = recipe.delays
    with_delays = recipe.has_delays(name)
    network.connect(
        source,
        target,
        synapse,
        weight=weight,
        delay=_initial(delays, recurrent=source == target) if with_delays else 0.0,
        max_delay=delays.max if with_delays else 0.0,
        synapses=counts[name],
        reach_all=name in recipe.network.automatic(),
        granularity=delays.granularity if with_delays else "fixed",
        signs=recipe.signs(),
    )


def _initial(delays: Delays, *, recurrent: bool) -> Initial:
    """Return where delays start [ms]."""
    if recurrent and delays.recurrent_initial == "zero":
        return 0.0
    if delays.initial == "uniform":
        return Uniform(0.0, delays.initial_max)
    return delays.initial_max if delays.initial == "constant" else 0.0


def _adam(section: Learning | Delays) -> Adam:
    betas = {}
    if isinstance(section, Learning):
        betas = {"beta1": section.beta1, "beta2": section.beta2}
    return Adam(
        section.learning_rate,
        schedule=SCHEDULES[section.schedule](**section.schedule_options),
        clip=section.clip or None,
        **betas,
    )


def build_rule(recipe: Recipe) -> Rule:
    """Return the learning rule of a recipe.

    Example:
        >>> from mlgenn_delays.recipe import build_rule, load_recipe
        >>> type(build_rule(load_recipe("digits"))).__name__
        'EventProp'
    """
    learning, regularisation = recipe.learning, recipe.regularisation
    layers = enumerate(recipe.network.layers, 1)
    common: dict[str, Any] = {
        "weights": _adam(learning) if learning.learning_rate > 0 else None,
        "delays": _adam(recipe.delays) if recipe.delays.learn else None,
        "spike_count": SpikeCount(regularisation.spikes_target, regularisation.spikes_strength),
        "revive": regularisation.revive,
        "dropout": {f"hidden{k}": layer.dropout for k, layer in layers if layer.dropout > 0},
        "l1": regularisation.l1,
        "operations": regularisation.operations,
        "pipelined": learning.pipelined,
        "neurons": learning.neuron_learning_rate or None,
    }
    if learning.rule == "eventprop":
        return EventProp(**common)
    surrogate = SURROGATES[learning.surrogate](**learning.surrogate_options)
    return SurrogateBPTT(surrogate=surrogate, kernel=_kernel(recipe), **common)


def build_loss(recipe: Recipe) -> NamedLoss:
    """Return the loss of a recipe.

    Example:
        >>> from mlgenn_delays.recipe import build_loss, load_recipe
        >>> build_loss(load_recipe("digits"))
        CrossEntropy(label_smoothing=0.0)
    """
    kind = LOSSES[recipe.loss.kind]
    return kind(**{name: getattr(recipe.loss, name) for name in fields_of(kind)})


def _kernel(recipe: Recipe) -> DelayKernel:
    delays = recipe.delays
    if delays.kernel == "dirac":
        return Dirac()
    taps = longest_steps(delays.max, recipe.network.dt) + 1
    start = delays.sigma_start or max(float(taps // 2), delays.sigma_end)
    epochs = recipe.learning.epochs
    if not (epochs or delays.sigma_epochs):
        raise InputError(
            "learning.epochs must be known where sigma falls in a quarter of them, got 0; take "
            "fitted(recipe, examples, duration), or set delays.sigma_epochs"
        )
    return Gaussian(start, delays.sigma_end, delays.sigma_epochs or epochs / 4)


def build_rewiring(recipe: Recipe) -> Rewiring | None:
    """Return how the structure is learned, or None if it is not.

    Example:
        >>> from mlgenn_delays.recipe import build_rewiring, load_recipe
        >>> type(build_rewiring(load_recipe("fsdd-currents-sparse"))).__name__
        'RigL'
    """
    section, delays = recipe.rewiring, recipe.delays
    if section.rule == "none":
        return None
    rule = RULES[section.rule]
    settings: dict[str, Any] = {
        "signs": recipe.signs(),
        "grow_delay": section.grow_delay,
        "dead_first": section.dead_first,
        "longest": 0.0 if delays.initial == "zero" else delays.initial_max,
        "drop_fraction": section.drop_fraction,
        "decay": section.decay,
        "until": section.until,
        "form": section.form,
        "averaging": section.gradient_averaging,
    }
    if section.every >= 0:
        settings["every"] = section.every
    return rule(**{key: value for key, value in settings.items() if key in fields_of(rule)})


def build_hardware(recipe: Recipe) -> Hardware | None:
    """Return the limits of hardware of a recipe, or None if it has none.

    Example:
        >>> from mlgenn_delays.recipe import build_hardware, load_recipe
        >>> build_hardware(load_recipe("digits", ["hardware.preset=loihi2"])).limits.weight_bits
        8
    """
    return None if recipe.hardware.is_identity else recipe.hardware


def build_augment(recipe: Recipe) -> "Augment | None":
    """Return the augmentation of a recipe, or None if it asks for none.

    Example:
        >>> from mlgenn_delays.recipe import build_augment, load_recipe
        >>> type(build_augment(load_recipe("fsdd"))).__name__
        'Augment'
    """
    augment = recipe.augmentation
    if not augment.group:
        augment = replace(augment, group=recipe.data.parsed.group)
    return None if augment.is_identity else augment


def build_quantisation(recipe: Recipe) -> Quantisation | None:
    """Return how weights and delays are quantised in training, or None if they are not.

    Example:
        >>> from mlgenn_delays.recipe import build_quantisation, load_recipe
        >>> build_quantisation(load_recipe("digits", ["quantisation.weights=int4"])).weights
        'int4'
    """
    return None if recipe.quantisation.is_identity else recipe.quantisation


def load_data(recipe: Recipe, folder: Path | str | None = None) -> "Splits":
    """Load the data that a recipe is about.

    Arguments:
        recipe: The recipe.
        folder: Folder of the data, where the data set needs one.

    Returns:
        Data by split, of "train", "validation" and "test" those that there are.

    Raises:
        InputError: The folder is missing or cannot be used.

    Example:
        >>> from mlgenn_delays.recipe import load_data, load_recipe
        >>> sorted(load_data(load_recipe("digits")))
        ['test', 'train', 'validation']
    """
    from mlgenn_delays.data import load_dataset

    return load_dataset(recipe.data.dataset, folder, recipe.data.parsed, dt=recipe.network.dt)


def load_whole(recipe: Recipe, folder: Path | str | None = None) -> "Splits":
    """Load all examples of the data that a recipe is about, in splits if they can be split.

    Arguments:
        recipe: The recipe.
        folder: Folder of the data, where the data set needs one.

    Returns:
        What `load_data` returns; where examples are too few to be split off, those of the splits
        that the data give, called "all" if they give none.

    Raises:
        InputError: As `load_data`.

    Example:
        >>> from mlgenn_delays.recipe import load_recipe, load_whole
        >>> len(load_whole(load_recipe("digits"))["test"])
        360
    """
    from mlgenn_delays.data import load_dataset
    from mlgenn_delays.data.registry import unsplit_options

    try:
        return load_data(recipe, folder)
    except InputError as error:
        name = recipe.data.dataset
        options = unsplit_options(name, recipe.data.options)
        if options == recipe.data.options:
            raise
        try:
            splits = load_dataset(name, folder, options, dt=recipe.network.dt)
        except InputError:
            raise error from None
    return {"all": splits["train"]} if list(splits) == ["train"] else splits


def data_shape(recipe: Recipe) -> tuple[int, int] | None:
    """Return how many channels and classes the data of a recipe have, None if only files know.

    Example:
        >>> from mlgenn_delays.recipe import data_shape, load_recipe
        >>> data_shape(load_recipe("digits"))
        (128, 10)
    """
    from mlgenn_delays.data import dataset_shape

    return dataset_shape(recipe.data.dataset, recipe.data.parsed)
