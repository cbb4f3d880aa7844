"""The CPU engine's surrogate gradients against the float64 twin."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mlgenn_delays.engines.results import Gradients
from mlgenn_delays.learning import (
    Atan,
    Boxcar,
    Dirac,
    Gaussian,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.network import Network
from mlgenn_delays.neurons.declare import READOUTS
from tests.engines.helpers import KINDS, compiled, errors, raster, relative
from tests.reference import nets, steps
from tests.reference import surrogate as twin
from tests.reference.nets import StepRecipe

CLOSE = 1e-5
EXAMPLES = 4
WIDE = (Gaussian(3.0, 0.23, epochs=4), 1)  # of width 3.27
FALLING = (Gaussian(3.0, 0.23, epochs=4), 3)
NARROW = (Gaussian(3.0, 0.23, epochs=4), None)  # after annealing: of width 0.5
KERNELS = [(Dirac(), None), WIDE, NARROW]
SURROGATES = [Atan(), Triangle(), Boxcar()]
MODELS: list[dict[str, Any]] = [{}, {"delta": True}, {"tau_refrac": 2.0}, {"seed_models": True}]


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes:
        recipe: Of network and data.
        surrogate: Derivative of a spike.
        kernel: How delays act.
        epoch: Which the engine is told; None is after annealing.
        count: Strength and target of the spike count regularisation.
        operations: What a spike costs per synapse of its neuron.
    """

    recipe: StepRecipe
    surrogate: Any = Atan()
    kernel: Any = Dirac()
    epoch: int | None = None
    count: tuple[float, float] = (0.0, 14.0)
    operations: float = 0.0

    @property
    def width(self) -> float:
        """Width of the delay kernel [steps]."""
        last = 1 + int(getattr(self.kernel, "epochs", 0))
        return self.kernel.width(last if self.epoch is None else self.epoch)

    def rule(self) -> SurrogateBPTT:
        strength, target = self.count
        return SurrogateBPTT(
            surrogate=self.surrogate, kernel=self.kernel,
            spike_count=SpikeCount(target, strength), operations=self.operations,
        )  # fmt: skip

    def wanted(self, batch: Any) -> twin.Result:
        strength, target = self.count
        return twin.gradients(
            network(self.recipe), batch, self.surrogate, kernel_width=self.width,
            strength=strength, target=target, operations=self.operations,
        )  # fmt: skip

    def got(self, batch: Any, threads: int = 1) -> Gradients:
        built = compiled(network(self.recipe), self.rule(), threads)
        return built.gradients(batch, epoch=self.epoch)

    def __str__(self) -> str:
        return str(self.recipe.seed)


@lru_cache(maxsize=64)
def network(recipe: StepRecipe) -> Network:
    """Return the network of a recipe; nobody may change it."""
    return nets.step_network(recipe)


def pick(recipe: StepRecipe, index: Sequence[int]) -> Any:
    return nets.step_data(recipe, EXAMPLES).batch(np.array(index, dtype=np.int64))


@lru_cache(maxsize=128)
def ties(case: Case) -> np.ndarray:
    """Return the first step of each example in which float32 and float64 may differ."""
    return case.wanted(pick(case.recipe, range(EXAMPLES))).trace.tie


def free(case: Case) -> tuple[int, ...]:
    """Return the examples in which float32 and float64 cannot differ in their spikes.

    With normalisation a spike of one example matters to all: then the batch is without ties as a
    whole, or no example is kept.
    """
    kept = np.flatnonzero(ties(case) == case.recipe.steps)
    if case.recipe.normalised and len(kept) < EXAMPLES:
        return ()
    return tuple(int(b) for b in kept)


@lru_cache(maxsize=128)
def compared(case: Case) -> tuple[twin.Result, Gradients]:
    """Return what twin and engine say of the examples without a tie."""
    batch = pick(case.recipe, free(case))
    return case.wanted(batch), case.got(batch)


def check(case: Case) -> twin.Result:
    """Reject gradients that differ from the twin's; return those."""
    assert len(free(case)) > 1
    wanted, got = compared(case)
    assert all(fired.any() for fired in wanted.trace.spikes.values())
    assert all(weight.any() for weight in wanted.weight.values())
    assert got.loss == pytest.approx(wanted.loss, rel=1e-5, abs=1e-6)
    far = {name: error for name, error in errors(got, wanted).items() if not error <= CLOSE}
    assert not far
    return wanted


