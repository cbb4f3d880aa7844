"""Print the tables of docs/how-to/quantisation.md.

    python docs/make_quantisation.py              # from docs/data/quantisation.csv
    python docs/make_quantisation.py DIGITS FSDD  # from the folders of two sweeps, into that file

The commands of the sweeps are on the page. Networks of float32 are quantised afterwards as well.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev

from mlgenn_delays import Network, Trainer
from mlgenn_delays.bits import FLOAT, LARGEST
from mlgenn_delays.quantisation import quantise
from mlgenn_delays.recipe import build_loss, build_rule, load_data
from mlgenn_delays.runs.run import Run
from mlgenn_delays.sweep import read_results

DATA = Path(__file__).parent / "data" / "quantisation.csv"
AFTERWARDS = " afterwards"
SPLITS = {"digits": "test", "fsdd-currents": "validation"}
ROWS = {
    "float32": "float32",
    **{kind: f"{kind}, trained so" for kind in LARGEST},
    **{kind + AFTERWARDS: f"{kind}, quantised afterwards" for kind in LARGEST},
    "ternary-none": "ternary, no delays",
    "ternary-random": "ternary, random delays",
}


def afterwards(run: Run, split: str) -> dict[str, float]:
    """Return the accuracy of a run's network with weights that are quantised now, by kind."""
    network = Network.load(run.directory.network_path("best")).folded()
    data = load_data(run.recipe, run.folder(None))[split]
    found = {}
    for kind in LARGEST:
        trainer = Trainer(
            quantise(network, kind)[0], build_rule(run.recipe), loss=build_loss(run.recipe),
            progress="none",
        )  # fmt: skip
        found[kind + AFTERWARDS] = trainer.evaluate(data).accuracy
    return found


def collect(sweeps: dict[str, Path]) -> None:
    """Write the results of both sweeps to the file."""
    rows = []
    for recipe, sweep in sweeps.items():
        split = SPLITS[recipe]
        for result in read_results(sweep):
            if result["status"] != "done":
                continue
            variant, seed = str(result["variant"]), result["seed"]
            found = {variant: float(result[f"{split}_accuracy"])}
            if variant == FLOAT:
                found |= afterwards(Run(sweep / str(result["point"])), split)
            rows += [(recipe, name, seed, split, f"{x:.4f}") for name, x in found.items()]
    DATA.parent.mkdir(exist_ok=True)
    with DATA.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["recipe", "variant", "seed", "split", "accuracy"])
        writer.writerows(rows)


def table() -> str:
    """Return the Markdown table: a row per variant, its distance from float32 of the same seeds."""
    found: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    with DATA.open() as file:
        for row in csv.DictReader(file):
            found[row["recipe"], row["variant"]][row["seed"]] = 100 * float(row["accuracy"])
    lines = ["| weights | " + " | ".join(f"`{name}` | points" for name in SPLITS) + " |"]
    lines.append("|---" * (1 + 2 * len(SPLITS)) + "|")
    for variant, name in ROWS.items():
        cells = []
        for recipe in SPLITS:
            cells += _cells(found[recipe, variant], found[recipe, FLOAT], variant == FLOAT)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(own: dict[str, float], plain: dict[str, float], is_plain: bool) -> tuple[str, str]:
    """Return mean and standard deviation by seed, and the distance from float32."""
    if not own:
        return "", ""
    mean, n = fmean(own.values()), len(own)
    spread = f" ± {stdev(own.values()):.2f}" if n > 1 else " (1 seed)"
    moved = round(mean - fmean(plain[seed] for seed in own), 2) + 0.0
    return f"{mean:.2f}{spread}{' (2 seeds)' * (n == 2)}", "" if is_plain else f"{moved:+.2f}"


def main() -> None:
    """Collect, if there are folders, and print."""
    if len(sys.argv) not in (1, 3):
        raise SystemExit("give the folders of both sweeps, or neither")
    if len(sys.argv) == 3:
        collect(dict(zip(SPLITS, map(Path, sys.argv[1:]), strict=True)))
    print(table())


if __name__ == "__main__":
    main()
