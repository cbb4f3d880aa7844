"""Growth within limits, in plain loops; every count is made anew from the list of synapses."""


def fits(pairs, room_pre, room_post, room_core, size) -> bool:
    """Whether pairs (i, j) keep the room of every source, target and core of `size` targets."""
    pre, post, core = [0] * len(room_pre), [0] * len(room_post), [0] * len(room_core)
    for i, j in pairs:
        pre[i] += 1
        post[j] += 1
        core[j // size] += 1
    return all(
        has <= most
        for counts, rooms in ((pre, room_pre), (post, room_post), (core, room_core))
        for has, most in zip(counts, rooms, strict=True)
    )


def grow(order, kept, held, rooms) -> tuple[list, list]:
    """The pairs that grow, and the places that stay held.

    `order` are absent pairs, the best first, `kept` the synapses that stay, `held` the places of
    those that went. A pair takes the last held place without which it fits. If there is none, the
    first place that gives room to its source alone and the first that gives it to its target alone
    may become the pair and a held place of the other source and the other target.
    """
    grown, held = [], list(held)
    for pair in order:
        if not held:
            break
        if pair in kept or pair in grown or pair in held:
            continue
        now = [*kept, *grown, *held]
        taken = None
        for place in reversed(held):
            if fits([*(p for p in now if p != place), pair], *rooms):
                taken = place
                break
        if taken is None:
            one = first_giving(pair, now, held, rooms, 0)
            two = first_giving(pair, now, held, rooms, 1)
            if one is None or two is None:
                continue
            swapped = (two[0], one[1])
            if swapped in now:
                continue
            held[held.index(one)] = swapped
            taken = two
        at = held.index(taken)
        held[at] = held[-1]
        held.pop()
        grown.append(pair)
    return grown, held


def first_giving(pair, now, held, rooms, side) -> tuple | None:
    """The first held place that gives room to the source (side 0) or target (1) of a pair."""
    room_pre, room_post, room_core, size = rooms
    wide_pre, wide_post = [len(now) + 1] * len(room_pre), [len(now) + 1] * len(room_post)
    wide_core = [len(now) + 1] * len(room_core)
    alone = (
        (room_pre, wide_post, wide_core, size)
        if side == 0
        else (wide_pre, room_post, room_core, size)
    )
    for place in held:
        if fits([*(p for p in now if p != place), pair], *alone):
            return place
    return None
