"""Plots of data, networks and trainings on an Axes of the user's, as reports draw them.

An Axes keeps the user's look; without one, a new figure of pyplot gets one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.example_axes import (
    Spikes,
    draw_classes,
    draw_input,
    draw_series,
    draw_spikes,
    draw_traces,
    events,
)
from mlgenn_delays.analysis.figures.fields import draw_field, place_name
from mlgenn_delays.analysis.history_axes import (
    GROWN,
    draw_grown,
    draw_loss,
    draw_score,
    draw_silent,
    draw_spikes_per_epoch,
)
from mlgenn_delays.analysis.style import SERIES
from mlgenn_delays.data.types import CurrentBatch, CurrentData, Data
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import prepare_matplotlib
from mlgenn_delays.network import Network
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.history import History
from mlgenn_delays.settings import check, one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 4  # neurons whose voltages are drawn where none are named


def plot_raster(
    data: Data,
    example: int = 0,
    *,
    network: Network | None = None,
    population: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot one example: the spikes or currents of its input, or spikes of a population.

    Arguments:
        data: The split.
        example: Number of the example in it.
        network: What the population is of; None for the input.
        population: Name of a population that spikes.
        ax: Where to; a new figure if None.

    Returns:
        The Axes.

    Raises:
        InputError: There is no such example or population, or data do not fit the network.

    Example:
        >>> from mlgenn_delays import load_dataset, plot_raster
        >>> data = load_dataset("digits")["test"]
        >>> plot_raster(data, 3).get_xlabel()
        'time (ms)'
    """
    _check_example(data, example)
    length = data.n_steps * data.dt
    if network is None:
        batch = data.batch(np.array([example]))
        currents = isinstance(batch, CurrentBatch)
        inputs: Spikes | np.ndarray = (
            batch.values[0]
            if isinstance(batch, CurrentBatch)
            else events(batch.start[0], batch.time, data.dt)
        )
        ax = _axes(ax)
        draw_input(ax, inputs, data.n_channels, length)
        ax.set_ylabel("input channel")
        shown = "currents" if currents else "spikes"
    else:
        recording = _record(network, data, example)
        name = _known("population", population, recording.start)
        ax = _axes(ax)
        spikes = events(recording.start[name][0], recording.time[name], data.dt)
        draw_spikes(ax, *spikes, network.populations[name].n, SERIES[0])
        ax.set_ylabel(f"neuron of {name}")
        shown = "spikes"
    ax.set_title(_called(data, example, shown))
    return _over_time(ax, length)


