"""Laws of blending."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.data.augment.augment import Augment, augment, blending
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.types import CurrentData, SpikeBatch, SpikeData
from mlgenn_delays.errors import InputError
from mlgenn_delays.rng import generator
from tests.data.spike_helpers import CHANNELS, STEPS, check_batch, events_of, spike_data

Spikes = list[tuple[int, int]]
QUICK = settings(max_examples=40, deadline=None)


def make(examples: list[Spikes], labels: list[int]) -> SpikeData:
    """Return a split of the given examples, each of (channel, step) pairs."""
    events = [(np.array([c for c, _ in e]), np.array([t for _, t in e])) for e in examples]
    return spike_data(events, labels)


def random_data(seed: int = 0) -> SpikeData:
    """Return random examples: 1 is silent, 5 is alone in its class, class 3 has none."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 80, 9) * (np.arange(9) != 1)
    examples = [
        list(zip(random.integers(0, CHANNELS, s), random.integers(0, STEPS, s), strict=True))
        for s in sizes
    ]
    return make(examples, [0, 1, 0, 1, 0, 2, 4, 4, 1])


def blend(data: SpikeData, probability: float = 1.0, group: int = 0, **keys: int) -> SpikeBatch:
    """Return all examples of a split, blended."""
    keys = {"seed": 0, "epoch": 0} | keys
    whole = data.batch(np.arange(len(data)))
    return blending(data, Augment(blend=probability, group=group), **keys)(whole)


@QUICK
@given(
    probability=st.sampled_from([0.3, 1.0]),
    group=st.sampled_from([0, 4, 12]),
    seed=st.integers(0, 5),
    epoch=st.integers(0, 3),
)
def test_sorted_in_range_without_repeats(
    probability: float, group: int, seed: int, epoch: int
) -> None:
    data = random_data(seed)
    batch = data.batch(np.arange(9))
    result = blend(data, probability, group, seed=seed, epoch=epoch)
    check_batch(result, batch)


def test_the_blend_of_two_equal_examples_is_one_with_a_quarter_gone() -> None:
    grid = [(c, t) for c in range(CHANNELS) for t in range(STEPS)]
    result = blend(make([grid] * 40, [0] * 40))
    found = [events_of(result, row) for row in range(40)]
    assert all(set(each) < set(grid) for each in found)
    assert sum(map(len, found)) / 40 / len(grid) == pytest.approx(0.75, abs=0.02)
    assert found[0] != found[1]


def test_two_examples_meet_halfway() -> None:
    early = [(c, 4) for c in range(6)]
    late = [(c, 20) for c in range(4, 10)]
    result = blend(make([early, late], [0, 0]), seed=3)
    for row in range(2):
        found = events_of(result, row)
        assert found and set(found) <= {(c, 12) for c in range(2, 8)}


def test_nothing_leaves_its_group() -> None:
    # In groups of 4 the mean channels are 0.6 and 2.4: one goes up by a channel, the other down.
    # Channel 3 has no upper neighbour in its group then, and channel 4 no lower one.
    steps = (3, 4, 6, 7)
    one = [*((0, t) for t in steps), (3, 5)]
    other = [*((3, t) for t in steps), (4, 5)]
    data = make([one, other], [0, 0])
    found = [
        events_of(blend(data, group=4, seed=seed), row) for seed in range(20) for row in (0, 1)
    ]
    assert set(sum(found, [])) == {(c, t) for c in (1, 2) for t in steps}


def test_partners_are_the_others_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    data = random_data()
    asked: list[list[int]] = []
    real = SpikeData.batch
    monkeypatch.setattr(
        SpikeData, "batch", lambda self, index: (asked.append(list(index)), real(self, index))[1]
    )
    seen: dict[int, set[int]] = {index: set() for index in range(9)}
    for epoch in range(40):
        blend(data, epoch=epoch)
        whole, partners = asked
        asked.clear()
        for index, partner in zip((i for i in whole if i != 5), partners, strict=True):
            seen[index].add(partner)
    labels = data.labels
    assert seen == {i: {j for j in range(9) if j != i and labels[j] == labels[i]} for i in range(9)}


def test_an_example_alone_in_its_class_stays() -> None:
    data = random_data()
    result = blend(data)
    assert events_of(result, 5) == events_of(data.batch(np.arange(9)), 5)
    alone = make([[(1, 2)], [(3, 4)]], [0, 2])
    assert blend(alone).time is alone.time


def test_a_silent_example_moves_nothing() -> None:
    spikes = [(c, t) for c in range(3) for t in range(20, STEPS)]
    result = blend(make([[], spikes], [0, 0]))
    for row in range(2):
        assert events_of(result, row) and set(events_of(result, row)) < set(spikes)
    assert not len(blend(make([[], []], [0, 0])).time)


def test_so_many_are_blended() -> None:
    spikes = [[(c, t) for c in range(CHANNELS)] for t in (10, 20)]
    data = make(spikes * 500, [0, 1] * 500)
    result = blend(data, 0.3)
    whole = data.batch(np.arange(1000))
    changed = [events_of(result, row) != events_of(whole, row) for row in range(1000)]
    assert np.mean(changed) == pytest.approx(0.3, abs=0.05)


