"""Everything that a report tells of one run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlgenn_delays.analysis.analyse import analyse
from mlgenn_delays.analysis.figures import pictures as analysis_pictures
from mlgenn_delays.analysis.style import Picture
from mlgenn_delays.data.baseline import Baseline
from mlgenn_delays.data.dataset import Splits
from mlgenn_delays.errors import InputError, printable
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import Recipe, load_data
from mlgenn_delays.report.predictions import EACH, SPLITS, Predictions, predict
from mlgenn_delays.runs.history import History
from mlgenn_delays.runs.run import Run, check_labels
from mlgenn_delays.training.initial_weights import InitialWeights


@dataclass(frozen=True)
class ReportOptions:
    """What a report shall hold.

    Attributes:
        data: Folder of the data, None for that of each training.
        split: Which split the predictions are of; None for the first of `SPLITS` that there is.
        with_data: Whether to hold what needs the data.
        threads: Threads, all cores if None.
        whole: Whether to hold examples and the analysis, which take most of the time and space.
    """

    data: str | None = None
    split: str | None = None
    with_data: bool = True
    threads: int | None = None
    whole: bool = True


@dataclass(frozen=True)
class RunContent:
    """What a report tells of a run."""

    name: str  # unlike those of all other runs of the report
    path: Path  # of the run directory
    recipe: Recipe
    history: History
    network: Network  # of the best epoch
    environment: dict[str, Any]  # content of environment.json
    initial: InitialWeights | None  # what it notes of weights that were found on the data
    baseline: Baseline | None  # that of its recordings, None where there is none
    scores: dict[str, float]  # the metric of the best epoch's network, by split
    predictions: Predictions | None = None  # None without data
    analysis: Sequence[Picture] = ()
    notes: list[str] = field(default_factory=list)  # what a reader should know of this section

    def examples(self, split: str) -> int:
        """How many examples of a split the training had; 0 if that is not known."""
        known = (self.environment.get("task") or {}).get("examples") or {}
        return int(known.get(split) or 0)


class DataOnce:
    """Data of several runs, of which those that follow each other may be the same."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._splits: Splits | None = None

    def folder(self, run: Run, given: str | None) -> str | None:
        """The folder of the data of a run, None for data that need none."""
        from mlgenn_delays.data.registry import dataset

        return run.folder(given) if dataset(run.recipe.data.dataset).needs_folder else None

    def load(self, run: Run, given: str | None) -> Splits:
        """Load the data of a run, or raise an InputError that says how to do without."""
        section, folder = run.recipe.data, self.folder(run, given)
        key = (section.dataset, repr(section.options), run.recipe.network.dt, folder)
        if key != self._key or self._splits is None:
            self._splits = None  # before the next take their place in memory
            try:
                self._splits = load_data(run.recipe, folder)
            except InputError as error:
                raise InputError(
                    f"the data of {run.directory.path}: {error}; give their folder with --data, or "
                    "leave out what needs them with --without-data"
                ) from error
            self._key = key
        return self._splits


def names_of(paths: Sequence[Path]) -> list[str]:
    """A name for each run: as few last parts of its path as tell it from the others."""
    parts = [path.resolve().parts for path in paths]
    for depth in range(1, max(map(len, parts)) + 1):
        names = [printable("/".join(each[-depth:])) for each in parts]
        if len(set(names)) == len(names):
            return names
    raise InputError("every run must be given once, got one of them twice")


def gather(
    run: Run, name: str, options: ReportOptions, data: DataOnce, tell: Callable[[str], None]
) -> RunContent:
    """Gather what a report tells of a run; tell is called before what takes long."""
    history = run.history()
    initial = run.validated("initial_weights", InitialWeights)
    baseline = run.validated("baseline", Baseline)
    network = Network.load(run.directory.network_path("best"))
    scores: dict[str, float] = {}
    measured = history.score()
    if measured is not None:
        scores["validation"] = float(measured)
    notes: list[str] = []
    predictions = None
    if options.with_data:
        splits = data.load(run, options.data)
        task = run.task()
        split, note = _split(splits, options.split)
        if task is not None:
            check_labels(task.labels, splits[split])
        notes += [note] if note else []
        notes += _trained_on(run, splits)
        tell(f"{name}: predictions")
        predictions, found = predict(
            network,
            run.recipe,
            splits,
            split,
            threads=options.threads,
            examples=EACH if options.whole else 0,
        )
        scores |= found
    else:
        notes.append("Made without the data: no predictions, examples or confusion matrix.")
    pictures: Sequence[Picture] = ()
    if options.whole:
        tell(f"{name}: analysis")
        pictures = analysis_pictures(
            analyse(
                run,
                folder=None if predictions is None else data.folder(run, options.data),
                split="validation" if predictions is None else predictions.split,
                with_data=predictions is not None,
                threads=options.threads,
            )
        )
    return RunContent(
        name,
        run.directory.path,
        run.recipe,
        history,
        network,
        run.environment(),
        initial,
        baseline,
        scores,
        predictions,
        pictures,
        notes,
    )


def _trained_on(run: Run, splits: Splits) -> list[str]:
    """Warn of splits that the run has trained on."""
    seen = {name: run.seen(name, data) for name, data in splits.items() if name != "train"}
    return [f"{text}." for name, each in seen.items() if each and (text := each.warning(name))]


def _split(splits: Mapping[str, Any], wanted: str | None) -> tuple[str, str]:
    """The split to predict, and what a reader should know of it."""
    there = [name for name in SPLITS if name in splits and len(splits[name])]
    if wanted is not None and wanted not in there:
        raise InputError(
            f"the data must have examples of the split {wanted!r}, got "
            f"{', '.join(there) or 'none at all'}; choose another with --split, other data with "
            "--data, or leave out what needs data with --without-data"
        )
    if not there:
        raise InputError("the data must have examples, got none; leave them out: --without-data")
    if wanted is not None or there[0] == SPLITS[0]:
        return wanted or there[0], ""
    return there[0], f"There are no validation data: predictions are of the {there[0]} split."
