"""From a recipe to a network, a learning rule and the augmentation."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlgenn_delays.learning import Adam, EventProp, SpikeCount
from mlgenn_delays.learning.schedules import SCHEDULES
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, Normal, SpikeInput
from mlgenn_delays.network.initialise import Initial, Uniform
from mlgenn_delays.recipe.schema import Delays, Layer, Learning, Recipe

if TYPE_CHECKING:
    from mlgenn_delays.data import Augment, SpikeData


def build_network(recipe: Recipe, n_inputs: int, n_classes: int, seed: int) -> Network:
    """Return the network of a recipe with its starting weights and delays.

    Arguments:
        recipe: The recipe.
        n_inputs: Channels of the data.
        n_classes: Classes of the data.
        seed: Seed of connectivity, weights and delays.

    Raises:
        InputError: The sparsity leaves a projection without synapses.
    """
    section = recipe.network
    network = Network(dt=section.dt, seed=seed)
    before = network.add("input", SpikeInput(n_inputs)).name
    for number, layer in enumerate(section.layers, 1):
        name = network.add(f"hidden{number}", _lif(layer)).name
        synapse = Exponential(layer.tau_syn)
        _connect(network, recipe, before, name, synapse, Normal(layer.weight_mean, layer.weight_sd))
        if layer.recurrent:
            weight = Normal(layer.recurrent_weight_mean, layer.recurrent_weight_sd)
            _connect(network, recipe, name, name, synapse, weight)
        before = name
    readout = section.readout
    network.add("output", LeakyIntegrator(n_classes, readout.tau_mem, readout.kind))
    weight = Normal(readout.weight_mean, readout.weight_sd)
    _connect(network, recipe, before, "output", Exponential(readout.tau_syn), weight)
    return network


def _lif(layer: Layer) -> LIF:
    """Return the neuron model of a layer."""
    return LIF(layer.size, layer.tau_mem, layer.v_thresh, layer.tau_refrac)


def _connect(
    network: Network,
    recipe: Recipe,
    source: str,
    target: str,
    synapse: Exponential,
    weight: Normal,
) -> None:
    """Add a projection with the sparsity and the delays that the recipe gives it."""
    name = f"{source}->{target}"
    sparsity = recipe.network.sparsity
    if isinstance(sparsity, tuple):
        sparsity = sparsity[recipe.network.projections().index(name)]
    delays = recipe.delays
    with_delays = recipe.has_delays(name)
    network.connect(
        source,
        target,
        synapse,
        weight=weight,
        delay=_initial(delays) if with_delays else 0.0,
        max_delay=delays.max if with_delays else 0.0,
        density=1.0 - sparsity,
        granularity=delays.granularity if with_delays else "fixed",
    )


def _initial(delays: Delays) -> Initial:
    """Return where delays start [ms]."""
    if delays.initial == "uniform":
        return Uniform(0.0, delays.initial_max)
    return delays.initial_max if delays.initial == "constant" else 0.0


def _adam(section: Learning | Delays) -> Adam:
    """Return the optimiser of the weights or of the delays."""
    betas = {}
    if isinstance(section, Learning):
        betas = {"beta1": section.beta1, "beta2": section.beta2}
    return Adam(
        section.learning_rate,
        schedule=SCHEDULES[section.schedule](**section.schedule_options),
        clip=section.clip or None,
        **betas,
    )


def build_rule(recipe: Recipe) -> EventProp:
    """Return the learning rule of a recipe."""
    learning, regularisation = recipe.learning, recipe.regularisation
    layers = enumerate(recipe.network.layers, 1)
    return EventProp(
        weights=_adam(learning) if learning.learning_rate > 0 else None,
        delays=_adam(recipe.delays) if recipe.delays.learn else None,
        spike_count=SpikeCount(regularisation.spikes_target, regularisation.spikes_strength),
        revive=regularisation.revive,
        dropout={f"hidden{k}": layer.dropout for k, layer in layers if layer.dropout > 0},
    )


def build_augment(recipe: Recipe) -> "Augment | None":
    """Return the augmentation of a recipe, or None if it asks for none."""
    from mlgenn_delays.data import Augment, parse_options

    settings = recipe.augmentation.model_dump()
    if not settings["group"]:
        settings["group"] = parse_options(recipe.data.dataset, recipe.data.options).group
    augment = Augment(**settings)
    return None if augment.is_identity else augment


def load_data(recipe: Recipe, folder: Path | str | None = None) -> dict[str, "SpikeData"]:
    """Load the data that a recipe is about.

    Arguments:
        recipe: The recipe.
        folder: Folder of the data, where the data set needs one.

    Returns:
        Data by split, of "train", "validation" and "test" those that there are.

    Raises:
        InputError: The folder is missing or cannot be used.
    """
    from mlgenn_delays.data import load_dataset

    return load_dataset(recipe.data.dataset, folder, recipe.data.options, dt=recipe.network.dt)


def data_shape(recipe: Recipe) -> tuple[int, int]:
    """Return how many channels and classes the data of a recipe have, without its folder."""
    from importlib import import_module

    from mlgenn_delays.data import DATASETS, parse_options

    name = recipe.data.dataset
    options = parse_options(name, recipe.data.options)
    if DATASETS[name].needs_folder:
        classes = import_module(f"mlgenn_delays.data.{name}").LABEL_NAMES
        return options.encoder.n_channels(options.mel.n_bands), len(classes)
    train = load_data(recipe)["train"]
    return train.n_channels, train.n_classes
