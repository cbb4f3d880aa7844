"""GeNN's gradients and candidate gradients against the CPU engine's and the float64 twins'."""

from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)

from mlgenn_delays.engines.base import CompiledNetwork  # noqa: E402
from mlgenn_delays.engines.shared import candidate_gradients  # noqa: E402
from mlgenn_delays.learning import EventProp  # noqa: E402
from tests.engines.helpers import permuted, relative  # noqa: E402
from tests.engines.rewired import pair_delays, sizes  # noqa: E402
from tests.parity.helpers import (  # noqa: E402
    CASES,
    CLOSE,
    COUNTED,
    EXAMPLES,
    Case,
    both,
    check,
    cpu,
    free,
    genn,
    network,
    pick,
    same,
    wanted,
    with_steps,
)
from tests.reference import nets  # noqa: E402

ALL = [*CASES, *COUNTED]
every_case = pytest.mark.parametrize("case", ALL, ids=str)
FEW = [CASES[k] for k in (1, 3, 5, 8, 12, 14, 16)]
few_cases = pytest.mark.parametrize("case", FEW, ids=str)


@every_case
def test_equal_the_cpu_engine(case: Case) -> None:
    batch = pick(case, free(case))
    right, got = (engine.gradients(batch, epoch=case.epoch) for engine in both(case))
    assert all(array.any() for array in right.weight.values())
    for name, p in network(case).projections.items():
        assert right.delay[name].any() == (p.granularity != "fixed")
    check(got, right)


@every_case
def test_equal_the_twin(case: Case) -> None:
    right, got = wanted(case, free(case))[0], both(case)[1]
    check(got.gradients(pick(case, free(case)), epoch=case.epoch), right)


def test_most_are_equal_to_float32() -> None:
    every = []
    for case in CASES:
        batch = pick(case, free(case))
        right, got = (engine.gradients(batch, epoch=case.epoch) for engine in both(case))
        every += [relative(got.weight[name], weight) for name, weight in right.weight.items()]
    assert np.median(every) < 1e-5


@pytest.mark.parametrize("case", COUNTED, ids=str)
def test_spike_counts_pull(case: Case) -> None:
    plain = Case(case.recipe, case.surrogate, case.kernel, case.epoch)
    batch, name = pick(case, free(case)), "input->hidden0"
    with_pull = both(case)[1].gradients(batch, epoch=case.epoch)
    without = genn(network(case), plain.rule()).gradients(batch, epoch=case.epoch)
    assert relative(with_pull.weight[name], without.weight[name]) > 0.1
    assert with_pull.loss == without.loss


# Nothing passes from one batch to another


@few_cases
def test_repeating_changes_no_bit(case: Case) -> None:
    engine, batch = both(case)[1], pick(case, range(EXAMPLES))
    first = engine.gradients(batch, epoch=case.epoch)
    same(first, engine.gradients(batch, epoch=case.epoch))
    # Batches of another size, length and width between them, and ones that end in spikes.
    engine.gradients(with_steps(pick(case, [5, 0, 1]), 23), epoch=2)
    engine.record(with_steps(batch, 61))
    same(first, engine.gradients(batch, epoch=case.epoch))
    fresh = genn(network(case), case.rule())
    same(first, fresh.gradients(batch, epoch=case.epoch))


@few_cases
def test_the_order_in_a_batch_does_not_matter(case: Case) -> None:
    engine, order = both(case)[1], np.random.default_rng(1).permutation(EXAMPLES)
    one = engine.gradients(pick(case, range(EXAMPLES)), epoch=case.epoch)
    other = engine.gradients(pick(case, order), epoch=case.epoch)
    check(other, one, 1e-5)


@few_cases
def test_a_batch_is_the_mean_of_its_examples(case: Case) -> None:
    # Neither the examples before one nor those after it matter.
    engine = both(case)[1]
    together = engine.gradients(pick(case, range(EXAMPLES)), epoch=case.epoch)
    alone = [engine.gradients(pick(case, [b]), epoch=case.epoch) for b in range(EXAMPLES)]
    for kind in ("weight", "delay"):
        for name, array in getattr(together, kind).items():
            mean = np.mean([getattr(g, kind)[name] for g in alone], axis=0)
            assert relative(array, mean) < 1e-5


@few_cases
def test_batches_of_any_size_and_length_share_an_engine(case: Case) -> None:
    right, got = both(case)
    for size, steps in ((2, 41), (6, 53), (1, 30), (5, 64), (3, 50)):
        batch = with_steps(pick(case, free(case)[:size]), steps)
        check(got.gradients(batch, epoch=case.epoch), right.gradients(batch, epoch=case.epoch))


# Laws


