"""Every declared neuron in GeNN against the CPU engine and the float64 twin, several in a network.

Building a network for GeNN takes seconds, whatever is in it.
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)

from mlgenn_delays.engines.base import CompiledNetwork  # noqa: E402
from mlgenn_delays.engines.results import Gradients, Recording  # noqa: E402
from mlgenn_delays.learning import (  # noqa: E402
    Boxcar,
    EventProp,
    Gaussian,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import (  # noqa: E402
    LIF,
    Delta,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
    Uniform,
)
from mlgenn_delays.neurons.declare import (  # noqa: E402
    ReadoutNeuron,
    SpikingNeuron,
    TauMem,
    TauRefrac,
    neuron,
)
from mlgenn_delays.neurons.models.adaptive_lif import AdaptiveLIF  # noqa: E402
from mlgenn_delays.neurons.models.two_compartment_lif import TwoCompartmentLIF  # noqa: E402
from mlgenn_delays.settings import Number  # noqa: E402
from tests.engines.helpers import raster, relative  # noqa: E402
from tests.engines.test_neurons import LEARNED  # noqa: E402
from tests.parity.helpers import CLOSE, check, cpu, genn  # noqa: E402
from tests.reference import steps  # noqa: E402
from tests.reference import surrogate as twin  # noqa: E402
from tests.reference.nets import NEURONS, RATE, StepRecipe, step_data  # noqa: E402

EXAMPLES, CHANNELS, CLASSES = 6, 9, 3
RECIPE = StepRecipe(3, sizes=(CHANNELS, 0, CLASSES), steps=60)
SEEDS = 7, 8, 10


class Layers:
    """A network of populations side by side, all with the same input."""

    def __init__(self, seed: int, output: Any, learn: tuple[str, ...] = ()) -> None:
        self.net = Network(seed=seed)
        self.net.add("input", SpikeInput(CHANNELS))
        self.net.add("output", output, learn=learn)

    def connect(self, source: str, target: str, mean: float, sd: float) -> None:
        """Connect two populations; mean and spread of the current are given."""
        model: Any = self.net.populations[target].model
        synapse = Delta() if "Delta" in model.synapses else Exponential(5.0)
        rate = RATE if source == "input" else 0.06
        reach = 1.0 if isinstance(synapse, Delta) else 5.0
        share = 1.0 / (self.net.populations[source].n * rate * reach)
        self.net.connect(
            source, target, synapse, weight=Normal(mean * share, sd * share),
            delay=Uniform(0.0, 8.0), max_delay=8.0,
        )  # fmt: skip

    def add(
        self, name: str, model: Any, drive: float, recurrent: bool, learn: tuple[str, ...] = ()
    ) -> None:
        """Add a population with a current at which it spikes now and then."""
        self.net.add(name, model, bias=Normal(0.0, 0.02 * drive), learn=learn)
        self.connect("input", name, drive, 0.7 * drive)
        if recurrent:
            self.connect(name, name, 0.0, 0.3 * drive)
        self.connect(name, "output", 0.1, 0.6)


@lru_cache(maxsize=1)
def every_neuron() -> Network:
    """Return a network with all neurons of the package, with and without recurrence.

    Of each, the ones with recurrence have those without as input, too, and learn parameters.
    """
    made = Layers(SEEDS[0], LeakyIntegrator(CLASSES))
    learned = LEARNED | {"LIF": LEARNED[""]}
    models = NEURONS | {
        "EulerLIF": (lambda n: EulerLIF(n, tau_mem=10.0), 0.16),
        "LIF": (lambda n: LIF(n, tau_mem=15.0, tau_refrac=2.0), 1.6),
    }
    for name, (make, drive) in models.items():
        made.add(name, make(7), drive, False)
        made.add(f"{name}, recurrent", make(6), 0.7 * drive, True, learned.get(name, ()))
        made.connect(name, f"{name}, recurrent", 0.1 * drive, 0.07 * drive)
    return made.net


def differ_in_time(net: Network, name: str) -> None:
    """Let time constants of synapses onto a population differ; and all but one be learned."""
    n = net.populations[name].n
    first, *others = net.incoming(name)
    first.synapse = Exponential(np.linspace(3.0, 6.0, n))
    for k, projection in enumerate(others):
        projection.synapse = Exponential(np.linspace(4.0, 7.0 + k, n), learn=True)
    net.incoming("output")[-1].synapse = Exponential([4.0, 5.0, 6.0], learn=True)


@lru_cache(maxsize=1)
def declared() -> tuple[Any, Any]:
    """Declare neurons, when they are needed: all that runs in this process knows them then."""

    @neuron
    class Tangled(SpikingNeuron):
        """n neurons with names of GeNN's and our code; the adjoint reads states and current."""

        t: Number = 0.9
        id: Number = 0.3
        Width: Number = 0.2
        num_neurons: Number = 1.0
        tau_refrac: TauRefrac = 3.0

        step: ClassVar[str] = """
            Alpha = exp(-0.05) ** 2
            scalar = sqrt(1 + Width * P ** 2) - 1 / (2 + cos(I))
            flag = log(2 + P ** 2) - (1 + P ** 2) ** 0.3 * exp(-P ** 2)
            P = Alpha * P + (1 - Alpha) * I + 0.2 * sin(Tape)
            spike = tanh(P) + id * scalar + 0.1 * flag > num_neurons + 0.1 * Tape ** 2 - 0.3
            Tape = t * Tape + Width * spike
            if spike: P = 0.1 * P
        """
        refractory: ClassVar[str] = "tau_refrac"

    @neuron
    class Saturating(ReadoutNeuron):
        """n integrators of which the current and V saturate."""

        leak: Number = 0.9
        readout: str = "mean"

        step: ClassVar[str] = """
            V = leak * V + tanh(I) - 0.1 * V ** 3
        """

    return Tangled, Saturating


