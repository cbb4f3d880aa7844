"""What is in a data set, and what is wrong with it: every example is looked at once, none is kept.

What grows with the number of examples is a few numbers and a hash for each.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mlgenn_delays.data.dataset import SPLITS, Item
from mlgenn_delays.data.encode.recordings import chosen_in_words
from mlgenn_delays.data.inspect.splits import notes_on_splits
from mlgenn_delays.data.losses import Losses, warnings_of
from mlgenn_delays.data.registry import (
    data_items,
    dataset,
    dataset_encoding,
    dataset_shape,
    options_table,
    parse_options,
)
from mlgenn_delays.data.types import CurrentBatch, SpikeBatch
from mlgenn_delays.progress import Meter
from mlgenn_delays.settings import PositiveTime, check

LISTED = 20  # of the things of one kind that are named
_PICTURED = 64  # classes of which an example is kept for a picture
_PICTURED_SERIES = 6  # examples of data with series that are kept for it


class SpikeStatistics:
    """How many spikes examples and channels have."""

    def __init__(self, n_channels: int) -> None:
        self.channels = np.zeros(n_channels, np.int64)
        self.examples = array("q")

    def add(self, batch: SpikeBatch) -> bool:
        """Add an example; return whether it has a spike."""
        counts = np.diff(batch.start[0])
        n = int(batch.start[0, -1] - batch.start[0, 0])
        self.channels += counts
        self.examples.append(n)
        return n > 0

    def summary(self, trial: float) -> dict[str, Any]:
        """Return spikes per example and rates per channel [Hz], of trials of so many ms."""
        rates = self.channels / (len(self.examples) * trial / 1000)
        busiest = int(rates.argmax())
        return {
            "per_example": spread(np.frombuffer(self.examples, np.int64)),
            "rate_hz": spread(rates),
            "silent_channels": int((self.channels == 0).sum()),
            "busiest": {"channel": busiest, "rate_hz": float(rates[busiest])},
        }


class CurrentStatistics:
    """How great currents are, of all and by channel."""

    def __init__(self, n_channels: int) -> None:
        self.low, self.high = np.full(n_channels, np.inf), np.full(n_channels, -np.inf)
        self.total, self.square = np.zeros(n_channels), np.zeros(n_channels)
        self.n = 0

    def add(self, batch: CurrentBatch) -> bool:
        """Add an example; return whether it has a value other than 0."""
        values = batch.values[0]
        low, high = values.min(axis=0), values.max(axis=0)
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)
        self.total += values.sum(axis=0, dtype=np.float64)
        self.square += np.einsum("tc,tc->c", values, values, dtype=np.float64)
        self.n += len(values)
        return bool(low.any() or high.any())

    def summary(self, trial: float) -> dict[str, Any]:
        """Return the range of the currents, and which channel has the greatest root mean square."""
        square = self.square / self.n
        mean, busiest = float(self.total.mean() / self.n), int(square.argmax())
        return {
            "min": float(self.low.min()),
            "mean": mean,
            "max": float(self.high.max()),
            "std": float(np.sqrt(max(0.0, square.mean() - mean**2))),
            "silent_channels": int(((self.low == 0) & (self.high == 0)).sum()),
            "busiest": {"channel": busiest, "rms": float(np.sqrt(square[busiest]))},
        }


def spread(values: np.ndarray) -> dict[str, float]:
    """Return least, median and greatest of some numbers."""
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }


@dataclass
class Found:
    """Things of one kind: how many, and the first `LISTED` of them."""

    count: int = 0
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, **what: Any) -> None:
        """Note one more."""
        self.count += 1
        if len(self.listed) < LISTED:
            self.listed.append(what)


@dataclass
class Report:
    """What a data set has.

    Attributes:
        folder: Folder of the data, None if it has none.
        options: Its options, with every default.
        channels: C; 0 if no example could be read, as the length of a trial.
        classes: Names of the classes by their number, those that were seen.
        series: Names of the target series, empty of data with classes.
        splits: By split, how many sound examples each class has, by number.
        durations: Before examples are cut or padded [ms]: least, median, greatest, and the share
            that is longer than a trial; empty if the data set does not say.
        losses: Shares that were cut and merged, and how many examples are empty; see `Losses`.
        lost: The same in words, empty if nothing was.
        warnings: What to do where that is much, in words.
        activity: Of spikes or currents, see `SpikeStatistics` and `CurrentStatistics`.
        damaged: Examples and files that cannot be used: split, name, reason.
        empty: Examples without a spike, or all zero: split, name.
        compares: Whether examples of the same content were looked for: not in data that need no
            folder, for where they are generated, few examples may be possible.
        leaks: Examples of the same content as one of another split: split, name, same_as.
        repeats: How many have the same content as another of their own split.
        notes: What else a user should know.
        pictured: An example of each class, the first; the first few of data with series.
    """

    dataset: str
    folder: str | None
    options: dict[str, Any]
    dt: float
    encoding: Literal["spikes", "currents"]
    compares: bool
    channels: int = 0
    trial_ms: float = 0.0
    classes: dict[int, str] = field(default_factory=dict)
    series: tuple[str, ...] = ()
    splits: dict[str, dict[int, int]] = field(default_factory=dict)
    durations: dict[str, float] = field(default_factory=dict)
    losses: dict[str, Any] = field(default_factory=dict)
    lost: str = ""
    warnings: list[str] = field(default_factory=list)
    activity: dict[str, Any] = field(default_factory=dict)
    damaged: Found = field(default_factory=Found)
    empty: Found = field(default_factory=Found)
    leaks: Found = field(default_factory=Found)
    repeats: int = 0
    notes: list[str] = field(default_factory=list)
    pictured: list[Item] = field(default_factory=list)

    @property
    def examples(self) -> int:
        """How many examples are sound."""
        return sum(sum(counts.values()) for counts in self.splits.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        named: dict[str, dict[str, Any]] = {}
        for split, counts in self.splits.items():
            named[split] = {"examples": sum(counts.values())}
            if not self.series:
                classes = {self.classes[label]: n for label, n in sorted(counts.items())}
                named[split]["classes"] = classes
        return {
            "dataset": self.dataset,
            "folder": self.folder,
            "options": self.options,
            "dt_ms": self.dt,
            "trial_ms": self.trial_ms,
            "encoding": self.encoding,
            "channels": self.channels,
            "examples": self.examples,
            "splits": named,
            **({"series": list(self.series)} if self.series else {}),
            "durations_ms": self.durations,
            "lost": self.losses,
            "warnings": self.warnings,
            self.encoding: self.activity,
            "damaged": asdict(self.damaged),
            "empty": asdict(self.empty),
            "duplicates": self._duplicates(),
            "notes": self.notes,
        }

    def _duplicates(self) -> dict[str, Any] | None:
        if not self.compares:
            return None
        return {"across_splits": asdict(self.leaks), "within_a_split": self.repeats}


def inspect(
    name: str,
    folder: Path | str | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    dt: float = 1.0,
) -> Report:
    """Look at every example of a data set, with options as in the ``[data]`` table of a recipe."""
    check("dt", dt, PositiveTime)
    parsed = parse_options(name, options)
    where = None if folder is None else str(folder)
    compares, how = dataset(name).needs_folder, dataset_encoding(name, parsed)
    report = Report(name, where, options_table(parsed), dt, how, compares)
    look = _Look(report)
    with Meter(f"checking {name}", unit="examples") as meter:
        for item in data_items(name, folder, parsed, dt=dt):
            look.at(item)
            meter.advance()
    shape = dataset_shape(name, parsed)
    look.end(shape[1] if shape else None)
    if chosen := chosen_in_words(parsed, report.trial_ms):
        report.notes.insert(0, chosen)
    listing = dataset(name).recordings
    if listing is not None and folder is not None and not report.damaged.count:
        whole = replace(parsed, duration=report.trial_ms)  # known now: no file is read again
        report.notes += notes_on_splits(listing(Path(folder), whole, dt))
    return report


class _Look:
    """Looks at examples one after the other, and fills a report."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.statistics: SpikeStatistics | CurrentStatistics | None = None
        self.losses: dict[str, list[Losses]] = {}
        self.seen: dict[bytes, tuple[str, str]] = {}
        self.shape: tuple[int, int] | None = None

    def at(self, item: Item) -> None:
        report, batch = self.report, item.batch
        if item.problem or batch is None:
            report.damaged.add(split=item.split, name=item.name, reason=item.problem)
            return
        shape = batch.n_steps, batch.n_channels
        self.shape = self.shape or shape
        if shape != self.shape:
            reason = (
                f"it has {shape[0]} steps of {shape[1]} channels, those before have {{}} of {{}}"
            )
            report.damaged.add(split=item.split, name=item.name, reason=reason.format(*self.shape))
            return
        self._count(item)
        if self.statistics is None:
            kind = CurrentStatistics if isinstance(batch, CurrentBatch) else SpikeStatistics
            self.statistics = kind(batch.n_channels)
        if not self.statistics.add(batch):  # type: ignore[arg-type]
            report.empty.add(split=item.split, name=item.name)
        elif report.compares:
            self._compare(item)

    def _count(self, item: Item) -> None:
        report = self.report
        counts = report.splits.setdefault(item.split, Counter())
        counts[item.label] += 1
        report.series = item.series
        few = _PICTURED_SERIES if item.series else _PICTURED
        if item.series or item.label not in report.classes:
            report.classes[item.label] = item.label_name
            if len(report.pictured) < few:
                report.pictured.append(item)
        if item.losses is not None:
            self.losses.setdefault(item.split, []).append(item.losses)

    def _compare(self, item: Item) -> None:
        report, own = self.report, (item.split, item.name)
        other = self.seen.setdefault(_content_hash(item), own)
        if other[0] != own[0]:
            report.leaks.add(split=own[0], name=own[1], same_as=list(other))
        elif other is not own:
            report.repeats += 1

    def end(self, n_classes: int | None) -> None:
        """Sum up; `n_classes` is None if only the files know how many there should be."""
        report = self.report
        report.splits = {
            split: dict(report.splits[split])
            for split in sorted(report.splits, key=lambda s: (*SPLITS, s).index(s))
        }
        if self.shape is None or self.statistics is None:
            return
        report.channels, report.trial_ms = self.shape[1], self.shape[0] * report.dt
        report.activity = self.statistics.summary(report.trial_ms)
        if self.losses:
            splits = {split: Losses.together(some) for split, some in self.losses.items()}
            losses = Losses.together(splits.values())
            # Half a step: that much of a trial may be rounded away.
            cut = losses.lengths > report.trial_ms + report.dt / 2
            report.durations = spread(losses.lengths) | {"cut": float(cut.mean())}
            report.losses = losses.shares(report.trial_ms)
            report.lost = losses.sentence(report.trial_ms)
            report.warnings = warnings_of(splits, report.trial_ms, report.dt)
        report.notes += _notes(report, n_classes)


def _content_hash(item: Item) -> bytes:
    """Return a hash of what the files hold for an example."""
    total = blake2b(digest_size=16)
    batch = item.batch
    parts: Iterable[Any] = item.content
    if not len(item.content):
        if isinstance(batch, CurrentBatch):
            parts = [batch.values]
        elif batch is not None:
            first = batch.start[0, 0]
            parts = [batch.start[0] - first, batch.time[first : batch.start[0, -1]]]
    for part in parts:
        data = part if isinstance(part, bytes) else np.ascontiguousarray(part)
        # Where one ends and the other begins counts as well.
        total.update(f"{len(data)}:".encode())
        total.update(data if isinstance(data, bytes) else data.view(np.uint8).data)
    return total.digest()


def _notes(report: Report, n_classes: int | None) -> list[str]:
    notes = [f"there is no {split} example" for split in SPLITS if split not in report.splits]
    if report.series:
        return notes
    labels = set(report.classes) | set(range(n_classes or 0))
    for split, counts in report.splits.items():
        missing = sorted(labels - set(counts))
        if missing:
            names = ", ".join(report.classes.get(label, str(label)) for label in missing[:5])
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            notes.append(f"{split} has no example of class {names}{more}")
    return notes
