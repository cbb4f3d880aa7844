"""One example on an Axes: its spikes or currents, and voltages over time.

Shapes: C channels, K neurons, T steps. Times are in ms; a spike is drawn in the middle of its step.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.analysis.style import CHANCE, INK, SEQUENTIAL, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RIGHT, WRONG = SERIES[2], SERIES[1]
Spikes = tuple[np.ndarray, np.ndarray]  # time and neuron of each


def events(start: np.ndarray, time: np.ndarray, dt: float) -> Spikes:
    """Time [ms] and number of each event of one example."""
    numbers = np.repeat(np.arange(len(start) - 1), np.diff(start))
    return (time[start[0] : start[-1]] + 0.5) * dt, numbers


def draw_input(axes: "Axes", inputs: Spikes | np.ndarray, n: int, length: float) -> None:
    """Draw the input of a trial [ms]: spikes of n channels, or currents (T, C) as an image."""
    if isinstance(inputs, tuple):
        draw_spikes(axes, *inputs, n, INK)
        return
    limit = float(np.abs(inputs).max()) or 1.0
    negative = bool(inputs.min() < 0)
    axes.imshow(
        inputs.T, aspect="auto", origin="lower", interpolation="nearest",
        extent=(0, length, -0.5, n - 0.5),
        cmap="PuOr" if negative else SEQUENTIAL, vmin=-limit if negative else 0.0, vmax=limit,
    )  # fmt: skip


def draw_spikes(axes: "Axes", time: np.ndarray, number: np.ndarray, n: int, colour: str) -> None:
    """Draw spikes of n neurons: few as large dots, many as small ones that let others through."""
    dot = float(np.clip(60 / np.sqrt(max(1, len(time))), 1.2, 3.5))
    axes.plot(time, number, "o", ms=dot, mew=0, color=colour, alpha=0.85)
    axes.set_ylim(-0.02 * n - 0.5, 1.02 * n - 0.5)


def draw_series(
    axes: "Axes", targets: np.ndarray, voltage: np.ndarray, names: Sequence[str], length: float
) -> None:
    """Draw V (K, T) of the first output neurons, and dashed their targets (K, T)."""
    time = _ends(targets, length)
    for k, colour in zip(range(len(targets)), SERIES, strict=False):
        name = cut(names[k], 14)
        axes.plot(time, targets[k], color=colour, lw=1.2, ls="--", label=f"{name} (target)")
        axes.plot(time, voltage[k], color=colour, lw=1.8, label=name)


def draw_classes(
    axes: "Axes",
    lines: np.ndarray,
    label: int,
    prediction: int,
    names: Sequence[str],
    length: float,
) -> None:
    """Draw a line (K, T) per class; those of the label and of the prediction stand out."""
    time = _ends(lines, length)
    special = {label: RIGHT}
    if label != prediction:
        special[prediction] = WRONG
    for k, line in enumerate(lines):
        if k not in special:
            axes.plot(time, line, color=CHANCE, lw=0.8, zorder=1)
    for k, colour in special.items():
        what = "label" if k == label else "prediction"
        what = "label and prediction" if label == prediction else what
        name = cut(names[k], 14)
        axes.plot(time, lines[k], color=colour, lw=2.0, zorder=2, label=f"{name} ({what})")


def draw_traces(
    axes: "Axes", traces: Mapping[int, np.ndarray], spikes: Spikes | None, length: float
) -> None:
    """Draw a line (T,) per neuron, by its number, and above them a tick per spike."""
    lowest = min(float(trace.min()) for trace in traces.values())
    highest = max(float(trace.max()) for trace in traces.values())
    row = 0.06 * ((highest - lowest) or 1.0)
    for place, (neuron, trace) in enumerate(traces.items()):
        colour = SERIES[place % len(SERIES)]
        axes.plot(_ends(trace[None], length), trace, color=colour, lw=1.4, label=f"neuron {neuron}")
        if spikes is not None:
            own = spikes[0][spikes[1] == neuron]
            height = np.full(len(own), highest + (place + 1) * row)
            axes.plot(own, height, "|", color=colour, ms=6, mew=1.4)


def cut(name: str, n: int) -> str:
    """A name of at most n characters."""
    return name if len(name) <= n else f"{name[: n - 3]}..."


def _ends(lines: np.ndarray, length: float) -> np.ndarray:
    """The ends of the steps of a trial [ms]."""
    steps = lines.shape[1]
    return (np.arange(steps) + 1) * length / steps
