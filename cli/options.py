"""Options that several commands have."""

import click

from mlgenn_delays.errors import InputError

# Those of engines.base and engines.genn.checks, which take long to import.
ENGINES = ("cpu", "genn")
BACKENDS = ("single_threaded_cpu", "cuda")

DATA = click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data (or a .npz file), where the data set needs it.",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice(ENGINES),
    default=ENGINES[0],
    show_default=True,
    help="What computes; genn needs GeNN and mlGeNN.",
)
BACKEND = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    show_default=BACKENDS[0],
    help="Of --engine genn: where it runs.",
)
COMMUNICATOR = click.option(
    "--communicator",
    type=click.Choice(["mpi"]),
    help="Of --engine genn: train in all processes that mpiexec started.",
)
THREADS = click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads; all cores by default. Results do not depend on it.",
)
CHECKPOINT = click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    default="best",
    show_default=True,
    help="Which network: of the best or of the last epoch.",
)
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout, nothing else."
)


def check_engine(engine: str, **options: str | None) -> None:
    """Reject options that only GeNN has where another engine was asked for.

    Arguments:
        engine: The engine.
        options: What was given, by name; None where nothing was.

    Raises:
        InputError: One of them was given.
    """
    for name, value in options.items():
        if value is not None and engine != "genn":
            raise InputError(
                f"--{name} must come with --engine genn, got --engine {engine}; "
                f"add --engine genn, or leave --{name} out"
            )
