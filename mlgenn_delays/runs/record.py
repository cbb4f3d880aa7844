"""What data a run was trained on: data.safetensors in its folder, a fingerprint per split.

Tensors ``SPLIT/content`` (N,) uint64 and ``SPLIT/labels`` (N,) int64, see `Fingerprint`, and
``SPLIT/names``, a list as JSON in UTF-8.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch, Data
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.runs.checkpoint import Checkpoint, Setting
from mlgenn_delays.runs.files import RECORD
from mlgenn_delays.tensors import FileFormat
from mlgenn_delays.untrusted import parse_json

_AT_ONCE = 64  # examples read at once
_NAMED = 3


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What a split of N examples holds.

    Attributes:
        names: Name of each example, or its number where it has none.
        labels: (N,) int64, its class, or a hash of its target series.
        content: (N,) uint64, a hash of its spikes or currents; 0 if it has none.
    """

    names: tuple[str, ...]
    labels: np.ndarray
    content: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def digest(self) -> str:
        """A hash of contents and labels in their order, which is what training depends on."""
        total = blake2b(digest_size=16)
        for array in (self.content.astype("<u8"), self.labels.astype("<i8")):
            total.update(array.tobytes())
        return total.hexdigest()

    def trained_on(self, train: "Fingerprint", others: Sequence["Fingerprint"]) -> np.ndarray:
        """Which examples (n,) were trained on: those with the content of a training one.

        Examples without spikes or currents are none of them, nor are those that the other splits
        had already: data may hold the same twice.
        """
        held_out = {
            key for each in others for key in zip(each.names, each.content.tolist(), strict=True)
        }
        equal = np.flatnonzero(np.isin(self.content, train.content) & (self.content != 0))
        return np.array(
            [row for row in equal if (self.names[row], int(self.content[row])) not in held_out],
            np.int64,
        )


@dataclass(frozen=True)
class Changes:
    """How a split differs from what it was: names of examples, by what happened to them."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    reordered: bool = False

    def __bool__(self) -> bool:
        return bool(self.new or self.gone or self.changed or self.reordered)

    def __str__(self) -> str:
        parts = [
            f"{len(names)} {what} ({some(names)})"
            for what in ("new", "gone", "changed")
            if (names := getattr(self, what))
        ]
        return ", ".join(parts) or ("another order" if self.reordered else "no change")


def fingerprint(data: Data) -> Fingerprint:
    """The fingerprint of a split; spikes on disk give that of the same ones in memory."""
    n = len(data)
    content = np.zeros(n, np.uint64)
    for first in range(0, n, _AT_ONCE):
        rows = np.arange(first, min(first + _AT_ONCE, n))
        content[rows] = _hashes(data.batch(rows))
    names = tuple(data.names) if data.names else tuple(map(str, range(n)))
    labels = np.asarray(data.labels, np.int64)
    if data.targets is not None:
        hashes = [_hash([series.tobytes()]) for series in data.targets]
        labels = np.array(hashes, np.uint64).view(np.int64)
    return Fingerprint(names, labels, content)


def joined(parts: Sequence[Fingerprint]) -> Fingerprint:
    """The fingerprint of several splits as one; at least one."""
    return Fingerprint(
        tuple(name for part in parts for name in part.names),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.content for part in parts]),
    )


def compare(old: Fingerprint, new: Fingerprint) -> Changes:
    """How a split differs from what it was; examples are told apart by name."""
    before, now = _by_name(old), _by_name(new)
    return Changes(
        tuple(name for name, number in now if (name, number) not in before),
        tuple(name for name, number in before if (name, number) not in now),
        tuple(key[0] for key, held in now.items() if before.get(key, held) != held),
        reordered=old.digest != new.digest,
    )


def some(names: Sequence[str]) -> str:
    """At most three names in words."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _by_name(found: Fingerprint) -> dict[tuple[str, int], tuple[int, int]]:
    """Content and label by name, and by number where several have the same name."""
    seen: Counter[str] = Counter()
    by_name = {}
    for name, content, label in zip(
        found.names, found.content.tolist(), found.labels.tolist(), strict=True
    ):
        by_name[name, seen[name]] = content, label
        seen[name] += 1
    return by_name


def _hashes(batch: Batch) -> list[int]:
    """A hash of each example of a batch, 0 for one without spikes or currents."""
    if isinstance(batch, CurrentBatch):
        return [_hash([str(v.shape).encode(), v.tobytes()]) if v.any() else 0 for v in batch.values]
    found = []
    for start in batch.start:
        time = batch.time[start[0] : start[-1]].astype("<i4")
        counts = np.diff(start).astype("<i4")
        found.append(_hash([counts.tobytes(), time.tobytes()]) if len(time) else 0)
    return found


def _hash(parts: Sequence[bytes]) -> int:
    total = blake2b(digest_size=8)
    for part in parts:
        total.update(part)
    return int.from_bytes(total.digest(), "little") or 1


