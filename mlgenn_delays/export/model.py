"""A trained network for inference: `load` it, and `Model.predict`."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mlgenn_delays import tensors
from mlgenn_delays.data.losses import Losses, left_of
from mlgenn_delays.data.types import Batch, Data, checked
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.export.artifact import (
    LARGEST_TRACE,
    About,
    Artifact,
    artifact_of_network,
    artifact_of_run,
    read_bundle,
)
from mlgenn_delays.export.demos import demo_names, demo_or_path
from mlgenn_delays.export.inputs import Item, ItemKind, Reader
from mlgenn_delays.files import as_path
from mlgenn_delays.network.storage import FORMAT as NETWORK_FORMAT
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.files import RECIPE, instead_of
from mlgenn_delays.tensors import format_of

AT_ONCE = 32  # examples
_HDF5 = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True)
class Prediction:
    """What a network predicts for one example.

    Attributes:
        name: Of the example, a file's name for instance.
        label: Name of the class.
        index: Number of the class.
        confidence: Its probability.
        probabilities: (K,) float32, softmax of the logits.
        logits: (K,) float32.
        cut: Share of its events (of its length, if it has none) after the end of the trial, which
            the network does not get.
        events: How many events it had, None if it had other data.
        warning: What to know of the prediction, such as that the input was empty; mostly empty.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import Prediction
        >>> probabilities, logits = np.array([0.1, 0.9]), np.array([-1.1, 1.1])
        >>> Prediction("tone.wav", "high", 1, 0.9, probabilities, logits).label
        'high'
    """

    name: str
    label: str
    index: int
    confidence: float
    probabilities: np.ndarray
    logits: np.ndarray
    cut: float = 0.0
    events: int | None = None
    warning: str = ""


@dataclass(frozen=True)
class Series:
    """What a network makes of one example where its output is a series.

    Attributes:
        name: Of the example, a file's name for instance.
        values: (K, T) float32, the voltage of each output neuron after each step.
        cut: As of `Prediction`, like ``events`` and ``warning``.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.export.model import Series
        >>> Series("tone.wav", np.zeros((1, 500), np.float32)).values.shape
        (1, 500)
    """

    name: str
    values: np.ndarray
    cut: float = 0.0
    events: int | None = None
    warning: str = ""


class Runner(Protocol):
    """What runs a network."""

    about: About
    n_inputs: int
    dt: float
    currents: bool

    def logits(self, batch: Batch) -> np.ndarray:
        """The logits of a batch, (B, K) float32."""

    def run(self, batch: Batch, variables: Collection[str] = ()) -> Recording:
        """The spikes and output voltages of a batch, and variables of neurons."""


class CPURunner:
    """Runs an artifact on the CPU engine; on all cores if threads is None."""

    def __init__(self, artifact: Artifact, threads: int | None = None) -> None:
        from mlgenn_delays.engines.checks import inference_rule
        from mlgenn_delays.engines.compile import compile_network
        from mlgenn_delays.network import CurrentInput

        network = artifact.network
        self.artifact = artifact
        self.about, self.dt = artifact.about, network.dt
        self.n_inputs = network.input().n
        self.currents = isinstance(network.input().model, CurrentInput)
        self._compiled = compile_network(
            network, inference_rule(network), total_steps=1, threads=threads, learns=False
        )

    def logits(self, batch: Batch) -> np.ndarray:
        """The logits of a batch, (B, K) float32."""
        unlabelled = replace(batch, labels=np.zeros(len(batch), np.int64), targets=None)
        return self._compiled.evaluate([unlabelled]).logits

    def run(self, batch: Batch, variables: Collection[str] = ()) -> Recording:
        """The spikes and output voltages of a batch, and variables of neurons."""
        return self._compiled.record(batch, variables)


class Model:
    """A network for inference; see `load`.

    Arguments:
        runner: What runs it.

    Attributes:
        about: What it is: labels, length of a trial, how recordings become its input, accuracy.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import Exponential, LeakyIntegrator, Model, Network, SpikeInput
        >>> from mlgenn_delays.export.artifact import About, Artifact
        >>> network = Network()
        >>> _ = network.add("in", SpikeInput(2)), network.add("out", LeakyIntegrator(2))
        >>> weights = [1.0, 0.0, 0.0, 1.0]
        >>> projection = network.connect("in", "out", Exponential(), weight=np.array(weights))
        >>> artifact = Artifact.of(network, About(n_steps=20, labels=("left", "right")))
        >>> raster = np.zeros((20, 2))
        >>> raster[3:6, 1] = 1  # steps 3..5 of the channel on the right
        >>> Model(CPURunner(artifact)).predict(raster).label
        'right'
    """

    def __init__(self, runner: Runner) -> None:
        self.about = runner.about
        self._runner = runner
        self._reader = Reader(runner.about, runner.n_inputs, runner.dt, runner.currents)

    @property
    def artifact(self) -> Artifact | None:
        """The network and what is known of it; None of a GeNN export, which holds code."""
        found: Artifact | None = getattr(self._runner, "artifact", None)
        return found

    def __repr__(self) -> str:
        runner, kind = self._runner, "series" if self.series else "classes"
        inputs = "currents" if runner.currents else "spikes"
        return (
            f"Model({runner.n_inputs:,} channels of {inputs}, {self.about.n_steps:,} steps of "
            f"{runner.dt:g} ms, {len(self.labels):,} {kind})"
        )

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each class, or of each series."""
        return self.about.labels

    @property
    def series(self) -> bool:
        """Whether its output is a series: it then gives a `Series`, not a `Prediction`."""
        return self.about.series

    @property
    def reader(self) -> Reader:
        """What turns inputs into examples."""
        return self._reader

    @property
    def most_at_once(self) -> int:
        """How many examples can run at once in bounded memory."""
        return max(1, LARGEST_TRACE // (self._runner.n_inputs * self.about.n_steps))

    def warm_up(self) -> None:
        """Run one silent example, so that one-time set-up is not charged to the first real one."""
        reader = self._reader
        if reader.sample_rate is not None:
            samples = np.zeros(reader.sample_rate, np.float32)
            if getattr(reader.options, "encoding", "") == "cochlea":
                samples[0] = 1.0  # it has nothing to set up for silence
            silence = Item("silence", "recording", samples)
        else:
            kind: ItemKind = "currents" if reader.currents else "raster"
            silence = Item("silence", kind, np.zeros((1, reader.n_inputs), np.float32))
        self._runner.logits(reader.as_batch([silence]))

    def predict(self, x: Any) -> Any:
        """Predict one example or several.

        Arguments:
            x: A path of a WAV, ``.npy``, ``.npz`` or ``.h5`` file, an array, `SpikeData`,
                `CurrentData`, or a list of those; see `Reader.of`.

        Returns:
            A `Prediction` (a `Series` of a network that gives series), or a list of them where
            ``x`` may hold several examples: a list, data, an array of several, or a file of
            several.

        Raises:
            InputError: It is no input for this network.
        """
        items = self._reader.of(x)
        predictions = list(self.predict_items(items))
        return predictions[0] if _is_one(x, items) else predictions

    def predict_items(
        self, items: Sequence[Item], at_once: int = AT_ONCE
    ) -> Iterator[Prediction | Series]:
        """Predict examples that `reader` gave, some at once, in their order."""
        at_once = min(at_once, self.most_at_once)
        for first in range(0, len(items), at_once):
            some = items[first : first + at_once]
            yield from self.predict_batch(some, self._reader.as_batch(some))

    def predict_batch(self, items: Sequence[Item], batch: Batch) -> list[Prediction | Series]:
        """Predict a batch that was made of these examples."""
        left = left_of(batch)
        if self.series:
            voltage = self._runner.run(batch).voltage
            return [self._series(*row) for row in zip(items, voltage, left, strict=True)]
        logits = self._runner.logits(batch)
        return [self._prediction(*row) for row in zip(items, logits, left, strict=True)]

    def logits(self, batch: Batch | Data) -> np.ndarray:
        """The logits of examples that are encoded already, (B, K) float32."""
        return self._runner.logits(_batch(batch))

    def record(self, batch: Batch | Data, variables: Collection[str] = ()) -> Recording:
        """Record spikes and output voltages of examples that are encoded already.

        `variables` names variables of neurons to record in every step, such as ``V``, as
        `engines.base.CompiledNetwork.record`.

        Neurons that cannot matter were left out at the export; those of a population are
        `kept` of the artifact.
        """
        return self._runner.run(_batch(batch), variables)

    def _prediction(self, item: Item, logits: np.ndarray, left: float) -> Prediction:
        """Predict from logits (K,); left is the share of the example that the encoding kept."""
        name = item.name
        _check_finite(name, "logits", logits)
        likely = np.exp(logits - logits.max())
        likely /= likely.sum()
        index = int(logits.argmax())
        label, told = self.about.labels[index], self._told(item, left)
        return Prediction(name, label, index, float(likely[index]), likely, logits, *told)

    def _series(self, item: Item, voltage: np.ndarray, left: float) -> Series:
        """Take the voltage (K, T) as a series."""
        _check_finite(item.name, "voltages", voltage)
        return Series(item.name, voltage, *self._told(item, left))

    def _told(self, item: Item, left: float) -> tuple[float, int | None, str]:
        """What the network did not get of an example: share cut, events, warning."""
        trial, given = self._reader.trial, item.losses or Losses.of_lengths([0.0], np.ones(1))
        losses = given.leaving(np.array([left]))
        lost, warning = losses.shares(trial), losses.warning(trial, self._reader.dt, trained=True)
        return lost["cut"], lost["events"], warning


def _check_finite(name: str, what: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise WorkError(
            f"{name}: the {what} of the network must be finite, got {values.ravel().tolist()[:4]}; "
            "its weights, or the input, are too large"
        )


def _is_one(x: Any, items: Sequence[Item]) -> bool:
    """Whether an input is one example, not several of which there is one."""
    several = isinstance(x, list | Data | Batch)
    folder = isinstance(x, str | Path) and Path(x).is_dir()
    return not several and not folder and len(items) == 1 and not items[0].name.endswith("]")


def _batch(given: Batch | Data) -> Batch:
    if not isinstance(given, Batch | Data):
        raise InputError(
            f"examples must be SpikeData, CurrentData or a batch, got {type(given).__name__}; "
            "predict takes arrays and paths as well"
        )
    return checked(given) if isinstance(given, Batch) else given.batch(np.arange(len(given)))


def load(path: Path | str, *, threads: int | None = None, n_steps: int | None = None) -> Model:
    """Load a model for inference.

    `Network.load` reads a network file as a network to look at, to change or to train on.

    Arguments:
        path: A bundle, a file of `Trainer.save` or `Network.save`, a NIR file, a folder of a GeNN
            export, a run directory, or the name of a network that comes with the package:
            ``digits-demo``, ``fsdd-demo``, ``words-demo``.
        threads: Threads of the CPU engine, all cores if None.
        n_steps: T, length of a trial in steps, for a network file alone: that of `Network.save`
            does not say it.

    Raises:
        InputError: It is none of these, damaged, or from another version.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> import numpy as np
        >>> from mlgenn_delays import Exponential, LeakyIntegrator, Network, SpikeInput, load
        >>> from mlgenn_delays.export.artifact import About, Artifact
        >>> from mlgenn_delays.export.artifact import write_bundle
        >>> network = Network()
        >>> _ = network.add("in", SpikeInput(2)), network.add("out", LeakyIntegrator(2))
        >>> weights = [1.0, 0.0, 0.0, 1.0]
        >>> projection = network.connect("in", "out", Exponential(), weight=np.array(weights))
        >>> artifact = Artifact.of(network, About(n_steps=20, labels=("left", "right")))
        >>> with TemporaryDirectory() as folder:
        ...     write_bundle(artifact, f"{folder}/model.safetensors")
        ...     load(f"{folder}/model.safetensors").labels
        ('left', 'right')
    """
    return Model(_runner(demo_or_path(as_path(path)), threads, n_steps))


def read_artifact(path: Path, n_steps: int | None = None) -> Artifact:
    """Read a bundle, a network file or a NIR file, whatever its name; T as in `load`."""
    begin, is_tensors = tensors.first_bytes(path)
    if begin.startswith(_HDF5):
        if n_steps is not None:
            raise _knows_its_steps(path, n_steps)
        from mlgenn_delays.export.nir import read_nir

        return read_nir(path)
    if not is_tensors:
        raise InputError(
            f"{path} must be a bundle, a network or a NIR file, got another or a damaged one; make "
            "one of a run with delaysnn export"
        )
    if format_of(path) == NETWORK_FORMAT.name:
        return artifact_of_network(path, n_steps)
    if n_steps is not None:
        raise _knows_its_steps(path, n_steps)
    return read_bundle(path)


def _knows_its_steps(path: Path, n_steps: int) -> InputError:
    return InputError(
        f"n_steps must be left out but for a file of Network.save, got {n_steps!r} with {path}, "
        "which says how long a trial is"
    )


def _runner(path: Path, threads: int | None, n_steps: int | None) -> Runner:
    if not path.exists():
        raise InputError(
            f"there is no model {path}; make one with delaysnn export RUN --out PATH, or take one "
            f"that comes with the package: {', '.join(demo_names())}"
        )
    if not path.is_dir():
        return CPURunner(read_artifact(path, n_steps), threads)
    made_in_python = (path / RECIPE).is_file() and not (path / RECIPE).stat().st_size
    if n_steps is not None and not made_in_python:
        raise _knows_its_steps(path, n_steps)
    if (path / "manifest.json").is_file():
        from mlgenn_delays.export.genn.runtime import GeNNModel

        return GeNNModel.open(path)
    if (path / RECIPE).is_file():
        if made_in_python:  # it has its networks alone
            network = RunDirectory.open(path).network_path()
            return CPURunner(artifact_of_network(network, n_steps), threads)
        return CPURunner(artifact_of_run(path), threads)
    if (path / "test_model.c").is_file():
        raise InputError(f"{path} must be more than C source to run here; see its README.md")
    raise InputError(
        f"{path} must be a GeNN export (with manifest.json) or a run (with recipe.toml), got a "
        f"folder with neither; {instead_of(path)}"
    )
