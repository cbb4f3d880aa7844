"""Results as tables on stdout."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlgenn_delays.errors import printable

from .output import say

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

# A wider confusion matrix does not fit a terminal.
MOST_CLASSES = 20
# Columns where stdout is a file or a pipe.
FILE_WIDTH = 160


def console() -> "Console":
    """Return the console of results: stdout, with nothing rewritten in what is printed."""
    from rich.console import Console

    found = Console(highlight=False, markup=False, emoji=False)
    if not found.is_terminal:
        found.width = FILE_WIDTH
    return found


def table(*columns: str, left: int = 1) -> "Table":
    """Return an empty table; all but so many columns on the left are numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    class Printable(Table):
        """A table that shows escapes for what a terminal would act on."""

        def add_row(self, *cells: Any, **options: Any) -> None:
            """Add a row of texts."""
            super().add_row(*(printable(str(cell)) for cell in cells), **options)

    table = Printable(box=SIMPLE_HEAD)
    for number, name in enumerate(columns):
        justify: Any = "left" if number < left else "right"
        table.add_column(printable(name), justify=justify, no_wrap=True)
    return table


def _splits(splits: dict[str, dict[str, Any]]) -> "Table":
    """Return accuracy, loss and size by split."""
    shown = table("split", "accuracy", "loss", "examples")
    for name, row in splits.items():
        accuracy, loss = f"{100 * row['accuracy']:.2f} %", f"{row['loss']:.4f}"
        shown.add_row(name, accuracy, loss, str(row["n"]))
    return shown


def show_training(result: dict[str, Any]) -> None:
    """Print what a training reached, where it is, and what to do next."""
    out = console()
    best = result["best_epoch"]
    say(f"{result['recipe']}: best epoch {best} of {result['epochs']}")
    if result["splits"]:
        out.print(_splits(result["splits"]))
    say(f"run:  {result['run']}")
    split = next((f" --split {name}" for name in result["splits"]), " --split train")
    option = "" if "test" in result["splits"] else split
    say(f"next: delaysnn evaluate {shlex.quote(result['run'])}{option}")


def show_evaluation(result: dict[str, Any], names: tuple[str, ...], run: Path) -> None:
    """Print what a network reached and which classes it takes for which."""
    out = console()
    say(f"{run}, {result['checkpoint']} checkpoint")
    rows = dict(result["splits"])
    if result["split"] == "all":
        rows["all"] = result
    out.print(_splits(rows))
    if len(result["confusion"]) > MOST_CLASSES:
        say(f"confusion matrix of {len(result['confusion'])} classes: with --json")
        return
    labels = [names[k] if k < len(names) else str(k) for k in range(len(result["confusion"]))]
    shown = table("label \\ prediction", *labels)
    for label, counts in zip(labels, result["confusion"], strict=True):
        shown.add_row(label, *(str(count) if count else "." for count in counts))
    out.print(shown)


def show_recipes(rows: list[tuple[str, str, str, str]]) -> None:
    """Print the recipes: name, what they are, expected accuracy and minutes."""
    shown = table("recipe", "expected", "minutes", "summary")
    shown.columns[3].justify, shown.columns[3].no_wrap = "left", False
    for name, summary, accuracy, minutes in rows:
        shown.add_row(name, accuracy, minutes, summary)
    console().print(shown)


def show_synapses(rows: list[tuple[str, int, int]]) -> None:
    """Print synapses and delays by projection, and their sums."""
    shown = table("projection", "synapses", "delays")
    for name, synapses, delays in rows:
        shown.add_row(name, f"{synapses}", f"{delays}")
    shown.add_row("all", str(sum(row[1] for row in rows)), str(sum(row[2] for row in rows)))
    console().print(shown)
