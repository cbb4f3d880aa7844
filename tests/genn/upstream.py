"""mlGeNN's own `EventPropCompiler` on one of our networks, its gradients scaled to ours.

Upstream divides the gradient by tau_mem of the output population and gives that of delays per ms
(both defects of their own), learns one example at a time, and goes back through an example while
it goes forwards through the next one. So every run ends with a silent example.
"""

from pathlib import Path

import numpy as np
from ml_genn import Connection, Population
from ml_genn import Network as GeNNNetwork
from ml_genn.callbacks import Callback
from ml_genn.compilers import EventPropCompiler
from ml_genn.compilers.compiled_training_network import CompiledTrainingNetwork
from ml_genn.connectivity import Dense
from ml_genn.metrics import MetricsType
from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire
from ml_genn.neurons import SpikeInput as GeNNSpikeInput
from ml_genn.optimisers import Adam
from ml_genn.synapses import Exponential as GeNNExponential
from ml_genn.utils.data import PreprocessedSpikes, preprocess_spikes

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network
from tests.reference import forward

NAME = "upstream"  # of the generated code's folder


def translate(network: Network) -> GeNNNetwork:
    """Return a network as mlGeNN's; projections must be dense, their delays a synapse each."""
    out, dt = GeNNNetwork(), network.dt
    with out:
        populations = {
            name: Population(_neuron(p.model), p.n, name=name)
            for name, p in network.populations.items()
        }
        for name, p in network.projections.items():
            shape = network.populations[p.source].n, network.populations[p.target].n
            assert p.n_synapses == shape[0] * shape[1] and p.granularity == "synapse"
            assert isinstance(p.synapse, Exponential)
            Connection(
                populations[p.source], populations[p.target],
                Dense(p.weight.reshape(shape), (p.delay / dt).reshape(shape)),
                GeNNExponential(p.synapse.tau_syn, scale_i=True), name=name.replace("->", "_"),
                max_delay_steps=round(p.max_delay / dt),
            )  # fmt: skip
    return out


def _neuron(model: object) -> GeNNSpikeInput | LeakyIntegrate | LeakyIntegrateFire:
    if isinstance(model, LeakyIntegrator):
        assert model.readout == "mean"
        return LeakyIntegrate(tau_mem=model.tau_mem, scale_i=True, readout="avg_var")
    if isinstance(model, LIF):
        return LeakyIntegrateFire(
            v_thresh=model.v_thresh, tau_mem=model.tau_mem, tau_refrac=model.tau_refrac or None,
            relative_reset=False, integrate_during_refrac=False, scale_i=True,
        )  # fmt: skip
    return GeNNSpikeInput(max_spikes=10_000)


