"""Splits that are fixed for a data set, whatever the seed of the run.

Published sets are split by numbers (`stratified`): the same files give the same parts. Data of
your own grow, so their examples are assigned one by one (`split_off`, `rows_by_split`).
"""

import unicodedata
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from mlgenn_delays.data.dataset import SPLITS
from mlgenn_delays.errors import InputError

# The seed of every split: changing it makes results incomparable with earlier ones.
_SPLIT_SEED = 0
# What a folder or file of a split may be called.
NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "val"),
    "test": ("test",),
}


def stratified(labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Split off a part of `size` examples in which every label has its share.

    Labels (N,) are classes, or classes and speakers as one number. Returned are the indices of the
    rest and of the part, both ascending.
    """
    _, code, counts = np.unique(labels, return_inverse=True, return_counts=True)
    kept = len(labels) - size
    if counts.min(initial=2) < 2 or min(kept, size) < max(1, len(counts)):
        raise InputError(
            f"cannot split {size} of {len(labels)} examples by label: each part needs one of each "
            f"of {len(counts)} labels; give more examples of each label"
        )
    # As scikit-learn's train_test_split with random_state=0 does it, whose import takes long.
    rng = np.random.RandomState(_SPLIT_SEED)
    n_rest = _shares(counts, kept, rng)
    n_part = _shares(counts - n_rest, size, rng)
    rest, part = [], []
    for own, first, n in zip(
        np.split(np.argsort(code, kind="stable"), np.cumsum(counts)[:-1]), n_rest, n_part,
        strict=True,
    ):  # fmt: skip
        own = own[rng.permutation(len(own))]
        rest.append(own[:first])
        part.append(own[first : first + n])
    return np.sort(np.concatenate(rest)), np.sort(np.concatenate(part))


def _shares(counts: np.ndarray, n: int, rng: np.random.RandomState) -> np.ndarray:
    """Return how many of n draws each class gets: the most likely numbers, ties drawn."""
    exact = counts / counts.sum() * n
    out = np.floor(exact)
    left, rest = int(n - out.sum()), exact - out
    for value in np.unique(rest)[::-1]:
        if left <= 0:
            break
        tied = np.flatnonzero(rest == value)
        chosen = rng.choice(tied, size=min(len(tied), left), replace=False)
        out[chosen] += 1
        left -= len(chosen)
    return out.astype(np.int64)


def split_validation(strata: np.ndarray, share: float, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Split off a share of the training examples, see `stratified`; errors begin with `where`."""
    try:
        return stratified(strata, max(1, round(share * len(strata))))
    except InputError as error:
        raise InputError(
            f"{where}: {error}, or set data.validation to another share or 0"
        ) from error


def split_off(
    labels: np.ndarray,
    shares: Mapping[str, float],
    names: Sequence[str],
    groups: Sequence[str] | None = None,
    label_names: Sequence[str] = (),
) -> dict[str, np.ndarray]:
    """Assign each example to training or another part by a hash of its name or group.

    The hash is a number from 0 to 1; the parts take intervals of it as long as their shares, in
    their order, and training takes the rest, as in Speech Commands (Warden 2018,
    https://arxiv.org/abs/1804.03209). So an example stays where it is when others are added.
    Where a class has no example in a part, its example with the smallest hash that is left goes
    there; when examples are added it may go back to training, but none that was trained on comes
    to a part by that. Only a class without any example to train on takes one back from a part.

    All examples of a group are in one part. Indices are returned by part, and as "train" what is
    left, ascending; classes with too few examples or groups are an error.
    """
    parts = [name for name, share in shares.items() if share]
    if not parts:
        return {"train": np.arange(len(labels))}
    known, code = np.unique(np.array(names if groups is None else groups), return_inverse=True)
    place = np.array([_place(str(each)) for each in known])
    bounds = np.cumsum([shares[name] for name in parts])
    part = np.searchsorted(bounds, place, side="right")
    classes = [np.unique(code[labels == label]) for label in np.unique(labels)]
    members = [each[np.lexsort((each, place[each]))] for each in classes]
    for number in range(len(parts) + 1):
        for each in members:
            _fill(part, each, number, last=len(parts))
    every = [*parts, "train"]
    for label, each in zip(np.unique(labels), members, strict=True):
        if len(np.unique(part[each])) < len(every):
            called = repr(label_names[label]) if label_names else label
            what = ("example" if groups is None else "group") + "s" * (len(each) != 1)
            raise InputError(
                f"cannot split {len(each)} {what} of class {called} so that each of "
                f"{', '.join(['train', *parts])} has some; give more of them, or set "
                f"{' or '.join(f'data.{name}' for name in parts)} to 0"
            )
    return {name: np.flatnonzero(part[code] == number) for number, name in enumerate(every)}


def _place(name: str) -> float:
    """Return a number from 0 to 1 that a name alone decides, however it is composed."""
    text = f"{_SPLIT_SEED} {unicodedata.normalize('NFC', name)}"
    digest = blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _fill(part: np.ndarray, members: np.ndarray, number: int, *, last: int) -> None:
    """Give a part one of a class's examples or groups if it has none of them.

    `part` (M,) is changed in place; `members` are those of the class, by ascending hash, and
    `last` is the number of training.
    """
    own = part[members]
    if (own == number).any():
        return
    later = members[own > number]
    # A part gives up its last example of a class to none.
    earlier = [n for n in range(number) if (own == n).sum() > 1]
    if len(later):
        part[later[0]] = number
    elif earlier:
        part[members[own == earlier[-1]][-1]] = number


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
    """Return which examples are in which split, without splits that have none.

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


def rows_of_part(
    part: str,
    labels: np.ndarray,
    *,
    where: str,
    names: Sequence[str],
    parts: Collection[str],
    divided: bool,
    options: Any,
    groups: Sequence[str] | None,
    label_names: Sequence[str],
) -> dict[str, np.ndarray]:
    """Return which examples of a file or other part are in which split, see `rows_by_split`.

    The `parts` that there are stay as they are, but for training where validation is missing:
    `options` have the shares of it that go to others. Errors begin with `where`.
    """
    if part != "train" or "validation" in parts:
        return {part: np.arange(len(labels))}
    try:
        return rows_by_split(
            np.full(len(labels), "train"),
            labels,
            names=names,
            divided=divided,
            validation=options.validation,
            test=options.test,
            groups=groups,
            label_names=label_names,
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
