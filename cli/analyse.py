"""delaysnn analyse."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from .console import say_json
from .options import CHECKPOINT, DATA, JSON, PATH, THREADS

if TYPE_CHECKING:
    from mlgenn_delays.analysis.analyse import Analysis

FOLDER = "analysis"  # in the run directory
NUMBERS, CAPTIONS = "analysis.json", "figures.md"


@click.command()
@click.argument("run", type=PATH)
@click.option(
    "--out", type=PATH, metavar="DIR", show_default=f"RUN/{FOLDER}", help="Folder of the results."
)
@DATA
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test"]),
    default="validation",
    show_default=True,
    help="Examples to evaluate the network on.",
)
@CHECKPOINT
@click.option("--without-data", is_flag=True, help="Leave out what needs the data: spikes.")
@click.option(
    "--permutations",
    type=click.IntRange(min=19, max=1_000_000),
    default=999,
    show_default=True,
    help="Shuffles of each test; of clusters at most 199, over the epochs 199.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the shuffles.")
@click.option(
    "--reach-space",
    type=click.IntRange(min=0),
    metavar="PLACES",
    help="Synapses are near if so far apart at most; a twentieth of each axis by default.",
)
@click.option(
    "--reach-time",
    type=click.FloatRange(min=0),
    metavar="MS",
    help="And so far in delay; a tenth of the range that delays span by default.",
)
@click.option(
    "--strongest",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Of each neuron, test only this share of synapses, those of the largest weights.",
)
@THREADS
@JSON
def analyse(
    run: str,
    out: str | None,
    data: str | None,
    split: str,
    checkpoint: str,
    without_data: bool,
    permutations: int,
    seed: int,
    reach_space: int | None,
    reach_time: float | None,
    strongest: float,
    threads: int | None,
    as_json: bool,
) -> None:
    """Analyse RUN, a run directory: receptive fields, clustering of excitation and inhibition in
    space and time, synapse lifetimes, firing rates and tuning.

    DIR gets analysis.json, every figure as PNG and SVG, and figures.md with their captions. The
    folder of the data is that of the training, unless --data gives another.
    """
    import json

    from mlgenn_delays.analysis.analyse import Settings
    from mlgenn_delays.analysis.analyse import analyse as analyse_run
    from mlgenn_delays.analysis.findings import findings
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.runs.run import Run

    found = Run(run)
    folder = Path(out) if out is not None else found.directory.path / FOLDER
    if any(each.exists() and not each.is_dir() for each in (folder, *folder.parents)):
        raise InputError(f"--out must be a folder, got {folder}, where a file is in the way")
    if without_data and data is not None:
        raise InputError("--without-data must be without --data, got both; leave one out")
    if without_data and split != "validation":
        raise InputError(
            f"--split has no effect with --without-data, got {split!r}; leave one of them out"
        )
    analysis = analyse_run(
        found,
        folder=data,
        split=split,
        checkpoint=checkpoint,
        with_data=not without_data,
        threads=threads,
        settings=Settings(permutations, seed, reach_space, reach_time, strongest),
    )
    numbers = findings(analysis)
    text = json.dumps(numbers, indent=1, ensure_ascii=False, allow_nan=False)
    figures = _write(analysis, text, folder)
    if as_json:
        say_json(numbers)
        return
    from .tables import show_analysis

    show_analysis(numbers, figures, folder)


def _write(analysis: "Analysis", numbers: str, folder: Path) -> int:
    from mlgenn_delays.analysis.figures import captions, pictures
    from mlgenn_delays.files import write_atomic

    write_atomic(folder / NUMBERS, numbers + "\n")
    drawn = pictures(analysis)
    for picture in drawn:
        picture.save(folder)
    write_atomic(folder / CAPTIONS, captions(drawn))
    return len(drawn)
