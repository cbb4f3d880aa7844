"""What a training is about to do, said before it begins."""

import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from .console import say
from .tables import FILE_WIDTH, console, learned_delays

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.network import Population

    from .training_job import TrainingJob


# What is said, in this order.
ROWS = ("recipe", "examples", "network", "synapses", "training", "engine", "run")
_INDENT = 10


def show_job(job: "TrainingJob") -> None:
    """Print data, network, training, engine and run directory of a training on stderr."""
    terminal = sys.stderr is not None and sys.stderr.isatty()
    width = console(err=True).width if terminal else FILE_WIDTH  # rich takes time to import
    texts = (
        f"{job.recipe.name}: {job.recipe.summary}".removesuffix(": "),
        _examples(job),
        ", ".join(_population(each) for each in job.network.populations.values()),
        _synapses(job),
        _training(job),
        _engine(job),
        f"{job.path}{'' if job.fresh else ', resumed'}",
    )
    for name, text in zip(ROWS, texts, strict=True):
        line = f"{name:<{_INDENT}}{text}"
        for part in wrap(
            line, width, subsequent_indent=" " * _INDENT, break_on_hyphens=False,
            break_long_words=False,
        ):  # fmt: skip
            say(part, err=True)
    if job.chosen:
        say(f"data: {job.chosen}", err=True)


def counted(n: int, noun: str, more: str = "s") -> str:
    """A number and its noun, in the plural unless it is one."""
    return f"{n:,} {noun}{more * (n != 1)}"


def _examples(job: "TrainingJob") -> str:
    train: Data = job.splits["train"]
    sizes = ", ".join(f"{len(data):,} {name}" for name, data in job.splits.items())
    what = "classes" if train.targets is None else "target series"
    kind = job.recipe.data.encoding
    return (
        f"{job.recipe.data.dataset}: {sizes}; {train.n_classes} {what}, {train.n_channels} "
        f"channels of {kind}, {train.n_steps} steps of {train.dt:g} ms"
    )


def _population(population: "Population") -> str:
    model = type(population.model).__name__
    return f"{population.name} {population.n} {model}"


def _synapses(job: "TrainingJob") -> str:
    counts = {name: p.n_synapses for name, p in job.network.projections.items()}
    delays = sum(learned_delays(job.recipe, job.network).values())
    each = ", ".join(f"{name} {n:,}" for name, n in counts.items())
    learned = f"{delays:,} learned delays of up to {job.recipe.delays.max:g} ms"
    return f"{sum(counts.values()):,} ({each}); {learned if delays else 'delays are not learned'}"


def _training(job: "TrainingJob") -> str:
    from mlgenn_delays.recipe.left_to_data import batches_of

    learning: Any = job.recipe.learning
    rule = {"eventprop": "EventProp", "surrogate": f"surrogate gradients ({learning.surrogate})"}
    batches = batches_of(len(job.splits["train"]), learning.batch_size)
    parts = [rule[learning.rule]]
    parts.append(
        f"{counted(learning.epochs, 'epoch')} of {counted(batches, 'batch', 'es')} of "
        f"{learning.batch_size}"
    )
    if job.recipe.rewiring.rule != "none":
        parts.append(f"rewiring by {job.recipe.rewiring.rule}")
    parts += job.recipe.quantisation.in_words()
    return ", ".join([*parts, f"seed {job.recipe.seed}"])


def _engine(job: "TrainingJob") -> str:
    from mlgenn_delays.machine import available_cores

    from .options import BACKENDS

    options = job.options
    together = ", in several processes" if options.communicator else ""
    if options.engine != "cpu":
        return f"{options.engine}, backend {options.backend or BACKENDS[0]}{together}"
    threads = options.threads or (None if together else available_cores())
    known = "" if threads is None else f", {counted(threads, 'thread')}"
    return f"{options.engine}{known}{together}"
