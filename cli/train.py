"""delaysnn train."""

from typing import Any

import click

from .options import BACKEND, COMMUNICATOR, DATA, ENGINE, JSON, THREADS
from .output import say_json


@click.command()
@click.argument("recipe", required=False)
@DATA
@ENGINE
@BACKEND
@COMMUNICATOR
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting of the recipe."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Short for --set learning.epochs=N.")
@click.option("--seed", type=click.IntRange(min=0), help="Short for --set seed=N.")
@THREADS
@click.option(
    "--out", metavar="RUN", help="Run directory, new or empty; runs/RECIPE-TIME by default."
)
@click.option("--resume", is_flag=True, help="Go on with the run of --out.")
@click.option("--init", metavar="NETWORK", help="Network file (.safetensors) to start from.")
@JSON
def train(**options: Any) -> None:
    """Train RECIPE: a name that `delaysnn recipes` lists, or a TOML file; `digits` by default.

    Checkpoints are kept every epoch in the run directory, and `--resume --out RUN` goes on after
    the last, on the same engine or another. The best epoch is chosen by the validation split; the
    test split chooses nothing.
    """
    from .training import Asked, run_training

    as_json = options.pop("as_json")
    result = run_training(Asked(**options))
    if result is None:  # another process says it
        return
    if as_json:
        say_json(result)
        return
    from .tables import show_training

    show_training(result)
