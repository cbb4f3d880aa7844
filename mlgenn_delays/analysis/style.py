"""One look for all figures: colours that the colour-blind tell apart, and sizes that can be read.

Colours are those of Okabe and Ito; signs have the same two everywhere. Figures are made without
pyplot, which would keep them and ask for a display.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.files import write_atomic
from mlgenn_delays.machine import prepare_matplotlib

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EXCITATORY, INHIBITORY = "#0072B2", "#D55E00"
BEFORE, AFTER = "#8C8C8C", "#0072B2"
CHANCE, INK = "#B8B8B8", "#333333"
# Of lines that are told apart by what they are of, in this order.
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DIVERGING, SEQUENTIAL = "RdBu", "cividis"  # of signed values (blue is positive), of amounts
SUFFIXES = (".png", ".svg")

_LOOK: Any = {
    "font.family": ["DejaVu Sans"],
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.dpi": 110,
    "savefig.facecolor": "white",
    "text.parse_math": False,  # a class may be called $5
    "svg.fonttype": "path",  # looks the same wherever it is seen
    "svg.hashsalt": "delaysnn",  # the same figure gives the same file
}


@dataclass(frozen=True)
class Picture:
    """A figure with what a reader needs to understand it.

    Attributes:
        name: Of its file, without a suffix.
        title: A few words.
        caption: What is drawn, how it was made and what to see, in a few sentences.
        figure: The figure.
    """

    name: str
    title: str
    caption: str
    figure: "Figure"

    def png(self) -> bytes:
        """The figure as a PNG."""
        return self._rendered("png")

    def svg(self) -> bytes:
        """The figure as an SVG."""
        return self._rendered("svg")

    def save(self, folder: Path) -> list[Path]:
        """Write the figure as PNG and as SVG.

        Arguments:
            folder: Where to.

        Returns:
            The two files.

        Raises:
            WorkError: A file cannot be written.
        """
        paths = [folder / f"{self.name}{suffix}" for suffix in SUFFIXES]
        for path, content in zip(paths, (self.png(), self.svg()), strict=True):
            write_atomic(path, content)
        return paths

    def _rendered(self, kind: str) -> bytes:
        out = io.BytesIO()
        dated: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
        with look():
            if self.figure.get_layout_engine() is not None:  # every layout would differ a little
                self.figure.draw_without_rendering()
                self.figure.set_layout_engine("none")
            self.figure.savefig(out, format=kind, **dated)
        return out.getvalue()


@contextmanager
def look() -> Iterator[None]:
    """Draw in the one look while the context lasts, whatever the user's own; see `panels`."""
    prepare_matplotlib()
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_LOOK)
        yield


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 3.4, height: float = 2.8, **how: Any
) -> tuple["Figure", Any]:
    """Make a figure and its axes (rows, columns), to be filled within `look`.

    Arguments:
        rows: Rows of panels.
        columns: Columns of panels.
        width: Of a panel [inches].
        height: Of a panel [inches].
        how: Arguments of matplotlib's `Figure.subplots`.
    """
    figure = blank(columns * width, rows * height)
    return figure, figure.subplots(rows, columns, squeeze=False, **how)


def blank(width: float, height: float) -> "Figure":
    """Make a figure without panels [inches], to be filled within `look`."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
