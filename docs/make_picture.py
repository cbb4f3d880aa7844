"""Draw the picture of the README from finished runs of the recipe `fsdd`.

    python docs/make_picture.py DATA OUT.png LEARNED FIXED [NONE]

DATA is the folder of recordings; the others are run directories: LEARNED of the recipe as it is,
FIXED with ``--set delays.learn=false``, NONE with ``--set delays.initial=zero`` as well. Left: the
spikes of one recording. Middle: what one hidden neuron listens to, as weights over channel and
delay. Right: validation accuracy by epoch of these runs.
"""

import csv
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from mlgenn_delays import Network, load_dataset

BANDS = 40
LOUD, QUIET, PLAIN = "#0072B2", "#D55E00", "#444444"


def column(run: Path, name: str) -> list[float]:
    """Return a column of a run's metrics."""
    with (run / "metrics.csv").open() as file:
        return [float(row[name]) for row in csv.DictReader(file)]


def draw_spikes(axes: plt.Axes, data: object, index: int) -> None:
    """Draw the spikes of one recording, a band a line and all thresholds of it together."""
    start = data.start[index]
    for channel in range(data.n_channels):
        times = data.time[start[channel] : start[channel + 1]]
        y = np.full(len(times), channel % BANDS + channel // BANDS / 6)
        axes.plot(times, y, ".", color=PLAIN, markersize=1.2)
    axes.set(xlabel="time (ms)", ylabel="mel band", xlim=(0, 600), ylim=(0, BANDS))
    axes.set_title(f"input: spikes of {data.names[index]}")


def draw_field(axes: plt.Axes, network: Network) -> None:
    """Draw the synapses onto the hidden neuron with the largest weights, band against delay."""
    projection = network.projections["input->hidden1"]
    size = network.populations["hidden1"].n
    neuron = np.bincount(projection.post, projection.weight**2, size).argmax()
    own = projection.post == neuron
    band = projection.pre()[own] % BANDS + projection.pre()[own] // BANDS / 6
    weight, delay = projection.weight[own], projection.delay[own]
    for sign, color, name in ((1, LOUD, "excitatory"), (-1, QUIET, "inhibitory")):
        kept = np.sign(weight) == sign
        size = 90 * np.abs(weight[kept]) / np.abs(weight).max()
        axes.scatter(delay[kept], band[kept], size, color=color, alpha=0.7, lw=0, label=name)
    axes.set(xlabel="learned delay (ms)", ylabel="mel band", xlim=(0, 250), ylim=(0, BANDS))
    axes.set_title(f"one hidden neuron's {own.sum()} synapses")
    axes.legend(loc="upper right", fontsize=8, framealpha=0.9)


def draw_curves(axes: plt.Axes, runs: list[Path]) -> None:
    """Draw validation accuracy by epoch."""
    names = ("delays learned", "delays fixed at random", "no delays")
    for run, color, name in zip(runs, (LOUD, QUIET, PLAIN), names, strict=False):
        accuracy = 100 * np.array(column(run, "validation_accuracy"))
        axes.plot(np.arange(1, len(accuracy) + 1), accuracy, color=color, lw=2, label=name)
    axes.set(xlabel="epoch", ylabel="validation accuracy (%)", ylim=(70, 100))
    axes.set_title("300 recordings not trained on")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right", fontsize=9)


def main(folder: str, out: str, *runs: str) -> None:
    """Draw the three panels."""
    data = load_dataset("fsdd", folder)["validation"]
    network = Network.load(Path(runs[0]) / "network.safetensors")
    plt.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(1, 3, figsize=(13, 3.9), constrained_layout=True)
    seven = next(i for i, name in enumerate(data.names) if name.startswith("7_"))
    draw_spikes(axes[0], data, seven)
    draw_field(axes[1], network)
    draw_curves(axes[2], [Path(run) for run in runs])
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main(*sys.argv[1:])
