"""What a recipe leaves to the data: the length of a trial, examples per batch, epochs.

A duration of 0 ms becomes that of the data as they were loaded. A batch of 0 is a share of the
training examples, rounded down to a power of two; epochs of 0 are as many as make `learning.steps`
optimiser steps. Both have bounds: few recordings are not repeated for ever, and of many none is
seen but a few times.
"""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlgenn_delays.recipe.schema import Recipe

BATCHES_AT_LEAST = 64  # per epoch, where the bounds allow it
BATCH = 16, 128  # examples, both powers of two
EPOCHS = 10, 100


def batch_size_for(examples: int) -> int:
    """Return the examples per batch for so many training examples.

    Example:
        >>> from mlgenn_delays.recipe.left_to_data import batch_size_for
        >>> [batch_size_for(examples) for examples in (200, 2400, 100_000)]
        [16, 32, 128]
    """
    return _within(BATCH, 2 ** int(math.log2(max(1, examples / BATCHES_AT_LEAST))))


def batches_of(examples: int, batch_size: int) -> int:
    """Return the batches of an epoch; the last one may be smaller.

    Example:
        >>> from mlgenn_delays.recipe.left_to_data import batches_of
        >>> batches_of(420, 16)
        27
    """
    return -(-examples // batch_size)


def epochs_for(steps: int, examples: int, batch_size: int) -> int:
    """Return the epochs that make at least so many optimiser steps, within the bounds.

    Example:
        >>> from mlgenn_delays.recipe.left_to_data import epochs_for
        >>> epochs_for(1500, examples=2400, batch_size=32)
        20
    """
    return _within(EPOCHS, math.ceil(steps / batches_of(examples, batch_size)))


def fitted(recipe: "Recipe", examples: int, duration: float) -> "Recipe":
    """Return a recipe with the numbers that it leaves to the data.

    Arguments:
        recipe: The recipe; one that gives them all is returned as it is.
        examples: Training examples, at least 1.
        duration: Length of their trials [ms].

    Example:
        >>> from mlgenn_delays.recipe import fitted, load_recipe
        >>> recipe = fitted(load_recipe("words"), examples=2400, duration=640.0)
        >>> recipe.learning.epochs, recipe.learning.batch_size
        (20, 32)
    """
    learning = recipe.learning
    batch_size = learning.batch_size or batch_size_for(examples)
    epochs = learning.epochs or epochs_for(learning.steps, examples, batch_size)
    return _with(recipe, epochs, batch_size, duration)


def fitted_like(recipe: "Recipe", other: "Recipe") -> "Recipe":
    """Return a recipe with the numbers of another for those that it leaves to the data.

    So a run, which holds the numbers used, is compared with the recipe that it was made of.

    Example:
        >>> from mlgenn_delays.recipe import fitted, fitted_like, load_recipe
        >>> words = load_recipe("words")
        >>> run = fitted(words, examples=2400, duration=640.0)
        >>> fitted_like(words, run) == run
        True
    """
    learning = recipe.learning
    return _with(
        recipe,
        learning.epochs or other.learning.epochs,
        learning.batch_size or other.learning.batch_size,
        other.data.options.get("duration", 0.0),
    )


def _with(recipe: "Recipe", epochs: int, batch_size: int, duration: float) -> "Recipe":
    numbers = {"epochs": epochs, "batch_size": batch_size}
    learning, data = recipe.learning.model_copy(update=numbers), recipe.data
    if data.options.get("duration") == 0:
        given = {"dataset": data.dataset} | data.options | {"duration": float(f"{duration:.12g}")}
        data = type(data).model_validate(given)
    return recipe.model_copy(update={"learning": learning, "data": data})


def _within(bounds: tuple[int, int], number: int) -> int:
    return min(max(bounds[0], number), bounds[1])