def test_zero_delays_are_no_delays() -> None:
    case = CASES[7]
    assert case.recipe.max_delay == 0
    net, batch = network(case).copy(), pick(case, range(EXAMPLES))
    for p in net.projections.values():
        p.max_delay = 9.0
    other, own = genn(net, case.rule()), both(case)[1]
    np.testing.assert_array_equal(other.record(batch).voltage, own.record(batch).voltage)
    same(other.gradients(batch), own.gradients(batch))


@pytest.mark.parametrize("case", [CASES[1], CASES[12]], ids=str)
def test_permuting_neurons_permutes_results(case: Case) -> None:
    own, batch = both(case)[1], pick(case, free(case))
    order = np.random.default_rng(2).permutation(case.recipe.sizes[1])
    net, moved = permuted(network(case), "hidden0", order)
    other = genn(net, case.rule())
    assert relative(other.record(batch).voltage, own.record(batch).voltage) < 1e-5
    one, two = (e.gradients(batch, epoch=case.epoch) for e in (own, other))
    for name, at in moved.items():
        assert relative(two.weight[name], one.weight[name][at]) < 1e-5
        assert relative(two.delay[name], one.delay[name][at]) < 1e-5


def test_gradients_of_what_is_not_learned_are_zero() -> None:
    case = CASES[0]
    batch = pick(case, range(EXAMPLES))
    for left_out, learned in (("weight", "delay"), ("delay", "weight")):
        got = genn(network(case), EventProp(**{f"{left_out}s": None})).gradients(batch)
        assert not any(g.any() for g in getattr(got, left_out).values())
        assert all(g.any() for g in getattr(got, learned).values())


# Candidate gradients

WITH_ABSENT = [CASES[k] for k in (1, 4, 7, 12, 15)]


@lru_cache(maxsize=8)
def asked(case: Case) -> tuple[CompiledNetwork, CompiledNetwork]:
    """Return both engines, for candidate gradients alone."""
    return cpu(network(case), case.rule()), genn(network(case), case.rule())


@pytest.mark.parametrize("given", [True, False], ids=["given", "all"])
@pytest.mark.parametrize("case", WITH_ABSENT, ids=str)
def test_candidates_equal_the_cpu_engine(case: Case, given: bool) -> None:
    net, batch = network(case), pick(case, free(case))
    for name in net.projections:
        delay = pair_delays(net, name) if given else None
        right, got = (e.candidates(batch, name, delay, epoch=case.epoch) for e in asked(case))
        assert right.any() and got.shape == right.shape and got.dtype == np.float32
        assert relative(got, right) < CLOSE, name


def test_candidates_of_present_synapses_are_their_gradients() -> None:
    case = WITH_ABSENT[0]
    net, batch, engine = network(case), pick(case, range(EXAMPLES)), asked(case)[1]
    right = engine.gradients(batch).weight
    for name, p in net.projections.items():
        delay = np.zeros(sizes(net, name))
        delay[p.pre(), p.post] = p.delay
        got = engine.candidates(batch, name, delay)
        assert relative(got[p.pre(), p.post], right[name]) < CLOSE


def test_candidates_over_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    case, name = WITH_ABSENT[0], "input->hidden0"
    batch, engines = pick(case, free(case)), asked(case)
    n_pre, n_post = sizes(network(case), name)
    monkeypatch.setattr(candidate_gradients, "TABLE_BYTES", 4 * n_pre * n_post * 3)
    right, got = (engine.candidates(batch, name) for engine in engines)
    assert got.shape == (n_pre, n_post, 3)
    assert relative(got, right) < CLOSE


@pytest.mark.parametrize("case", [WITH_ABSENT[0], WITH_ABSENT[3]], ids=str)
def test_asking_changes_nothing(case: Case) -> None:
    engine, batch = asked(case)[1], pick(case, range(EXAMPLES))
    before: Any = engine.gradients(batch, epoch=case.epoch)
    first = engine.candidates(batch, "input->hidden0", epoch=case.epoch)
    engine.candidates(pick(case, [1, 2]), "hidden0->hidden0", epoch=1)
    np.testing.assert_array_equal(
        first, engine.candidates(batch, "input->hidden0", epoch=case.epoch)
    )
    same(before, engine.gradients(batch, epoch=case.epoch))


def test_candidates_of_trials_of_other_lengths() -> None:
    case, name = WITH_ABSENT[0], "input->hidden0"
    right, got = asked(case)
    for steps in (37, 61):
        batch = with_steps(nets.step_data(case.recipe, 3).batch(np.arange(3)), steps)
        one, two = (engine.candidates(batch, name) for engine in (right, got))
        assert relative(two, one) < CLOSE
