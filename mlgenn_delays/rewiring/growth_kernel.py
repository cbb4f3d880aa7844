"""Compiled loop of growth within limits; the only module of the rules that imports Numba."""

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def find_places(
    held_pre: np.ndarray,
    held_post: np.ndarray,
    left: int,
    i: int,
    j: int,
    full_pre: bool,
    full_post: bool,
    full_core: bool,
    size: int,
) -> tuple[int, int, int]:
    """Return the held places that give room to the pair (i, j): to both, its source, its target.

    They are the last of the first `left` places, the first and the first; -1 where there is none.
    """
    of_pre, of_post = -1, -1
    for r in range(left - 1, -1, -1):
        gives_pre = not full_pre or held_pre[r] == i
        gives_post = not full_post or held_post[r] == j
        gives_post = gives_post and (not full_core or held_post[r] // size == j // size)
        if gives_pre and gives_post:
            return r, -1, -1
        if gives_pre:
            of_pre = r
        if gives_post:
            of_post = r
    return -1, of_pre, of_post


@kernel
def grow_within(
    order: np.ndarray,
    held_pre: np.ndarray,
    held_post: np.ndarray,
    present: np.ndarray,
    room_pre: np.ndarray,
    room_post: np.ndarray,
    room_core: np.ndarray,
    size: np.int64,
    grown: np.ndarray,
) -> int:
    """Grow synapses at the first pairs of an order that limits allow; return their number n.

    The synapses that went hold their places until a pair takes one, so that there are always as
    many. A pair takes any place; where its source, its target or the core of that has no room, one
    that gives the room. Where no place gives room to both source and target, two may: (i, b) and
    (a, j) become the pair (i, j) and a held place (a, b).

    Arguments:
        order: (N,) int64 absent pairs pre * n_post + post, the best first.
        held_pre: (m,) int64 sources of the places that are held, in random order; in the end, the
            first m - n are those of places still held.
        held_post: (m,) int64 their targets.
        present: (n_pre * n_post,) bool pairs with a synapse or a held place; changed.
        room_pre: (n_pre,) int64 room for more synapses, beside those present; changed.
        room_post: (n_post,) int64.
        room_core: (cores,) int64.
        size: Target neurons of a core.
        grown: (m,) int64; the pairs that grow are written here.
    """
    n_post, left, n = len(room_post), len(held_pre), 0
    with_pre = np.zeros(len(room_pre), np.int64)
    with_post = np.zeros(n_post, np.int64)
    with_core = np.zeros(len(room_core), np.int64)
    for r in range(left):
        with_pre[held_pre[r]] += 1
        with_post[held_post[r]] += 1
        with_core[held_post[r] // size] += 1
    for k in range(len(order)):
        if left == 0:
            break
        if present[order[k]]:
            continue  # a held place came there
        i, j = order[k] // n_post, order[k] % n_post
        c = j // size
        full_pre, full_post, full_core = room_pre[i] <= 0, room_post[j] <= 0, room_core[c] <= 0
        if (full_pre and with_pre[i] == 0) or (full_post and with_post[j] == 0):
            continue
        if full_core and with_core[c] == 0:
            continue
        taken, of_pre, of_post = find_places(
            held_pre, held_post, left, i, j, full_pre, full_post, full_core, size
        )
        if taken < 0:
            if of_pre < 0 or of_post < 0:
                continue
            a, b = held_pre[of_post], held_post[of_pre]
            if present[a * n_post + b]:
                continue
            present[held_pre[of_pre] * n_post + b] = False
            present[a * n_post + b] = True
            # The place (i, b) becomes (a, b); that of (a, j) is taken.
            held_pre[of_pre] = a
            with_pre[i] -= 1
            with_pre[a] += 1
            room_pre[i] += 1
            room_pre[a] -= 1
            taken = of_post
        p, q = held_pre[taken], held_post[taken]
        with_pre[p] -= 1
        with_post[q] -= 1
        with_core[q // size] -= 1
        room_pre[p] += 1
        room_post[q] += 1
        room_core[q // size] += 1
        room_pre[i] -= 1
        room_post[j] -= 1
        room_core[c] -= 1
        present[p * n_post + q] = False
        present[order[k]] = True
        grown[n] = order[k]
        n += 1
        left -= 1
        held_pre[taken], held_post[taken] = held_pre[left], held_post[left]
    return n
