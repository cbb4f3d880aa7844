"""How many examples a batch has and how many epochs a training, where only the data can say.

A batch of 0 is a share of the training examples, rounded down to a power of two; epochs of 0 are as
many as make `learning.steps` optimiser steps. Both have bounds: few recordings are not repeated for
ever, and of many none is seen but a few times.
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
        >>> from mlgenn_delays.recipe.training_length import batch_size_for
        >>> [batch_size_for(examples) for examples in (200, 2400, 100_000)]
        [16, 32, 128]
    """
    return _within(BATCH, 2 ** int(math.log2(max(1, examples / BATCHES_AT_LEAST))))


def epochs_for(steps: int, examples: int, batch_size: int) -> int:
    """Return the epochs that make at least so many optimiser steps, within the bounds.

    Example:
        >>> from mlgenn_delays.recipe.training_length import epochs_for
        >>> epochs_for(1500, examples=2400, batch_size=32)
        20
    """
    return _within(EPOCHS, math.ceil(steps / math.ceil(examples / batch_size)))


def fitted(recipe: "Recipe", examples: int) -> "Recipe":
    """Return a recipe with the epochs and batch size that it leaves to the data.

    Arguments:
        recipe: The recipe; one that gives both numbers is returned as it is.
        examples: Training examples, at least 1.

    Example:
        >>> from mlgenn_delays.recipe import fitted, load_recipe
        >>> learning = fitted(load_recipe("words"), examples=2400).learning
        >>> learning.epochs, learning.batch_size
        (20, 32)
    """
    learning = recipe.learning
    batch_size = learning.batch_size or batch_size_for(examples)
    epochs = learning.epochs or epochs_for(learning.steps, examples, batch_size)
    return _with(recipe, epochs, batch_size)


def fitted_like(recipe: "Recipe", other: "Recipe") -> "Recipe":
    """Return a recipe with the numbers of another for those that it leaves to the data.

    So a run, which holds the numbers used, is compared with the recipe that it was made of.
    """
    learning = recipe.learning
    return _with(
        recipe,
        learning.epochs or other.learning.epochs,
        learning.batch_size or other.learning.batch_size,
    )


def _with(recipe: "Recipe", epochs: int, batch_size: int) -> "Recipe":
    numbers = {"epochs": epochs, "batch_size": batch_size}
    return recipe.model_copy(update={"learning": recipe.learning.model_copy(update=numbers)})


def _within(bounds: tuple[int, int], number: int) -> int:
    return min(max(bounds[0], number), bounds[1])
