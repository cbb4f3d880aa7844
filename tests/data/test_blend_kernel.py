"""The kernel of blending against a twin in plain loops, and where the centres go."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.augment.blend_kernel import blend_pair

Channels = list[list[int]]
Example = tuple[np.ndarray, np.ndarray, np.ndarray]


def centre(channels: Channels, group: int) -> tuple[float, float] | None:
    """Return the mean channel within its group and the mean step of an example, if it spikes."""
    spikes = [(c % group, step) for c, steps in enumerate(channels) for step in steps]
    if not spikes:
        return None
    return sum(c for c, _ in spikes) / len(spikes), sum(t for _, t in spikes) / len(spikes)


def blended(
    pair: tuple[Channels, Channels], kept: tuple[list[bool], list[bool]], group: int, n_steps: int
) -> Channels:
    """Return the steps of each channel of a blend, as the documentation has them."""
    first, second = centre(pair[0], group), centre(pair[1], group)
    moves = [[0, 0], [0, 0]]
    if first is not None and second is not None:
        for axis in (0, 1):
            between = second[axis] - first[axis]
            moves[0][axis] = math.floor(between / 2 + 0.5)
            moves[1][axis] = moves[0][axis] - math.floor(between + 0.5)
    found: list[set[int]] = [set() for _ in pair[0]]
    for channels, keeps, (up, late) in zip(pair, kept, moves, strict=True):
        spikes = [(c, step) for c, steps in enumerate(channels) for step in steps]
        for (c, step), keep in zip(spikes, keeps, strict=True):
            inside = 0 <= c + up < len(channels) and (c + up) // group == c // group
            if keep and inside and 0 <= step + late < n_steps:
                found[c + up].add(step + late)
    return [sorted(steps) for steps in found]


def example(channels: Channels, kept: list[bool], before: int) -> Example:
    """Return an example as the kernel takes it, behind others of its batch."""
    start = before + np.cumsum([0, *map(len, channels)])
    time = np.array([7] * before + sum(channels, []), np.int32)
    bits = np.packbits(np.array(kept, np.bool_), bitorder="little")
    return start, time, bits


def run(one: Example, other: Example, group: int, n_steps: int, used: int = 0) -> Channels:
    """Return the steps of each channel of the kernel's blend, written behind others."""
    n_channels = len(one[0]) - 1
    start = np.full(n_channels + 1, -1, np.int64)
    time = np.full(used + len(one[1]) + len(other[1]), -1, np.int32)
    scratch = np.empty((2, n_steps), np.int32)
    end = blend_pair(one, other, group, n_steps, scratch, start, time, used)
    assert start[0] == used and start[-1] == end and (time[:used] == -1).all()
    return [time[a:b].tolist() for a, b in zip(start[:-1], start[1:], strict=True)]


def examples(n_channels: int, n_steps: int) -> st.SearchStrategy[Channels]:
    """Return examples; some are silent and some busy in few channels, so that centres differ."""
    steps = st.sets(st.integers(0, n_steps - 1), max_size=8).map(sorted)
    busy = st.lists(steps, min_size=n_channels, max_size=n_channels)
    few = st.dictionaries(st.integers(0, n_channels - 1), steps, max_size=3)
    return busy | few.map(lambda found: [found.get(c, []) for c in range(n_channels)])


def flags(data: st.DataObject, channels: Channels) -> list[bool]:
    """Draw whether each spike stays."""
    size = sum(map(len, channels))
    return data.draw(st.lists(st.booleans(), min_size=size, max_size=size))


@settings(max_examples=120, deadline=None)
@given(data=st.data(), n_steps=st.integers(1, 40), n_channels=st.sampled_from([1, 4, 12]))
def test_pairs_blend_as_documented(data: st.DataObject, n_steps: int, n_channels: int) -> None:
    group = data.draw(st.sampled_from([g for g in (1, 2, 4, 12) if n_channels % g == 0]))
    one, other = (data.draw(examples(n_channels, n_steps)) for _ in range(2))
    kept = flags(data, one), flags(data, other)
    before, behind, used = (data.draw(st.integers(0, 3)) for _ in range(3))
    found = run(
        example(one, kept[0], before), example(other, kept[1], behind), group, n_steps, used
    )
    assert found == blended((one, other), kept, group, n_steps)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_centres_meet_halfway(data: st.DataObject) -> None:
    # In the middle of channels and steps, so that nothing leaves.
    n_channels, n_steps, silent = 30, 60, [[] for _ in range(10)]
    spikes = examples(10, 20).filter(lambda e: sum(map(len, e)) > 0)
    pair = [
        silent + [[20 + step for step in steps] for steps in data.draw(spikes)] + silent
        for _ in range(2)
    ]
    everything, nothing = ([[keep] * sum(map(len, e)) for e in pair] for keep in (True, False))
    before, after = [centre(each, n_channels) for each in pair], []
    for kept in ((everything[0], nothing[1]), (nothing[0], everything[1])):
        one, other = (example(e, k, 0) for e, k in zip(pair, kept, strict=True))
        after.append(centre(run(one, other, n_channels, n_steps), n_channels))
    for axis in (0, 1):
        middle = (before[0][axis] + before[1][axis]) / 2
        assert abs(after[0][axis] - after[1][axis]) <= 0.5 + 1e-9
        assert abs(after[0][axis] - middle) <= 0.5 + 1e-9
        assert abs(after[1][axis] - middle) <= 1.0 + 1e-9
