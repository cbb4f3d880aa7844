"""Options that several commands have."""

import click

DATA = click.option(
    "--data", metavar="DIR", help="Folder of the data, where the data set needs it."
)
ENGINE = click.option(
    "--engine", type=click.Choice(["cpu"]), default="cpu", show_default=True, help="What computes."
)
THREADS = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads; all cores by default. Results do not depend on it.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout, nothing else."
)
