"""Draw the picture of the landing page: what delays and structure do for one hidden neuron.

    python docs/make_concept.py RECORDING.wav

RECORDING is 0_nicolas_15.wav of the Free Spoken Digit Dataset. Its spikes are those of the level
encoder at one level, and the voltages come from the package: V from a `LeakyIntegrator`, whether
it spikes from a `LIF` of the same synapses. Synapses and delays are set by hand. Writes
docs/images/concept-{wide,tall}-{light,dark}.svg.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from mlgenn_delays import (
    LIF,
    EventProp,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeData,
    SpikeInput,
    compile_network,
)
from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.recordings import RecordingOptions, encode_recordings

STEPS = 400  # of 1 ms
TAU_MEM, TAU_SYN = 20.0, 5.0
MEET = 312  # ms at which the first spikes of the excitatory channels arrive
# Mel band -> sign of its synapse onto the neuron, 0 where there is none.
BANDS = {24: 1, 22: 0, 18: 1, 16: 0, 11: 1, 9: -1, 8: 1, 6: 1}
WEIGHT = {1: 1.7, -1: -1.0, 0: 0.0}
INHIBITORY_DELAY = 60.0  # ms


@dataclass(frozen=True)
class Look:
    """Colours of a picture, of Okabe and Ito, that tell apart for all eyes."""

    text: str
    faint: str
    colour: dict[int, str]


LOOKS = {
    "light": Look("#1f2328", "#8a8f98", {1: "#0072B2", -1: "#D55E00", 0: "#8a8f98"}),
    "dark": Look("#e6e6e6", "#8f959e", {1: "#56B4E9", -1: "#E69F00", 0: "#8f959e"}),
}


def spikes_of(path: str) -> list[np.ndarray]:
    """Return the spike times of each band of `BANDS` [ms]."""
    options = RecordingOptions(encoder=LevelEncoder(levels=(0.55,), down=False))
    batch = encode_recordings(options, [read_recording(path, options.sample_rate)], 1.0, STEPS)
    start = batch.start[0]
    return [batch.time[start[band] : start[band + 1]] for band in BANDS]


def delays_of(spikes: list[np.ndarray]) -> list[float]:
    """Return the delay of each channel's synapse [ms]: first spikes of excitatory ones meet."""
    signs = BANDS.values()
    return [
        float(MEET - times[0]) if sign > 0 else INHIBITORY_DELAY if sign else 0.0
        for times, sign in zip(spikes, signs, strict=True)
    ]


