"""What every export is made of: a network ready for inference, and what must be known to use it.

Ready means that it computes the same with less: normalisation is folded in, delays are whole steps,
one per synapse. What cannot change a prediction is left out: synapses of weight 0, neurons from
which no path leads to the output, and neurons that nothing can drive: neither the input nor a
bias reaches them, and they do not spike by themselves.

A bundle is one safetensors file with all of it: metadata as JSON, arrays of the smallest type that
holds them, no pickle; reading it runs no code.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlgenn_delays import __version__
from mlgenn_delays.distributions import PerNeuron
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import Network, Projection
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.storage import REMEDY, describe, rebuild, tensors_of
from mlgenn_delays.neurons.declare import Neuron, SpikingNeuron
from mlgenn_delays.neurons.linear import step_of
from mlgenn_delays.recipe import load_data
from mlgenn_delays.runs.run import Run, Task
from mlgenn_delays.tensors import FileFormat
from mlgenn_delays.untrusted import parse_json

_MAKE = "; make one of a run with delaysnn export RUN --format bundle"
FORMAT = FileFormat("delaysnn-bundle", 1, "bundle", _MAKE, REMEDY, foreign=_MAKE)
_TYPES = {"indptr": np.int64, "post": np.int32}


Kept = dict[str, np.ndarray]


def prepare(network: Network) -> tuple[Network, Kept]:
    """The network for inference, and by spiking population that is left the indices (n,) int64
    that its neurons had before; input and output keep all of theirs.
    """
    network = network.folded()
    for projection in network.projections.values():
        _whole_steps(projection, network.dt)
    leading, driven = _leads_on(network), _driven(network)
    return _without(network, {name: own & driven[name] for name, own in leading.items()})


def _whole_steps(projection: Projection, dt: float) -> None:
    steps, pre = delay_steps(projection, dt), projection.pre()
    kept = projection.weight != 0
    n_pre = len(projection.indptr) - 1
    projection.indptr = np.concatenate(
        [[0], np.cumsum(np.bincount(pre[kept], minlength=n_pre))]
    ).astype(np.int64)
    projection.post, projection.weight = projection.post[kept], projection.weight[kept]
    projection.delay = steps[kept] * dt
    projection.max_delay = float(projection.delay.max(initial=0.0))
    projection.granularity, projection.sign = "synapse", None


def _leads_on(network: Network) -> dict[str, np.ndarray]:
    """From which neurons a path leads to the output, (n,) bool by population."""
    found = {name: np.zeros(p.n, bool) for name, p in network.populations.items()}
    found[network.output().name][:] = True
    return _spread(network, found, backwards=True)


def _driven(network: Network) -> dict[str, np.ndarray]:
    """Which neurons the input or a bias can drive, by whatever path, or which spike by themselves,
    (n,) bool.
    """
    found = {}
    for name, population in network.populations.items():
        model, bias = population.model, population.bias
        if not isinstance(model, Neuron):
            found[name] = np.ones(population.n, bool)
            continue
        upwards = np.where(_goes_one_way(model, network.dt), bias > 0, bias != 0)
        found[name] = upwards | ~_rests(model, network.dt)
    return _spread(network, found, backwards=False)


def _goes_one_way(model: Neuron, dt: float) -> np.ndarray:
    """Whether nothing but a positive current drives neurons to a spike, as in a LIF, (n,) bool;
    others may rebound from a negative one.
    """
    try:
        step = step_of(model, dt)
    except InputError:  # it is not linear
        return np.zeros(model.n, bool)
    parts = [
        getattr(of, name) for of in (step.quiet, step.distance) for name in ("matrix", "by_current")
    ]
    return np.all([(part.reshape(model.n, -1) >= 0).all(1) for part in parts], axis=0)


def _rests(model: Neuron, dt: float) -> np.ndarray:
    """Whether neurons stay at 0 without a current, and do not spike, (n,) bool."""
    own, constants = model.equations, model.constants(dt)
    zero = dict.fromkeys(own.states, 0.0)
    kinds = np.array(np.broadcast_arrays(np.zeros(model.n), *constants.values()))
    different, index = np.unique(kinds, axis=1, return_inverse=True)
    rests = []
    for _, *values in different.T:
        after, above = own.step(zero, 0.0, dict(zip(constants, values, strict=True)))
        fires = above > 0 if own.strict else above >= 0
        rests.append(not fires and not any(after[name] for name in own.states))
    return np.array(rests)[index.ravel()]


def _spread(
    network: Network, found: dict[str, np.ndarray], *, backwards: bool
) -> dict[str, np.ndarray]:
    before, count = -1, 0
    while count != before:
        before = count
        for p in network.projections.values():
            source, target = found[p.source], found[p.target]
            if backwards:
                source[p.pre()[target[p.post]]] = True
            else:
                target[p.post[source[p.pre()]]] = True
        count = sum(int(own.sum()) for own in found.values())
    return found


def _without(network: Network, used: dict[str, np.ndarray]) -> tuple[Network, Kept]:
    """The network of the used neurons alone, and which of the spiking ones are left."""
    small, kept, index = Network(dt=network.dt, seed=network.seed), {}, {}
    for name, population in network.populations.items():
        spikes = isinstance(population.model, SpikingNeuron)
        left = np.flatnonzero(used[name]) if spikes else np.arange(population.n)
        if not len(left):
            continue
        own = vars(population.model).items()
        values = {k: PerNeuron(v.array[left]) for k, v in own if isinstance(v, PerNeuron)}
        model: Any = replace(population.model, n=len(left), **values)
        small.populations[name] = replace(population, model=model, bias=population.bias[left])
        index[name] = np.full(population.n, -1)
        index[name][left] = np.arange(len(left))
        if spikes:
            kept[name] = left
    for name, p in network.projections.items():
        if p.source in index and p.target in index:
            pre, post = index[p.source][p.pre()], index[p.target][p.post]
            fits = (pre >= 0) & (post >= 0)
            counts = np.bincount(pre[fits], minlength=small.populations[p.source].n)
            small.projections[name] = replace(
                p,
                indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
                post=post[fits].astype(np.int32),
                weight=p.weight[fits],
                delay=p.delay[fits],
                max_delay=float(p.delay[fits].max(initial=0.0)),
            )
    return small, kept


# Neurons x steps: 1 GiB of float32.
LARGEST_TRACE = 2**28
_Text = Annotated[str, Field(max_length=1000)]


class Measured(BaseModel):
    """An accuracy that was measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: _Text
    accuracy: Annotated[float, Field(ge=0, le=1)]  # correct / total
    n: Annotated[int, Field(ge=1)] | None = None  # examples, None if not known


