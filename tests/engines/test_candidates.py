"""Candidate gradients against those of synapses that are there, with a weight of 0."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.shared import candidate_gradients
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import Atan, Boxcar, Dirac, EventProp, Gaussian, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from tests.engines.helpers import compiled, relative
from tests.engines.rewired import filled, pair_delays, sizes
from tests.reference import eventprop, nets
from tests.reference import surrogate as twin
from tests.reference.nets import StepRecipe

CLOSE = 1e-5
EXAMPLES = 4
KERNEL = Gaussian(3.0, 0.23, epochs=4)
WIDE, NARROW = (KERNEL, 1), (KERNEL, None)
DIRAC = (Dirac(), None)


@dataclass(frozen=True)
class Case:
    """A network with absent pairs, and a rule.

    Attributes:
        recipe: Of network and data.
        surrogate: None for `EventProp`.
        kernel: How delays act, of `SurrogateBPTT`.
        epoch: Which the engine is told.
    """

    recipe: StepRecipe
    surrogate: Any = None
    kernel: Any = Dirac()
    epoch: int | None = None

    @property
    def rule(self) -> EventProp | SurrogateBPTT:
        if self.surrogate is None:
            return EventProp()
        return SurrogateBPTT(surrogate=self.surrogate, kernel=self.kernel)

    @property
    def width(self) -> float:
        return self.kernel.width(99 if self.epoch is None else self.epoch)

    def __str__(self) -> str:
        return str(self.recipe.seed)


def sparse(seed: int, **options: Any) -> StepRecipe:
    """Return a recipe with absent pairs in every projection."""
    return StepRecipe(seed, density=0.4, **{"recurrent": True, **options})


BY_EVENTS = [
    Case(sparse(500)),
    Case(sparse(501, tau_refrac=2.0, sizes=(9, 8, 7, 3))),
    Case(sparse(552, current=True)),
    Case(sparse(503, current=True, recurrent=False, sizes=(9, 17, 3))),
    Case(sparse(504, signs="dale", dt=0.5)),
    Case(sparse(505, granularity="axon")),
]
STEPPED = [
    Case(sparse(510), Atan(), *DIRAC),
    Case(sparse(511), Triangle(), *WIDE),
    Case(sparse(512, current=True), Atan(), *NARROW),
    Case(sparse(513, current=True, signs="synapse"), Triangle(), *DIRAC),
    Case(sparse(514, seed_models=True), Triangle(), *DIRAC),
    Case(sparse(515, seed_models=True, current=True), Atan(), *WIDE),
    Case(sparse(516, delta=True, sizes=(9, 8, 7, 3)), Boxcar(), *WIDE),
    Case(sparse(517, recurrent=False, normalised="hidden"), Atan(), *DIRAC),
    Case(
        sparse(518, recurrent=False, normalised="all", seed_models=True, current=True),
        Triangle(),
        *WIDE,
    ),
    Case(sparse(519, recurrent=False, normalised="hidden", delta=True), Triangle(), *NARROW),
    Case(sparse(520, granularity="axon", max_delay=15.0), Triangle(), *NARROW),
    Case(sparse(521, granularity="fixed", max_delay=2.4), Atan(), *WIDE),
    Case(sparse(622, max_delay=60.0, steps=50), Triangle(), *DIRAC),
]
CASES = [*BY_EVENTS, *STEPPED]


@lru_cache(maxsize=64)
def network(recipe: StepRecipe) -> Network:
    """Return the network of a recipe; nobody may change it."""
    return nets.step_network(recipe)


def batch(recipe: StepRecipe, n: int = EXAMPLES) -> Any:
    return nets.step_data(recipe, n).batch(np.arange(n))


def absent(net: Network, name: str) -> np.ndarray:
    """Return which pairs of a projection have no synapse, bool (n_pre, n_post)."""
    p, out = net.projections[name], np.ones(sizes(net, name), bool)
    out[p.pre(), p.post] = False
    assert out.any() and not out.all()
    return out


def true(case: Case, net: Network, name: str, delay: np.ndarray | float) -> np.ndarray:
    """Return the gradient of every pair's weight, by an engine that has the synapses."""
    built = compiled(filled(net, name, delay), case.rule)
    return (
        built.gradients(batch(case.recipe), epoch=case.epoch).weight[name].reshape(sizes(net, name))
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_equal_the_gradient_of_a_synapse_put_there(case: Case) -> None:
    net = network(case.recipe)
    built = compiled(net, case.rule)
    for name in net.projections:
        delay, where = pair_delays(net, name), absent(net, name)
        got = built.candidates(batch(case.recipe), name, delay, epoch=case.epoch)
        assert got.dtype == np.float32 and got.shape == sizes(net, name)
        wanted = true(case, net, name, delay)
        assert wanted[where].any()
        assert relative(got[where], wanted[where]) < CLOSE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_at_every_delay_as_well(case: Case) -> None:
    net, dt = network(case.recipe), case.recipe.dt
    built = compiled(net, case.rule)
    for name, p in net.projections.items():
        where = absent(net, name)
        got = built.candidates(batch(case.recipe), name, epoch=case.epoch)
        assert got.dtype == np.float32
        assert got.shape == (*sizes(net, name), int(p.max_delay / dt + 0.5) + 1)
        if p.granularity != "synapse":
            continue
        for d in range(got.shape[2]):
            wanted = true(case, net, name, min(d * dt, p.max_delay))
            # What is left at a delay near the trial's length is next to nothing.
            error = np.linalg.norm(got[:, :, d][where] - wanted[where])
            assert error < CLOSE * np.linalg.norm(wanted[where]) + 1e-8


@pytest.mark.parametrize("case", STEPPED, ids=str)
def test_equal_the_twin(case: Case) -> None:
    net, data, rng = network(case.recipe), batch(case.recipe), np.random.default_rng(0)
    built = compiled(net, case.rule)
    trace = twin.forward(net, data, kernel_width=case.width)
    assert (trace.tie == case.recipe.steps).all()
    for name in net.projections:
        delay = pair_delays(net, name)
        got = built.candidates(data, name, delay, epoch=case.epoch)
        pairs = np.argwhere(absent(net, name))
        for i, j in pairs[rng.choice(len(pairs), 3, replace=False)]:
            wanted = twin.candidate(
                net, data, case.surrogate, name, int(i), int(j), delay[i, j],
                kernel_width=case.width,
            )  # fmt: skip
            assert got[i, j] == pytest.approx(wanted, rel=1e-4, abs=1e-5 * float(np.abs(got).max()))


@pytest.mark.parametrize("case", BY_EVENTS, ids=str)
def test_of_eventprop_equal_the_twin(case: Case) -> None:
    net, data = network(case.recipe), batch(case.recipe)
    built = compiled(net, case.rule)
    for name in net.projections:
        delay, where = pair_delays(net, name), absent(net, name)
        got = built.candidates(data, name, delay)
        wanted = eventprop.gradients(filled(net, name, delay), data)
        assert all(trace.tie == case.recipe.steps for trace in wanted.traces)
        by_pair = wanted.weight[name].reshape(got.shape)
        assert relative(got[where], by_pair[where]) < 1e-4


FEW = [BY_EVENTS[0], BY_EVENTS[2], STEPPED[0], STEPPED[3], STEPPED[7], STEPPED[12]]


@pytest.mark.parametrize("entries", [2, 3, 8])
@pytest.mark.parametrize("case", FEW, ids=str)
def test_bounded_memory_shares_entries(
    case: Case, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, data = network(case.recipe), batch(case.recipe)
    for name in net.projections:
        whole = compiled(net, case.rule).candidates(data, name)
        n_pre, n_post, delays = whole.shape
        with monkeypatch.context() as patch:
            # Room for so many entries; less than a vector's lanes of delays are added at once.
            patch.setattr(candidate_gradients, "TABLE_BYTES", 4 * n_pre * n_post * entries)
            got = compiled(net, case.rule).candidates(data, name)
        stride = -(-delays // entries)
        assert 1 < got.shape[2] == -(-delays // stride) <= entries
        for k in range(got.shape[2]):
            wanted = whole[:, :, k * stride : (k + 1) * stride].mean(2)
            assert relative(got[:, :, k], wanted) < CLOSE


@pytest.mark.parametrize("case", CASES, ids=str)
def test_threads_change_no_bit(case: Case) -> None:
    net, data = network(case.recipe), batch(case.recipe, 19)
    one, two = (compiled(net, case.rule, threads) for threads in (1, 2))
    for name in net.projections:
        for delay in (None, pair_delays(net, name)):
            first, second = (e.candidates(data, name, delay, epoch=case.epoch) for e in (one, two))
            assert first.any()
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("case", FEW, ids=str)
def test_asking_changes_nothing(case: Case) -> None:
    net, data = network(case.recipe), batch(case.recipe)
    built = compiled(net, case.rule)
    before, state = built.gradients(data, epoch=case.epoch), built.state()
    first = built.candidates(data, "input->hidden0", epoch=case.epoch)
    built.candidates(batch(case.recipe, 2), "hidden0->output", epoch=1)
    again = built.candidates(data, "input->hidden0", epoch=case.epoch)
    np.testing.assert_array_equal(first, again)
    after = built.gradients(data, epoch=case.epoch)
    for name in net.projections:
        np.testing.assert_array_equal(before.weight[name], after.weight[name])
        np.testing.assert_array_equal(before.delay[name], after.delay[name])
    for key, array in built.state().items():
        np.testing.assert_array_equal(array, state[key])


def test_delays_past_the_trial_have_none() -> None:
    recipe = sparse(530, steps=12, max_delay=20.0)
    net = nets.step_network(recipe)
    net.populations["hidden0"].bias[:] = 2.0
    for rule in (EventProp(), SurrogateBPTT()):
        built = compiled(net, rule)
        table = built.candidates(batch(recipe), "input->hidden0")
        assert table.shape[2] == 21
        assert not table[:, :, 11:].any() and table[:, :, :9].any()
        late = np.full(table.shape[:2], 15.0)
        assert not built.candidates(batch(recipe), "input->hidden0", late).any()


def test_what_cannot_be_is_refused() -> None:
    recipe = sparse(531)
    built = compiled(network(recipe), EventProp())
    name, data = "input->hidden0", batch(recipe)
    with pytest.raises(InputError, match="no projection 'nothing'; known: input->hidden0"):
        built.candidates(data, "nothing")
    with pytest.raises(InputError, match=r"shape \(9, 8\) .* got \(8, 9\)"):
        built.candidates(data, name, np.zeros((8, 9)))
    for wrong in (-1.0, 8.5, np.nan):
        with pytest.raises(InputError, match=r"in 0\.\.8 ms"):
            built.candidates(data, name, np.full((9, 8), wrong))
