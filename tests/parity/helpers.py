"""What the parity tests share: networks, rules, and both engines by case, each built once."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch
from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.genn import running
from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.learning import (
    Boxcar,
    Dirac,
    EventProp,
    Gaussian,
    Rule,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import Exponential, Network, Normal, Uniform
from tests.backend import BACKEND
from tests.engines.helpers import errors
from tests.reference import eventprop, nets, steps
from tests.reference import surrogate as surrogate_twin
from tests.reference.nets import StepRecipe

CLOSE = 1e-4
EXAMPLES = 6
# Examples side by side where the backend can: alone, the last three of six, and 26 that fill up.
SIDES = (1, 3, 32) if BACKEND == "cuda" else (1,)
KERNEL = Gaussian(3.0, 0.23, epochs=4)
WIDE, NARROW = (KERNEL, 1), (KERNEL, None)  # of width 3.27 and, after annealing, of 0.5


@dataclass(frozen=True)
class Case:
    """A network and a rule.

    Attributes:
        recipe: Of network and data.
        surrogate: None for `EventProp`.
        kernel: How delays act, of `SurrogateBPTT`.
        epoch: Which the engines are told.
        count: Strength and target of the spike count regularisation.
        several: Whether hidden neurons have two more kinds of input synapses.
        operations: What a spike costs per synapse of its neuron.
    """

    recipe: StepRecipe
    surrogate: Any = None
    kernel: Any = Dirac()
    epoch: int | None = None
    count: tuple[float, float] = (0.0, 14.0)
    several: bool = False
    operations: float = 0.0

    def rule(self, **options: Any) -> Rule:
        options = {
            "spike_count": SpikeCount(self.count[1], self.count[0]),
            "operations": self.operations,
        } | options
        if self.surrogate is None:
            return EventProp(**options)
        return SurrogateBPTT(surrogate=self.surrogate, kernel=self.kernel, **options)

    @property
    def width(self) -> float:
        """Width of the delay kernel [steps]."""
        return float(self.kernel.width(99 if self.epoch is None else self.epoch))

    def __str__(self) -> str:
        return str(self.recipe.seed)


def _events(seed: int, **options: Any) -> Case:
    return Case(StepRecipe(seed, **options))


CASES = [
    _events(1000),
    _events(1001, density=0.4, recurrent=True, tau_refrac=2.0, readout="sum"),
    _events(1002, granularity="axon", recurrent=True, readout="max"),
    _events(1003, current=True, recurrent=True, readout="expweighted"),
    _events(
        1004,
        sizes=(9, 8, 7, 3),
        recurrent=True,
        density=0.5,
        readout="softmax-sum",
        granularity="axon",
    ),
    _events(1005, max_delay=100.0, steps=170, recurrent=True),
    _events(1006, dt=0.5, tau_refrac=2.5, granularity="fixed", bias=0.3),
    _events(1007, max_delay=0.0, recurrent=True, current=True, density=0.6),
    Case(StepRecipe(1008, recurrent=True, tau_refrac=1.0), several=True),
    _events(1009, sizes=(17, 33, 5), max_delay=30.0, bias=0.0),
    Case(StepRecipe(1020), Triangle()),
    Case(StepRecipe(1021, density=0.5, recurrent=True, tau_refrac=2.0, readout="max"), Boxcar()),
    Case(StepRecipe(1022, recurrent=True, density=0.6, sizes=(9, 8, 7, 3)), Triangle(), *WIDE),
    Case(StepRecipe(1023, granularity="axon", recurrent=True), Boxcar(), *NARROW),
    Case(
        StepRecipe(1024, seed_models=True, current=True, recurrent=True, readout="softmax-sum"),
        Triangle(),
    ),
    Case(StepRecipe(1025, seed_models=True, recurrent=True, density=0.5), Boxcar(0.7), *WIDE),
    Case(
        StepRecipe(1026, delta=True, sizes=(9, 8, 7, 3), readout="expweighted", tau_refrac=1.0),
        Boxcar(),
        *WIDE,
    ),
    Case(
        StepRecipe(1027, delta=True, current=True, recurrent=True, readout="sum", dt=0.5),
        Triangle(0.5, 0.7),
    ),
    Case(StepRecipe(1028, max_delay=100.0, steps=150, granularity="fixed"), Triangle(), *NARROW),
    Case(StepRecipe(1029, recurrent=True, density=0.7), Triangle(), several=True),
]
COUNTED = [
    Case(
        StepRecipe(1151, density=0.4, recurrent=True, tau_refrac=2.0, readout="sum"),
        count=(0.05, 3.0),
    ),
    Case(
        StepRecipe(1072, recurrent=True, density=0.6, sizes=(9, 8, 7, 3)), Triangle(), *WIDE,
        count=(0.05, 3.0),
    ),
    Case(StepRecipe(1153, density=0.4, recurrent=True), operations=0.01),
]  # fmt: skip


@lru_cache(maxsize=64)
def network(case: Case) -> Network:
    """Return the network of a case; nobody may change it."""
    net = nets.step_network(case.recipe)
    if case.several:
        delays = {"delay": Uniform(0.0, 9.0), "max_delay": 9.0}
        net.connect(
            "input", "hidden0", Exponential(2.0), weight=Normal(0.3, 0.5), density=0.5,
            name="quick", **delays,
        )  # fmt: skip
        net.connect(
            "input", "hidden0", Exponential(9.0), weight=Normal(0.0, 0.1), density=0.3,
            name="axonal", granularity="axon", delay=Uniform(0.0, 20.0), max_delay=20.0,
        )  # fmt: skip
    return net


def pick(case: Case, index: Any) -> Any:
    return nets.step_data(case.recipe, EXAMPLES).batch(np.array(index, dtype=np.int64))


def with_steps(batch: Batch, steps: int) -> Batch:
    """Return a batch with trials of another length, cut or with a silent tail."""
    if isinstance(batch, CurrentBatch):
        more = max(0, steps - batch.n_steps)
        values = np.pad(batch.values, ((0, 0), (0, more), (0, 0)))[:, :steps]
        return CurrentBatch(np.ascontiguousarray(values), batch.labels, batch.index)
    start, time = np.zeros_like(batch.start), []
    at = 0
    for b in range(len(batch)):
        for c in range(batch.n_channels):
            own = batch.time[batch.start[b, c] : batch.start[b, c + 1]]
            time.append(own[own < steps])
            start[b, c], at = at, at + len(time[-1])
        start[b, batch.n_channels] = at
    return SpikeBatch(
        start, np.concatenate(time).astype(np.int32), batch.labels, batch.index, steps
    )


def cpu(net: Network, rule: Rule, **options: Any) -> CompiledNetwork:
    return compile_network(net, rule, **({"total_steps": 10, "threads": 1} | options))


def genn(net: Network, rule: Rule, **options: Any) -> CompiledNetwork:
    """Return a network compiled for GeNN; how many examples run side by side differs by network."""
    side = SIDES[net.seed % len(SIDES)]
    made = {"engine": "genn", "backend": BACKEND, "batch_size": side, "total_steps": 10}
    return compile_network(net, rule, **(made | options))


@lru_cache(maxsize=64)
def both(case: Case) -> tuple[CompiledNetwork, CompiledNetwork]:
    """Return a case's network on the CPU engine and in GeNN; nobody may train them."""
    return cpu(network(case), case.rule()), genn(network(case), case.rule())