class About(BaseModel):
    """What must be known to use a network, as plain data for JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    n_steps: Annotated[int, Field(ge=1, le=2**31 - 1)]  # T, length of a trial
    labels: Annotated[tuple[_Text, ...], Field(min_length=1, max_length=1_000_000)]
    # The ``[data]`` table of the recipe: how recordings or images become input; empty if not known.
    data: dict[str, Any] = {}
    recipe: _Text = ""  # name, empty if not known
    # Of the run's recipe.toml, empty if not known.
    recipe_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    epoch: Annotated[int, Field(ge=0)] | None = None  # of the network, None if not known
    measured: tuple[Measured, ...] = ()  # with int8, of the rounded network
    # None if weights were not rounded to 8 bits.
    quantised: Annotated[str, Field(pattern="^int8$")] | None = None
    version: _Text = ""  # of delaysnn that made it

    @model_validator(mode="after")
    def _known(self) -> "About":
        try:
            _ = self.options
        except InputError as error:
            raise ValueError(f"data: {error}") from error
        return self

    @cached_property
    def options(self) -> Any:
        """The options of the data set, None if that is not known."""
        from mlgenn_delays.data.registry import parse_options

        table = dict(self.data)
        return parse_options(str(table.pop("dataset", None)), table) if table else None

    @staticmethod
    def of_json(text: str | bytes) -> "About":
        """Parse JSON, or raise InputError."""
        try:
            return About.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(": ".join([*map(str, first["loc"]), first["msg"]])) from error


@dataclass(frozen=True)
class Artifact:
    """A network for inference; see `of`."""

    # As `prepare` gives it: one input, one output, no normalisation, whole-step delays per synapse.
    network: Network
    kept: Kept  # by spiking population, (n,) int64: which of its neurons are left
    sizes: dict[str, int]  # neurons of each population before that
    about: About  # what must be known to use it

    def __post_init__(self) -> None:
        network = self.network
        network.input()
        outputs, n_labels = network.output().n, len(self.about.labels)
        if outputs != n_labels:
            raise InputError(
                f"the network must have one output per label, got {outputs} outputs and {n_labels} "
                "labels"
            )
        neurons = sum(population.n for population in network.populations.values())
        if neurons * self.about.n_steps > LARGEST_TRACE:
            raise InputError(
                f"neurons x steps must be at most {LARGEST_TRACE}, got {neurons} x "
                f"{self.about.n_steps}; shorten the trial"
            )
        network.order()
        self._check_network()
        self._check_kept()

    def _check_network(self) -> None:
        for name, population in self.network.populations.items():
            if population.normalisation is not None or not np.isfinite(population.bias).all():
                raise InputError(
                    f"population {name!r} must have a finite bias and no normalisation"
                )
        for name, p in self.network.projections.items():
            steps = p.delay / self.network.dt
            if p.granularity != "synapse" or not np.allclose(
                steps, np.round(steps), rtol=0, atol=1e-6
            ):
                raise InputError(f"delays of projection {name!r} must be whole steps per synapse")

    def _check_kept(self) -> None:
        if not isinstance(self.sizes, dict) or not all(
            isinstance(size, int) and 0 < size <= 2**31 for size in self.sizes.values()
        ):
            raise InputError("sizes must have a number of neurons for each population")
        for population in self.network.spiking():
            kept, size = self.kept.get(population.name), self.sizes.get(population.name)
            if (
                kept is None
                or not isinstance(size, int)
                or kept.shape != (population.n,)
                or (np.diff(kept) <= 0).any()
                or kept[0] < 0
                or kept[-1] >= size
            ):
                raise InputError(
                    f"neurons of population {population.name!r} must have had ascending indices "
                    f"below {size}, one for each of {population.n}"
                )

    @staticmethod
    def of(network: Network, about: About) -> "Artifact":
        """There must be one input, and one output with as many neurons as labels."""
        small, kept = prepare(network)
        sizes = {name: population.n for name, population in network.populations.items()}
        return Artifact(small, kept, sizes, about)


def artifact_of_run(
    path: Path | str, *, checkpoint: str = "best", data: Path | str | None = None
) -> Artifact:
    """The artifact of a run; data are needed only where the run does not say its labels."""
    run = Run(path)
    network = Network.load(run.directory.network_path(checkpoint))
    task = _task(run, data)
    epoch, measured = _measured(run, checkpoint, task)
    about = About(
        n_steps=task.n_steps,
        labels=tuple(task.labels),
        data={"dataset": run.recipe.data.dataset, **run.recipe.data.options},
        recipe=run.recipe.name,
        recipe_sha256=sha256(run.directory.recipe_text().encode()).hexdigest(),
        epoch=epoch,
        measured=measured,
        version=__version__,
    )
    return Artifact.of(network, about)


def _task(run: Run, data: Path | str | None) -> Task:
    noted = run.task()
    if noted is not None:
        return noted
    splits = load_data(run.recipe, run.folder(None if data is None else str(data)))
    part: Any = next(iter(splits.values()))
    return Task(
        labels=list(part.label_names),
        n_steps=part.n_steps,
        examples={name: len(each) for name, each in splits.items()},
    )


def _measured(run: Run, checkpoint: str, task: Task) -> tuple[int | None, tuple[Measured, ...]]:
    commit = run.directory.load_checkpoint()
    if commit is None:
        return None, ()
    history = commit.history
    row = history.best if checkpoint == "best" else history.rows[-1]
    accuracy, epoch = row["validation_accuracy"], int(row["epoch"] or 0)
    if accuracy is None:
        return epoch, ()
    n = task.examples.get("validation") or None
    return epoch, (Measured(split="validation", accuracy=float(accuracy), n=n),)


def write_bundle(artifact: Artifact, path: Path | str) -> None:
    """Write a bundle, atomically."""
    write_atomic(path, to_bytes(artifact))


def to_bytes(artifact: Artifact) -> bytes:
    """The content of a bundle; equal artifacts give equal bytes."""
    network = artifact.network
    tensors = tensors_of(network)
    for name, projection in network.projections.items():
        base = f"projection/{name}"
        tensors[f"{base}/delay"] = delay_steps(projection, network.dt)
        for key in ("indptr", "post", "delay"):
            tensors[f"{base}/{key}"] = _smallest(tensors[f"{base}/{key}"])
    for name, index in artifact.kept.items():
        tensors[f"kept/{name}"] = _smallest(index)
    return FORMAT.pack(
        tensors,
        about=artifact.about.model_dump_json(),
        network=json.dumps(describe(network), sort_keys=True),
        sizes=json.dumps(artifact.sizes, sort_keys=True),
    )


def read_bundle(path: Path | str) -> Artifact:
    """Read a bundle; InputError says what is wrong with the file."""
    path = Path(path)
    tensors, metadata = FORMAT.read(path)
    with FORMAT.checked(path):
        return _artifact(tensors, metadata)


def _artifact(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Artifact:
    description = parse_json(metadata["network"])
    for entry in description["projections"]:
        base = f"projection/{entry['name']}"
        for key, kind in _TYPES.items():
            tensors[f"{base}/{key}"] = _whole(tensors, f"{base}/{key}").astype(kind)
        steps = _whole(tensors, f"{base}/delay")
        with np.errstate(over="ignore"):  # what is not finite is rejected
            tensors[f"{base}/delay"] = steps.astype(np.int64) * float(description["dt"])
    network = rebuild(Network, description, tensors)
    kept = {
        population.name: _whole(tensors, f"kept/{population.name}").astype(np.int64)
        for population in network.spiking()
    }
    about = About.of_json(metadata["about"])
    return Artifact(network, kept, parse_json(metadata["sizes"]), about)


def _whole(tensors: dict[str, np.ndarray], key: str) -> np.ndarray:
    if tensors[key].dtype.kind != "u":
        raise InputError(f"tensor {key} must have unsigned numbers, got {tensors[key].dtype}")
    return tensors[key]


def _smallest(array: np.ndarray) -> Any:
    """Whole numbers >= 0 in the smallest unsigned type that holds them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
