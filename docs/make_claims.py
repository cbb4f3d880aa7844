"""Draw docs/images/claims.svg and print the tables of docs/claims.md from a sweep's folder.

    python docs/make_claims.py sweeps/claims

The command of the sweep is on that page.
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from mlgenn_delays.sweep import read_results, summarise

RULES = {
    "fixed": ("structure fixed", "#555555", "o"),
    "deep_r": ("DEEP R", "#E69F00", "s"),
    "rigl-signed": ("RigL (signed)", "#0072B2", "^"),
    "rigl-signed-delay": ("RigL (signed), delay by gradient", "#CC3377", "D"),
    "rigl": ("RigL (magnitude)", "#009E73", "v"),
}
Key = tuple[str, bool, float]


def means(folder: str) -> dict[Key, tuple[float, float, int]]:
    """Return mean, standard deviation and number of seeds by (rule, delays learned, sparsity)."""
    found = {}
    for row in summarise(read_results(folder)):
        if not row["n"]:
            continue
        key = (str(row["variant"]), bool(row["delays.learn"]), float(row["network.sparsity"]))
        mean, sd = row["validation_accuracy_mean"], row["validation_accuracy_sd"]
        found[key] = (100 * float(mean), 100 * float(sd or 0.0), int(row["n"]))
    return found


def table(values: dict[Key, tuple[float, float, int]], learned: bool) -> str:
    """Return a Markdown table, a row a rule."""
    levels = sorted({sparsity for _, _, sparsity in values})
    lines = ["| sparsity | " + " | ".join(f"{level:.7g}" for level in levels) + " |"]
    lines.append("|---" * (len(levels) + 1) + "|")
    for rule, (name, _, _) in RULES.items():
        cells = []
        for level in levels:
            got = values.get((rule, learned, level))
            cells.append(f"{got[0]:.1f} ± {got[1]:.1f}" if got else "")
        if any(cells):
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(values: dict[Key, tuple[float, float, int]], path: Path) -> None:
    """Draw accuracy over the share of synapses, with learned and with fixed delays."""
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 4.0), sharey=True)
    levels = sorted({sparsity for _, _, sparsity in values})
    for panel, learned in zip(panels, (True, False), strict=True):
        for rule, (name, colour, marker) in RULES.items():
            own = [(x, *values[rule, learned, s]) for x, s in enumerate(levels)
                   if (rule, learned, s) in values]  # fmt: skip
            x, y, e = ([each[k] for each in own] for k in range(3))
            panel.errorbar(
                x, y, e, label=name, color=colour, marker=marker, capsize=3, linewidth=1.5
            )
        panel.set_title("delays learned" if learned else "delays fixed at random")
        panel.set_xticks(range(len(levels)), [f"{100 * (1 - level):.3g}" for level in levels])
        panel.set_xlabel("synapses left [%]")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("validation accuracy [%]")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Draw and print."""
    if len(sys.argv) != 2:
        raise SystemExit("give the folder of the sweep: python docs/make_claims.py sweeps/claims")
    values = means(sys.argv[1])
    draw(values, Path(__file__).parent / "images" / "claims.svg")
    for learned in (True, False):
        print("delays learned" if learned else "delays fixed at random")
        print(table(values, learned), end="\n\n")


if __name__ == "__main__":
    main()