class Reader(Callback):
    """Takes down the answer to every example and the gradients of the one before it.

    Attributes:
        logits: (K,) of each example.
        raw: Of each example but the last, by projection, its weight and delay gradients.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self.logits: list[np.ndarray] = []
        self.raw: list[dict[str, tuple[np.ndarray, np.ndarray]]] = []

    def set_params(self, compiled_network: CompiledTrainingNetwork, **kwargs: object) -> None:
        """Take note of the network, at the start of a run.

        Every run has a shallow copy of this object, so the lists are those of the original.
        """
        self._compiled = compiled_network
        self.logits.clear()
        self.raw.clear()

    def on_batch_end(self, batch: int, metrics: MetricsType) -> None:
        """Read what there is, before the optimiser sets the gradients to 0."""
        model, output = self._compiled.genn_model, self._network.output().name
        average = model.neuron_populations[output].vars["VAvg"]
        average.pull_from_device()
        self.logits.append(average.view.copy().reshape(-1))
        if batch == 0:
            return
        found = {}
        for name in self._network.projections:
            own = model.synapse_populations[name.replace("->", "_")].vars
            for key in ("Gradient", "DelayGradient"):
                own[key].pull_from_device()
            found[name] = own["Gradient"].view.copy(), own["DelayGradient"].view.copy()
        self.raw.append(found)


class Upstream:
    """A network compiled by mlGeNN's `EventPropCompiler`.

    Arguments:
        network: The network, of which delays are learned too.
        steps: T, length of every trial.
        folder: Where the generated code goes.
        max_spikes: As of `EventPropCompiler`.
        batch_size: As of `EventPropCompiler`.
        backend: Of GeNN.
        reads: Whether gradients are read, so that `raw` and `each` can be asked.
    """

    def __init__(
        self, network: Network, steps: int, folder: Path, *, max_spikes: int = 500,
        batch_size: int = 1, backend: str = "single_threaded_cpu", reads: bool = True,
    ) -> None:  # fmt: skip
        self.network, self.steps = network, steps
        translated = translate(network)
        self._input, self._output = (
            next(p for p in translated.populations if p.name == own.name)
            for own in (network.input(), network.output())
        )
        self._compiled = EventPropCompiler(
            example_timesteps=steps, losses="sparse_categorical_crossentropy",
            optimiser=Adam(), delay_learn_conns=translated.connections,
            max_spikes=max_spikes, dt=network.dt, batch_size=batch_size,
            backend=backend,
        ).compile(translated, NAME)  # fmt: skip
        self._compiled.genn_model.build(str(folder))
        self._reader = Reader(network)
        if reads:
            self._compiled.base_train_callbacks.insert(0, self._reader)

    def _examples(self, batch: SpikeBatch) -> list[PreprocessedSpikes]:
        """Return the input of a batch; spikes half a step early, so that rounding moves none."""
        out = []
        for b in range(len(batch)):
            step, channel = np.nonzero(forward.stimulus(batch, b))
            times = (step - 0.5) * self.network.dt
            out.append(preprocess_spikes(times, channel, batch.n_channels))
        return out

    def _train(self, batch: SpikeBatch, alpha: float, epochs: int, silent: int) -> None:
        """Train on the examples in turn, followed by silent ones, in what is loaded."""
        none = preprocess_spikes(np.zeros(0), np.zeros(0, np.int64), batch.n_channels)
        labels = np.append(batch.labels, np.zeros(silent, np.int64))
        for optimiser, _ in self._compiled.optimisers:
            optimiser.alpha = alpha
        self._compiled.train(
            {self._input: self._examples(batch) + silent * [none]}, {self._output: labels},
            num_epochs=epochs, shuffle=False, callbacks=[],
        )  # fmt: skip

    def raw(self, batch: SpikeBatch) -> list[Gradients]:
        """Return the gradients of each example as upstream has them; examples run in turn."""
        assert batch.n_steps == self.steps
        with self._compiled:
            self._train(batch, alpha=0.0, epochs=1, silent=1)
        return [
            Gradients(
                forward.cross_entropy(logits, label),
                {name: weight for name, (weight, _) in found.items()},
                {name: delay for name, (_, delay) in found.items()},
            )
            for logits, label, found in zip(
                self._reader.logits[:-1], batch.labels, self._reader.raw, strict=True
            )
        ]

    def each(self, batch: SpikeBatch) -> list[Gradients]:
        """Return the gradients of each example scaled to ours."""
        tau_mem = self.network.output().model.tau_mem
        return [
            Gradients(
                raw.loss,
                {name: tau_mem * array for name, array in raw.weight.items()},
                {name: tau_mem * self.network.dt * array for name, array in raw.delay.items()},
            )
            for raw in self.raw(batch)
        ]

    def trained(
        self, batch: SpikeBatch, *, epochs: int = 1, silent: int = 0
    ) -> dict[str, np.ndarray]:
        """Return the weights after training, by projection.

        Arguments:
            batch: The examples, one after another in every epoch.
            epochs: Their number.
            silent: Silent examples at the end of every epoch.
        """
        out = {}
        with self._compiled:
            self._train(batch, alpha=0.01, epochs=epochs, silent=silent)
            for name in self.network.projections:
                group = self._compiled.genn_model.synapse_populations[name.replace("->", "_")]
                group.vars["g"].pull_from_device()
                out[name] = group.vars["g"].view.copy()
        return out
