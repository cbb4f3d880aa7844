"""Dropout masks against NumPy's generators."""

import numpy as np
import pytest

from mlgenn_delays.engines.shared.dropout import draw_masks, words_of
from mlgenn_delays.errors import InputError

CHANCE = {(5, 25): 0.4, (30, 60): 0.1}


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 2**70 + 1])
def test_masks_are_those_of_the_generator_of_each_example(seed: int) -> None:
    index = np.concatenate([np.random.default_rng(0).integers(0, 2**31, 20), [0, 2**32 + 5]])
    scale = np.ones((len(index), 64), np.float32)
    begin, end = np.array(list(CHANCE)).T.copy()
    words = words_of(seed, 0x89ABCDEF, 3)
    draw_masks(words, index, begin, end, np.array(list(CHANCE.values())), scale, 1, len(index))
    np.testing.assert_array_equal(scale[0], 1.0)
    for own, key in zip(scale[1:], index[1:], strict=True):
        sequence = np.random.SeedSequence([seed, 0x89ABCDEF, 3, int(key)])
        rng, wanted = np.random.Generator(np.random.PCG64(sequence)), np.ones(64, np.float32)
        for (low, high), chance in CHANCE.items():
            wanted[low:high] = (rng.random(high - low) >= chance) / (1.0 - chance)
        np.testing.assert_array_equal(own, wanted)


def test_words_are_those_that_numpy_makes_of_whole_numbers() -> None:
    keys = [7, 2**40 + 3, 0, 2**64 + 1]
    own = np.random.SeedSequence(words_of(*keys)).generate_state(4)
    np.testing.assert_array_equal(own, np.random.SeedSequence(keys).generate_state(4))


def test_keys_that_have_no_words() -> None:
    with pytest.raises(InputError, match="seed must be at least 0, got -1"):
        words_of(3, -1)