def test_nothing_to_do_gives_the_same_batch() -> None:
    data = random_data()
    batch = data.batch(np.arange(9))
    for none in (None, Augment(), Augment(shift=3, jitter=1.0)):
        assert blending(data, none, 0, 0)(batch) is batch
    assert Augment(blend=0.0).is_identity and not Augment(blend=0.1).is_identity
    assert augment(batch, Augment(blend=1.0), 1.0, 0, 0) is batch
    empty = data.batch(np.zeros(0, np.int64))
    assert blending(data, Augment(blend=1.0), 0, 0)(empty) is empty


def test_draws_are_in_the_order_they_always_were() -> None:
    # Whether, with whom, the example's spikes, the partner's: another order changes every run.
    spikes = [[(c, t) for c in range(CHANNELS) for t in range(STEPS)]] * 4
    data = make(spikes, [0, 1, 0, 0])
    result = blend(data, 0.7, seed=11, epoch=7)
    grid = spikes[0]
    n_blended = 0
    for index in range(4):
        random = generator(11, "blend", 7, index)
        wanted = random.random() < 0.7 and index != 1
        expected = grid
        if wanted:
            random.integers(2)
            kept = [
                np.unpackbits(
                    np.frombuffer(random.bytes(len(grid) // 8), np.uint8), bitorder="little"
                )
                for _ in range(2)
            ]
            expected = [spike for spike, a, b in zip(grid, *kept, strict=True) if a or b]
            n_blended += 1
        assert events_of(result, index) == expected
    assert n_blended


def test_draws_differ_by_seed_and_epoch() -> None:
    data = random_data()
    results = [blend(data, seed=s, epoch=e) for s, e in ((0, 0), (0, 0), (1, 0), (0, 1))]
    found = [[events_of(result, row) for row in range(9)] for result in results]
    assert found[0] == found[1]
    assert found[0] != found[2] != found[3] != found[0]


def epoch_of(data: SpikeData, size: int, epoch: int = 2, **changes: float) -> list[Spikes]:
    """Return the examples of an epoch's batches, in the order of the split."""
    settings = Augment(blend=0.7, **changes)  # type: ignore[arg-type]
    found = {}
    for batch in epoch_batches(data, size, seed=1, epoch=epoch, augment=settings):
        found |= {int(index): events_of(batch, row) for row, index in enumerate(batch.index)}
    return [found[index] for index in range(len(data))]


@pytest.mark.parametrize("changes", [{}, {"shift": 2, "jitter": 1.0, "drop": 0.1}])
def test_independent_of_batch_layout_and_of_epochs_before(changes: dict[str, float]) -> None:
    data = random_data()
    whole = epoch_of(data, 9, **changes)
    assert whole != [events_of(data.batch(np.arange(9)), row) for row in range(9)]
    for size in (1, 2, 4):
        assert epoch_of(data, size, **changes) == whole
    assert epoch_of(data, 4, epoch=1, **changes) != whole
    assert epoch_of(data, 4, **changes) == whole


def test_independent_of_the_order_of_calls_and_of_threads() -> None:
    data = random_data()
    change = blending(data, Augment(blend=0.7), 1, 2)
    batches = [data.batch(np.array([index])) for index in range(9)]
    expected = [events_of(change(batch), 0) for batch in batches]
    with ThreadPoolExecutor(4) as pool:
        found = [events_of(batch, 0) for batch in pool.map(change, batches[::-1])]
    assert found[::-1] == expected


def test_blends_come_before_all_else() -> None:
    data = random_data()
    others = {"shift": 3, "time_shift": 4.0, "jitter": 1.0, "mask_channels": 3, "group": 4}
    both = Augment(blend=0.7, **others)  # type: ignore[arg-type]
    without = Augment(**others)  # type: ignore[arg-type]
    for batch in epoch_batches(data, 4, seed=1, epoch=2, augment=both):
        blends = blending(data, both, 1, 2)(data.batch(batch.index))
        expected = augment(blends, without, 1.0, 1, 2)
        np.testing.assert_array_equal(batch.start, expected.start)
        np.testing.assert_array_equal(batch.time, expected.time)


def test_what_is_refused() -> None:
    for bad in (-0.1, 1.1, float("nan"), "1"):
        with pytest.raises(InputError, match="blend must be"):
            Augment(blend=bad)  # type: ignore[arg-type]
    values = np.zeros((2, 3, 4), np.float32)
    currents = CurrentData(values, np.zeros(2, np.int64), 1.0, ("a",))
    with pytest.raises(InputError, match="augmentation.blend must be 0 for currents"):
        epoch_batches(currents, 2, seed=0, epoch=0, augment=Augment(blend=0.5))
    with pytest.raises(InputError, match="augmentation.blend must be 0 for currents"):
        blending(currents, Augment(blend=0.5), 0, 0)
    with pytest.raises(InputError, match="group must be a divisor of the 12 channels, got 5"):
        blending(random_data(), Augment(blend=0.5, group=5), 0, 0)
