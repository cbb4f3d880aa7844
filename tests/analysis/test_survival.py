"""Synapses of one epoch against another's: by plain loops, without structure, with planted one."""

import dataclasses
import math

import numpy as np
import pytest

from mlgenn_delays.analysis import Afferents, Reach, across, staying
from mlgenn_delays.errors import InputError

from ..reference import shapes as twin
from . import planted_signs as planted
from .networks import afferents, network

BANDS, REACH = planted.BANDS, Reach((4,), 60.0)
PLACE = list(range(BANDS))


def synapses(rng, law, *, neurons=6, n=16, excitatory=0.5, taken=frozenset()):
    """Return synapses (post, pre, delay, weight) with the signs of law(neuron, band, delay)."""
    out = []
    for post in range(neurons):
        free = [band for band in range(BANDS) if (post, band) not in taken]
        for pre in rng.choice(free, n, replace=False):
            delay = rng.uniform(0, 240)
            sign = (
                law(post, pre, delay)
                if law
                else rng.choice([1, -1], p=[excitatory, 1 - excitatory])
            )
            out.append((post, int(pre), float(delay), float(sign * rng.uniform(0.1, 1))))
    return out


def rewired(rng, law, *, neurons=6, n=16, share=0.5, excitatory=0.5, signs_of_new=None):
    """Return the synapses of an epoch and of a later one, of which a share is new."""
    one = synapses(rng, law, neurons=neurons, n=n, excitatory=excitatory)
    stay = [s for s in one if rng.random() > share]
    new = synapses(
        rng, law, neurons=neurons, n=n // 2, taken={(s[0], s[1]) for s in one},
        excitatory=excitatory if signs_of_new is None else signs_of_new,
    )  # fmt: skip
    return one, stay + new


