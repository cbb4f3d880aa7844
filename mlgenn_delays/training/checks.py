"""Whether data fit a network, a training the run that it resumes, and whether it has diverged."""

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, NoneType
from typing import get_args

import numpy as np

from mlgenn_delays.data.augment.augment import Augment, check_kind
from mlgenn_delays.data.types import Batch, CurrentData, Data
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.checks import check_series
from mlgenn_delays.engines.compile import ENGINES
from mlgenn_delays.errors import DivergedError, InputError, nearest
from mlgenn_delays.learning import Rule
from mlgenn_delays.learning.losses import (
    CrossEntropy,
    Loss,
    NamedLoss,
    check_targets,
    name_of,
)
from mlgenn_delays.network import CurrentInput, Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.quantisation import Quantisation
from mlgenn_delays.rewiring import Rewiring
from mlgenn_delays.runs.checkpoint import Checkpoint, Setting, kept
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.record import described

# A mean loss so many times that of the start has exploded.
EXPLODED = 100.0


def loss_bound(compiled: CompiledNetwork, loss: Loss, first: Batch) -> float:
    """The mean loss above which a training has exploded; infinite for a loss function.

    It is `EXPLODED` times that of the network at the start on `first`, at least of one that
    guesses: the logarithm of the number of classes, or the mean square of the targets. Logits that
    are sums over a trial start far above that.
    """
    if not isinstance(loss, NamedLoss):
        return math.inf
    guessing = math.log(max(2, compiled.network.output().n))
    if first.targets is not None:
        guessing = float(np.square(first.targets, dtype=np.float64).mean())
    try:
        start = compiled.evaluate([first]).loss
    except DivergedError:  # as the first batch of the training will say
        start = 0.0
    return EXPLODED * (max(guessing, start) if math.isfinite(start) else guessing)


def checked(network: Network) -> bytes:
    """The network file of a finished epoch; raises `DivergedError` if nothing could read it."""
    try:
        return to_bytes(network)
    except InputError as error:
        raise DivergedError(str(error)) from error


def diverged(epoch: int, error: DivergedError, run: RunDirectory | None) -> DivergedError:
    """The error of a training that diverged: what was kept and what to try."""
    if epoch == 1:
        kept = "no epoch was finished; the trainer keeps the network as it was at the start"
    elif run is not None:
        kept = (
            f"the last good checkpoint, of epoch {epoch - 1}, is kept in "
            f"{run.checkpoint_path('last')}"
        )
    else:
        kept = f"the trainer keeps the last good network, of epoch {epoch - 1}"
    return DivergedError(
        f"training diverged in epoch {epoch}: {str(error).rstrip('.')}; {kept}; lower "
        "learning.learning_rate (or delays.learning_rate), set learning.clip, or remove extreme "
        "values from the data (delaysnn data check), in a new run"
    )


BACKEND = "single_threaded_cpu"  # of GeNN, where none is asked for


def check_arguments(
    network: object, rule: object, rewiring: object, augment: object, run: object,
    quantisation: object,
) -> None:  # fmt: skip
    """Reject arguments of another kind, and networks without one input and one output."""
    for name, value, kind in (
        ("network", network, Network),
        ("rule", rule, Rule),
        ("rewiring", rewiring, Rewiring | None),
        ("augment", augment, Augment | None),
        ("run", run, RunDirectory | None),
        ("quantisation", quantisation, Quantisation | None),
    ):
        if not isinstance(value, kind):
            kinds = get_args(kind) or (kind,)
            wanted = " or ".join("None" if k is NoneType else k.__name__ for k in kinds)
            raise InputError(f"{name} of Trainer must be of type {wanted}, got {value!r}")
    assert isinstance(network, Network)
    network.input()
    network.output()


def check_engine(engine: object, backend: object, communicator: object) -> None:
    """Reject an unknown engine, a backend of another one, and ranks of a GeNN that is missing."""
    if engine not in ENGINES:
        hint = nearest(engine, ENGINES) if isinstance(engine, str) else ""
        raise InputError(f"engine must be one of {', '.join(ENGINES)}, got {engine!r}{hint}")
    if backend != BACKEND and engine != "genn":
        raise InputError(
            f"engine must be 'genn' with backend {backend!r}, got {engine!r}; "
            "set engine='genn', or leave backend out"
        )
    if engine == "genn" and communicator is not None:
        from mlgenn_delays.engines.genn.checks import available_backends

        available_backends()  # before MPI starts


def check_data(network: Network, loss: Loss, what: str, data: Data) -> None:
    """Reject a split that does not fit a network or a loss; `what` is its name in the message."""
    _check_kind(network, what, data)
    if not len(data):
        raise InputError(f"{what} must have at least one example, got an empty split")
    source, output = network.input(), network.output()
    if data.n_channels != source.n:
        raise InputError(
            f"{what} must have {source.n} channels, as many as the input {source.name!r} has "
            f"neurons, got {data.n_channels}"
        )
    if data.n_classes > output.n:
        raise InputError(
            f"{what} must have at most {output.n} classes, as many as the output {output.name!r} "
            f"has neurons, got {data.n_classes}"
        )
    if data.dt != network.dt:
        raise InputError(
            f"{what} must have the time step of the network, {network.dt:g} ms, got {data.dt:g} ms"
        )
    if data.n_steps < 1:
        raise InputError(f"{what} must have trials of at least one step, got {data.n_steps}")
    check_targets(loss, what, data.targets, data.n_steps, data.dt)
    check_series(what, data.targets, (len(data), output.n, data.n_steps))


