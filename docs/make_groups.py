"""Draw docs/images/groups.svg and print the tables of docs/groups.md from folders of sweeps.

    python docs/make_groups.py sweeps/groups sweeps/groups-spikes

The commands of the sweeps are on that page. Every run is analysed as by `delaysnn analyse RUN
--without-data`; all is of the synapses from the input, and of pairs near in space and in time.
"""

import statistics
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.analysis.analyse import Analysis, Emerged, analyse
from mlgenn_delays.analysis.grouping import TIMED, Test
from mlgenn_delays.analysis.style import BEFORE, SERIES, Picture, look, panels
from mlgenn_delays.runs import Run
from mlgenn_delays.sweep import read_results

NAMES = {
    "fixed": "structure fixed",
    "deep_r": "DEEP R",
    "rigl": "RigL (signed)",
    "rigl-magnitude": "RigL (magnitude)",
}
MIDDLE = 10  # the epoch that is compared with the end
Key = tuple[str, str, float]
Runs = dict[Key, list[Emerged]]


def analysed(folders: Iterable[str]) -> Runs:
    """Return what emerged in the runs of sweeps, by (sweep, variant, sparsity)."""
    found: Runs = {}
    for folder in folders:
        for row in read_results(folder):
            if row["status"] != "done":
                continue
            run = Run(Path(folder) / str(row["point"]))
            analysis = analyse(run, with_data=False)
            key = (run.recipe.name, str(row["variant"]), _sparsity(analysis))
            found.setdefault(key, []).append(analysis.projections["input->hidden1"])
            print(".", end="", flush=True, file=sys.stderr)
    return dict(sorted(found.items(), key=lambda item: (item[0][0], item[0][2], item[0][1])))


def _sparsity(analysis: Analysis) -> float:
    """Return the share of pairs that have no synapse."""
    projection = analysis.network.projections["input->hidden1"]
    n = analysis.network.populations
    return 1 - projection.n_synapses / (n["input"].n * n["hidden1"].n)


def spread(values: Iterable[float], form: str = ".1f") -> str:
    """Return mean and standard deviation of values, without those that are no numbers."""
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return "-"
    sd = statistics.stdev(known) if len(known) > 1 else 0.0
    return f"{statistics.mean(known):{form}} ± {sd:{form}}"


def percent(runs: list[Emerged], of: Callable[[Emerged], Test]) -> str:
    """Return an observed share with that by chance."""
    tests = [of(run) for run in runs]
    observed = spread(100 * test.observed for test in tests)
    return f"{observed} ({np.nanmean([100 * test.expected for test in tests]):.0f})"


def both(stage: Any) -> Any:
    """Return the grouping of pairs near in both."""
    return stage.grouping.groupings["both"]


def print_grouping(found: Runs) -> None:
    """Print how signs group before and after training."""
    print("| recipe | structure | synapses | before | after | z | p at most | Moran's I | "
          "z, time given space | cluster a synapse is in |")  # fmt: skip
    print("|---" * 10 + "|")
    for (recipe, variant, _), runs in found.items():
        tests = [both(run.after).same for run in runs]
        cells = [
            recipe,
            NAMES[variant],
            f"{runs[0].after.projection.n_synapses:,}",
            percent(runs, lambda run: both(run.before).same),
            percent(runs, lambda run: both(run.after).same),
            spread(test.z for test in tests),
            f"{max(test.p for test in tests):.3f}",
            spread((both(run.after).moran.observed for run in runs), ".2f"),
            spread(run.after.grouping.groupings[TIMED].same.z for run in runs),
            spread((run.after.clusters.mean.observed for run in runs), ".2f")
            + f" ({np.mean([run.after.clusters.mean.expected for run in runs]):.2f})",
        ]
        print("| " + " | ".join(cells) + " |")


def print_survival(found: Runs) -> None:
    """Print how synapses live, and whether signs outlive them."""
    print("| recipe | structure | synapses | half-life of the start [epochs] | left at the end | "
          "all near | one stays, one came | one went, one came | odds of staying |")  # fmt: skip
    print("|---" * 9 + "|")
    for (recipe, variant, _), runs in found.items():
        if runs[0].lifetimes is None:
            continue
        epochs = [min(run.across, key=lambda epoch: abs(epoch - MIDDLE)) for run in runs]
        cells = [
            recipe,
            NAMES[variant],
            f"{runs[0].after.projection.n_synapses:,}",
            spread(
                run.lifetimes.start.median or np.inf for run in runs if run.lifetimes is not None
            ),
            spread(100 * run.lifetimes.from_start[-1] for run in runs if run.lifetimes) + " %",
        ]
        for kind in ("all", "joined", "replaced"):
            tests = [run.across[e][kind].same for run, e in zip(runs, epochs, strict=True)]
            chance = np.nanmean([100 * test.expected for test in tests])
            cells.append(f"{spread(100 * test.observed for test in tests)} ({chance:.0f})")
        odds = [run.staying[e].odds for run, e in zip(runs, epochs, strict=True)]
        cells.append(spread(odds, ".2f"))
        print("| " + " | ".join(cells) + " |")


