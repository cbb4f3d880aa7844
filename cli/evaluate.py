"""delaysnn evaluate."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.bits import LARGEST
from mlgenn_delays.errors import one_line

from .console import say_json, say_prose
from .options import (
    BACKEND,
    BACKENDS,
    CHECKPOINT,
    DATA,
    ENGINE,
    JSON,
    PATH,
    THREADS,
    check_backend,
    known_engine,
)

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.engines.results import Evaluation
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.run import Run

SPLITS = ("train", "validation", "test")


@click.command()
@click.argument("run", type=PATH)
@DATA
@click.option(
    "--split",
    type=click.Choice([*SPLITS, "all"]),
    default="test",
    show_default=True,
    help="What to measure on; all: every example of every split.",
)
@CHECKPOINT
@click.option(
    "--weights",
    type=click.Choice([*LARGEST]),
    help="Weights to quantise to first, with a scale per neuron, of a run trained with float32.",
)
@ENGINE
@BACKEND
@THREADS
@click.option("--cost", is_flag=True, help="Count what an inference costs as well.")
@click.option(
    "--energy",
    type=PATH,
    metavar="FILE.toml",
    help="Energy per operation for --cost, instead of the table of the package.",
)
@JSON
def evaluate(
    run: str,
    data: str | None,
    split: str,
    checkpoint: str,
    weights: str | None,
    engine: str,
    backend: str | None,
    threads: int | None,
    cost: bool,
    energy: str | None,
    as_json: bool,
) -> None:
    """Measure RUN, a run directory: accuracy, loss and confusion matrix.

    Of target series it is the normalised error (NRMSE) and the loss.

    The folder of the data is that of the training, unless --data gives another; it needs to have
    the split that is asked for only; with --split all it may have too few examples to be split.
    Examples that the run was trained on are reported. The engine may be another than that of the
    training.

    With --cost: memory by format, sparsity, synaptic operations, membrane updates, spikes, what
    delays keep, and estimated energy. They are counted on the CPU engine.
    """
    from mlgenn_delays.network import Network
    from mlgenn_delays.recipe import load_data, load_whole
    from mlgenn_delays.runs.run import Run, check_labels

    from .cost import count_cost, platforms_of
    from .options import losses_by_split, needed_split, tell_losses

    check_backend(engine, backend)
    platforms = platforms_of(cost, energy, split)
    found = Run(run)
    network = Network.load(found.directory.network_path(checkpoint))
    if weights is not None:
        network = _quantised(network, found, weights)
    if split == "all":
        splits = load_whole(found.recipe, found.folder(data))
        chosen: Mapping[str, Data] = {name: part for name, part in splits.items() if len(part)}
    else:
        splits = load_data(found.recipe, found.folder(data))
        remedy = "choose one with --split or other data with --data"
        chosen = {split: needed_split(splits, split, remedy)}
    tell_losses(chosen)
    task = found.task()
    if task is not None:
        for part in chosen.values():
            check_labels(task.labels, part)
    engine, backend = known_engine(engine, backend, network, found.recipe, learns=False)
    how = {"engine": engine, "backend": backend or BACKENDS[0], "threads": threads}
    measured = _measure(network, found, chosen, how)
    result = _pooled(measured) | {"split": split, "checkpoint": checkpoint}
    result |= {} if weights is None else {"quantised": weights}
    result |= {"lost": losses_by_split(chosen), "data": _seen(found, chosen)}
    result["baseline"] = _baseline(found, result["data"])
    if platforms:
        from mlgenn_delays.cost import about_of

        known = {"quantised": weights} if weights else found.recipe.quantisation.told()
        about = about_of(chosen[split], **known)
        result["cost"] = count_cost(network, about, chosen[split], platforms, threads)
    if as_json:
        say_json(result)
        return
    from .tables import show_evaluation

    names = next(iter(chosen.values())).label_names
    show_evaluation(result, names, found.directory.path)


def _quantised(network: "Network", run: "Run", kind: str) -> "Network":
    from mlgenn_delays import quantisation
    from mlgenn_delays.errors import InputError

    known = run.recipe.quantisation.weights
    if known != quantisation.FLOAT:
        raise InputError(
            f"--weights must come with a run of {quantisation.FLOAT} weights, got {kind} with "
            f"{run.directory.path}, whose weights are {known}; leave --weights out"
        )
    return quantisation.quantise(network.folded(), kind)[0]


def _measure(
    network: Any,
    run: "Run",
    chosen: Mapping[str, "Data"],
    how: dict[str, Any],
) -> dict[str, "Evaluation"]:
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.recipe import build_loss, build_rule
    from mlgenn_delays.training import Trainer

    if not chosen:
        raise InputError("the data must have examples, got none")
    trainer = Trainer(
        network,
        build_rule(run.recipe),
        loss=build_loss(run.recipe),
        batch_size=run.recipe.learning.batch_size,
        seed=run.recipe.seed,
        progress="none",
        **how,
    )
    return {name: trainer.evaluate(part) for name, part in chosen.items()}


def _seen(run: "Run", chosen: Mapping[str, "Data"]) -> dict[str, dict[str, int]] | None:
    """Say what of the data the run has seen, and count it; None if the run does not say."""
    found = {}
    if untold := run.untold():
        say_prose(one_line(f"warning: {untold}"), err=True)
    for split, data in chosen.items():
        seen = run.seen(split, data)
        if seen is None:
            return None
        for word, text in (("warning", seen.warning(split)), ("note", seen.note(split))):
            if text:
                say_prose(one_line(f"{word}: {text}"), err=True)
        found[split] = seen.counts()
    return found


def _baseline(run: "Run", seen: dict[str, dict[str, int]] | None) -> dict[str, Any] | None:
    """The run's baseline on the splits that are as they were at the training, None without."""
    from mlgenn_delays.data.baseline import Baseline

    noted = run.validated("baseline", Baseline)
    same = [
        split
        for split, counts in (seen or {}).items()
        if not any(counts.get(kind) for kind in ("new", "gone", "changed"))
    ]
    if noted is None or not (known := {k: v for k, v in noted.accuracy.items() if k in same}):
        return None
    return asdict(replace(noted, accuracy=known))


def _pooled(measured: dict[str, "Evaluation"]) -> dict[str, Any]:
    from mlgenn_delays.engines.metrics import ACCURACY, METRIC_OF

    parts = list(measured.values())
    metric, n = METRIC_OF[parts[0].metric], sum(part.n for part in parts)
    statistics: Any = sum(part.statistics for part in parts)
    pooled = {
        metric.name: metric.value(statistics, n),
        "loss": sum(part.loss * part.n for part in parts) / n,
        "n": n,
    }
    if metric is ACCURACY:
        confusion: Any = sum(part.confusion for part in parts)
        pooled["confusion"] = confusion.tolist()
    return pooled | {"splits": {name: part.measured for name, part in measured.items()}}
