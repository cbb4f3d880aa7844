"""How the parts of data that users bring are called, and which examples are in which."""

from collections.abc import Mapping, Sequence

import numpy as np

from mlgenn_delays.data.split import split_off

SPLITS = ("train", "validation", "test")
# What a folder or file of a split may be called.
NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}


def split_of(name: str) -> str | None:
    """Return the split that a folder or file is called after, None if it is none."""
    return next((split for split, names in NAMES.items() if name in names), None)


def rows_by_split(
    given: np.ndarray,
    labels: np.ndarray,
    *,
    names: Sequence[str],
    divided: bool,
    validation: float,
    test: float,
    groups: Sequence[str] | None = None,
    label_names: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Return which examples are in which split.

    A split that the data give is taken as it is. Where they give none, both others are split off
    from training (see `split_off`), else only validation is, if it is missing: a test split that
    was brought apart from the rest is nothing to invent.

    Arguments:
        given: (N,) name of the split of each example, "train" where the data do not say.
        labels: (N,) classes.
        names: What each example is called.
        divided: Whether the data give splits at all.
        validation: About which share of the examples that are split is for validation.
        test: About which share of them is for testing.
        groups: See `split_off`.
        label_names: See `split_off`.

    Returns:
        Indices by split, splits without any left out.

    Raises:
        InputError: A class has too few examples or groups to be in every split.
    """
    found = {split: np.flatnonzero(given == split) for split in SPLITS}
    shares: Mapping[str, float] = {"test": test, "validation": validation}
    if divided:
        shares = {} if len(found["validation"]) else {"validation": validation}
    train = found["train"]
    if len(train):
        parts = split_off(
            labels[train],
            shares,
            [names[row] for row in train.tolist()],
            None if groups is None else [groups[row] for row in train.tolist()],
            label_names,
        )
        found |= {split: train[rows] for split, rows in parts.items()}
    return {split: found[split] for split in SPLITS if len(found[split])}