def run(spikes: list[np.ndarray], delays: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """Return V (T,) without a threshold, and the steps in which the neuron spikes."""
    network = Network(dt=1.0, seed=0)
    network.add("input", SpikeInput(len(BANDS)))
    network.add("neuron", LIF(1, tau_mem=TAU_MEM))
    network.add("output", LeakyIntegrator(1, tau_mem=TAU_MEM))
    weights = np.array([WEIGHT[sign] for sign in BANDS.values()], np.float32)
    for target in ("neuron", "output"):
        made = network.connect(
            "input", target, Exponential(TAU_SYN), weight=0.0, delay=0.0, max_delay=STEPS
        )
        made.weight, made.delay = weights, np.asarray(delays, np.float64)
    events = [
        (np.concatenate([np.full(len(t), c) for c, t in enumerate(spikes)]), np.concatenate(spikes))
    ]
    data = SpikeData.from_events(
        events, labels=[0], n_channels=len(BANDS), n_steps=STEPS, dt=1.0, label_names=("zero",)
    )
    compiled = compile_network(network, EventProp(), total_steps=1, threads=1)
    recording = compiled.record(data.batch(np.array([0])))
    return recording.voltage[0, 0], recording.time["neuron"]


def reset_at(voltage: np.ndarray, fired: np.ndarray) -> np.ndarray:
    """Return V of the spiking neuron from V without a threshold: a reset takes V away for good."""
    out = voltage.copy()
    for step in fired:
        left = out[step] * np.exp(-(np.arange(STEPS - step) / TAU_MEM))
        out[step:] -= left
    for step in fired:
        out[step] = 1.0
    return out


def draw_raster(axes: plt.Axes, look: Look, spikes: list[np.ndarray]) -> None:
    """Draw the spikes of the channels, a line each."""
    for row, (band, times) in enumerate(zip(BANDS, spikes, strict=True)):
        sign = BANDS[band]
        axes.axhline(row, color=look.faint, lw=0.6, alpha=0.5, zorder=0)
        axes.vlines(times, row - 0.33, row + 0.33, color=look.colour[sign], lw=2.6)
    axes.set(xlim=(0, STEPS), ylim=(len(BANDS) - 0.4, -0.6), yticks=range(len(BANDS)))
    axes.set_yticklabels([f"band {band}" for band in BANDS])
    axes.set_xlabel("time (ms)")
    axes.tick_params(axis="y", length=0)
    axes.spines[["left", "right", "top"]].set_visible(False)
    axes.set_title("① Spikes of a spoken “zero”", loc="left")


def draw_synapses(axes: plt.Axes, look: Look, delays: list[float]) -> None:
    """Draw the synapses onto the neuron: bars as long as the delays, dots where there is none."""
    middle, right = (len(BANDS) - 1) / 2, 430.0
    for row, (sign, delay) in enumerate(zip(BANDS.values(), delays, strict=True)):
        colour = look.colour[sign]
        if not sign:
            axes.plot([155, right - 25], [row, middle], ":", color=colour, lw=1.0, zorder=0)
            axes.text(4, row, "no synapse", color=colour, va="center", fontsize="small")
            continue
        axes.plot([delay, right], [row, middle], color=colour, lw=1.4, zorder=1)
        axes.barh(row, max(delay, 4), height=0.34, color=colour, zorder=2)
        axes.text(4, row - 0.22, f"{delay:.0f} ms", color=colour, va="bottom", fontsize="small")
    axes.plot(right, middle, "o", ms=26, color=look.text, zorder=3)
    axes.text(right + 40, middle - 0.8, "neuron", color=look.text, ha="right")
    for row, (sign, name) in enumerate(((1, "excitatory"), (-1, "inhibitory"))):
        axes.text(right + 40, 0.55 * row - 0.1, name, color=look.colour[sign], ha="right")
    axes.set(xlim=(0, right + 45), ylim=(len(BANDS) - 0.4, -0.6))
    axes.set_axis_off()
    axes.set_title("② Which synapses, what delays", loc="left")


def draw_voltage(
    axes: plt.Axes, look: Look, spikes: list[np.ndarray], delays: list[float], title: str
) -> None:
    """Draw what arrives at the neuron and what its voltage makes of it."""
    voltage, fired = run(spikes, delays)
    axes.axhline(1.0, color=look.faint, lw=1.0, ls="--")
    axes.text(4, 1.04, "threshold", color=look.faint, fontsize="small", va="bottom")
    axes.plot(reset_at(voltage, fired), color=look.text, lw=1.8)
    for step in fired:
        axes.vlines(step, 1.0, 1.42, color=look.text, lw=2.6)
        axes.text(step - 8, 1.22, "spike", color=look.text, ha="right", va="center")
    for sign, times, delay in zip(BANDS.values(), spikes, delays, strict=True):
        if sign:
            base = 1.66 if sign > 0 else 1.5
            axes.vlines(times + delay, base, base + 0.14, color=look.colour[sign], lw=1.8)
    axes.set(xlim=(0, STEPS), ylim=(-0.35, 1.84), yticks=[0, 1, 1.65])
    axes.set_yticklabels(["0", "1", "inputs"])
    axes.set_ylabel("voltage", y=0.4)
    axes.spines[["right", "top"]].set_visible(False)
    axes.set_title(title, loc="left")
    print(f"{title}: {len(fired)} spike(s), largest V {voltage.max():.2f}")


def draw(path: str, shape: str, name: str) -> None:
    """Draw one picture."""
    look, spikes = LOOKS[name], spikes_of(path)
    delays = delays_of(spikes)
    plt.rcParams.update(
        {
            "font.size": 12,
            "axes.titlesize": 13,
            "text.color": look.text,
            "axes.edgecolor": look.faint,
            "axes.labelcolor": look.text,
            "axes.titlecolor": look.text,
            "xtick.color": look.text,
            "ytick.color": look.text,
            "svg.hashsalt": "concept",
        }
    )
    if shape == "wide":
        figure = plt.figure(figsize=(11.5, 4.9), layout="constrained")
        grid = figure.add_gridspec(2, 3, width_ratios=(1.0, 0.95, 1.15))
        first, second = figure.add_subplot(grid[:, 0]), figure.add_subplot(grid[:, 1])
        third, fourth = figure.add_subplot(grid[0, 2]), figure.add_subplot(grid[1, 2])
    else:
        figure = plt.figure(figsize=(4.6, 11.5), layout="constrained")
        grid = figure.add_gridspec(4, 1, height_ratios=(1.35, 1.3, 1.0, 1.0))
        first, second, third, fourth = (figure.add_subplot(grid[row]) for row in range(4))
    draw_raster(first, look, spikes)
    draw_synapses(second, look, delays)
    draw_voltage(third, look, spikes, delays, "③ So they arrive together")
    draw_voltage(fourth, look, spikes, [0.0] * len(BANDS), "④ Without delays they do not")
    fourth.set_xlabel("time (ms)")
    out = Path(__file__).parent / "images" / f"concept-{shape}-{name}.svg"
    figure.savefig(out, transparent=True, metadata={"Date": None})
    plt.close(figure)


def main(path: str) -> None:
    """Draw the picture in both shapes, for light and for dark pages."""
    for shape in ("wide", "tall"):
        for name in LOOKS:
            draw(path, shape, name)


if __name__ == "__main__":
    main(*sys.argv[1:])
