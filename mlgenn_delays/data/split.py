"""Splits by label and group, fixed for a data set whatever the seed of the run."""

import warnings
from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from mlgenn_delays.errors import InputError

# The seed of every split: changing it makes results incomparable with earlier ones.
_SPLIT_SEED = 0
_MOST_FOLDS = 20


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


def split_off(
    labels: np.ndarray, shares: Mapping[str, float], groups: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Split examples into training and other parts, always in the same way.

    Arguments:
        labels: (N,) classes; each has its share in every part.
        shares: Share of the N examples for each part, in the order in which they are split off;
            0 for no such part.
        groups: (N,) whose each example is, by any numbers or texts. All of one are in one part,
            so that shares are met as nearly as that allows; None for no groups.

    Returns:
        By part, and as "train" what is left: indices, ascending, int64.

    Raises:
        InputError: There are too few examples or groups for every class to be in every part.
    """
    rest, parts = np.arange(len(labels)), {}
    for name, share in shares.items():
        if not share:
            continue
        size = max(1, round(share * len(labels)))
        try:
            if groups is None:
                kept, part = stratified(labels[rest], size)
            else:
                kept, part = _grouped(labels[rest], groups[rest], size)
        except InputError as error:
            raise InputError(
                f"{name}: {error}, or set data.{name} to another share or 0"
            ) from error
        parts[name], rest = rest[part], rest[kept]
    return {"train": rest, **parts}


def _grouped(labels: np.ndarray, groups: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Split off about as many examples as said, whole groups of them."""
    from sklearn.model_selection import StratifiedGroupKFold

    codes = np.unique(groups, return_inverse=True)[1].ravel()
    n_groups = int(codes.max()) + 1
    most = min(n_groups, _MOST_FOLDS, int(np.unique(labels, return_counts=True)[1].max()))
    if most < 2:
        raise InputError(f"cannot split examples of {n_groups} group; give examples of others")
    share = Fraction(size, len(labels)).limit_denominator(most)
    n_folds = share.denominator if 0 < share < 1 else most
    n_part = min(max(share.numerator, 1), n_folds - 1)
    folds = StratifiedGroupKFold(n_folds, shuffle=True, random_state=_SPLIT_SEED)
    with warnings.catch_warnings():
        # Classes of few examples: whether they are on both sides is seen below.
        warnings.simplefilter("ignore", UserWarning)
        found = [part for _, part in folds.split(labels, labels, codes)]
    # Folds differ in size and in classes: of all neighbours, those that suit best.
    choices = [np.concatenate((found * 2)[first : first + n_part]) for first in range(n_folds)]
    fitting = [part for part in choices if _has_every_class(labels, part)]
    if not fitting:
        raise InputError(
            f"cannot split about {size} of {len(labels)} examples off so that none of {n_groups} "
            "groups is on both sides and every class is; give more examples of more groups"
        )
    part = np.sort(min(fitting, key=lambda each: abs(len(each) - size)))
    return np.setdiff1d(np.arange(len(labels)), part), part


def _has_every_class(labels: np.ndarray, part: np.ndarray) -> bool:
    """Return whether every class is both in a part and outside of it."""
    inside = np.bincount(labels[part], minlength=labels.max() + 1)
    every = np.bincount(labels)
    return bool(((inside > 0) & (inside < every) | (every == 0)).all())
