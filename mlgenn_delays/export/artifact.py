"""What every export is made of: a network ready for inference, and what must be known to use it.

A bundle is one safetensors file with all of it: metadata as JSON, arrays of the smallest type that
holds them, no pickle; reading it runs no code.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from mlgenn_delays import __version__
from mlgenn_delays.bits import LARGEST
from mlgenn_delays.engines.metrics import NRMSE, metric_of_kind
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.prepare import Kept, prepare
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.storage import FORMAT as NETWORK_FORMAT
from mlgenn_delays.network.storage import (
    REMEDY,
    describe,
    load_with_about,
    rebuild,
    tensors_of,
)
from mlgenn_delays.quantisation import Per, Quantised, quantise
from mlgenn_delays.recipe import load_data
from mlgenn_delays.runs.run import Run, Task
from mlgenn_delays.settings import Count, check, one_of
from mlgenn_delays.tensors import FileFormat
from mlgenn_delays.untrusted import parse_json

_MAKE = "; make one of a run with delaysnn export RUN --format bundle"
FORMAT = FileFormat("delaysnn-bundle", 1, "bundle", _MAKE, REMEDY, foreign=_MAKE)
_TYPES = {"indptr": np.int64, "post": np.int32}


# Neurons x steps: 1 GiB of float32.
LARGEST_TRACE = 2**28
_Text = Annotated[str, Field(max_length=1000)]


class _Brief(BaseModel):
    """What leaves its `brief` fields out of JSON where they are as nobody has set them."""

    brief: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _in_brief(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        told: dict[str, Any] = serialise(self)
        unset = {name: type(self).model_fields[name].default for name in self.brief}
        return {key: v for key, v in told.items() if key not in unset or v != unset[key]}


class Measured(_Brief):
    """A metric that was measured: accuracy, or nrmse for series."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: _Text
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None  # correct / total
    nrmse: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    n: Annotated[int, Field(ge=1)] | None = None  # examples, None if not known

    brief = ("accuracy", "nrmse")

    @model_validator(mode="after")
    def _one_metric(self) -> "Measured":
        if (self.accuracy is None) == (self.nrmse is None):
            raise ValueError("it must have accuracy or nrmse")
        return self


class About(_Brief):
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
    measured: tuple[Measured, ...] = ()  # of the quantised network, if it is
    # None if weights are not quantised.
    quantised: Annotated[str, one_of(*LARGEST)] | None = None
    per: Per = "neuron"  # what has a scale, where they are
    version: _Text = ""  # of delaysnn that made it
    # Whether the output's voltage is a series of each label, instead of a class being chosen.
    series: bool = False

    brief = ("series", "per")

    @model_validator(mode="after")
    def _known(self) -> "About":
        try:
            _ = self.options
        except InputError as error:
            raise ValueError(f"data: {error}") from error
        return self

    @staticmethod
    def numbered(network: Network, n_steps: int) -> "About":
        """Of a network of which no more is known: its classes are called 0, 1, ..."""
        check("n_steps", n_steps, Count)
        return About(n_steps=n_steps, labels=tuple(map(str, range(network.output().n))))

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
    quantised: Quantised | None = None  # the integers of its weights, where they were learned so

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
        self._check_quantised()

    @np.errstate(over="ignore")
    def _check_quantised(self) -> None:
        if self.quantised is None:
            return
        for name, p in self.network.projections.items():
            same = np.array_equal(self.quantised.weights(p), p.weight)
            if not same or not np.isfinite(p.weight).all():
                raise InputError(
                    f"weights of projection {name!r} must be finite integers times scales"
                )

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
        network.warn_of_trained_copy("made an artifact of")
        sizes = {name: population.n for name, population in network.populations.items()}
        if about.quantised is None:
            return Artifact(*prepare(network), sizes, about)
        # With the neurons that are left out: they may have the largest weight of another one.
        whole, quantised = quantise(network.folded(), about.quantised, about.per)
        small, kept = prepare(whole)
        scales = {
            name: quantised.scales[name][kept.get(p.target, slice(None))]
            for name, p in small.projections.items()
        }
        return Artifact(small, kept, sizes, about, Quantised.of(small, about.quantised, scales))


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
        series=metric_of_kind(run.recipe.loss.kind) is NRMSE,
        **run.recipe.quantisation.told(),
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
    name = history.metric.name
    score, epoch = row[f"validation_{name}"], int(row["epoch"] or 0)
    if score is None:
        return epoch, ()
    n = task.examples.get("validation") or None
    told: dict[str, Any] = {"split": "validation", name: float(score), "n": n}
    return epoch, (Measured(**told),)


def artifact_of_network(path: Path | str, n_steps: int | None) -> Artifact:
    """The artifact of a network file: of `Trainer.save`, or of `Network.save` with a trial's steps.

    Raises:
        InputError: The file is damaged, or the length of a trial is not known, or known otherwise.
    """
    network, text = load_with_about(Network, path)
    if text:
        with NETWORK_FORMAT.checked(Path(path)):
            about = About.of_json(text)
        if n_steps is not None:
            about = about.model_copy(update={"n_steps": _steps(n_steps)})
        return Artifact.of(network, about)
    if n_steps is None:
        raise InputError(
            f"{path} must say how long a trial is, got a network without that; give "
            "load(..., n_steps=...), or save what a trainer trained with trainer.save"
        )
    return Artifact.of(network, About.numbered(network, n_steps))


def _steps(n_steps: int) -> int:
    check("n_steps", n_steps, Count)
    return int(n_steps)


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
        if artifact.quantised is not None:
            tensors[f"{base}/weight"] = artifact.quantised.values[name]
            tensors[f"{base}/scale"] = artifact.quantised.scales[name]
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
    about = About.of_json(metadata["about"])
    values: dict[str, np.ndarray] = {}
    scales: dict[str, np.ndarray] = {}
    for entry in description["projections"]:
        base = f"projection/{entry['name']}"
        for key, kind in _TYPES.items():
            tensors[f"{base}/{key}"] = _whole(tensors, f"{base}/{key}").astype(kind)
        steps = _whole(tensors, f"{base}/delay")
        with np.errstate(over="ignore"):  # what is not finite is rejected
            tensors[f"{base}/delay"] = steps.astype(np.int64) * float(description["dt"])
        if f"{base}/scale" in tensors:
            scales[entry["name"]] = tensors[f"{base}/scale"]
            values[entry["name"]] = tensors[f"{base}/weight"]
            tensors[f"{base}/weight"] = np.zeros(values[entry["name"]].shape, np.float32)
    network = rebuild(Network, description, tensors)
    kept = {
        population.name: _whole(tensors, f"kept/{population.name}").astype(np.int64)
        for population in network.spiking()
    }
    quantised = None
    if scales:
        quantised = Quantised(str(about.quantised), values, scales)
        for projection in network.projections.values():
            with np.errstate(over="ignore"):  # what is not finite is rejected
                projection.weight = quantised.weights(projection)
    return Artifact(network, kept, parse_json(metadata["sizes"]), about, quantised)


def _whole(tensors: dict[str, np.ndarray], key: str) -> np.ndarray:
    if tensors[key].dtype.kind != "u":
        raise InputError(f"tensor {key} must have unsigned numbers, got {tensors[key].dtype}")
    return tensors[key]


def _smallest(array: np.ndarray) -> Any:
    """Whole numbers >= 0 in the smallest unsigned type that holds them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
