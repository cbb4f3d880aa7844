"""Splits by label, fixed for a data set whatever the seed of the run."""

import numpy as np

from mlgenn_delays.errors import InputError

# The seed of every split: changing it makes results incomparable with earlier ones.
_SPLIT_SEED = 0


def stratified(labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Split off a part in which every label has its share.

    Arguments:
        labels: (N,) what to stratify by: classes, or classes and speakers as one number.
        size: Number of examples of the part.

    Returns:
        Indices of the rest (N - size,) and of the part (size,), both ascending, int64.

    Raises:
        InputError: There are too few examples for every label to be on both sides.
    """
    from sklearn.model_selection import train_test_split

    try:
        rest, part = train_test_split(
            np.arange(len(labels)), test_size=size, stratify=labels, random_state=_SPLIT_SEED
        )
    except ValueError as error:
        raise InputError(
            f"cannot split {size} of {len(labels)} examples by label: {error}; "
            "give more examples of each label"
        ) from error
    return np.sort(rest), np.sort(part)