def plot_voltages(
    network: Network,
    data: Data,
    example: int = 0,
    *,
    population: str | None = None,
    neurons: Sequence[int] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot the membrane voltages of a population on one example, as the CPU engine computes them.

    Arguments:
        network: The network.
        data: The split.
        example: Number of the example in it.
        population: Its name, the output if None. Of the output every neuron is drawn, with the
            label and the prediction, or the target series; of others, neurons with their spikes as
            ticks above.
        neurons: Numbers of the neurons to draw; those that spike most often if None.
        ax: Where to; a new figure if None.

    Returns:
        The Axes.

    Raises:
        InputError: There is no such example, population or neuron, or data do not fit.

    Example:
        >>> from mlgenn_delays import Network, load_dataset, plot_voltages
        >>> network = Network.load("run/network.safetensors")
        >>> data = load_dataset("digits", options={"both": True})["test"]
        >>> plot_voltages(network, data, 3, population="hidden1", neurons=[0, 5]).get_ylabel()
        'V of hidden1'
    """
    _check_example(data, example)
    length, output = data.n_steps * data.dt, network.output().name
    name = _known("population", population or output, network.populations)
    if name == network.input().name:
        raise InputError(f"population must have a voltage, got the input {name!r}; plot_raster")
    n = network.populations[name].n
    recording = _record(network, data, example, () if name == output else ("V",))
    if name == output:
        voltage, spikes = recording.voltage[0], None
    else:
        voltage = recording.variables[name, "V"][0]
        spikes = events(recording.start[name][0], recording.time[name], data.dt)
    wrong = [k for k in neurons or () if not 0 <= k < n]
    if wrong or (neurons is not None and not len(neurons)):
        raise InputError(f"neurons must be in 0..{n - 1} of {name!r}, got {list(neurons or [])}")
    ax = _axes(ax)
    if name == output and neurons is None:
        _draw_output(ax, data, example, voltage, recording.logits[0])
    else:
        chosen = _busiest(spikes, n) if neurons is None else neurons
        draw_traces(ax, {int(k): voltage[k] for k in chosen}, spikes, length)
    ax.set_ylabel(f"V of {name}")
    ax.set_title(_called(data, example))
    ax.legend(loc="best", fontsize="small")
    return _over_time(ax, length)


def plot_receptive_field(
    network: Network,
    neuron: int,
    projection: str | None = None,
    *,
    space: Sequence[tuple[str, int]] = (("input channel", 0),),
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot the synapses onto a neuron: place, delay, and weight as the size of the dot.

    Blue is excitatory, orange inhibitory; the ground has the colour of the summed weights around.

    Arguments:
        network: The network.
        neuron: Number of the neuron in its population.
        projection: Name of the projection onto it; the first one from the input if None.
        space: How presynaptic neurons lie, see `mlgenn_delays.analysis.Places`; in a line by
            default.
        ax: Where to; a new figure if None.

    Returns:
        The Axes.

    Raises:
        InputError: There is no such projection or neuron, or places do not fit.

    Example:
        >>> from mlgenn_delays import Network, plot_receptive_field
        >>> network = Network.load("run/network.safetensors")
        >>> plot_receptive_field(network, 7, "input->hidden1").get_xlabel()
        'delay (ms)'
    """
    source = network.input().name
    first = next((k for k, each in network.projections.items() if each.source == source), None)
    name = _known("projection", projection or first, network.projections)
    chosen = network.projections[name]
    n = network.populations[chosen.target].n
    if not 0 <= neuron < n:
        raise InputError(f"neuron must be in 0..{n - 1} of {chosen.target!r}, got {neuron}")
    places = Places.of(space, len(chosen.indptr) - 1)
    if places is None:
        raise InputError(f"space must have an axis, got {space!r}; leave it out")
    ax = _axes(ax)
    draw_field(ax, Afferents.of(chosen, n), neuron, places)
    ax.set(xlabel="delay (ms)", ylabel=place_name(places), title=f"neuron {neuron}, {name}")
    return ax


def plot_history(training: Any, what: str = "loss", *, ax: "Axes | None" = None) -> "Axes":
    """Plot a learning curve; the best epoch is marked.

    Arguments:
        training: A `Trainer`, its `History`, a `RunDirectory`, or the path of a run.
        what: ``"loss"``, the metric (``"accuracy"``, or ``"nrmse"`` of target series),
            ``"spikes"``, ``"silent"``, or ``"grown"`` with rewiring.
        ax: Where to; a new figure if None.

    Returns:
        The Axes.

    Raises:
        InputError: There is no epoch yet, or it does not have that.

    Example:
        >>> from mlgenn_delays import plot_history
        >>> plot_history("run", "accuracy").get_ylabel()
        'accuracy (%)'
    """
    history = getattr(training, "history", training)
    if callable(history):  # of a run directory
        history = history()
    elif not isinstance(history, History):
        history = RunDirectory.open(training).history()
    if not len(history):
        raise InputError("a history must have an epoch to be plotted, got none; train first")
    drawn: dict[str, Callable[[Axes, History], None]] = {
        "loss": draw_loss,
        history.metric.name: draw_score,
        "spikes": draw_spikes_per_epoch,
        "silent": draw_silent,
    }
    if GROWN in history.rows[0]:
        drawn[GROWN] = draw_grown
    draw = drawn[_known("what", what, drawn)]
    ax = _axes(ax)
    draw(ax, history)
    return ax


def _axes(ax: "Axes | None") -> "Axes":
    if ax is not None:
        return ax
    prepare_matplotlib()
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]


def _over_time(ax: "Axes", length: float) -> "Axes":
    ax.set_xlabel("time (ms)")
    ax.set_xlim(0, length)
    return ax


def _known(what: str, name: Any, known: Iterable[str]) -> str:
    check(what, name, Annotated[str, one_of(*known)])
    return str(name)


def _check_example(data: object, example: int) -> None:
    if not isinstance(data, Data):
        raise InputError(f"data must be SpikeData or CurrentData, got {type(data).__name__}")
    if not 0 <= example < len(data):
        raise InputError(f"example must be in 0..{len(data) - 1}, got {example}")


def _called(data: Data, example: int, what: str = "") -> str:
    name = data.names[example] if data.names else str(example)
    label = "" if data.targets is not None else f", label {data.label_names[data.labels[example]]}"
    return f"example {name}{label}{f': {what}' if what else ''}"


def _record(network: Network, data: Data, example: int, variables: Sequence[str] = ()) -> Recording:
    from mlgenn_delays.engines.checks import inference_rule
    from mlgenn_delays.engines.compile import compile_network
    from mlgenn_delays.network import CurrentInput

    source = network.input()
    currents = isinstance(source.model, CurrentInput)
    if currents != isinstance(data, CurrentData) or data.n_channels != source.n:
        kind = "CurrentData" if currents else "SpikeData"
        raise InputError(
            f"data must be {kind} of {source.n} channels, which the network takes, got "
            f"{type(data).__name__} of {data.n_channels}"
        )
    compiled = compile_network(
        network, inference_rule(network), total_steps=1, threads=1, learns=False
    )
    return compiled.record(data.batch(np.array([example])), variables)


def _draw_output(
    ax: "Axes", data: Data, example: int, voltage: np.ndarray, logits: np.ndarray
) -> None:
    names, length = data.label_names, data.n_steps * data.dt
    if data.targets is not None:
        draw_series(ax, data.targets[example], voltage, names, length)
        return
    label, prediction = int(data.labels[example]), int(logits.argmax())
    more = [f"output {k}" for k in range(len(names), len(voltage))]
    draw_classes(ax, voltage, label, prediction, [*names, *more], length)


def _busiest(spikes: Spikes | None, n: int) -> Sequence[int]:
    counts = np.bincount(np.zeros(0, int) if spikes is None else spikes[1], minlength=n)
    return sorted(int(k) for k in np.argsort(-counts, kind="stable")[:FEW])