def draw(found: Runs, folder: Path) -> None:
    """Draw excess of equal signs by synapses left, over training, and across epochs."""
    recipe = next(iter(found))[0]
    own = {key[1:]: runs for key, runs in found.items() if key[0] == recipe}
    with look():
        figure, axes = panels(1, 3, width=3.7, height=3.3)
        _by_sparsity(axes[0, 0], own)
        _over_training(axes[0, 1], own)
        _across(axes[0, 2], own)
        for axis in axes.flat:
            axis.axhline(0, color=BEFORE, lw=1)
            axis.grid(alpha=0.3)
            axis.legend(fontsize=8.5)
        picture = Picture("groups", "", "", figure)
        (folder / "groups.svg").write_bytes(picture.svg())


def _excess(tests: Iterable[Test]) -> tuple[float, float]:
    """Return mean and standard deviation of what lies above chance, in percentage points."""
    values = [100 * (test.observed - test.expected) for test in tests]
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return np.nan, np.nan
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def _by_sparsity(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw the excess by the share of synapses left."""
    levels = sorted({sparsity for _, sparsity in own})
    stages = [("before", "before training", BEFORE, "fixed")]
    stages += [("after", f"after, {NAMES[v]}", SERIES[k], v) for k, v in enumerate(NAMES)
               if any(variant == v for variant, _ in own)]  # fmt: skip
    for k, (stage, label, color, variant) in enumerate(stages):
        seen = [x for x, s in enumerate(levels) if (variant, s) in own]
        points = [
            _excess(both(getattr(run, stage)).same for run in own[variant, levels[x]]) for x in seen
        ]
        x = np.array(seen) + 0.06 * (k - 1)
        mean, sd = np.array(points).T
        axis.errorbar(x, mean, sd, fmt="o-", ms=5, lw=1.5, capsize=3, color=color, label=label)
    axis.set_xticks(range(len(levels)), [f"{100 * (1 - s):.3g}" for s in levels])
    axis.set(xlabel="synapses left (%)", ylabel="equal signs above chance\n(percentage points)")


def _over_training(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw the excess over the epochs."""
    for k, (variant, sparsity) in enumerate(key for key in own if key[1] < 0.97):
        runs = own[variant, sparsity]
        epochs = sorted(set.intersection(*(set(run.course) for run in runs)))
        mean = [_excess(run.course[e].groupings["both"].same for run in runs)[0] for e in epochs]
        label = f"{NAMES[variant]}, {100 * (1 - sparsity):.3g} %"
        axis.plot(epochs, mean, "os^Dv<>"[k % 7] + "-", ms=4, color=SERIES[k % 7], label=label)
    axis.set(xlabel="epoch")


def _across(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw how the synapses of an epoch agree with near ones at the end, under RigL."""
    runs = own[min((key for key in own if key[0] == "rigl"), key=lambda key: key[1])]
    labels = {"all": "all near pairs", "joined": "one stays, one came",
              "replaced": "one went, one came"}  # fmt: skip
    for k, (kind, label) in enumerate(labels.items()):
        epochs = [e for e in runs[0].across if all(run.across[e][kind].pairs >= 30 for run in runs)]
        points = [_excess(run.across[e][kind].same for run in runs) for e in epochs]
        mean, sd = np.array(points).T
        axis.errorbar(epochs, mean, sd, fmt="os^"[k] + "-", ms=4, lw=1.5, capsize=2,
                      color=SERIES[k], label=label)  # fmt: skip
    axis.set(xlabel="epoch that is compared with the end")


def main() -> None:
    """Analyse, print and draw."""
    if len(sys.argv) < 2:
        raise SystemExit("give folders of sweeps: python docs/make_groups.py sweeps/groups")
    found = analysed(sys.argv[1:])
    print()
    print_grouping(found)
    print()
    print_survival(found)
    draw(found, Path(__file__).parent / "images")


if __name__ == "__main__":
    main()
