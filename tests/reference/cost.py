"""What a network costs in plain loops, from the definitions; imports nothing from the package.

A raster is a list of examples, each (T, n) of 0 and 1: which neurons of a population send.
"""

import math


def synapses(network):
    """Return (projection, pre, post, delay in steps) of all synapses of weight other than 0."""
    found = []
    for name, p in network.projections.items():
        for i in range(len(p.indptr) - 1):
            for s in range(p.indptr[i], p.indptr[i + 1]):
                if p.weight[s] != 0:
                    place = {"synapse": s, "axon": i, "fixed": 0}[p.granularity]
                    steps = math.floor(p.delay[place] / network.dt + 0.5)
                    found.append((name, i, int(p.post[s]), steps))
    return found


def connection_sparsity(network):
    """Return the share of pairs of neurons without a synapse of weight other than 0."""
    pairs = 0
    for p in network.projections.values():
        pairs += network.populations[p.source].n * network.populations[p.target].n
    return 1 - len(synapses(network)) / pairs


def operations(network, rasters):
    """Return (dense, effective) synaptic operations of an example in the mean, by projection."""
    out = {}
    for name, p in network.projections.items():
        raster, n_post = rasters[p.source], network.populations[p.target].n
        dense = effective = 0
        fan_out = [0] * network.populations[p.source].n
        for other, pre, _, _ in synapses(network):
            if other == name:
                fan_out[pre] += 1
        for example in raster:
            for row in example:
                for i, sends in enumerate(row):
                    dense += n_post
                    effective += fan_out[i] if sends else 0
        out[name] = dense / len(raster), effective / len(raster)
    return out


def activation_sparsity(rasters):
    """Return the share of places in rasters of populations without a spike."""
    places = [value for raster in rasters for example in raster for row in example for value in row]
    return sum(value == 0 for value in places) / len(places)


def membrane_updates(voltages):
    """Return in how many steps a voltage changes, of examples (n, T); the first step counts."""
    changes = 0
    for example in voltages:
        for trace in example:
            before = None
            for value in trace:
                changes += before is None or value != before
                before = value
    return changes / len(voltages)


def in_flight(network, rasters):
    """Return mean and most events in flight at the end of a step."""
    examples = len(next(iter(rasters.values())))
    found = []
    for b in range(examples):
        flights = []
        for name, pre, _, delay in synapses(network):
            raster = rasters[network.projections[name].source][b]
            flights += [(t, t + delay + 1) for t, row in enumerate(raster) if row[pre]]
        for u in range(len(next(iter(rasters.values()))[b])):
            found.append(sum(sent <= u < arrives for sent, arrives in flights))
    return sum(found) / len(found), max(found)
