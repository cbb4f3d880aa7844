"""Training with quantised weights and delays on a grid: what acts, is learned and is kept."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import Quantisation
from mlgenn_delays.bits import LARGEST
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import Adam, EventProp, Gaussian, Rule, SurrogateBPTT
from mlgenn_delays.network import Network
from mlgenn_delays.quantisation import quantise
from mlgenn_delays.rewiring import DeepR, Rewiring, RigL
from tests.reference.nets import StepRecipe, step_data, step_network

LEARNS: dict[str, Any] = {"weights": Adam(0.02), "delays": Adam(0.4)}
GAUSSIAN = SurrogateBPTT(kernel=Gaussian(3.0, 0.23, epochs=2), **LEARNS)
MAGNITUDE = RigL(form="magnitude", every=2, until=1.0, signs="free")


@dataclass(frozen=True)
class Case:
    """A network, how it is learned, and how it is quantised."""

    recipe: StepRecipe
    rule: Rule
    quantisation: Quantisation
    rewiring: Rewiring | None = None

    def __str__(self) -> str:
        return str(self.recipe.seed)


CASES = [
    Case(StepRecipe(900), EventProp(**LEARNS), Quantisation(weights="int8")),
    Case(
        StepRecipe(901, recurrent=True), EventProp(**LEARNS),
        Quantisation(weights="int4", per="projection", delay_step=2.0),
    ),
    Case(
        StepRecipe(902, current=True), EventProp(**LEARNS),
        Quantisation(weights="ternary", delay_values=(0, 1, 4, 8)),
    ),
    Case(
        StepRecipe(903, normalised="hidden"), GAUSSIAN,
        Quantisation(weights="int4", delay_step=3.0),
    ),
    Case(
        StepRecipe(904, seed_models=True, normalised="all", current=True), GAUSSIAN,
        Quantisation(weights="ternary", per="projection"),
    ),
    Case(
        StepRecipe(905, density=0.4, recurrent=True), EventProp(**LEARNS, pipelined=True),
        Quantisation(weights="ternary"), MAGNITUDE,
    ),
    Case(
        StepRecipe(906, density=0.4, signs="synapse"), SurrogateBPTT(**LEARNS, l1=0.01),
        Quantisation(weights="int8", delay_step=4.0), DeepR(),
    ),
    Case(StepRecipe(907, granularity="axon"), EventProp(**LEARNS), Quantisation(delay_step=2.0)),
]  # fmt: skip
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def built(case: Case, net: Network | None = None, *, threads: int = 1, quantised: bool = True):
    return compile_network(
        net or step_network(case.recipe), case.rule, rewiring=case.rewiring if quantised else None,
        quantisation=case.quantisation if quantised else None, total_steps=12, epoch_steps=2,
        threads=threads,
    )  # fmt: skip


def batches(case: Case) -> list:
    data = step_data(case.recipe, 12)
    return [data.batch(np.arange(low, low + 6)) for low in (0, 6)]


def train(engine: Any, case: Case, epochs: range) -> None:
    for epoch in epochs:
        engine.train_epoch(batches(case), epoch=epoch)


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key], err_msg=key)


def check_on_the_grid(net: Network, quantisation: Quantisation) -> None:
    """Weights of inference are integers times scales, delays are allowed ones."""
    if quantisation.weights != "float32":
        folded = net.folded()
        small, integers = quantise(folded, quantisation.weights, quantisation.per)
        for name, p in small.projections.items():
            exact = not any(population.normalisation for population in net.populations.values())
            tolerance = 0.0 if exact else 2.0**-22
            np.testing.assert_allclose(p.weight, folded.projections[name].weight, rtol=tolerance)
            assert set(np.abs(integers.values[name])) <= set(range(LARGEST[integers.kind] + 1))
            assert len(set(np.abs(integers.values[name]))) > 1
            if quantisation.per == "projection":
                assert len(set(integers.scales[name])) == 1
    for p in net.projections.values():
        if quantisation.has_grid:
            steps = quantisation.grid(p.name, p.max_delay, net.dt)
            assert set(p.delay) <= set(steps * net.dt) and len(set(p.delay)) > 1


@every_case
def test_what_acts_is_what_the_network_has(case: Case) -> None:
    """Answers and gradients are those of the quantised network, learned or not."""
    engine = built(case)
    train(engine, case, range(1, 3))
    net = engine.pull().copy()
    check_on_the_grid(net, case.quantisation)
    plain = built(case, net, quantised=False)
    for batch in batches(case):
        one, other = engine.evaluate([batch]), plain.evaluate([batch])
        np.testing.assert_array_equal(one.logits, other.logits)
        found, wanted = engine.gradients(batch), plain.gradients(batch)
        same(found.weight, wanted.weight)
        same(found.delay, wanted.delay)
        assert all(each.any() for each in found.weight.values())


@every_case
def test_masters_are_learned(case: Case) -> None:
    """They hold values off the grid, and move where delays that act do not."""
    engine = built(case)
    train(engine, case, range(1, 2))
    before, acting = engine.state(), engine.pull().copy()
    train(engine, case, range(2, 3))
    after, net = engine.state(), engine.pull()
    for name, p in net.projections.items():
        kinds = ["weight"] * (case.quantisation.weights != "float32")
        kinds += ["delay"] * case.quantisation.has_grid
        for kind in kinds:
            key, own = f"{name}/{kind}", getattr(p, kind)
            if case.rewiring is None:
                moved = after[key] != before[key]
                assert moved.any()
                if kind == "delay":
                    assert (own == acting.projections[name].delay)[moved].any()
            assert (after[key] != own / (net.dt if kind == "delay" else 1)).any()


@every_case
def test_a_state_goes_on_bit_for_bit_and_with_any_threads(case: Case) -> None:
    whole, first = built(case), built(case, threads=3)
    train(whole, case, range(1, 5))
    train(first, case, range(1, 3))
    second = built(case, threads=2)
    second.load_state(first.state())
    same(second.state(), first.state())
    train(second, case, range(3, 5))
    same(second.state(), whole.state())
    same(
        {name: p.weight for name, p in second.pull().projections.items()},
        {name: p.weight for name, p in whole.pull().projections.items()},
    )


def test_rewiring_keeps_as_many_synapses() -> None:
    case = next(each for each in CASES if each.rewiring is MAGNITUDE)
    engine = built(case)
    net = step_network(case.recipe)
    grown = sum(engine.train_epoch(batches(case), epoch=k).grown for k in range(1, 5))
    assert grown > 5
    for name, p in engine.pull().projections.items():
        assert p.n_synapses == net.projections[name].n_synapses
        assert (p.weight == 0).any() and len(set(np.abs(p.weight))) > 1


def test_without_quantisation_nothing_changes() -> None:
    case = CASES[0]
    plain, none = built(case, quantised=False), compile_network(
        step_network(case.recipe), case.rule, quantisation=Quantisation(), total_steps=12,
        epoch_steps=2, threads=1,
    )  # fmt: skip
    train(plain, case, range(1, 3))
    train(none, case, range(1, 3))
    same(plain.state(), none.state())