@lru_cache(maxsize=64)
def wanted(case: Case, index: tuple[int, ...]) -> tuple[Gradients, np.ndarray]:
    """Return the float64 twin's gradients of some examples, and the first tie of each."""
    net, batch, (strength, target) = network(case), pick(case, index), case.count
    terms = {"strength": strength, "target": target, "operations": case.operations}
    if case.surrogate is None:
        by_events = eventprop.gradients(net, batch, **terms)
        tie = np.array([trace.tie for trace in by_events.traces])
        return Gradients(by_events.loss, by_events.weight, by_events.delay), tie
    got = surrogate_twin.gradients(net, batch, case.surrogate, kernel_width=case.width, **terms)
    return Gradients(got.loss, got.weight, got.delay), got.trace.tie


@lru_cache(maxsize=64)
def free(case: Case) -> tuple[int, ...]:
    """Return the examples in which float32 and float64 cannot differ in their spikes."""
    tie = wanted(case, tuple(range(EXAMPLES)))[1]
    kept = np.flatnonzero(tie == case.recipe.steps)
    assert len(kept) > 2
    return tuple(int(b) for b in kept)


@lru_cache(maxsize=64)
def trace(case: Case) -> steps.Trace:
    """Return the twin's trials of all examples, as in evaluation."""
    return steps.forward(network(case), pick(case, range(EXAMPLES)), training=False)


def check(got: Gradients, right: Gradients, close: float = CLOSE) -> None:
    assert got.loss == pytest.approx(right.loss, rel=close, abs=1e-6)
    far = {name: error for name, error in errors(got, right).items() if not error <= close}
    assert not far


def same(one: Gradients, other: Gradients) -> None:
    """Reject gradients that differ in a bit, or that are nothing."""
    assert one.loss == other.loss
    for kind in ("weight", "delay"):
        for name, array in getattr(one, kind).items():
            np.testing.assert_array_equal(array, getattr(other, kind)[name], err_msg=name)
    assert all(array.any() for array in one.weight.values())


def count_builds(patch: pytest.MonkeyPatch) -> list[str]:
    real, folders = running.build, []

    def noted(model: Any, folder: Any, backend: str) -> Any:
        folders.append(str(folder))
        return real(model, folder, backend)

    patch.setattr(running, "build", noted)
    return folders
