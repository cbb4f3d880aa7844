"""A baseline for recordings: multinomial logistic regression on pooled mel frames.

A recording is cut to a trial and its mel frames to `SEGMENTS` parts of equal length; the mean and
standard deviation of each band in each part are its features, standardised over the training
recordings. The strength of the L2 penalty is the best of `STRENGTHS` in a cross-validation within
the training split, by speakers where these are known. Other splits are measured only.

The classifier is scikit-learn's ``LogisticRegression`` (https://scikit-learn.org).
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.cache import cache_key, cached_arrays, files_hash
from mlgenn_delays.data.dataset import Recordings
from mlgenn_delays.data.encode.audio import read_bytes
from mlgenn_delays.data.encode.base import ENCODER_VERSION
from mlgenn_delays.data.encode.mel import MelSettings
from mlgenn_delays.data.encode.recordings import read_frames
from mlgenn_delays.data.losses import percent
from mlgenn_delays.data.registry import dataset, parse_options
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import one_blas_thread
from mlgenn_delays.rng import generator

SEGMENTS = 4
STRENGTHS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)  # scikit-learn's C: the lesser, the stronger the penalty
MOST_TRAINED_ON = 10_000  # recordings, so that it takes no minutes; of more, as many are drawn
_FOLDS = 3
_ITERATIONS = 300
_VERSION = 1  # raise it when results change, so that caches are left


@dataclass(frozen=True)
class Baseline:
    """What logistic regression reaches on the recordings that a network learns from.

    Attributes:
        accuracy: Share of each split but "train" that is classified correctly.
        examples: Recordings that it was trained on.
        strength: The strength C of the penalty that was chosen.

    Example:
        >>> from mlgenn_delays.data import Baseline
        >>> print(Baseline({"validation": 0.9, "test": 0.852}, 391, 0.01))
        90.0 % of validation, 85.2 % of test (logistic regression on pooled mel frames)
    """

    accuracy: dict[str, float]
    examples: int
    strength: float

    def __str__(self) -> str:
        parts = [f"{percent(share)} of {split}" for split, share in self.accuracy.items()]
        return f"{', '.join(parts)} (logistic regression on pooled mel frames)"


def check_has_baseline(name: str) -> None:
    """Reject a data set that does not consist of recordings."""
    if dataset(name).recordings is None:
        raise InputError(
            f"a baseline must be of recordings, such as those of dataset 'folder', got {name!r}; "
            "leave it out"
        )


def measure_baseline(
    name: str,
    folder: Path | str,
    options: Mapping[str, Any] | None = None,
    *,
    dt: float = 1.0,
    cache: bool = True,
) -> Baseline | None:
    """Return what logistic regression on pooled mel frames reaches.

    Arguments:
        name: Name of a data set of recordings.
        folder: Folder of the data.
        options: The ``[data]`` table of a recipe without ``dataset``.
        dt: Length of a step [ms].
        cache: Whether to use the user's cache folder.

    Returns:
        The baseline; None where there are not two classes to train on and examples to measure on.

    Raises:
        InputError: The data are no recordings, or cannot be read.

    Example:
        >>> from mlgenn_delays.data import measure_baseline
        >>> sorted(measure_baseline("fsdd", "recordings").accuracy)
        ['test', 'validation']
    """
    check_has_baseline(name)
    parsed = parse_options(name, options)
    listing = dataset(name).recordings
    assert listing is not None
    found = listing(Path(folder), parsed, dt)
    train = _trained_on(found.rows)
    measured = {split: rows for split, rows in found.rows.items() if split != "train"}
    if len(np.unique(found.labels[train])) < 2 or not measured:
        return None
    key = ""
    if cache:
        files = files_hash((str(path), read_bytes(path)) for path in found.paths)
        listed = [found.labels.tolist(), found.groups and list(found.groups)]
        rows = {split: some.tolist() for split, some in found.rows.items()}
        key = cache_key(
            "baseline", files=files, mel=asdict(parsed.mel), trial=[found.n_steps, dt],
            listed=listed, rows=rows, version=[ENCODER_VERSION, _VERSION],
        )  # fmt: skip
    compute = partial(_compute, found, train, measured, parsed.mel, found.n_steps * dt)
    arrays = cached_arrays(key, ["accuracy", "strength"], compute, cache=cache)
    accuracy = dict(zip(measured, arrays["accuracy"].tolist(), strict=True))
    return Baseline(accuracy, len(train), float(arrays["strength"][0]))


def _trained_on(rows: Mapping[str, np.ndarray]) -> np.ndarray:
    train = rows.get("train", np.zeros(0, np.int64))
    if len(train) <= MOST_TRAINED_ON:
        return train
    return np.sort(generator(0, "baseline").choice(train, MOST_TRAINED_ON, replace=False))


def _compute(
    found: Recordings,
    train: np.ndarray,
    measured: Mapping[str, np.ndarray],
    mel: MelSettings,
    trial: float,
) -> dict[str, np.ndarray]:
    needed = np.concatenate([train, *measured.values()])
    pooled = pooled_frames([found.paths[row] for row in needed.tolist()], mel, trial)
    features = dict(zip(needed.tolist(), pooled, strict=True))

    def of(rows: np.ndarray) -> np.ndarray:
        return np.stack([features[row] for row in rows.tolist()])

    groups = None if found.groups is None else [found.groups[row] for row in train.tolist()]
    x, labels = of(train), found.labels[train]
    with one_blas_thread():
        strength = _choose_strength(x, labels, groups)
        classify = _fitted(x, labels, strength)
        shares = [(classify(of(rows)) == found.labels[rows]).mean() for rows in measured.values()]
    return {"accuracy": np.array(shares, np.float64), "strength": np.array([strength])}


def pooled_frames(paths: Sequence[Path], mel: MelSettings, trial: float) -> np.ndarray:
    """Return the features of recordings, (N, 2 * SEGMENTS * n_bands), of trials of so many ms."""
    kept = max(1, int(np.ceil(trial / mel.hop)))
    return np.stack(read_frames(paths, mel, lambda frames: _pool(frames[:kept])))


def _pool(frames: np.ndarray) -> np.ndarray:
    """Return mean and standard deviation of each band in each segment of frames (F, B)."""
    n = len(frames)
    first = np.arange(SEGMENTS) * n // SEGMENTS
    end = np.maximum(first + 1, -(-np.arange(1, SEGMENTS + 1) * n // SEGMENTS))
    parts = [frames[a:b] for a, b in zip(first.tolist(), end.tolist(), strict=True)]
    return np.concatenate([f(each, axis=0) for each in parts for f in (np.mean, np.std)])


def _choose_strength(x: np.ndarray, labels: np.ndarray, groups: Sequence[str] | None) -> float:
    """Return the strength of the best cross-validation; of equals, the strongest penalty."""
    n_groups, code = len(labels), np.arange(len(labels))
    if groups is not None and len(set(groups)) > 1:
        known, code = np.unique(np.array(groups), return_inverse=True)
        n_groups = len(known)
    fold = (generator(0, "baseline folds").permutation(n_groups) % _FOLDS)[code]
    correct = np.zeros(len(STRENGTHS), np.int64)
    for number in np.unique(fold):
        held = fold == number
        if len(np.unique(labels[~held])) < 2:
            continue
        for k, strength in enumerate(STRENGTHS):
            found = _fitted(x[~held], labels[~held], strength)(x[held])
            correct[k] += (found == labels[held]).sum()
    return STRENGTHS[int(correct.argmax())]


def _fitted(x: np.ndarray, labels: np.ndarray, strength: float) -> Any:
    """Return the function from features to labels."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=_ITERATIONS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # as good as it gets in that time
        model.fit(x.astype(np.float64), labels)
    return model.predict
