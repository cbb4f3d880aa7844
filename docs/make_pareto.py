"""Draw docs/images/cost.svg and print the table of docs/how-to/cost.md.

    python docs/make_pareto.py                 # from docs/data/cost.csv
    python docs/make_pareto.py DIGITS FSDD     # from the folders of the two sweeps, into that file

The commands of the sweeps are on the page.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from mlgenn_delays.analysis.style import look
from mlgenn_delays.runs.files import COST
from mlgenn_delays.sweep import read_results
from mlgenn_delays.untrusted import read_json

HERE = Path(__file__).parent
DATA, PICTURE = HERE / "data" / "cost.csv", HERE / "images" / "cost.svg"
PENALTY, METRIC = "regularisation.operations", "validation_accuracy"
RECIPES = ("digits", "fsdd-currents")
VARIANTS = {"dense": ("all synapses", "#0072B2", "o"), "sparse": ("10 %, RigL", "#D55E00", "D")}
COLUMNS = ("recipe", "variant", "penalty", "seed", "accuracy", "operations", "hidden", "c")
# By measure: accuracy [%], operations, those of hidden neurons' spikes, bytes; a value per seed.
Point = dict[str, list[float]]
Points = dict[tuple[str, str, float], Point]
MEASURES = {
    "operations": "synaptic operations per inference",
    "hidden": "those of hidden neurons' spikes",
}


def collect(folders: list[str]) -> None:
    """Write the results of both sweeps to the file."""
    DATA.parent.mkdir(exist_ok=True)
    with DATA.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for recipe, folder in zip(RECIPES, folders, strict=True):
            for row in read_results(folder):
                if row["status"] == "done":
                    key = recipe, row["variant"], f"{row[PENALTY]:g}", row["seed"]
                    cost = read_json(Path(folder) / row["point"] / COST)["projections"]
                    hidden = sum(p["effective"] for n, p in cost.items() if "input->" not in n)
                    measured = f"{row[METRIC]:.4f}", f"{row['operations']:.1f}", f"{hidden:.1f}"
                    writer.writerow([*key, *measured, int(row["bytes_c"])])


def read() -> Points:
    """Return what the file has, by recipe, variant and penalty."""
    found: Points = defaultdict(lambda: defaultdict(list))
    with DATA.open() as file:
        for row in csv.DictReader(file):
            point = found[row["recipe"], row["variant"], float(row["penalty"])]
            point["accuracy"].append(100 * float(row["accuracy"]))
            for name in COLUMNS[5:]:
                point[name].append(float(row[name]))
    return found


def spread(values: list[float]) -> float:
    """Return the sample standard deviation, 0 of a single seed."""
    return stdev(values) if len(values) > 1 else 0.0


def draw(points: Points) -> None:
    """Draw accuracy over operations, a row per recipe, a line per variant along its penalties."""
    figure, rows = plt.subplots(2, 2, figsize=(7.4, 5.6), layout="constrained", sharey="row")
    for recipe, panels in zip(RECIPES, rows, strict=True):
        for axes, measure in zip(panels, MEASURES, strict=True):
            for variant, look_of in VARIANTS.items():
                own = sorted((k[2], p) for k, p in points.items() if k[:2] == (recipe, variant))
                _line(axes, own, measure, *look_of)
            axes.set(xscale="log", xlabel=MEASURES[measure], title=recipe)
            axes.xaxis.set_major_formatter("{x:,.0f}")
            axes.xaxis.set_minor_formatter("")
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
        panels[0].set_ylabel("validation accuracy [%]")
    rows[0][0].legend(loc="center", fontsize=9)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def _line(
    axes: Axes, own: list[tuple[float, Point]], measure: str, name: str, colour: str, marker: str
) -> None:
    across = [fmean(point[measure]) for _, point in own]
    up = [fmean(point["accuracy"]) for _, point in own]
    bars = [spread(point["accuracy"]) for _, point in own]
    axes.errorbar(across, up, bars, label=name, color=colour, marker=marker, capsize=3)
    for (penalty, _), x, y in zip(own, across, up, strict=True):
        if measure == "hidden":
            axes.annotate(
                f"{penalty:g}", (x, y), xytext=(3, 5), textcoords="offset points", fontsize=7,
                color=colour,
            )  # fmt: skip


def table(points: Points) -> str:
    """Return the Markdown table, a row per point."""
    heads = (
        "recipe",
        "synapses",
        "penalty",
        "accuracy",
        "operations",
        "of hidden spikes",
        "bytes in C",
    )
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for (recipe, variant, penalty), point in points.items():
        values = point["accuracy"]
        more = f" ± {spread(values):.1f}" if len(values) > 1 else ""
        accuracy = f"{fmean(values):.1f}{more} %"
        counts = (f"{fmean(point[name]):,.0f}" for name in COLUMNS[5:])
        cells = recipe, VARIANTS[variant][0], f"{penalty:g}", accuracy, *counts
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Draw and print."""
    if len(sys.argv) not in (1, 3):
        raise SystemExit("give the folders of both sweeps, or neither")
    if len(sys.argv) == 3:
        collect(sys.argv[1:])
    points = read()
    with look():
        draw(points)
    print(table(points))


if __name__ == "__main__":
    main()
