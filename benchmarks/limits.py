"""Networks trained within limits of hardware beside one that is pruned afterwards, as CSV.

    python benchmarks/limits.py SWEEPS/tenth SWEEPS/sparse --data DIR --out docs/data/hardware.csv

The sweeps are those of docs/how-to/hardware.md. Dense networks are pruned to as many synapses as
the others have, and trained for 20 epochs more.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.export.c import check_ram
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import (
    Recipe,
    build_augment,
    build_loss,
    build_rule,
    fitted,
    load_data,
    load_recipe,
)
from mlgenn_delays.sweep import read_results
from mlgenn_delays.training import Trainer

DENSITIES, MORE = (0.1, 0.015625), 20
FIELDS = ("variant", "seed", "synapses", "fan_in", "fan_out", "ram", "validation_accuracy")


def most(network: Network) -> tuple[int, int]:
    """Return the most synapses onto and from a neuron."""
    into, out = ({name: 0 for name in network.populations} for _ in range(2))
    for p in network.projections.values():
        into[p.target] = into[p.target] + np.bincount(
            p.post, minlength=network.populations[p.target].n
        )
        out[p.source] = out[p.source] + np.diff(p.indptr)
    return tuple(int(max(np.max(each) for each in counts.values())) for counts in (into, out))


def row(variant: str, seed: int, network: Network, steps: int, recipe: Recipe, accuracy: float):
    ram = check_ram(network, steps, Hardware(), recipe.quantisation)
    return (variant, seed, network.n_synapses(), *most(network), ram, f"{accuracy:.4f}")


def further(recipe: Recipe, network: Network, splits: dict) -> float:
    """Train a pruned network some epochs more; return its best accuracy."""
    trainer = Trainer(
        network, build_rule(recipe), loss=build_loss(recipe), epochs=MORE, batch_size=32,
        seed=recipe.seed, threads=1, augment=build_augment(recipe), progress="none",
    )  # fmt: skip
    history = trainer.fit(splits["train"], splits["validation"])
    return float(history.best["validation_accuracy"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("sweeps", nargs="+", type=Path, metavar="SWEEP")
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    rows, splits = [], {}
    points = [(sweep, each) for sweep in given.sweeps for each in read_results(sweep)]
    for folder, point in points:
        if point["status"] != "done":
            continue
        run = folder / point["point"]
        recipe = load_recipe(run / "recipe.toml")
        splits = splits or load_data(recipe, given.data)
        network, seed = Network.load(run / "network.safetensors"), point["seed"]
        steps, validation = splits["validation"].n_steps, splits["validation"]
        rows.append(
            row(point["variant"], seed, network, steps, recipe, point["validation_accuracy"])
        )
        if point["variant"] != "dense":
            continue
        for density in DENSITIES:
            small = network.pruned(density)
            evaluating = compile_network(
                small.copy(), build_rule(recipe), total_steps=1, threads=1, learns=False
            )
            accuracy = evaluating.evaluate([validation.batch(range(len(validation)))]).score
            rows.append(row("pruned", seed, small, steps, recipe, accuracy))
            changes = [f"learning.epochs={MORE}", "delays.sigma_start=0.23", f"seed={seed}"]
            fine = fitted(load_recipe("fsdd-currents", changes), len(splits["train"]), 1000.0)
            accuracy = further(fine, small, splits)
            rows.append(row(f"pruned + {MORE} epochs", seed, small, steps, recipe, accuracy))
    with given.out.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([FIELDS, *sorted(rows, key=lambda each: (-each[2], each[0], each[1]))])


if __name__ == "__main__":
    main()
