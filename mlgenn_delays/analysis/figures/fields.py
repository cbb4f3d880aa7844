"""Spatiotemporal receptive fields: where and when a neuron listens, and with which sign."""

from typing import Any

import numpy as np

from mlgenn_delays.analysis.activity import Tuning
from mlgenn_delays.analysis.afferents import Afferents, Places
from mlgenn_delays.analysis.analyse import Analysis
from mlgenn_delays.analysis.style import BEFORE, EXCITATORY, INHIBITORY, Picture, panels

SHOWN, PAIRED, COLUMNS = 12, 4, 4
_FAINT = 0.4  # how much of its colour the ground has


def receptive_fields(analysis: Analysis, name: str) -> Picture | None:
    """Draw the fields of those neurons whose spikes say most of the class."""
    emerged = analysis.projections[name]
    own, places = emerged.after.afferents, emerged.places
    chosen, why = telling(analysis, name, SHOWN)
    if places is None or not len(chosen):
        return None
    columns = min(COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    figure, axes = panels(rows, columns, width=2.5, height=2.2, sharex=True, sharey=True)
    largest = _largest(own, chosen)
    for k, axis in enumerate(axes.flat):
        if k < len(chosen):
            draw_field(axis, own, int(chosen[k]), places, largest)
            axis.set_title(_title(analysis, name, int(chosen[k])))
        else:
            axis.set_visible(False)
    _label(figure, axes, places, len(chosen))
    _legend(figure, axes, places, largest)
    ground = (
        "The ground has the colour of the summed weights around, as a share of the largest sum of "
        "the panel. "
    ) * (len(places.size) == 1)
    caption = (
        f"Each panel is a neuron of {_target(analysis, name)!r}, each dot one of its synapses: the "
        f"{place_name(places)} it comes from, its delay, and its weight as the size of the dot. "
        f"{ground}Shown are the {len(chosen)} neurons {why}."
    )
    return Picture(f"fields-{plain(name)}", f"Receptive fields, {name}", caption, figure)


def before_and_after(analysis: Analysis, name: str) -> Picture | None:
    """Draw a few fields as they began and as they ended."""
    emerged = analysis.projections[name]
    chosen, _ = telling(analysis, name, PAIRED)
    if emerged.places is None or emerged.before is None or not len(chosen):
        return None
    stages = (emerged.before.afferents, emerged.after.afferents)
    figure, axes = panels(2, len(chosen), width=2.5, height=2.2, sharex=True, sharey=True)
    largest = max(_largest(own, chosen) for own in stages)
    for row, own in enumerate(stages):
        for column, neuron in enumerate(chosen):
            draw_field(
                axes[row, column], own, int(neuron), emerged.places, largest,
                max(map(_longest, stages)),
            )  # fmt: skip
            title = _title(analysis, name, int(neuron))
            axes[row, column].set_title(title if row else f"neuron {neuron}, before training")
    _label(figure, axes, emerged.places, 2 * len(chosen))
    _legend(figure, axes, emerged.places, largest)
    caption = (
        "Above: synapses as they were before the first epoch, at random. Below: the same neurons "
        "after training. Dots of a size have equal weights, before and after."
    )
    return Picture(f"before-after-{plain(name)}", f"Before and after, {name}", caption, figure)


def telling(analysis: Analysis, name: str, n: int) -> tuple[np.ndarray, str]:
    """Up to n neurons worth looking at, and by what they were chosen."""
    own = analysis.projections[name].after.afferents
    tuned = _tuned(analysis, name)
    if tuned is None:
        score = np.bincount(own.post, own.weight**2, own.n_neurons)
        why = "with the largest weights"
    else:
        score = np.nan_to_num(tuned.explained, nan=0.0)
        why = "whose number of spikes depends most on the class"
    score = np.where(np.diff(own.start) >= 2, score, 0.0)
    best = np.argsort(-score, kind="stable")[:n]
    return best[score[best] > 0], why


def plain(name: str) -> str:
    """The name of a projection or population as part of a file's name."""
    return "".join(c if c.isalnum() else "-" for c in name.replace("->", "-"))


def _target(analysis: Analysis, name: str) -> str:
    return analysis.network.projections[name].target


def _tuned(analysis: Analysis, name: str) -> Tuning | None:
    active, target = analysis.activity, _target(analysis, name)
    return active.tuning(target) if active is not None and target in active.counts else None


def _title(analysis: Analysis, name: str, neuron: int) -> str:
    tuned = _tuned(analysis, name)
    if tuned is None or analysis.activity is None or tuned.preferred[neuron] < 0:
        return f"neuron {neuron}"
    label = analysis.activity.label_names[tuned.preferred[neuron]]
    return f"neuron {neuron}, class {label if len(label) <= 10 else label[:9] + '…'}"


def _largest(own: Afferents, chosen: np.ndarray) -> float:
    weights = own.take(chosen).weight
    return float(np.abs(weights).max()) if len(weights) else 1.0


def _longest(own: Afferents) -> float:
    """The longest delay [ms]; 0 would be of no use as a limit."""
    return float(own.delay.max(initial=0.0)) or own.max_delay


def draw_field(
    axis: Any,
    own: Afferents,
    neuron: int,
    places: Places,
    largest: float | None = None,
    longest: float | None = None,
) -> None:
    """Draw the synapses of a neuron, the largest beneath the others.

    Arguments:
        axis: Where to.
        own: The synapses of a projection.
        neuron: Number of the neuron.
        places: Where they come from.
        largest: Magnitude of the weight with the largest dot; the neuron's largest if None.
        longest: End of the axis of delays [ms]; the longest of the projection if None.
    """
    largest = _largest(own, np.array([neuron])) if largest is None else largest
    longest = _longest(own) if longest is None else longest
    which = np.arange(own.start[neuron], own.start[neuron + 1])
    which = which[np.argsort(-np.abs(own.weight[which]))]
    where = np.ravel_multi_index(tuple(places.position[own.pre[which]].T), places.size)
    color = np.where(own.weight[which] > 0, EXCITATORY, INHIBITORY)
    size = _size(np.abs(own.weight[which]) / largest)
    n = int(np.prod(places.size))
    x, y = (-0.03 * longest, 1.03 * longest), (-0.04 * n, 1.04 * n)
    if len(places.size) == 1 and len(which):
        _shade(axis, own.delay[which], where, own.weight[which], (x, y))
    axis.scatter(own.delay[which], where, size, color=color, alpha=0.85, linewidth=0)
    axis.set(xlim=x, ylim=y)


def _shade(axis: Any, delay: np.ndarray, where: np.ndarray, weight: np.ndarray, box: Any) -> None:
    """Colour the ground by the sum of the weights around, by a Gaussian of a 16th of each axis."""
    (left, right), (bottom, top) = box
    x, y = np.linspace(left, right, 60), np.linspace(bottom, top, 40)
    across = np.exp(-0.5 * ((x[:, None] - delay) / ((right - left) / 16)) ** 2)
    along = np.exp(-0.5 * ((y[:, None] - where) / ((top - bottom) / 16)) ** 2)
    field = (along * weight) @ across.T
    most = np.abs(field).max()
    axis.imshow(
        field, origin="lower", extent=(left, right, bottom, top), aspect="auto", cmap=_signs(),
        vmin=-most, vmax=most, alpha=_FAINT, interpolation="bilinear", zorder=0,
    )  # fmt: skip


def _label(figure: Any, axes: Any, places: Places, shown: int) -> None:
    """Name the axes once for all panels."""
    figure.supxlabel("delay (ms)", fontsize=10)
    figure.supylabel(place_name(places), fontsize=10)
    rows, columns = axes.shape
    for column in range(columns):  # above a panel that is not there
        lowest = (shown - 1 - column) // columns
        axes[min(lowest, rows - 1), column].tick_params(labelbottom=True)


def place_name(places: Places) -> str:
    """What the axis of places is called."""
    return places.names[0] if len(places.names) == 1 else f"pixel ({' × '.join(places.names)})"


def _size(share: Any) -> Any:
    """The area of a dot whose weight is this share of the largest [square points]."""
    return 6 + 75 * share


def _signs() -> Any:
    """The colours of the ground, from the most inhibition to the most excitation."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("signs", [INHIBITORY, "white", EXCITATORY])


def _legend(figure: Any, axes: Any, places: Places, largest: float) -> None:
    """Say what colours and sizes of dots mean, and colours of the ground, where it has some."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.lines import Line2D

    dots = [
        Line2D([], [], marker="o", linestyle="", color=color, label=label)
        for color, label in ((EXCITATORY, "excitatory"), (INHIBITORY, "inhibitory"))
    ]
    dots += [
        Line2D([], [], marker="o", linestyle="", color=BEFORE, markeredgewidth=0,
               markersize=float(np.sqrt(_size(share))), label=f"weight {share * largest:.2g}")
        for share in (1.0, 0.5, 0.1)
    ]  # fmt: skip
    figure.legend(handles=dots, loc="outside upper right", ncols=len(dots))
    if len(places.size) == 1:
        scale = ScalarMappable(Normalize(-1, 1), _signs())
        bar = figure.colorbar(scale, ax=axes, alpha=_FAINT, aspect=40, fraction=0.03, pad=0.01)
        bar.set_label("summed weight (share of the panel's largest)")