def _check_kind(network: Network, what: str, data: object) -> None:
    if not isinstance(data, Data):
        raise InputError(f"{what} must be SpikeData or CurrentData, got {type(data).__name__}")
    source = network.input()
    currents = isinstance(source.model, CurrentInput)
    if currents != isinstance(data, CurrentData):
        wanted, other = ("CurrentData", "SpikeInput") if currents else ("SpikeData", "CurrentInput")
        raise InputError(
            f"{what} must be {wanted}, which the {type(source.model).__name__} {source.name!r} "
            f"takes, got {type(data).__name__}; encode the data otherwise, or make the input a "
            f"{other}"
        )


def check_splits(network: Network, loss: Loss, train: Data, validation: Data | None) -> None:
    """Reject splits that a network or a loss cannot take, or whose classes are not the same."""
    check_data(network, loss, "training data", train)
    if validation is None:
        return
    check_data(network, loss, "validation data", validation)
    if (train.targets is None) != (validation.targets is None):
        raise InputError(
            "validation data must have targets where training data have them, got one without"
        )
    if validation.label_names != train.label_names:
        raise InputError(
            "validation data must have the classes of the training data, "
            f"{', '.join(train.label_names)}, got {', '.join(validation.label_names)}"
        )


def check_augment(augment: Augment | None, train: Data) -> None:
    """Reject an augmentation of another kind of data, or groups that do not divide the channels."""
    if augment is None or augment.is_identity:
        return
    check_kind(augment, train)
    if augment.group and train.n_channels % augment.group:
        raise InputError(
            f"augmentation.group must be a divisor of the {train.n_channels} channels of the "
            f"training data, or 0, got {augment.group}"
        )


def as_taken(compiled: CompiledNetwork, network: Network) -> Network:
    """The network as a compiled one takes it: with its normalisation folded where that is."""

    def normalised(each: Network) -> bool:
        return any(p.normalisation is not None for p in each.populations.values())

    return network.folded() if normalised(network) > normalised(compiled.network) else network


def capped_delays(network: Network, rule: Rule) -> str:
    """What to warn of where learned delays cannot get longer, for nobody said how long they may."""
    found = [
        f"{p.name!r} {p.max_delay:g} ms"
        for p in network.projections.values()
        if rule.delays is not None and p.learns_delay and p.capped
    ]
    if not found:
        return ""
    return (
        "learned delays cannot get longer than the longest at the start, for their projections "
        f"were connected without max_delay: {', '.join(found)}; give connect(max_delay=...), or "
        "granularity='fixed' where delays are not to be learned"
    )


def what_is_learned(
    network: Network, train: Data, quantisation: Quantisation | None
) -> dict[str, object]:
    """What must be known to use a network, as `mlgenn_delays.export.artifact.About` has it."""
    names = list(train.label_names)
    # An output may have more neurons than there are classes.
    names += [str(number) for number in range(len(names), network.output().n)]
    found = {"n_steps": train.n_steps, "labels": names, "series": train.targets is not None}
    return found if quantisation is None else found | quantisation.told()


def described_learning(
    rule: Rule,
    loss: Loss,
    rewiring: Rewiring | None,
    augment: Augment | None,
    quantisation: Quantisation | None = None,
    *,
    recorded: Mapping[str, Setting] = MappingProxyType({}),
) -> dict[str, Setting]:
    """How a network is learned, as text by what; a run may have `recorded` fewer settings of it."""
    given: dict[str, object] = {
        "rule": rule, "loss": loss, "rewiring": rewiring, "augment": augment,
        "quantisation": quantisation,
    }  # fmt: skip
    found: dict[str, Setting] = {k: described(v, recorded.get(k)) for k, v in given.items()}
    if not isinstance(loss, NamedLoss):
        found["loss"] = name_of(loss)
    elif loss == CrossEntropy() and recorded.get("loss") is None:
        found["loss"] = None  # runs older than other losses do not name it
    return found


def length_followers(rule: Rule, rewiring: Rewiring | None) -> list[str]:
    """What depends on how many epochs a training has; where nothing does, more can follow it."""
    found = [
        f"the schedule {type(optimiser.schedule).__name__} of the {what}"
        for what, optimiser in (("weights", rule.weights), ("delays", rule.delays))
        if optimiser is not None and optimiser.schedule.follows_length
    ]
    if rewiring is not None and rewiring.follows_length:
        found.append(f"rewiring by {type(rewiring).__name__}")
    return found


def length_before(
    checkpoint: Checkpoint, epochs: int, rule: Rule, rewiring: Rewiring | None
) -> dict[str, Setting]:
    """The epochs that a run has recorded, where a training of more of them may continue it."""
    before = checkpoint.settings.get("epochs")
    longer = isinstance(before, int) and epochs > before
    return {"epochs": before} if longer and not length_followers(rule, rewiring) else {}


def starting_network(run: Path, checkpoint: Checkpoint, start: Network) -> dict[str, Setting]:
    """What a run has recorded of its starting network, if that is the one given.

    The files of networks change over time, and with them what is recorded of one.
    """
    first = kept(run).get(0)
    if first is None or to_bytes(Network.load(first)) != to_bytes(start):
        return {}
    names = ("network", "starting values")
    return {key: checkpoint.settings[key] for key in names if key in checkpoint.settings}
