"""Options that several commands have, and what commands note of a run and need of its data."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import click

from mlgenn_delays.errors import InputError

from .console import say

if TYPE_CHECKING:
    from mlgenn_delays.data import Data
    from mlgenn_delays.network import Network, Projection
    from mlgenn_delays.recipe import Recipe
    from mlgenn_delays.runs.run import Run, Start
    from mlgenn_delays.training import InitialWeights, RunDirectory

# Those of engines.base and engines.genn.checks, which take long to import.
ENGINES = ("cpu", "genn")
BACKENDS = ("single_threaded_cpu", "cuda")
FEW_STEPS = 600  # of the optimiser; with 500, a few hundred words gained 6 points by twice as many
AUTO = "auto"  # an engine that is chosen when the network is known

RUNS = "runs"  # the folder in which runs are made, and looked for
PATH = click.Path(readable=False)  # unchecked, but completed by shells
DATA = click.option(
    "--data",
    type=PATH,
    metavar="DIR",
    help="Folder of the data (or a .npz file), where the data set needs it.",
)
ENGINE = click.option(
    "--engine",
    type=click.Choice([*ENGINES, AUTO]),
    default=ENGINES[0],
    show_default=True,
    help="What computes; genn needs GeNN and mlGeNN; auto is genn with CUDA where there is a GPU "
    "and the network runs there, else cpu.",
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
    help="Train in all processes that mpiexec started, each with a part of every batch.",
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


class _Bytes(click.ParamType):
    """A number of bytes; k and M are 1024 and 1024 x 1024 of them."""

    name = "size"

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        found = re.fullmatch(r"([0-9]{1,12})([kKM]?)(i?B)?", str(value).strip())
        if not found or not int(found[1]):
            self.fail(f"must be a number of bytes such as 32768, 32k or 1M, got {value!r}")
        return int(found[1]) * {"": 1, "K": 1024, "M": 1024**2}[found[2].upper()]


BYTES = _Bytes()
JSON = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout, nothing else."
)


def check_backend(engine: str, backend: str | None) -> None:
    """Reject a backend with another engine than GeNN, which alone has any."""
    if backend is not None and engine != "genn":
        raise InputError(
            f"--backend must come with --engine genn, got --engine {engine}; "
            "add --engine genn, or leave --backend out"
        )


def known_engine(
    engine: str, backend: str | None, network: "Network", recipe: "Recipe", *, learns: bool
) -> tuple[str, str | None]:
    """The engine and backend of the options; where they are to be chosen, says what and why."""
    if engine != AUTO:
        return engine, backend
    from mlgenn_delays.engines.compile import choose_engine
    from mlgenn_delays.recipe import build_rule

    found = choose_engine(network, build_rule(recipe), learns=learns)
    genn = found.engine == "genn"
    say(f"engine: {found.engine}{' with CUDA' * genn}, since {found.reason}", err=True)
    return found.engine, found.backend if genn else None


# Where weights and delays start: a given network has its own. Delays that rewiring grows start
# within delays.initial_max all the same.
_WEIGHTS = r"network\.(layers\.\d+|readout)\.(recurrent_)?weight_(init|mean|sd|scale)"
_DELAYS = r"delays\.(initial|initial_max|recurrent_initial)"


def check_overrides(overrides: Sequence[str], *, rewired: bool) -> None:
    """Reject --set of starting weights or, unless synapses will grow, delays beside --init."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if re.fullmatch(_WEIGHTS if rewired else f"{_WEIGHTS}|{_DELAYS}", key):
            raise InputError(
                f"{key} has no effect with --init, got --set {override}: the network has weights "
                "and delays already; leave one of them out"
            )


def check_fits(network: "Network", wanted: "Network", path: str, *, dale: bool) -> None:
    """Reject a network unlike the recipe's, `wanted`, or, with `dale`, one of mixed signs."""
    got, expected = _described(network), _described(wanted)
    for name in [*expected, *(name for name in got if name not in expected)]:
        if got.get(name) != expected.get(name):
            raise InputError(
                f"--init must be a network that fits the recipe and the data: {path} has for "
                f"{name} {got.get(name, 'nothing')}, the recipe {expected.get(name, 'nothing')}"
                + _remedy(network, wanted, name)
            )
    for name, projection in network.projections.items():
        if dale and not _one_sign(projection):
            raise InputError(
                f"--init must be a network with one sign per presynaptic neuron for network.dale = "
                f"true, got both for {name} of {path}"
            )


def _remedy(network: "Network", wanted: "Network", name: str) -> str:
    one, other = network.projections.get(name), wanted.projections.get(name)
    if one is None or other is None or one.n_synapses == other.n_synapses:
        return ""
    counts = [p.n_synapses for p in network.projections.values()]
    return (
        f"; give network.sparsity as it was trained with, or --set network.sparsity=0 "
        f"--set network.synapses={counts} to keep its synapses"
    )


def _described(network: "Network") -> dict[str, str]:
    """What must agree for --init, in words, by name."""
    parts = {"dt": f"{network.dt:g} ms"}
    for name, p in network.populations.items():
        parts[name] = str(p.model) + (", normalised" if p.normalisation is not None else "")
    for name, q in network.projections.items():
        signs = ", with signs" if q.sign is not None else ""
        delays = f"delays 0..{q.max_delay:g} ms per {q.granularity}"
        parts[name] = f"{q.n_synapses} synapses, {q.synapse}, {delays}{signs}"
    return parts


