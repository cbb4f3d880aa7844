"""Synapses that break limits of hardware move to other pairs, as few as may be."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network.initialise import pair_signs
from mlgenn_delays.network.projection import Projection
from mlgenn_delays.rng import generator

if TYPE_CHECKING:
    from mlgenn_delays.hardware import Hardware, Room
    from mlgenn_delays.network.network import Network


def limit(network: "Network", hardware: "Hardware") -> None:
    """Move synapses so that a network keeps the limits; see `Network.limit`.

    A projection leaves its even share of room to those after it, if it can. Frozen ones, which do
    not move, come first.
    """
    hardware.check_delays(network)
    if not hardware.limits_structure:
        return
    waiting = sorted(network.projections.values(), key=lambda each: not each.frozen)
    while waiting:
        projection = waiting.pop(0)
        rooms = [
            _beside(network, hardware, projection, waiting, spared) for spared in (True, False)
        ]
        room = next((each for each in rooms if each.most() >= projection.n_synapses), None)
        if room is None:
            raise InputError(_too_many(network, hardware, projection, rooms[-1]))
        if not room.without(projection.pre(), projection.post).fits():
            if projection.frozen:
                raise InputError(
                    f"projection {projection.name!r} must keep {hardware.told()}, got a frozen one "
                    "with more at a neuron or core; raise the limit, or connect it otherwise"
                )
            _move(network, projection, room)


def _beside(
    network: "Network", hardware: "Hardware", projection: Projection, later: list[Projection],
    spared: bool,
) -> "Room":  # fmt: skip
    """The room beside the projections before, and the even share of those after it if `spared`.

    The synapses of those after it are still to move, and take none.
    """
    room = hardware.room(network, projection, but=later)
    for other in later if spared else ():
        n, count = network.populations, other.n_synapses
        if other.source == projection.source:
            room = replace(room, pre=room.pre - count // n[other.source].n)
        if other.target == projection.target:
            sizes = np.bincount(np.arange(len(room.post)) // room.size)
            share = count * sizes // len(room.post)
            room = replace(room, post=room.post - count // len(room.post), core=room.core - share)
    return room


def _too_many(
    network: "Network", hardware: "Hardware", projection: Projection, room: "Room"
) -> str:
    given = hardware.told()
    beside = " beside the others" if len(network.projections) > 1 else ""
    shape = " x ".join(
        str(network.populations[p].n) for p in (projection.source, projection.target)
    )
    return (
        f"projection {projection.name!r} must have at most {room.most()} synapses with {given}"
        f"{beside}, got {projection.n_synapses} between {shape} neurons; raise the limit, or make "
        "the network sparser (network.sparsity)"
    )


def _move(network: "Network", projection: Projection, room: "Room") -> None:
    n_pre, n_post = len(room.pre), len(room.post)
    rng = generator(network.seed, "limit", projection.name)
    pre, post = projection.pre().astype(np.int64), projection.post.astype(np.int64)
    before = pre * n_post + post
    after = places(before, n_pre, n_post, room, rng)
    kept = np.isin(before, after)
    new = np.setdiff1d(after, before)
    # Those that moved, in any order, to the new places, which are ascending.
    found = before.copy()
    found[~kept] = new
    order = np.argsort(found)
    found = found[order]
    signs = projection.sign
    if signs is not None:
        signs = _signs(network, projection, signs[order], pre, found // n_post)
    projection.indptr = np.searchsorted(found, np.arange(n_pre + 1) * n_post).astype(np.int64)
    projection.post = (found % n_post).astype(np.int32)
    projection.weight = projection.weight[order]
    if projection.granularity == "synapse":
        projection.delay = projection.delay[order]
    if signs is not None:
        projection.sign = signs
        projection.weight = np.abs(projection.weight) * signs


def _signs(
    network: "Network", projection: Projection, moved: np.ndarray, pre: np.ndarray, now: np.ndarray
) -> np.ndarray:
    """The signs of synapses that moved: their own, or of their neurons where those have one."""
    assert projection.sign is not None
    n_pre = len(projection.indptr) - 1
    total = np.bincount(pre, projection.sign, n_pre)
    if (np.abs(total) != np.diff(projection.indptr)).any():
        return moved
    drawn = pair_signs("dale", network.seed, projection.name, n_pre, 1)
    assert drawn is not None
    return np.where(total == 0, drawn[:, 0], np.sign(total)).astype(np.int8)[now]


def places(
    flat: np.ndarray, n_pre: int, n_post: int, room: "Room", rng: np.random.Generator
) -> np.ndarray:
    """Pairs of neurons within the room for them, given ones where they fit.

    Arguments:
        flat: (S,) int64 pairs pre * n_post + post, ascending.
        n_pre: Number of presynaptic neurons.
        n_post: Number of postsynaptic neurons.
        room: Room for at least S synapses.
        rng: Draws which go and where they come.

    Returns:
        (S,) int64, ascending.
    """
    drawn = rng.permutation(flat)
    stays = drawn[_within(drawn, n_post, room)]
    present = np.zeros((n_pre, n_post), bool)
    present.ravel()[stays] = True
    while (missing := len(flat) - np.count_nonzero(present)) > 0:
        left = room.without(*np.nonzero(present))
        cores = np.arange(n_post) // room.size
        takes = (left.post > 0) & (left.core > 0)[cores]
        chosen = rng.permutation(np.flatnonzero(np.outer(left.pre > 0, takes) & ~present))
        # Neurons without a synapse come first.
        reached = np.asarray(present.any(axis=0))
        chosen = chosen[np.argsort(reached[chosen % n_post], kind="stable")]
        chosen = chosen[_within(chosen, n_post, left)][:missing]
        present.ravel()[chosen] = True
        if not len(chosen):
            return _by_flow(len(flat), n_pre, n_post, room, rng)
    return np.flatnonzero(present)


def _within(flat: np.ndarray, n_post: int, room: "Room") -> np.ndarray:
    """Which pairs (S,) bool fit into the room, those before counted first."""
    stays = np.ones(len(flat), bool)
    pre, post = flat // n_post, flat % n_post
    for owner, most in ((post, room.post), (post // room.size, room.core), (pre, room.pre)):
        own = owner[stays]
        stays[stays] = _rank(own) < most[own]
    return stays


def _rank(owner: np.ndarray) -> np.ndarray:
    """How many before each have the same owner, (S,)."""
    order = np.argsort(owner, kind="stable")
    ranked = owner[order]
    firsts = np.searchsorted(ranked, ranked)
    rank = np.empty(len(owner), np.int64)
    rank[order] = np.arange(len(owner)) - firsts
    return rank


def _by_flow(n: int, n_pre: int, n_post: int, room: "Room", rng: np.random.Generator) -> np.ndarray:
    """N pairs within the room, where drawing one after another has ended too early.

    Synapses are a maximum flow from sources through targets to cores, of which some are left out.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import maximum_flow

    begin, first_post = 1, 1 + n_pre
    first_core = first_post + n_post
    end = first_core + len(room.core)
    pre, post = begin + rng.permutation(n_pre), first_post + rng.permutation(n_post)
    rows = [np.zeros(n_pre, int), np.repeat(pre, n_post), post, np.arange(first_core, end)]
    to_core = first_core + np.arange(n_post) // room.size
    columns = [pre, np.tile(post, n_pre), to_core, np.full(len(room.core), end)]
    most = [room.pre, np.ones(n_pre * n_post), room.post, room.core]
    capacity = np.clip(np.concatenate(most), 0, n_pre * n_post).astype(np.int32)
    edges = (np.concatenate(rows), np.concatenate(columns))
    graph = coo_array((capacity, edges), shape=(end + 1, end + 1)).tocsr()
    flow = maximum_flow(graph, 0, end).flow[pre][:, post].toarray()
    return np.sort(rng.permutation(np.flatnonzero(flow > 0))[:n])
