"""A picture of a few examples of different classes: what a network gets to see."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlgenn_delays.data.dataset import Item
from mlgenn_delays.data.inspect.report import Report
from mlgenn_delays.data.types import CurrentBatch, SpikeBatch
from mlgenn_delays.errors import InputError, printable
from mlgenn_delays.files import write_atomic
from mlgenn_delays.machine import prepare_matplotlib

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
_MOST = 6  # examples
_COLUMNS = 3
_SPIKE, _AFTER = "#0072B2", "#ECECEC"


def check_picture(path: Path) -> None:
    """Reject a picture that could not be made, before the work."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--out must be a .png or .svg file, got {str(path)!r}")
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InputError(f"--out must be a file in a folder that exists, got {str(path)!r}")


def draw(report: Report, path: Path) -> None:
    """Draw up to six examples of different classes, spread over all, or the first with series."""
    if not report.pictured:
        raise InputError("there must be a sound example to draw, got none; leave --out out")
    prepare_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine
    from matplotlib.ticker import MaxNLocator

    items = sorted(report.pictured, key=lambda item: item.label)
    places = np.unique(np.linspace(0, len(items) - 1, min(_MOST, len(items))).round().astype(int))
    chosen = [items[place] for place in places]
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    # Agg directly: pyplot would keep the figure, and ask for a display.
    figure = Figure(
        figsize=(1 + 3.6 * columns, 0.9 + 2.7 * rows),
        dpi=120,
        layout=ConstrainedLayoutEngine(wspace=0.04),
    )
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    # Few spikes are large dots, many are small ones that let others through.
    dot = float(np.clip(60 / np.sqrt(max(1, *(_n_spikes(item) for item in chosen))), 1.2, 5.0))
    image = None
    for axes, item in zip(grid.ravel(), chosen, strict=False):
        image = _draw_item(axes, item, report, dot)
    for axes in grid.ravel()[len(chosen) :]:
        axes.set_visible(False)
    for row, line in enumerate(grid):
        line[0].set_ylabel("channel")
        line[0].yaxis.set_major_locator(MaxNLocator(integer=True))
        for column, axes in enumerate(line):
            if row == rows - 1 or (row + 1) * columns + column >= len(chosen):
                axes.set_xlabel("time (ms)")
                axes.tick_params(labelbottom=True)
    if image is not None:
        figure.colorbar(image, ax=grid, label="current", shrink=0.8)
    figure.suptitle(_title(report), fontsize=11)
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.lower()[1:])
    write_atomic(path, content.getvalue())


def _title(report: Report) -> str:
    about = f"{report.channels} channels, trials of {report.trial_ms:g} ms"
    grey = "; grey: after the end" if report.durations and report.encoding == "spikes" else ""
    return f"{report.dataset}: {about}{grey}"


def _n_spikes(item: Item) -> int:
    batch = item.batch
    return int(batch.start[0, -1] - batch.start[0, 0]) if isinstance(batch, SpikeBatch) else 0


def _draw_item(axes: "Axes", item: Item, report: Report, dot: float) -> Any:
    """Draw an example; return the image of currents, None of spikes."""
    batch, image = item.batch, None
    end = report.trial_ms
    if isinstance(batch, CurrentBatch):
        limit = max(abs(report.activity["min"]), abs(report.activity["max"])) or 1.0
        negative = report.activity["min"] < 0
        image = axes.imshow(
            batch.values[0].T,
            aspect="auto",
            origin="lower",
            extent=(0, end, -0.5, report.channels - 0.5),
            cmap="PuOr" if negative else "cividis",
            vmin=-limit if negative else 0.0,
            vmax=limit,
            interpolation="nearest",
        )
        about = ""
    else:
        assert isinstance(batch, SpikeBatch)
        n = _draw_spikes(axes, batch, report, dot)
        about = f", {n:,} spikes"
        length = end if item.losses is None else float(item.losses.lengths[0])
        if length < end:
            axes.axvspan(length, end, color=_AFTER, lw=0, zorder=0)
    axes.set_xlim(0, end)
    axes.set_ylim(-0.5, report.channels - 0.5)
    name = item.name if len(item.name) <= 24 else f"{item.name[:10]}...{item.name[-11:]}"
    where = f"{item.split} {name}{about}"
    title = printable(where if item.series else f"{item.label_name}   ({where})")
    axes.set_title(title, fontsize=9, parse_math=False)
    axes.spines[["top", "right"]].set_visible(False)
    return image


def _draw_spikes(axes: "Axes", batch: SpikeBatch, report: Report, dot: float) -> int:
    """Draw spikes, in the middle of their steps; return how many."""
    first, last = batch.start[0, 0], batch.start[0, -1]
    channels = np.repeat(np.arange(report.channels), np.diff(batch.start[0]))
    times = (batch.time[first:last] + 0.5) * report.dt
    axes.plot(
        times, channels, "o", ms=dot, mew=0, color=_SPIKE, alpha=0.8, rasterized=len(times) > 2000
    )
    return len(times)
