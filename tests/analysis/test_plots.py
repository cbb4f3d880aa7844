"""Plots on an Axes of the user's: what is drawn is what is there."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from mlgenn_delays import (
    LIF,
    CurrentData,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    EventProp,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    RunDirectory,
    SpikeData,
    SpikeInput,
    Trainer,
    Uniform,
    plot_history,
    plot_raster,
    plot_receptive_field,
    plot_voltages,
)
from mlgenn_delays.analysis.style import CHANCE, EXCITATORY, INHIBITORY, SERIES
from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.history import History


def axes() -> Axes:
    return Figure().subplots()


def network(density: float = 1.0) -> Network:
    net = Network(dt=0.5, seed=1)
    net.add("input", SpikeInput(6))
    net.add("hidden", LIF(5, tau_mem=10.0))
    net.add("output", LeakyIntegrator(2))
    late = {"delay": Uniform(0, 8), "max_delay": 10.0}
    net.connect(
        "input", "hidden", Exponential(5.0), weight=Normal(1.5, 1.5), density=density, **late
    )
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0, 1), **late)
    return net


def data() -> SpikeData:
    rng = np.random.default_rng(3)
    events = [(rng.integers(0, 6, 40), rng.integers(0, 60, 40)) for _ in range(4)]
    return SpikeData.from_events(
        events, np.array([0, 1, 0, 1]), n_channels=6, n_steps=80, dt=0.5, label_names=("a", "b"),
        names=("one", "two", "three", "four"),
    )  # fmt: skip


def points(ax: Axes) -> set[tuple[float, int]]:
    (line,) = ax.lines
    return set(zip(map(float, line.get_xdata()), map(int, line.get_ydata()), strict=True))


def test_a_raster_has_a_dot_per_spike_in_the_middle_of_its_step() -> None:
    split, ax = data(), axes()
    assert plot_raster(split, 1, ax=ax) is ax
    expected = {
        ((split.time[k] + 0.5) * 0.5, channel)
        for channel in range(6)
        for k in range(split.start[1, channel], split.start[1, channel + 1])
    }
    assert points(ax) == expected and len(expected) > 20
    assert ax.get_xlim() == (0, 40) and ax.get_title() == "example two, label b: spikes"


def test_currents_are_an_image() -> None:
    values = np.random.default_rng(1).normal(size=(2, 30, 3)).astype(np.float32)
    ax = plot_raster(CurrentData(values, np.array([0, 1]), 1.0, ("a", "b")), 1, ax=axes())
    (image,) = ax.images
    assert np.array_equal(image.get_array(), values[1].T)


def test_a_population_is_drawn_as_it_spikes_and_its_voltages_fit_its_spikes() -> None:
    net, split = network(), data()
    raster = points(plot_raster(split, 2, network=net, population="hidden", ax=axes()))
    ax = plot_voltages(net, split, 2, population="hidden", neurons=range(5), ax=axes())
    assert len(raster) > 10
    found = set()
    for neuron in range(5):
        trace, ticks = ax.lines[2 * neuron : 2 * neuron + 2]
        voltage, time = trace.get_ydata(), trace.get_xdata()
        assert np.array_equal(time, (np.arange(80) + 1) * 0.5)
        assert voltage.max() < 1.0  # the threshold: a spike resets within its step
        for moment in ticks.get_xdata():
            assert voltage[int(moment / 0.5)] == 0.0
            found.add((float(moment), neuron))
        assert trace.get_color() == ticks.get_color()
    assert found == raster
    busiest = plot_voltages(net, split, 2, population="hidden", ax=axes())
    counts = np.bincount([neuron for _, neuron in raster], minlength=5)
    shown = [int(text.get_text().split()[1]) for text in busiest.get_legend().get_texts()]
    assert len(shown) == 4 and min(counts[shown]) == sorted(counts)[1]


def test_the_output_is_a_line_per_class_with_the_label() -> None:
    net, split, ax = network(), data(), axes()
    plot_voltages(net, split, 0, ax=ax)
    lines = np.array([line.get_ydata() for line in ax.lines])
    evaluation = Trainer(net, EventProp(), progress="none").evaluate(split)
    legend = {text.get_text() for text in ax.get_legend().get_texts()}
    prediction = "ab"[evaluation.predictions[0]]
    both = {"a (label and prediction)"}
    assert legend == (both if prediction == "a" else {"a (label)", f"{prediction} (prediction)"})
    means = sorted(lines.mean(1))  # the readout is the mean voltage
    assert means == pytest.approx(sorted(evaluation.logits[0]), rel=1e-4)
    only = plot_voltages(net, split, 0, neurons=[1], ax=axes())
    assert [text.get_text() for text in only.get_legend().get_texts()] == ["neuron 1"]


def test_currents_and_normalisation_run_too() -> None:
    net = Network(dt=1.0, seed=1)
    net.add("input", CurrentInput(3))
    net.add("hidden", EulerLIF(4), normalise=True)
    net.add("output", EulerLI(2))
    for source, target in (("input", "hidden"), ("hidden", "output")):
        net.connect(source, target, Delta(), weight=Normal(1, 1), delay=1.0, max_delay=5.0)
    values = np.random.default_rng(1).random((2, 30, 3)).astype(np.float32)
    split = CurrentData(values, np.array([0, 1]), 1.0, ("a", "b"))
    for population in ("hidden", "output"):
        assert plot_voltages(net, split, 1, population=population, ax=axes()).lines


def test_a_field_has_a_dot_per_synapse_of_the_neuron() -> None:
    net = network(density=0.6)
    ax = plot_receptive_field(net, 3, ax=axes())
    projection = net.projections["input->hidden"]
    own = projection.post == 3
    dots = ax.collections[0]
    colours = [EXCITATORY if w > 0 else INHIBITORY for w in projection.weight[own]]
    expected = {
        (float(delay), int(pre), colour.lower())
        for delay, pre, colour in zip(
            projection.delay[own], projection.pre()[own], colours, strict=True
        )
    }
    found = {
        (float(x), int(y), to_hex(colour))
        for (x, y), colour in zip(dots.get_offsets(), dots.get_facecolors(), strict=True)
    }
    assert found == expected and 1 < len(found) < 6
    places = plot_receptive_field(net, 3, space=[("row", 2), ("column", 3)], ax=axes())
    assert places.get_ylabel() == "pixel (row × column)"


def rows(n: int, grown: bool = False) -> list[dict]:
    return [
        {
            "epoch": k, "train_loss": 1 / k, "train_accuracy": 0.5, "validation_loss": 2 / k,
            "validation_accuracy": k / 10, "spikes_hidden": 2.0, "silent_hidden": k,
            **({"grown": 3 * k} if grown else {}), "seconds": 1.0,
        }
        for k in range(1, n + 1)
    ]  # fmt: skip


def test_history_is_drawn_of_all_that_has_one(tmp_path) -> None:
    history = History(rows(5, grown=True))
    loss = plot_history(history, ax=axes())
    assert [line.get_label() for line in loss.lines[:2]] == ["training", "validation"]
    assert list(loss.lines[1].get_ydata()) == [2 / k for k in range(1, 6)]
    accuracy = plot_history(history, "accuracy", ax=axes())
    assert list(accuracy.lines[1].get_ydata()) == [pytest.approx(10 * k) for k in range(1, 6)]
    assert CHANCE not in [line.get_color() for line in accuracy.lines]
    assert list(plot_history(history, "silent", ax=axes()).lines[0].get_ydata()) == [1, 2, 3, 4, 5]
    assert plot_history(history, "spikes", ax=axes()).lines[0].get_color() == SERIES[0]
    bars = plot_history(history, "grown", ax=axes()).patches
    assert [bar.get_height() for bar in bars] == [3, 6, 9, 12, 15]
    run = RunDirectory.create(tmp_path / "run", 'name = "x"', {})
    trainer = Trainer(network(), EventProp(), epochs=2, run=run, progress="none")
    trainer.fit(data(), data())
    drawn = [plot_history(each, ax=axes()) for each in (trainer, run, run.path, str(run.path))]
    lines = [[list(line.get_ydata()) for line in ax.lines[:2]] for ax in drawn]
    assert lines == [lines[0]] * 4 and len(lines[0][0]) == 2


def test_without_an_axes_a_new_figure_gets_one(monkeypatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    from matplotlib import pyplot

    pyplot.switch_backend("agg")
    drawn = [plot_raster(data()), plot_history(History(rows(2)))]
    assert drawn[0].figure is not drawn[1].figure
    pyplot.close("all")


@pytest.mark.parametrize(
    ("draw", "text"),
    [
        (lambda: plot_raster(data(), 4), "example must be in 0..3, got 4"),
        (lambda: plot_raster(data(), -1), "example must be in 0..3, got -1"),
        (lambda: plot_raster([1]), "data must be SpikeData or CurrentData, got list"),
        (
            lambda: plot_raster(data(), network=network(), population="hiden"),
            "population must be one of hidden, got 'hiden'; did you mean 'hidden'",
        ),
        (lambda: plot_voltages(network(), data(), population="input"), "got the input"),
        (
            lambda: plot_voltages(network(), data(), population="hidden", neurons=[5]),
            r"neurons must be in 0..4 of 'hidden', got \[5\]",
        ),
        (lambda: plot_receptive_field(network(), 5), "neuron must be in 0..4 of 'hidden', got 5"),
        (lambda: plot_receptive_field(network(), 0, "a->b"), "projection must be one of input->"),
        (lambda: plot_receptive_field(network(), 0, space=[("row", 4)]), "must fill places"),
        (lambda: plot_history(History()), "must have an epoch"),
        (lambda: plot_history(History(rows(2)), "grown"), "what must be one of loss, accuracy"),
        (lambda: plot_history("nowhere"), "there is no run nowhere"),
    ],
)
def test_what_cannot_be_drawn_is_refused_by_name(draw, text) -> None:
    with pytest.raises(InputError, match=text):
        draw()