def _one_sign(projection: "Projection") -> bool:
    if projection.sign is None:
        return False
    import numpy as np

    total = np.bincount(projection.pre(), projection.sign, len(projection.indptr) - 1)
    return bool((np.abs(total) == np.diff(projection.indptr)).all())


def read_init(path: str | None) -> tuple["Start | None", "Network | None"]:
    """What to note of a network file, and the network."""
    if path is None:
        return None, None
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.run import Start

    network = Network.load(path)
    note = Start(path=str(Path(path).resolve()), crc32=crc32(Path(path).read_bytes()))
    return note, network


def init_of_run(given: str | None, run: "Run") -> "Network | None":
    """The network of --init that a run started from; rejects any other."""
    from mlgenn_delays.runs.files import INIT

    kept = run.directory.path / INIT
    noted = run.start()
    if noted is None and kept.exists():  # environment.json is gone
        noted, _ = read_init(str(kept))
    if given is None and noted is None:
        return None
    path = given or (str(kept) if kept.exists() or noted is None else noted.path)
    start, network = read_init(path)
    if noted is None or start is None or start.crc32 != noted.crc32:
        raise InputError(
            f"resuming needs the --init that the run {run.directory.path} was started with, "
            f"{noted.path if noted else 'none'}, got {path}, which holds something else"
        )
    return network


def environment(
    recipe: "Recipe",
    data: str | None,
    start: "Start | None",
    engine: str,
    backend: str | None,
    splits: Mapping[str, "Data"],
    initial: "InitialWeights | None",
) -> dict[str, Any]:
    """The content of environment.json; an export needs labels and trial length without the data."""
    from mlgenn_delays.training import describe_environment

    train = splits["train"]
    task = {
        "labels": list(train.label_names),
        "n_steps": train.n_steps,
        "examples": {name: len(data) for name, data in splits.items()},
    }
    folder = str(Path(data).resolve()) if data is not None else None
    given = {
        "data": folder,
        "init": None if start is None else start.model_dump(),
        "initial_weights": None if initial is None else asdict(initial),
    }
    return (
        describe_environment(engine, backend)
        | {"seed": recipe.seed, "task": task}
        | {key: value for key, value in given.items() if value is not None}
    )


def baseline_of(recipe: "Recipe", folder: str | None) -> dict[str, Any]:
    """What environment.json notes of the baseline, empty where examples are no recordings."""
    from mlgenn_delays.data.registry import dataset

    if folder is None or dataset(recipe.data.dataset).recordings is None:
        return {}
    from mlgenn_delays.data import measure_baseline

    data, dt = recipe.data, recipe.network.dt
    found = measure_baseline(data.dataset, folder, data.options, dt=dt)
    return {} if found is None else {"baseline": asdict(found)}


def tell_losses(splits: Mapping[str, "Data"]) -> None:
    """Say on stderr what was cut, merged or empty in data that were loaded, if anything was."""
    from mlgenn_delays.data.losses import Losses
    from mlgenn_delays.data.registry import known_losses

    lost = known_losses(splits)
    if lost:
        data = next(iter(splits.values()))
        said = Losses.together(lost.values()).sentence(data.n_steps * data.dt)
        if said:
            say(f"data: {said}", err=True)


def tell_few_steps(recipe: "Recipe", n: int) -> None:
    """Say on stderr that n training examples make few optimiser steps, and what gives more."""
    from mlgenn_delays.recipe.left_to_data import batches_of

    from .banner import counted

    learning = recipe.learning
    batches = batches_of(n, learning.batch_size)
    steps = learning.epochs * batches
    if steps < FEW_STEPS:
        say(
            f"hint: {steps:,} optimiser steps ({counted(learning.epochs, 'epoch')} of "
            f"{counted(batches, 'batch', 'es')}) are few; "
            "a smaller learning.batch_size or more learning.epochs give more",
            err=True,
        )


def losses_by_split(splits: Mapping[str, "Data"]) -> dict[str, dict[str, Any]]:
    """What was cut, merged or empty in each split, for --json."""
    from mlgenn_delays.data.registry import known_losses

    return {
        name: lost.shares(splits[name].n_steps * splits[name].dt)
        for name, lost in known_losses(splits).items()
    }


def keep_test(run: "RunDirectory", splits: Mapping[str, "Data"]) -> None:
    """Keep in a run which test examples it has, or warn that they have changed."""
    from mlgenn_delays.runs.record import compare, fingerprint, keep_record, read_record

    if "test" not in splits:
        return
    found, before = fingerprint(splits["test"]), read_record(run.path).get("test")
    if before is None:
        keep_record(run.path, {"test": found})
    elif found.digest != before.digest:
        warnings.warn(
            f"since the training was started, the split 'test' has changed: "
            f"{compare(before, found)}",
            stacklevel=2,
        )


def needed_split(splits: Mapping[str, "Data"], wanted: str, remedy: str) -> "Data":
    """The named split; rejects data in which it has no examples, and says which have."""
    found = [name for name, data in splits.items() if len(data)]
    if wanted not in found:
        raise InputError(
            f"the data must have examples of the split {wanted!r}, "
            f"got {', '.join(found) or 'none at all'}; {remedy}"
        )
    return splits[wanted]