def table() -> list[Case]:
    """Return every combination of model, input, recurrence and kernel, once.

    Surrogate, granularity, density and so on go round, so that any two of their values meet.
    """
    cases = []
    for m, current, recurrent, k in product(range(4), (0, 1), (0, 1), range(3)):
        kernel, epoch = KERNELS[k]
        number = len(cases)
        recipe = StepRecipe(
            400 + number,
            current=bool(current),
            recurrent=bool(recurrent),
            granularity=("synapse", "axon", "fixed")[(k + 2 * m + current) % 3],
            density=(1.0, 0.6)[(number // 2 + m) % 2],
            signs=("free", "free", "synapse", "dale")[number % 4],
            max_delay=(8.0, 0.0, 15.0, 2.4)[(2 * current + recurrent + m + k) % 4],
            steps=(50, 37)[(number // 5) % 2],
            dt=(1.0, 0.5)[number % 7 == 0],
            **MODELS[m],
        )
        cases.append(Case(recipe, SURROGATES[(k + m + current) % 3], kernel, epoch))
    return cases


TABLE = table()
DEEP = [
    Case(StepRecipe(200 + k, sizes=(9, 8, 7, 3), recurrent=k % 2 == 1, **model), *kind)
    for k, (model, kind) in enumerate(product(MODELS, [(Atan(), *WIDE), (Triangle(), Dirac())]))
]
NORMALISED = [
    Case(
        StepRecipe(
            220 + k,
            sizes=((9, 8, 3), (9, 8, 7, 3))[k % 2],
            current=k % 3 != 0,
            normalised=("hidden", "all")[k // 2 % 2],
            granularity=("synapse", "axon")[k // 4 % 2],
            **model,
        ),
        SURROGATES[k % 3],
        *kernel,
    )
    for k, (model, kernel) in enumerate(product(MODELS, KERNELS))
]
ALL = [*TABLE, *DEEP, *NORMALISED]


@pytest.mark.parametrize("case", ALL, ids=str)
def test_equals_the_twin(case: Case) -> None:
    wanted = check(case)
    assert bool(wanted.gain) == bool(case.recipe.normalised)
    assert all(gain.any() for gain in wanted.gain.values())
    for name, p in network(case.recipe).projections.items():
        # A Gaussian over the one tap of a largest delay of 0 cannot move.
        moves = p.granularity != "fixed" and (p.max_delay > 0 or case.width == 0.0)
        assert wanted.delay[name].any() == moves


def test_few_trials_are_left_out() -> None:
    assert np.mean([ties(case) < case.recipe.steps for case in ALL]) < 0.02


def test_most_are_equal_to_float32() -> None:
    every = [error for case in TABLE for error in errors(*compared(case)[::-1]).values()]
    assert np.median(every) < 1e-6


@pytest.mark.parametrize("seed_models", [False, True])
@pytest.mark.parametrize("readout", READOUTS)
def test_readouts_equal_the_twin(readout: str, seed_models: bool) -> None:
    number = 240 + READOUTS.index(readout)
    recipe = StepRecipe(number, readout=readout, seed_models=seed_models, recurrent=True)
    check(Case(recipe, Triangle(), *FALLING))


@pytest.mark.parametrize("kernel", KERNELS, ids=["dirac", "wide", "narrow"])
@pytest.mark.parametrize("recurrent", [False, True])
def test_spike_counts_equal_the_twin(recurrent: bool, kernel: tuple[Any, int | None]) -> None:
    recipe = StepRecipe(250, recurrent=recurrent, sizes=(9, 8, 7, 3))
    case = Case(recipe, Atan(), *kernel, count=(0.05, 6.0))
    wanted = check(case)
    plain = Case(recipe, Atan(), *kernel).wanted(pick(recipe, free(case)))
    name = "input->hidden0"
    assert relative(wanted.weight[name], plain.weight[name]) > 0.1
    assert wanted.loss == plain.loss


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_spike_costs_the_synapses_of_its_neuron(recurrent: bool) -> None:
    recipe = StepRecipe(253, recurrent=recurrent, sizes=(9, 8, 7, 3), density=0.6)
    case = Case(recipe, Atan(), *WIDE, count=(0.05, 6.0), operations=0.02)
    wanted = check(case)
    plain = replace(case, operations=0.0).wanted(pick(recipe, free(case)))
    name = "input->hidden0"
    assert relative(wanted.weight[name], plain.weight[name]) > 0.1
    assert wanted.loss == plain.loss


@pytest.mark.parametrize("width", [0.3, 2.0])
@pytest.mark.parametrize("kind", [Triangle, Boxcar])
def test_widths_of_compact_surrogates(kind: Any, width: float) -> None:
    check(Case(StepRecipe(251, recurrent=True), kind(width, 0.7)))


@pytest.mark.parametrize("epoch", [1, 2, 4, 5, 9])
def test_the_kernel_has_the_width_of_the_epoch(epoch: int) -> None:
    check(Case(StepRecipe(252), Triangle(), Gaussian(3.0, 0.23, epochs=4), epoch))


def test_sizes_that_fill_no_vector() -> None:
    for k, sizes in enumerate([(3, 1, 2), (17, 33, 5), (3, 16, 4), (40, 7, 20)]):
        check(Case(StepRecipe(260 + k, sizes=sizes, recurrent=True, seed_models=True), Atan()))
        check(Case(StepRecipe(270 + k, sizes=sizes, normalised="hidden"), Boxcar(), *WIDE))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    model=st.sampled_from(MODELS),
    shape=st.sampled_from([(6, 5, 2), (4, 9, 3), (5, 6, 7, 3)]),
    feedback=st.sampled_from(["", "recurrent", "hidden", "all"]),
    kind=st.sampled_from([*SURROGATES, Atan(2.0), Triangle(0.5), Boxcar(1.5, 0.4)]),
    kernel=st.sampled_from([*KERNELS, FALLING]),
    readout=st.sampled_from(READOUTS),
    granularity=st.sampled_from(["synapse", "axon", "fixed"]),
    numbers=st.tuples(st.integers(0, 10_000), st.integers(10, 60), st.sampled_from([0.5, 1.0])),
    delay=st.sampled_from([0.0, 1.0, 3.7, 8.0, 30.0]),
    current=st.booleans(),
    signs=st.sampled_from(["free", "synapse", "dale"]),
    count=st.sampled_from([(0.0, 14.0), (0.1, 3.0)]),
)
def test_random_networks_equal_the_twin(
    model: dict[str, Any], shape: tuple[int, ...], feedback: str, kind: Any,
    kernel: tuple[Any, int | None], readout: str, granularity: str,
    numbers: tuple[int, int, float], delay: float, current: bool, signs: str,
    count: tuple[float, float],
) -> None:  # fmt: skip
    seed, length, density = numbers
    normalised = feedback if feedback in ("hidden", "all") else ""
    recipe = StepRecipe(
        seed, sizes=shape, steps=length, recurrent=feedback == "recurrent", normalised=normalised,
        readout=readout, granularity=granularity, density=density, max_delay=delay,
        current=current, signs=signs, **model,
    )  # fmt: skip
    case = Case(recipe, kind, *kernel, count=count)
    assume(len(free(case)) > 1)
    batch = pick(recipe, free(case))
    wanted, got = case.wanted(batch), case.got(batch)
    for name, error in errors(got, wanted).items():
        what, _, where = name.partition(" ")
        size = float(np.linalg.norm(getattr(wanted, what)[where]))
        # Where nearly nothing comes, its error is that of what cancels, or of taps cut off.
        assert error * (size or 1.0) <= 1e-4 * size + 1e-6, name


def many(recipe: StepRecipe, n: int = 37) -> Any:
    """Return more examples than there are chunks of a batch."""
    return nets.step_data(recipe, n).batch(np.arange(n))


SEVERAL = [
    Case(StepRecipe(280, recurrent=True), Atan(), *WIDE),
    Case(StepRecipe(281, current=True, seed_models=True, sizes=(9, 8, 7, 3)), Triangle()),
    Case(StepRecipe(282, current=True, normalised="all"), Boxcar(), *NARROW),
    Case(StepRecipe(283, normalised="hidden", granularity="axon"), Triangle(), *WIDE),
]


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_threads_change_no_bit(case: Case) -> None:
    batch = many(case.recipe)
    one, two = case.got(batch), case.got(batch, threads=2)
    assert one.loss == two.loss
    for kind in KINDS:
        for name, array in getattr(one, kind).items():
            np.testing.assert_array_equal(array, getattr(two, kind)[name])
            assert array.any()


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_repeating_changes_no_bit(case: Case) -> None:
    batch = many(case.recipe, 5)
    built = compiled(network(case.recipe), case.rule())
    first = built.gradients(batch, epoch=case.epoch)
    built.gradients(many(case.recipe, 9), epoch=2)
    again = built.gradients(batch, epoch=case.epoch)
    for kind in KINDS:
        for name, array in getattr(first, kind).items():
            np.testing.assert_array_equal(array, getattr(again, kind)[name])


@pytest.mark.parametrize("case", SEVERAL, ids=str)
def test_order_in_a_batch_does_not_matter(case: Case) -> None:
    kept = free(case)
    assert len(kept) == EXAMPLES
    one, two = case.got(pick(case.recipe, kept)), case.got(pick(case.recipe, kept[::-1]))
    assert one.loss == pytest.approx(two.loss, rel=1e-6)
    for kind in KINDS:
        for name, array in getattr(one, kind).items():
            assert relative(getattr(two, kind)[name], array) < 3 * CLOSE


RECORDED = [*TABLE[::4], *DEEP[::2], *NORMALISED[::2]]


@pytest.mark.parametrize("case", RECORDED, ids=str)
def test_recordings_have_one_tap_and_running_statistics(case: Case) -> None:
    recipe, batch = case.recipe, pick(case.recipe, range(EXAMPLES))
    wanted = steps.forward(network(recipe), batch, training=False)
    recording = compiled(network(recipe), case.rule()).record(batch)
    output = network(recipe).output().name
    kept = np.flatnonzero(wanted.tie == recipe.steps)
    assert len(kept) > 1
    for b in kept:
        for name, fired in wanted.spikes.items():
            np.testing.assert_array_equal(raster(recording, name, b, recipe.steps), fired[b])
        v = wanted.layers[output].after[b].T
        assert relative(recording.voltage[b], v) < CLOSE
        assert relative(recording.logits[b], wanted.logits[b]) < CLOSE


@pytest.mark.parametrize("current", [False, True])
def test_training_moves_the_running_statistics(current: bool) -> None:
    recipe = StepRecipe(290, normalised="all", current=current, sizes=(9, 8, 7, 3))
    case = Case(recipe, Triangle(), *WIDE)
    assert len(free(case)) == EXAMPLES
    batch = pick(recipe, range(EXAMPLES))
    wanted = steps.forward(network(recipe), batch, kernel_width=case.width).running
    built = compiled(nets.step_network(recipe), case.rule())
    built.train_epoch([batch], epoch=1)
    trained = built.pull()
    assert set(wanted) == {"hidden0", "hidden1", "output"}
    for name, (mean, variance) in wanted.items():
        kept = trained.populations[name].normalisation
        assert relative(kept.mean, mean) < CLOSE and relative(kept.variance, variance) < CLOSE
        assert relative(network(recipe).populations[name].normalisation.mean, mean) > 0.01


def test_gradients_of_what_is_not_learned_are_zero() -> None:
    recipe = StepRecipe(291, recurrent=True)
    batch = pick(recipe, range(EXAMPLES))
    got = compiled(network(recipe), SurrogateBPTT(delays=None)).gradients(batch)
    assert not any(g.any() for g in got.delay.values())
    assert all(g.any() for g in got.weight.values())
    got = compiled(network(recipe), SurrogateBPTT(weights=None)).gradients(batch)
    assert not any(g.any() for g in got.weight.values())
    assert all(g.any() for g in got.delay.values())


def test_what_arrives_past_the_end_has_no_gradient() -> None:
    recipe = StepRecipe(292, steps=6, max_delay=20.0, granularity="fixed", current=True)
    net = nets.step_network(recipe)
    for p in net.projections.values():
        p.delay[:] = 6.0
    got = compiled(net, SurrogateBPTT()).gradients(pick(recipe, range(EXAMPLES)))
    assert not any(g.any() for g in got.weight.values())
