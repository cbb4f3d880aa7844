"""The command line: `delaysnn`. Commands are imported when they are called."""

from functools import partial
from keyword import iskeyword
from typing import Any

import click

from mlgenn_delays import __version__

from .console import CommandGroup, leave, leave_with_one_line

# Command -> what --help says of it; each is the function of that name in the module of that name
# (with _ behind a word of Python's).
COMMANDS = {
    "train": "Train a recipe, or resume a run.",
    "sweep": "Train a recipe over a grid of settings and seeds.",
    "runs": "List runs, with settings and results, or compare two.",
    "evaluate": "Measure a trained run on a split of the data.",
    "analyse": "Analyse a run: receptive fields, clustering, synapse lifetimes.",
    "report": "Make one HTML page of runs: curves, analysis, examples, settings.",
    "import": "Import a network that another tool trained, to run or train on.",
    "export": "Export a trained run to a single file, GeNN code, C or NIR.",
    "infer": "Classify recordings, arrays or events with a trained model.",
    "data": "Download data sets, and check them.",
    "recipes": "List the recipes, or show one.",
    "doctor": "Check what works on this machine and what is missing.",
}


# Click shall hand on what it caught instead of printing it.
RETURNING = {"standalone_mode": False}


class Commands(CommandGroup):
    """Commands that are imported late, and errors that end in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of their use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        from importlib import import_module

        name = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = getattr(import_module(f".{name}", __name__), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command and leave with its exit code."""
        return leave_with_one_line(partial(super().main, *args, **kwargs | RETURNING))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Be the program."""
        try:
            return self.main(*args, **kwargs)
        except SystemExit as end:
            leave(end)
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="delaysnn", message="%(prog)s %(version)s")
def main() -> None:
    """Train spiking neural networks whose synaptic delays are learned.

    Begin with `delaysnn train`: handwritten digits, nothing to download.
    """
