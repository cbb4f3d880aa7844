"""Draw docs/images/worth.svg and print the table of docs/worth.md.

    python docs/make_worth.py                  # from docs/data/worth.csv
    python docs/make_worth.py DENSE STRUCTURE  # from the folders of the two sweeps, into that file

The commands of the sweeps are on the page.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from mlgenn_delays.analysis.style import look
from mlgenn_delays.sweep import read_results

HERE = Path(__file__).parent
DATA, PICTURE = HERE / "data" / "worth.csv", HERE / "images" / "worth.svg"
BANDS, CLASSES, HIDDEN = 40, 10, 256
BASELINE = 65.5  # % of the test split, by delaysnn data check folder DIR --baseline
VARIANTS = {
    "none": ("no delays", "#666666", "o"),
    "random": ("random delays", "#E69F00", "s"),
    "learned": ("learned delays", "#0072B2", "^"),
    "structure": ("learned delays and structure", "#D55E00", "D"),
}
Points = dict[tuple[str, int], list[float]]  # test accuracies [%] by variant and synapses


def _done(sweep: str) -> list[dict[str, Any]]:
    return [result for result in read_results(sweep) if result["status"] == "done"]


def collect(dense: str, structure: str) -> None:
    """Write the results of both sweeps to the file."""
    rows = []
    for result in _done(dense):
        hidden = int(result["network.layers.0.size"])
        rows.append((str(result["variant"]), hidden, (BANDS + CLASSES) * hidden, result))
    for result in _done(structure):
        kept = 1 - float(result["network.sparsity"])
        synapses = round(kept * BANDS * HIDDEN) + round(kept * CLASSES * HIDDEN)
        rows.append(("structure", HIDDEN, synapses, result))
    DATA.parent.mkdir(exist_ok=True)
    with DATA.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["variant", "hidden", "synapses", "seed", "validation", "test"])
        for variant, hidden, synapses, result in rows:
            shares = (
                f"{float(result[f'{split}_accuracy']):.4f}" for split in ("validation", "test")
            )
            writer.writerow([variant, hidden, synapses, result["seed"], *shares])


def read() -> Points:
    """Return the test accuracies in the file."""
    found: Points = defaultdict(list)
    with DATA.open() as file:
        for row in csv.DictReader(file):
            found[row["variant"], int(row["synapses"])].append(100 * float(row["test"]))
    return found


def spread(values: list[float]) -> float:
    """Return the sample standard deviation, 0 of a single seed."""
    return stdev(values) if len(values) > 1 else 0.0


def draw(points: Points) -> None:
    """Draw mean and standard deviation of each variant over synapses."""
    figure, axes = plt.subplots(figsize=(7.4, 3.8), layout="constrained")
    for variant, (name, colour, marker) in VARIANTS.items():
        sizes = sorted(synapses for known, synapses in points if known == variant)
        values = [points[variant, size] for size in sizes]
        mean, sd = [fmean(each) for each in values], [spread(each) for each in values]
        axes.errorbar(sizes, mean, sd, label=name, color=colour, marker=marker, capsize=3)
    axes.axhline(BASELINE, color="#999999", linestyle="--", linewidth=1)
    axes.annotate(
        "logistic regression", (1, BASELINE), xycoords=("axes fraction", "data"), xytext=(0, 3),
        textcoords="offset points", ha="right", fontsize=9, color="#666666",
    )  # fmt: skip
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xscale("log")
    ticks = sorted({synapses for _, synapses in points})
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlabel="synapses", ylabel="words recognised [%]")
    axes.set_title("Ten spoken words, speakers not heard before")
    axes.legend(loc="upper left", fontsize=9)
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def table(points: Points) -> str:
    """Return the Markdown table, a row per variant."""
    sizes = sorted({synapses for _, synapses in points})
    lines = ["| synapses | " + " | ".join(f"{size:,}" for size in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for variant, (name, _, _) in VARIANTS.items():
        cells = [points.get((variant, size), []) for size in sizes]
        told = [f"{fmean(each):.1f} ± {spread(each):.1f}" if each else "" for each in cells]
        lines.append(f"| {name} | " + " | ".join(told) + " |")
    return "\n".join(lines)


def main() -> None:
    """Draw and print."""
    if len(sys.argv) not in (1, 3):
        raise SystemExit("give the folders of both sweeps, or neither")
    if len(sys.argv) == 3:
        collect(sys.argv[1], sys.argv[2])
    points = read()
    with look():
        draw(points)
    print(table(points))


if __name__ == "__main__":
    main()
