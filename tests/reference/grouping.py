"""Near pairs and the statistics over them, in plain loops, from the definitions."""

import math


def near(delay, place, start, reach_space, reach_time, kind):
    """Return the pairs (a, b) of each neuron; place is None or a list of tuples."""
    out = []
    for j in range(len(start) - 1):
        pairs = []
        for a in range(start[j], start[j + 1]):
            for b in range(a + 1, start[j + 1]):
                in_time = abs(delay[a] - delay[b]) <= reach_time
                in_space = place is not None and all(
                    abs(x - y) <= most
                    for x, y, most in zip(place[a], place[b], reach_space, strict=True)
                )
                wanted = {"space": in_space, "time": in_time, "both": in_space and in_time}
                if wanted[kind]:
                    pairs.append((a, b))
        out.append(pairs)
    return out


def standardised(weight, start):
    """Return weights with mean 0 and variance 1 in each neuron."""
    out = [0.0] * len(weight)
    for j in range(len(start) - 1):
        own = weight[start[j] : start[j + 1]]
        if not len(own):
            continue
        mean = sum(own) / len(own)
        sd = math.sqrt(sum((w - mean) ** 2 for w in own) / len(own))
        for k, w in enumerate(own):
            out[start[j] + k] = (w - mean) / sd if sd > 0 else 0.0
    return out


def sums(pairs, positive, value, order):
    """Return, by neuron, EE, II and the sum of products of the pairs when labels are reordered."""
    out = []
    for own in pairs:
        ee = ii = 0
        product = 0.0
        for a, b in own:
            s, t = order[a], order[b]
            ee += bool(positive[s] and positive[t])
            ii += bool(not positive[s] and not positive[t])
            product += value[s] * value[t]
        out.append((ee, ii, product))
    return out


def timed(pairs, positive, value, delay, reach, order):
    """Return, by neuron, pairs near in time, those alike and their products, with other delays."""
    out = []
    for own in pairs:
        n = same = 0
        product = 0.0
        for a, b in own:
            if abs(delay[order[a]] - delay[order[b]]) <= reach:
                n += 1
                same += positive[a] == positive[b]
                product += value[a] * value[b]
        out.append((n, same, product))
    return out


def two_sided(observed, shuffled):
    """Return the two-sided p of a value against those when shuffled."""
    high = (1 + sum(each >= observed for each in shuffled)) / (1 + len(shuffled))
    low = (1 + sum(each <= observed for each in shuffled)) / (1 + len(shuffled))
    return min(1.0, 2 * min(high, low))