@lru_cache(maxsize=1)
def declared_here() -> Network:
    """Return a network of neurons declared here that differ, and of some at their threshold."""
    tangled, saturating = declared()
    made = Layers(SEEDS[1], saturating(CLASSES), ("leak",))
    differing = {"Width": np.linspace(0.1, 0.3, 8), "t": Uniform(0.7, 0.95)}
    made.add("tangled", tangled(8, **differing), 4.0, True)
    # A spike brings these to the threshold and not above it, at which one spikes, the other not.
    for name, model, weight in (
        ("above", EulerLIF(4), 1.0), ("at", TwoCompartmentLIF(4, beta_2=0.5), 2.0)
    ):  # fmt: skip
        made.net.add(name, model)
        made.net.connect(
            "input", name, Delta(), weight=weight, delay=Uniform(0.0, 8.0), max_delay=8.0,
            density=0.2,
        )  # fmt: skip
        made.connect(name, "output", 0.1, 0.6)
    differ_in_time(made.net, "tangled")
    return made.net


@lru_cache(maxsize=1)
def tired() -> tuple[Any, Any]:
    """Declare a neuron of two states, which both the threshold and the reset mix, and one that is
    reset to what is 0 at first.
    """

    @neuron
    class Tired(SpikingNeuron):
        """n neurons with a threshold that spikes raise, from which they are subtracted."""

        tau_mem: TauMem = 15.0
        tau_thresh: TauMem = 60.0
        raised: Number = 0.3
        drive: Number = 0.05
        tau_refrac: TauRefrac = 2.0

        step: ClassVar[str] = """
            alpha = exp(-dt / tau_mem)
            beta = exp(-dt / tau_thresh)
            V = alpha * V + (1 - alpha) * (I + drive)
            high = beta * high
            spike = V - high >= 1
            if spike: V = V - 0.8 - 0.2 * high
            if spike: high = high + raised
        """
        refractory: ClassVar[str] = "tau_refrac"

    @neuron
    class Returning(SpikingNeuron):
        """n neurons that return to a value that may be learned."""

        tau_mem: TauMem = 15.0
        there: Number = 0.0

        step: ClassVar[str] = """
            alpha = exp(-dt / tau_mem)
            V = alpha * V + (1 - alpha) * I
            spike = V > 1
            if spike: V = there
        """

    return Tired, Returning


@lru_cache(maxsize=1)
def linear_neurons() -> Network:
    """Return a network of neurons that are linear between spikes, of which some differ.

    All with recurrence learn parameters, of which one is 0 at the start, and so does the output.
    Onto two of them, time constants of synapses differ and are learned.
    """
    made = Layers(SEEDS[2], LeakyIntegrator(CLASSES), ("tau_mem",))
    for name, model, drive, learn in (
        ("AdaptiveLIF", AdaptiveLIF, 2.0, LEARNED["AdaptiveLIF"]),
        ("LIF", lambda n: LIF(n, tau_mem=15.0), 1.6, LEARNED[""]),
        ("Tired", tired()[0], 2.0, ("tau_mem", "tau_thresh", "raised", "drive")),
    ):
        made.add(name, model(7), drive, False)
        made.add(f"{name}, recurrent", model(6), 0.7 * drive, True, learn)
        made.connect(name, f"{name}, recurrent", 0.1 * drive, 0.07 * drive)
    made.add("Resting", LIF(6, tau_mem=15.0, tau_refrac=2.0), 1.6, True, LEARNED[""])
    made.add("Returning", tired()[1](6), 1.6, True, ("there",))
    differ_in_time(made.net, "Resting")
    differ_in_time(made.net, "AdaptiveLIF, recurrent")
    for name, values in {
        "AdaptiveLIF": {"tau_adapt": np.linspace(30.0, 90.0, 7)},
        "AdaptiveLIF, recurrent": {"adapt_v": 0.0},
        "LIF": {"tau_mem": np.linspace(10.0, 20.0, 7)},
    }.items():
        hidden = made.net.populations[name]
        hidden.model = replace(hidden.model, **values)
    return made.net


