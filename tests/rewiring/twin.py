"""A pass in plain loops, and its laws one by one; written from the rules, not from the package."""

import math

import numpy as np

FIELDS = ("weight", "delay", "sign")


def vanishes(rule) -> bool:
    """Whether synapses go where their magnitude reached zero; else the weakest go."""
    return type(rule).__name__ == "DeepR" or getattr(rule, "form", "") == "signed"


def fraction(rule, step, total) -> float:
    end = rule.until * total
    if step >= end:
        return 0.0
    if rule.decay == "constant":
        return rule.drop_fraction
    return 0.5 * rule.drop_fraction * (1.0 + math.cos(math.pi * step / end))


def strength(synapses, k) -> float:
    weight = float(synapses.weight[k])
    if synapses.sign is None:
        return abs(weight)
    return max(0.0, weight * int(synapses.sign[k]))


def score(pairs, gradient, pair) -> float:
    slope = float(gradient[pair])
    return abs(slope) if pairs.sign is None else -int(pairs.sign[pair]) * slope


def places(synapses) -> list:
    found = zip(synapses.pre, synapses.post, strict=True)
    return [(int(i), int(j)) for i, j in found]


def absent(synapses) -> list:
    present = set(places(synapses))
    pairs = [(i, j) for i in range(synapses.n_pre) for j in range(synapses.n_post)]
    return [pair for pair in pairs if pair not in present]


def n_gone(rule, synapses, step, total) -> int:
    free = len(absent(synapses))
    if free == 0:
        return 0
    if vanishes(rule):
        return sum(strength(synapses, k) == 0.0 for k in range(len(synapses.pre)))
    return min(free, int(fraction(rule, step, total) * len(synapses.pre) + 1e-9))


def weakest(rule, synapses, step, total) -> list:
    order = sorted(range(len(synapses.pre)), key=lambda k: strength(synapses, k))
    return order[: n_gone(rule, synapses, step, total)]


def grows(rule, synapses, pairs, gradient, n) -> list:
    """The pairs that grow where scores have no ties and enough pairs are absent."""
    return sorted(absent(synapses), key=lambda pair: -score(pairs, gradient, pair))[:n]


def build(rule, synapses, pairs, best_delay, gone, grown) -> tuple[list, np.ndarray]:
    """The rows (pre, post, weight, delay, sign, moments...) after a pass, and the pairs' delays."""
    delays, where = pairs.delay.copy(), places(synapses)
    old = set(absent(synapses))
    if rule.grow_delay != "random":
        for k in gone:
            delays[where[k]] = synapses.delay[k]
    rows = []
    for k in range(len(where)):
        if k not in gone:
            sign = None if synapses.sign is None else int(synapses.sign[k])
            state = [float(each[k]) for each in synapses.moments.values()]
            rows.append(
                (*where[k], float(synapses.weight[k]), float(synapses.delay[k]), sign, *state)
            )
    for pair in grown:
        sign = None if pairs.sign is None else int(pairs.sign[pair])
        weight = 0.0 if sign is None else float(np.float32(sign * 1e-12))
        chosen = rule.grow_delay == "gradient" and pair in old
        delay = float(best_delay[pair] if chosen else delays[pair])
        rows.append((*pair, weight, delay, sign, *[0.0] * len(synapses.moments)))
    return sorted(rows), delays


def rows(synapses) -> list:
    """The rows of synapses, in their order."""
    out = []
    for k, (i, j) in enumerate(places(synapses)):
        sign = None if synapses.sign is None else int(synapses.sign[k])
        state = [float(each[k]) for each in synapses.moments.values()]
        out.append((i, j, float(synapses.weight[k]), float(synapses.delay[k]), sign, *state))
    return out


def check_arrays(before, after) -> None:
    """The count, order, range and types of synapses."""
    assert len(after.pre) == len(after.post) == len(before.pre)
    assert (after.n_pre, after.n_post) == (before.n_pre, before.n_post)
    found = places(after)
    assert all(one < two for one, two in zip(found, found[1:], strict=False))
    assert all(0 <= i < after.n_pre and 0 <= j < after.n_post for i, j in found)
    assert list(after.moments) == list(before.moments)
    for name in ("pre", "post", *FIELDS):
        one, two = getattr(before, name), getattr(after, name)
        assert (one is None and two is None) or (one.dtype, one.shape) == (two.dtype, two.shape)
    for name, moment in after.moments.items():
        assert (moment.dtype, moment.shape) == (before.moments[name].dtype, before.pre.shape)


def check_kept(before, result) -> list:
    """Kept synapses are what they were, bit for bit; returns which of them went."""
    after, origin = result.synapses, [int(k) for k in result.origin]
    kept = [k for k in origin if k >= 0]
    assert kept == sorted(set(kept))
    assert result.moved == len(origin) - len(kept)
    was, now = places(before), places(after)
    for at, k in enumerate(origin):
        if k < 0:
            continue
        assert now[at] == was[k]
        for name in FIELDS:
            one, two = getattr(before, name), getattr(after, name)
            assert one is None or one[k].tobytes() == two[at].tobytes(), name
        for name, moment in before.moments.items():
            assert moment[k].tobytes() == after.moments[name][at].tobytes(), name
    return [k for k in range(len(was)) if k not in set(kept)]


def check_gone(rule, before, gone, step, total) -> None:
    """Those go that should: exactly the zeros, or exactly so many of the weakest."""
    assert len(gone) == n_gone(rule, before, step, total)
    size = [strength(before, k) for k in range(len(before.pre))]
    stay = [size[k] for k in range(len(size)) if k not in set(gone)]
    if vanishes(rule) and absent(before):
        assert all(size[k] == 0.0 for k in gone)
        assert all(each > 0.0 for each in stay)
    assert not gone or not stay or max(size[k] for k in gone) <= min(stay)


def check_grown(rule, before, pairs, gradient, gone, grown) -> None:
    """As many grow, at other pairs if there are enough, at the best where there is a score."""
    free, went = absent(before), {places(before)[k] for k in gone}
    fresh = [pair for pair in grown if pair not in went]
    assert len(grown) == len(gone)
    assert len(fresh) == min(len(gone), len(free))
    assert set(fresh) <= set(free)
    left = set(free) - set(fresh)
    if type(rule).__name__ == "RigL" and fresh and left:
        worst = min(score(pairs, gradient, pair) for pair in fresh)
        assert worst >= max(score(pairs, gradient, pair) for pair in left)


def check_pass(rule, before, pairs, result, gradient, best_delay, step, total) -> None:
    """Assert every law of a pass."""
    after = result.synapses
    check_arrays(before, after)
    gone = check_kept(before, result)
    grown = [pair for pair, k in zip(places(after), result.origin, strict=True) if k < 0]
    check_gone(rule, before, gone, step, total)
    check_grown(rule, before, pairs, gradient, gone, grown)
    expected, delays = build(rule, before, pairs, best_delay, set(gone), grown)
    assert rows(after) == expected
    assert result.pairs.delay.dtype == pairs.delay.dtype
    np.testing.assert_array_equal(result.pairs.delay, delays)
    assert result.pairs.sign is pairs.sign
    if rule.signs == "dale":
        for i in range(after.n_pre):
            assert len({int(each) for each in after.sign[after.pre == i]}) <= 1