def stripes(post, band, delay):
    return 1 if (band // 8 + post) % 2 else -1


@pytest.mark.parametrize("places", [planted.PLACES, None])
def test_pairs_are_those_of_plain_loops(places):
    one, two = rewired(np.random.default_rng(0), None)
    found = across(afferents(one, 6), afferents(two, 6), places, reach=REACH, permutations=19)
    wanted = twin.across(one, two, PLACE if places else None, 4, 60.0)
    assert min(n for n, _ in wanted.values()) > 5
    for kind, (n, same) in wanted.items():
        assert found[kind].pairs == n
        assert found[kind].same.observed == pytest.approx(same / n)


def test_agreement_is_that_of_plain_loops():
    one, two = rewired(np.random.default_rng(1), None)
    one = sorted(one)
    votes = twin.agreement(one, PLACE, 4, 60.0)
    later = {(s[0], s[1]) for s in two}
    stays = [(s[0], s[1]) in later for s in one]
    found = staying(afferents(one, 6), afferents(two, 6), planted.PLACES, reach=REACH)
    for counts, wanted in ((found.agree, 1), (found.disagree, -1)):
        own = [s for s, v in zip(stays, votes, strict=True) if np.sign(v) == wanted]
        assert counts == (sum(own), len(own) - sum(own)) and len(own) > 10
    up = down = 0.0
    for post in range(6):
        for sign in (-1, 1):
            cell = {(agree, stay): 0 for agree in (-1, 1) for stay in (False, True)}
            for s, v, stay in zip(one, votes, stays, strict=True):
                if s[0] == post and np.sign(s[3]) == sign and v:
                    cell[int(np.sign(v)), stay] += 1
            n = sum(cell.values())
            up += cell[1, True] * cell[-1, False] / n if n else 0
            down += cell[1, False] * cell[-1, True] / n if n else 0
    assert found.odds == pytest.approx(up / down)


def test_one_stratum_is_mantel_and_haenszels_test_of_a_table():
    """With one neuron and one sign, the variance is that of the hypergeometric distribution."""
    from scipy.stats import hypergeom, norm

    from mlgenn_delays.analysis.survival import _mantel_haenszel

    a, b, c, d = (np.array([n]) for n in (12, 5, 4, 9))
    odds, p = _mantel_haenszel(a, b, c, d)
    law = hypergeom(30, 17, 16)
    assert odds == 12 * 9 / (5 * 4)
    assert p == pytest.approx(2 * norm.sf((12 - law.mean() - 0.5) / law.std()))


def test_what_grows_where_its_like_was_is_found():
    one, two = rewired(np.random.default_rng(2), stripes, neurons=12, n=20)
    found = across(afferents(one, 12), afferents(two, 12), planted.PLACES, reach=REACH)
    for kind in ("all", "joined", "replaced"):
        assert found[kind].same.p == 0.01 and found[kind].same.observed > 0.65, kind


@pytest.mark.parametrize("signs_of_new", [None, 0.9])
def test_without_structure_p_is_not_small(signs_of_new):
    """Nor where most of what grows has one sign, which says nothing of where it grows."""
    p = {"all": [], "joined": [], "replaced": []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        one, two = rewired(rng, None, excitatory=0.3, signs_of_new=signs_of_new)
        found = across(
            afferents(one, 6), afferents(two, 6), planted.PLACES, reach=REACH, permutations=59,
            seed=seed,
        )  # fmt: skip
        for kind in p:
            p[kind].append(found[kind].same.p)
    for kind, each in p.items():
        assert sum(value <= 0.05 for value in each) <= 8, kind  # 3 expected, P(> 8) < 0.3 %
        assert np.mean(each) < 0.8, kind


def gone(rng, one, chance):
    """Return the synapses that stay, each by its chance."""
    return [s for k, s in enumerate(one) if rng.random() < chance(k, s)]


def test_that_excitation_stays_is_no_agreement():
    """Where most is excitatory, excitation agrees: if it stays more, that is not why."""
    p = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        one = sorted(synapses(rng, None, neurons=20, excitatory=0.7))
        two = gone(rng, one, lambda k, s: 0.9 if s[3] > 0 else 0.5)
        p.append(staying(afferents(one, 20), afferents(two, 20), planted.PLACES, reach=REACH).p)
    assert sum(each <= 0.05 for each in p) <= 6
    assert min(p) < 0.6


def test_those_that_agree_stay_is_found():
    rng = np.random.default_rng(3)
    one = sorted(synapses(rng, None, neurons=20))
    votes = twin.agreement(one, PLACE, 4, 60.0)
    two = gone(rng, one, lambda k, s: 0.85 if votes[k] > 0 else 0.4)
    found = staying(afferents(one, 20), afferents(two, 20), planted.PLACES, reach=REACH)
    assert found.odds > 3 and found.p < 1e-4


def test_where_none_goes_there_is_nothing_to_tell():
    one = afferents(synapses(np.random.default_rng(0), None), 6)
    found = staying(one, one, planted.PLACES, reach=REACH)
    assert found.agree[1] == found.disagree[1] == 0 and found.p == 1 and math.isnan(found.odds)
    same = across(one, one, planted.PLACES, reach=REACH, permutations=19)
    assert same["joined"].pairs == same["replaced"].pairs == 0 < same["all"].pairs
    assert math.isnan(same["joined"].same.observed) and same["joined"].same.p == 1


def test_weak_and_silent_synapses_are_there():
    """That a weight is 0, or not among the strongest, does not mean that a synapse went."""
    net = network(40, 6)
    projection = net.projections["input->hidden1"]
    projection.weight[::5] = 0.0
    earlier = Afferents.of(projection, 6)
    projection.weight[::5], projection.weight[1::5] = 0.5, 0.0
    for strongest in (1.0, 0.3):
        later = Afferents.of(projection, 6, strongest)
        found = staying(earlier, later, planted.PLACES, reach=REACH)
        assert found.agree[1] == found.disagree[1] == 0
        assert across(earlier, later, planted.PLACES, reach=REACH)["joined"].pairs == 0


def test_of_a_large_network_some_neurons_are_compared():
    one, two = rewired(np.random.default_rng(0), None)
    each = afferents(one, 6), afferents(two, 6)
    n = [
        across(*each, planted.PLACES, reach=REACH, permutations=19, budget=budget)["all"].pairs
        for budget in (200, 10**6)
    ]
    assert 0 < n[0] < n[1]


def test_what_is_refused():
    one, two = (afferents(synapses(np.random.default_rng(0), None, neurons=k), k) for k in (2, 3))
    for compare in (across, staying):
        with pytest.raises(InputError, match="must have the same neurons, got 2 and 3"):
            compare(one, two, planted.PLACES)


def test_an_epoch_without_synapses():
    none = afferents([], 6)
    one = dataclasses.replace(afferents(synapses(np.random.default_rng(0), None), 6))
    for pair in ((none, none), (none, one), (one, none)):
        assert across(*pair, planted.PLACES, permutations=19)["all"].pairs == 0
        assert staying(*pair, planted.PLACES).p == 1
