"""What `delaysnn analyse` found, as tables on stdout."""

from pathlib import Path
from statistics import median
from typing import Any

from .output import say
from .tables import console, table


def show_analysis(found: dict[str, Any], figures: int, folder: Path) -> None:
    """Print the main findings, and where the others are."""
    epoch = "" if found["epoch"] is None else f", epoch {found['epoch']}"
    say(f"{found['run']}, {found['checkpoint']} checkpoint{epoch}")
    for name, projection in found["projections"].items():
        say("")
        for line in _synapses(name, projection):
            say(line)
        _show_grouping(projection)
        _show_clusters(projection)
        _show_lives(projection)
    if found["activity"] is not None:
        say("")
        _show_activity(found["activity"])
    say(f"{figures} figures, their captions and all numbers: {folder}")


def _synapses(name: str, projection: dict[str, Any]) -> list[str]:
    """Return in lines how many synapses there are, and how they moved."""
    after, moved = projection["after"], projection["moved"]
    lines = [f"{name}: {after['synapses']} synapses"]
    if moved is not None and moved["synapses"]:
        far = moved["distance_ms"]["mean"]
        lines[0] += f", {moved['synapses']} of them from the start"
        lines.append(
            f"  their delays moved by {far:.1f} ms in the mean, "
            f"{100 * moved['turned_sign']:.1f} % changed sign"
        )
    return lines


def _show_grouping(projection: dict[str, Any]) -> None:
    """Print the share of near pairs of equal sign before and after, and Moran's I."""
    shown = table("near in", "", "pairs", "equal signs", "chance", "z", "p", "Moran's I")
    for stage in ("before", "after"):
        found = projection[stage]
        for kind, each in (found["grouping"] if found else {}).items():
            if not isinstance(each, dict) or not each["pairs"]:
                continue
            same, moran = each["same_sign"], each["moran"]
            if same["observed"] is None or same["expected"] is None:
                continue
            shown.add_row(
                kind, stage, str(each["pairs"]), f"{100 * same['observed']:.1f} %",
                f"{100 * same['expected']:.1f} %", f"{same['z']:.1f}", f"{same['p']:.3g}",
                f"{moran['observed']:.3f}",
            )  # fmt: skip
    if shown.row_count:
        say("  near pairs with equal signs, and Moran's I of their weights:")
        console().print(shown)


def _show_clusters(projection: dict[str, Any]) -> None:
    """Print how large the groups are."""
    found = projection["after"]["clusters"]
    mean, largest = found["mean_size"], found["largest"]
    if mean["expected"] is not None:
        say(
            f"  clusters: mean size {mean['observed']:.2f} (chance {mean['expected']:.2f}, "
            f"p = {mean['p']:.3g}), largest {largest['observed']:.0f}"
        )


def _show_lives(projection: dict[str, Any]) -> None:
    """Print how synapses come and go."""
    lives = projection["lifetimes"]
    if lives is None:
        return
    median = lives["start"]["median_epochs"]
    half = "more than half live to the end" if median is None else f"half live {median:g} epochs"
    left = 100 * lives["shared_with_start"][-1]
    say(f"  of the start's synapses {half}, {left:.0f} % are left; {lives['grown']} grown")


def _show_activity(found: dict[str, Any]) -> None:
    """Print what neurons do."""
    say(f"{found['split']}: {100 * found['accuracy']:.2f} % of {found['examples']} examples")
    shown = table("population", "mean rate", "silent", "median selectivity")
    for name, each in found["populations"].items():
        known = [s for s in each["neurons"]["selectivity"] if s is not None]
        middle = f"{median(known):.2f}" if known else "-"
        shown.add_row(name, f"{each['rate_hz']['mean']:.1f} Hz", str(each["silent"]), middle)
    console().print(shown)