NETWORKS = {
    "linear": (linear_neurons, EventProp(spike_count=SpikeCount(3.0, 0.05)), None),
    "of-the-package": (every_neuron, SurrogateBPTT(surrogate=Triangle()), None),
    "declared-here": (
        declared_here,
        SurrogateBPTT(
            surrogate=Boxcar(), kernel=Gaussian(3.0, 0.23, epochs=4),
            spike_count=SpikeCount(3.0, 0.05),
        ),
        1,
    ),
}  # fmt: skip
every_network = pytest.mark.parametrize("name", NETWORKS)


@lru_cache(maxsize=3)
def both(name: str) -> tuple[CompiledNetwork, CompiledNetwork]:
    make, rule, _ = NETWORKS[name]
    return cpu(make(), rule), genn(make(), rule)


@pytest.fixture(autouse=True)
def by_equations(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin takes values per neuron of what goes by its equations alone."""
    monkeypatch.setattr(steps, "BY_HAND", (LeakyIntegrator,))


@lru_cache(maxsize=3)
def batch(name: str) -> Any:
    """Return examples in which float32 and float64 cannot differ in their spikes."""
    data, every = step_data(RECIPE, EXAMPLES), np.arange(EXAMPLES)
    if name != "of-the-package":  # not for the twin, which takes what is written out
        return data.batch(every)
    tie = steps.forward(every_neuron(), data.batch(every)).tie
    free = np.flatnonzero(tie == RECIPE.steps)
    assert len(free) > 3
    return data.batch(free)


def fired(recording: Recording, population: str, size: int) -> np.ndarray:
    """Return where a population spiked, (size, T, n) bool."""
    return np.stack([raster(recording, population, b, RECIPE.steps) for b in range(size)])


@every_network
def test_spikes_equal_the_cpu_engine(name: str) -> None:
    given = batch(name)
    wanted, got = (engine.record(given) for engine in both(name))
    for population in wanted.start:
        right = fired(wanted, population, len(given))
        assert 0.01 < right.mean() < 0.4, population
        np.testing.assert_array_equal(fired(got, population, len(given)), right, population)
    assert relative(got.voltage, wanted.voltage) < 1e-4


@every_network
def test_gradients_equal_the_cpu_engine(name: str) -> None:
    right, got = (e.gradients(batch(name), epoch=NETWORKS[name][2]) for e in both(name))
    assert all(array.any() for array in (*right.weight.values(), *right.delay.values()))
    check(got, right)
    assert len(right.parameter) == {"of-the-package": 20, "linear": 19, "declared-here": 3}[name]
    for key, wanted in right.parameter.items():
        assert wanted.any() and relative(got.parameter[key], wanted) < CLOSE, key


def test_the_twin_agrees() -> None:
    given, engine = batch("of-the-package"), both("of-the-package")[1]
    right = twin.gradients(every_neuron(), given, Triangle(), kernel_width=0.0)
    got = engine.record(given)
    for population, wanted in right.trace.spikes.items():
        np.testing.assert_array_equal(fired(got, population, len(given)), wanted, population)
    check(engine.gradients(given), Gradients(right.loss, right.weight, right.delay))


@pytest.mark.parametrize("name", ["of-the-package", "linear"])
def test_parameters_are_learned_as_on_the_cpu_engine(name: str) -> None:
    make, rule, _ = NETWORKS[name]
    rule = replace(rule, weights=1e-9, delays=1e-9, neurons=0.02)
    given, learned, gradients = batch(name), [], []
    for engine in (cpu(make().copy(), rule), genn(make().copy(), rule)):
        engine.train_epoch([given] * 3, epoch=1)
        learned.append(engine.pull())
        gradients.append(engine.gradients(given))
    for population in make().populations.values():
        for key in population.learn:
            first, wanted, got = (
                np.asarray(getattr(net.populations[population.name].model, key))
                for net in (make(), *learned)
            )
            assert np.abs(wanted - first).max() > 0.003 * np.abs(first).max()
            np.testing.assert_allclose(got, wanted, rtol=1e-4, err_msg=key)
    for name, projection in make().projections.items():
        if getattr(projection.synapse, "learn", False):
            first, wanted, got = (
                np.asarray(net.projections[name].synapse.tau_syn) for net in (make(), *learned)
            )
            assert np.abs(wanted / first - 1.0).max() > 0.003
            np.testing.assert_allclose(got, wanted, rtol=1e-4, err_msg=name)
    check(gradients[1], gradients[0])
