"""Draw the pictures and print the tables of docs/groups.md from folders of sweeps.

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
from mlgenn_delays.analysis.figures import pictures
from mlgenn_delays.analysis.grouping import TIMED, Test
from mlgenn_delays.analysis.style import BEFORE, SERIES, Picture, look, panels
from mlgenn_delays.runs.run import Run
from mlgenn_delays.sweep import read_results

NAMES = {
    "fixed": "structure fixed",
    "deep_r": "DEEP R",
    "rigl": "RigL (signed)",
    "rigl-magnitude": "RigL (magnitude)",
}
MIDDLE = 10  # the epoch that is compared with the end
IMAGES, FIELDS = Path(__file__).parent / "images", "fields.png"
FEWEST_PAIRS = 20  # for a share of them to be told
Key = tuple[str, str, float]
Runs = dict[Key, list[Emerged]]


def analysed(folders: Iterable[str]) -> Runs:
    """Return what emerged in the runs of sweeps, by (recipe, variant, sparsity).

    The receptive fields of the first dense run are drawn on the way.
    """
    found: Runs = {}
    for folder in folders:
        for row in read_results(folder):
            if row["status"] != "done":
                continue
            run = Run(Path(folder) / str(row["point"]))
            analysis = analyse(run, with_data=False)
            key = (run.recipe.name, str(row["variant"]), _sparsity(analysis))
            if key[2] == 0 and not (IMAGES / FIELDS).exists():
                (IMAGES / FIELDS).write_bytes(pictures(analysis)[0].png())
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
    tests = [test for test in map(of, runs) if np.isfinite(test.observed)]
    if not tests:
        return "-"
    observed = spread(100 * test.observed for test in tests)
    return f"{observed} ({np.mean([100 * test.expected for test in tests]):.0f})"


def both(stage: Any) -> Any:
    """Return the grouping of pairs near in both."""
    return stage.grouping.groupings["both"]


def print_table(head: str, rows: Iterable[list[str]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {head} |")
    print("|---" * (head.count("|") + 1) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")


def named(key: Key, runs: list[Emerged]) -> list[str]:
    """Return the first cells of a row."""
    return [key[0], NAMES[key[1]], f"{runs[0].after.projection.n_synapses:,}"]


def print_grouping(found: Runs) -> None:
    """Print how signs group before and after training."""
    rows, more = [], []
    for key, runs in found.items():
        if not _enough(runs):
            continue
        tests = [both(run.after).same for run in runs]
        rows.append([
            *named(key, runs),
            f"{np.mean([both(run.after).pairs for run in runs]):.0f}",
            percent(runs, lambda run: both(run.before).same),
            percent(runs, lambda run: both(run.after).same),
            spread(test.z for test in tests),
            f"{max(test.p for test in tests):.3f}",
        ])  # fmt: skip
        sizes = [run.after.clusters.mean for run in runs]
        more.append([
            *named(key, runs),
            spread((both(run.before).moran.observed for run in runs), ".2f"),
            spread((both(run.after).moran.observed for run in runs), ".2f"),
            *(
                spread(run.after.grouping.groupings[kind].same.z for run in runs)
                for kind in ("space", "time", TIMED)
            ),
            spread((test.observed for test in sizes), ".2f")
            + f" ({np.mean([test.expected for test in sizes]):.2f})",
        ])  # fmt: skip
    start = "recipe | structure | synapses | "
    print_table(start + "near pairs | before | after | z | largest p", rows)
    print_table(
        start + "Moran's I before | after | z in space | z in time | z of time given space | "
        "cluster of a synapse", more,
    )  # fmt: skip


def print_survival(found: Runs) -> None:
    """Print how synapses live, and whether signs outlive them."""
    rows = []
    for key, runs in found.items():
        lives = [run.lifetimes for run in runs if run.lifetimes is not None]
        if len(lives) < len(runs):
            continue
        epochs = [min(run.across, key=lambda epoch: abs(epoch - MIDDLE)) for run in runs]
        row = [
            *named(key, runs),
            spread(each.start.median or np.inf for each in lives),
            spread(100 * each.from_start[-1] for each in lives) + " %",
        ]
        for kind in ("all", "joined", "replaced"):
            found_ = [run.across[e][kind] for run, e in zip(runs, epochs, strict=True)]
            tests = [each.same for each in found_ if each.pairs >= FEWEST_PAIRS]
            if not tests:
                row.append("-")
                continue
            chance = np.mean([100 * test.expected for test in tests])
            row.append(f"{spread(100 * test.observed for test in tests)} ({chance:.0f})")
        row.append(
            spread((run.staying[e].odds for run, e in zip(runs, epochs, strict=True)), ".2f")
        )
        rows.append(row)
    print_table(
        "recipe | structure | synapses | half-life of the start (epochs) | left at the end | "
        "all near | one stays, one came | one went, one came | odds of staying", rows,
    )  # fmt: skip


def draw(found: Runs, folder: Path) -> None:
    """Draw excess of equal signs by synapses left, over training, and across epochs."""
    recipes = [key[0] for key in found]
    recipe = max(recipes, key=recipes.count)
    own = {key[1:]: runs for key, runs in found.items() if key[0] == recipe}
    with look():
        figure, axes = panels(1, 3, width=3.7, height=3.3)
        _by_sparsity(axes[0, 0], own)
        _over_training(axes[0, 1], own)
        _across(axes[0, 2], own)
        titles = ("after training", "over training", "RigL, 25 %: an epoch and the end")
        for axis, title in zip(axes.flat, titles, strict=True):
            axis.set_title(title)
            axis.axhline(0, color=BEFORE, lw=1)
            axis.grid(alpha=0.3)
        picture = Picture("groups", "", "", figure)
        (folder / "groups.svg").write_bytes(picture.svg())


def _excess(tests: Iterable[Test]) -> tuple[float, float]:
    """Return mean and standard deviation of what lies above chance, in percentage points."""
    values = [100 * (test.observed - test.expected) for test in tests]
    known = [value for value in values if np.isfinite(value)]
    if not known:
        return np.nan, np.nan
    return statistics.mean(known), statistics.stdev(known) if len(known) > 1 else 0.0


def _enough(runs: list[Emerged]) -> bool:
    """Return whether there are runs with enough pairs for a share to be drawn."""
    pairs = [both(run.after).pairs for run in runs]
    return bool(pairs) and float(np.mean(pairs)) >= FEWEST_PAIRS / 2


def _by_sparsity(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw the excess by the share of synapses left."""
    levels = sorted(
        {sparsity for key, runs in own.items() if _enough(runs) for sparsity in key[1:]}
    )
    stages = [("before", "before training", BEFORE, "fixed")]
    stages += [("after", f"after, {NAMES[v]}", SERIES[k], v) for k, v in enumerate(NAMES)
               if any(variant == v for variant, _ in own)]  # fmt: skip
    for k, (stage, label, color, variant) in enumerate(stages):
        seen = [x for x, s in enumerate(levels) if _enough(own.get((variant, s), []))]
        points = [
            _excess(both(getattr(run, stage)).same for run in own[variant, levels[x]]) for x in seen
        ]
        x = np.array(seen) + 0.06 * (k - 1)
        mean, sd = np.array(points).T
        axis.errorbar(x, mean, sd, fmt="o-", ms=5, lw=1.5, capsize=3, color=color, label=label)
    axis.set_xticks(range(len(levels)), [f"{100 * (1 - s):.3g}" for s in levels])
    axis.set(xlabel="synapses left (%)", ylabel="equal signs above chance\n(percentage points)")
    axis.set_ylim(-6, 45)
    axis.legend(loc="upper left")


