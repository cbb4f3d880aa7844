"""Clusters, survival and tuning in plain loops, from the definitions."""


def clusters(links, n):
    """Return the sorted sizes of the sets that links (pairs) make of n things, by flood fill."""
    sizes, seen = [], set()
    for first in range(n):
        if first in seen:
            continue
        group, front = {first}, [first]
        while front:
            here = front.pop()
            for a, b in links:
                for there in {a, b} - group if here in (a, b) else ():
                    group.add(there)
                    front.append(there)
        seen |= group
        sizes.append(len(group))
    return sorted(sizes)


def spells(there, epochs):
    """Return (birth, age, whether still there) of each spell of one synapse."""
    out, begin = [], None
    for present, epoch in zip(there, epochs, strict=True):
        if present and begin is None:
            begin = epoch
        if not present and begin is not None:
            out.append((begin, epoch - begin, False))
            begin = None
    if begin is not None:
        out.append((begin, epochs[-1] - begin, True))
    return out


def survival(ages, censored):
    """Return {age: share that lives longer}, Kaplan and Meier's product, at ages of an end."""
    share, out = 1.0, {}
    for age in sorted(set(ages)):
        at_risk = sum(each >= age for each in ages)
        ended = sum(each == age and not alive for each, alive in zip(ages, censored, strict=True))
        if ended:
            share *= 1 - ended / at_risk
            out[age] = share
    return out


def across(one, two, place, reach_space, reach_time):
    """Return {kind: (pairs, pairs of equal sign)} of synapses (post, pre, delay, weight)."""
    out = {kind: [0, 0] for kind in ("all", "joined", "replaced")}
    earlier, later = ({(s[0], s[1]) for s in each} for each in (one, two))
    for post_a, pre_a, delay_a, weight_a in one:
        for post_b, pre_b, delay_b, weight_b in two:
            if post_a != post_b or pre_a == pre_b or abs(delay_a - delay_b) > reach_time:
                continue
            if place is not None and abs(place[pre_a] - place[pre_b]) > reach_space:
                continue
            stays, came = (post_a, pre_a) in later, (post_b, pre_b) not in earlier
            kinds = ["all"] + (["joined" if stays else "replaced"] if came else [])
            for kind in kinds:
                out[kind][0] += 1
                out[kind][1] += (weight_a > 0) == (weight_b > 0)
    return {kind: tuple(each) for kind, each in out.items()}


def agreement(synapses, place, reach_space, reach_time):
    """Return, by synapse, how many more near ones of its neuron have its sign than not."""
    out = []
    for a, (post_a, pre_a, delay_a, weight_a) in enumerate(synapses):
        vote = 0
        for b, (post_b, pre_b, delay_b, weight_b) in enumerate(synapses):
            near = abs(delay_a - delay_b) <= reach_time
            near = near and abs(place[pre_a] - place[pre_b]) <= reach_space
            if a != b and post_a == post_b and near:
                vote += 1 if (weight_a > 0) == (weight_b > 0) else -1
        out.append(vote)
    return out


def tuning(counts, labels, n_classes):
    """Return (mean by class or None, preferred, selectivity or None, explained or None)."""
    n = len(counts)
    groups = [[c for c, label in zip(counts, labels, strict=True) if label == k]
              for k in range(n_classes)]  # fmt: skip
    means = [sum(g) / len(g) if g else None for g in groups]
    known = [m for m in means if m is not None]
    top, overall = max(known), sum(counts) / n
    preferred = means.index(top) if top > 0 else -1
    selectivity = None
    if top > 0 and len(known) > 1:
        selectivity = (len(known) - sum(known) / top) / (len(known) - 1)
    total = sum((c - overall) ** 2 for c in counts)
    between = sum(
        len(g) * (m - overall) ** 2 for g, m in zip(groups, means, strict=True) if m is not None
    )
    return means, preferred, selectivity, between / total if total else None


def place_sums(c, d, sums, position, reach, order):
    """Return the summed rows of pairs of presynaptic neurons whose shuffled places are near."""
    out = [0.0] * len(sums[0])
    for one, two, row in zip(c, d, sums, strict=True):
        here, there = position[order[one]], position[order[two]]
        if all(abs(x - y) <= most for x, y, most in zip(here, there, reach, strict=True)):
            out = [old + new for old, new in zip(out, row, strict=True)]
    return out