_REMEDY = "remove it: the run then does not say which examples it was trained on"
_FORMAT = FileFormat("delaysnn-data", 1, "record of data", "", _REMEDY, foreign=f"; {_REMEDY}")
_PARTS = ("content", "labels", "names")
_NAMES = {"train": "training", "validation": "validation"}


def read_record(run: Path) -> dict[str, Fingerprint]:
    """The fingerprints that a run keeps, by split; older runs keep none."""
    path = run / RECORD
    if not path.exists():
        return {}
    tensors, _ = _FORMAT.read(path)
    with _FORMAT.checked(path):
        splits = dict.fromkeys(name.rpartition("/")[0] for name in tensors)
        return {split: _rebuilt(split, tensors) for split in splits}


def keep_record(run: Path, splits: Mapping[str, Fingerprint]) -> None:
    """Write fingerprints into a run directory, beside those of other splits that are there."""
    tensors: dict[str, np.ndarray] = {}
    for split, found in sorted((read_record(run) | dict(splits)).items()):
        names = json.dumps(found.names).encode()
        parts = found.content, found.labels, np.frombuffer(names, np.uint8)
        tensors |= {f"{split}/{part}": a for part, a in zip(_PARTS, parts, strict=True)}
    write_atomic(run / RECORD, _FORMAT.pack(tensors))


def fingerprints(train: Data, validation: Data | None) -> dict[str, Fingerprint]:
    """The fingerprints of a training's data, by split."""
    splits = {"train": train, "validation": validation}
    return {name: fingerprint(data) for name, data in splits.items() if data is not None}


def with_data(
    settings: Mapping[str, Setting], splits: Mapping[str, Fingerprint]
) -> dict[str, Setting]:
    """What a checkpoint notes: settings, and of each split what stands for its data."""
    return {**settings, **{_key(split): found.digest for split, found in splits.items()}}


def check_resumed(
    run: Path,
    checkpoint: Checkpoint,
    settings: Mapping[str, Setting],
    splits: Mapping[str, Fingerprint],
) -> None:
    """Reject resuming a training with other settings or data; older checkpoints know no data."""
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
    return f"{_NAMES[split]} data"


def _rebuilt(split: str, tensors: Mapping[str, np.ndarray]) -> Fingerprint:
    content, labels, names = (tensors[f"{split}/{part}"] for part in _PARTS)
    listed = parse_json(names.astype(np.uint8, casting="equiv").tobytes())
    shape = (len(listed),)
    fine = isinstance(listed, list) and all(isinstance(each, str) for each in listed)
    kinds = content.dtype == np.uint64 and labels.dtype == np.int64
    if not fine or not kinds or content.shape != shape or labels.shape != shape:
        raise ValueError(f"what it says of the split {split!r} does not fit together")
    return Fingerprint(tuple(listed), labels, content)


def described(settings: Any, recorded: Setting = None) -> str | None:
    """Settings as text, to compare with what a run has recorded of them, if anything.

    A run may be older than some settings: those that its text does not name are left out where
    they are what they would be if nobody had set them.
    """
    if settings is None or not isinstance(recorded, str):
        return None if settings is None else repr(settings)
    try:
        return _as_known(settings, ast.parse(recorded, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, TypeError, InputError):
        return repr(settings)  # no text of settings


def _as_known(settings: Any, recorded: ast.expr) -> str:
    """The text of settings with the fields that a recorded text, parsed, has."""
    if not is_dataclass(settings) or not isinstance(recorded, ast.Call):
        return repr(settings)
    values = {each.name: getattr(settings, each.name) for each in fields(settings)}
    known = {each.arg: each.value for each in recorded.keywords if each.arg in values}
    kind: Any = type(settings)
    unset = kind(**{name: values[name] for name in known})
    parts = [
        f"{name}={_as_known(value, known[name]) if name in known else repr(value)}"
        for name, value in values.items()
        if name in known or value != getattr(unset, name)
    ]
    return f"{kind.__qualname__}({', '.join(parts)})"


def check_settings(recorded: Mapping[str, Setting], received: Mapping[str, Setting]) -> None:
    """Reject resuming a training with other settings; the text names both values."""
    for key in received:
        old, new = recorded.get(key), received[key]
        if old != new:
            raise InputError(
                f"resuming needs {key} as the run was started with: {_differing(old, new)}; "
                "leave it, or start a new run"
            )


def _differing(old: Setting, new: Setting) -> str:
    """Both values; of texts the lines or settings that differ."""
    if isinstance(old, str) and isinstance(new, str):
        parts = [[part.strip(" )") for part in re.split(r"\n|, (?=\w+=)", s)] for s in (old, new)]
        gone, came = (", ".join(p for p in a if p not in b) for a, b in (parts, parts[::-1]))
        return f"recorded {gone or 'nothing of it'}, got {came or 'nothing of it'}"
    return f"recorded {old!r}, got {new!r}"