def _over_training(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw the excess over the epochs."""
    shown = [key for key in own if key[1] < 0.97 and key[0] != "deep_r"][:5]
    for k, (variant, sparsity) in enumerate(shown):
        runs = own[variant, sparsity]
        epochs = sorted(set.intersection(*(set(run.course) for run in runs)))
        mean = [_excess(run.course[e].groupings["both"].same for run in runs)[0] for e in epochs]
        label = f"{NAMES[variant]}, {100 * (1 - sparsity):.3g} %"
        axis.plot(epochs, mean, "os^Dv<>"[k % 7] + "-", ms=4, color=SERIES[k % 7], label=label)
    axis.set(xlabel="epoch", ylim=(-21, None))
    axis.legend(loc="lower right")


def _across(axis: Any, own: dict[tuple[str, float], list[Emerged]]) -> None:
    """Draw how the synapses of an epoch agree with near ones at the end, under RigL."""
    runs = own[min((key for key in own if key[0] == "rigl"), key=lambda key: key[1])]
    labels = {"all": "all near pairs", "joined": "one stays, one came",
              "replaced": "one went, one came"}  # fmt: skip
    for k, (kind, label) in enumerate(labels.items()):
        epochs = [
            e
            for e in runs[0].across
            if all(e in run.across and run.across[e][kind].pairs >= FEWEST_PAIRS for run in runs)
        ]
        points = [_excess(run.across[e][kind].same for run in runs) for e in epochs]
        mean, sd = np.array(points).reshape(-1, 2).T
        axis.errorbar(epochs, mean, sd, fmt="os^"[k] + "-", ms=4, lw=1.5, capsize=2,
                      color=SERIES[k], label=label)  # fmt: skip
    axis.set(xlabel="epoch that is compared with the end", ylim=(-34, None))
    axis.xaxis.get_major_locator().set_params(integer=True)
    axis.legend(loc="lower left")


def main() -> None:
    """Analyse, print and draw."""
    if len(sys.argv) < 2:
        raise SystemExit("give folders of sweeps: python docs/make_groups.py sweeps/groups")
    (IMAGES / FIELDS).unlink(missing_ok=True)
    found = analysed(sys.argv[1:])
    print_grouping(found)
    print_survival(found)
    draw(found, IMAGES)


if __name__ == "__main__":
    main()
