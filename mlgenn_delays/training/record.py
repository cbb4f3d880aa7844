"""What data a run was trained on: data.safetensors in its folder, a fingerprint per split.

Tensors ``SPLIT/content`` (N,) uint64 and ``SPLIT/labels`` (N,) int64, see
`mlgenn_delays.data.fingerprint`, and ``SPLIT/names``, a list as JSON in UTF-8.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mlgenn_delays.data.fingerprint import Fingerprint, compare, fingerprint
from mlgenn_delays.data.types import Data
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.checkpoint import Checkpoint, Setting
from mlgenn_delays.runs.files import RECORD
from mlgenn_delays.tensors import FileFormat
from mlgenn_delays.training.checks import check_settings
from mlgenn_delays.untrusted import parse_json

_REMEDY = "remove it: the run then does not say which examples it was trained on"
_FORMAT = FileFormat("delaysnn-data", 1, "record of data", "", _REMEDY, foreign=f"; {_REMEDY}")
_PARTS = ("content", "labels", "names")
_NAMES = {"train": "training", "validation": "validation"}


def read_record(run: Path) -> dict[str, Fingerprint]:
    """Return the fingerprints that a run keeps, by split; older runs keep none.

    Arguments:
        run: The run directory.

    Raises:
        InputError: The file is damaged.
    """
    path = run / RECORD
    if not path.exists():
        return {}
    tensors, _ = _FORMAT.read(path)
    with _FORMAT.checked(path):
        splits = dict.fromkeys(name.rpartition("/")[0] for name in tensors)
        return {split: _rebuilt(split, tensors) for split in splits}


def keep_record(run: Path, splits: Mapping[str, Fingerprint]) -> None:
    """Write fingerprints into a run directory, beside those of other splits that are there.

    Arguments:
        run: The run directory.
        splits: Fingerprints by split.

    Raises:
        InputError: The file that is there is damaged.
        WorkError: It cannot be written.
    """
    tensors: dict[str, np.ndarray] = {}
    for split, found in sorted((read_record(run) | dict(splits)).items()):
        names = json.dumps(found.names).encode()
        parts = found.content, found.labels, np.frombuffer(names, np.uint8)
        tensors |= {f"{split}/{part}": a for part, a in zip(_PARTS, parts, strict=True)}
    write_atomic(run / RECORD, _FORMAT.pack(tensors))


def fingerprints(train: Data, validation: Data | None) -> dict[str, Fingerprint]:
    """Return the fingerprints of what a training takes, by split."""
    splits = {"train": train, "validation": validation}
    return {name: fingerprint(data) for name, data in splits.items() if data is not None}


def with_data(
    settings: Mapping[str, Setting], splits: Mapping[str, Fingerprint]
) -> dict[str, Setting]:
    """Return what a checkpoint notes: settings, and of each split what stands for its data."""
    return {**settings, **{_key(split): found.digest for split, found in splits.items()}}


def check_resumed(
    run: Path,
    checkpoint: Checkpoint,
    settings: Mapping[str, Setting],
    splits: Mapping[str, Fingerprint],
) -> None:
    """Reject to resume a training with other settings or other data.

    Arguments:
        run: The run directory.
        checkpoint: Where the training resumes; those of older runs do not tell of data.
        settings: The settings now.
        splits: Fingerprints of the data now, by split.

    Raises:
        InputError: Something differs: the text names it, and examples where the run tells.
    """
    recorded = checkpoint.settings
    # Which examples there are says more than how many.
    check_settings(recorded, {k: v for k, v in settings.items() if not k.endswith(" examples")})
    for split, found in splits.items():
        noted = recorded.get(_key(split))
        if noted is not None and noted != found.digest:
            before = read_record(run).get(split)
            known = before is not None and before.digest == noted
            changes = compare(before, found) if known and before is not None else None
            raise InputError(
                f"resuming needs the {_NAMES[split]} data that the run was started with, got "
                f"{changes or 'others'}; give the same data, or start a new run (with --init to "
                "start from this network)"
            )
    check_settings(recorded, settings)


def _key(split: str) -> str:
    """Return the key in a checkpoint's settings."""
    return f"{_NAMES[split]} data"


def _rebuilt(split: str, tensors: Mapping[str, np.ndarray]) -> Fingerprint:
    """Return the fingerprint of a split, checked."""
    content, labels, names = (tensors[f"{split}/{part}"] for part in _PARTS)
    listed = parse_json(names.astype(np.uint8, casting="equiv").tobytes())
    shape = (len(listed),)
    fine = isinstance(listed, list) and all(isinstance(each, str) for each in listed)
    kinds = content.dtype == np.uint64 and labels.dtype == np.int64
    if not fine or not kinds or content.shape != shape or labels.shape != shape:
        raise ValueError(f"what it says of the split {split!r} does not fit together")
    return Fingerprint(tuple(listed), labels, content)
