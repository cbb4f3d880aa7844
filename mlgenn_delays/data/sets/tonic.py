"""Data sets of events that tonic loads: ``tonic:NMNIST``, ``tonic:DVSGesture`` and others.

tonic reads its files, recording by recording; what becomes of them is kept in the user's cache, so
that this is done once. Channels are (p, y, x) of the sensor, x running fastest. A class of tonic
whose splits are an argument (``train`` or ``split``) has these; what is missing of validation, and
of test where it has no splits, is split off by names or groups, see
`split.rows_by_split`.
"""

import json
import warnings
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from mlgenn_delays.data.blocks import Blocks
from mlgenn_delays.data.cache import cache_key, cached_arrays
from mlgenn_delays.data.dataset import SPLITS, Dataset, Space, Splits
from mlgenn_delays.data.events import Spikes as Examples
from mlgenn_delays.data.events import stack_spikes
from mlgenn_delays.data.fields import (
    AsTuple,
    HeldOut,
    Spikes,
    Stream,
    TimeUnit,
    TrialLength,
    check_shares,
    count_steps,
)
from mlgenn_delays.data.sets.tonic_classes import (
    arguments_of,
    as_label,
    class_names,
    find_class,
    numbered,
    open_splits,
    splits_of,
)
from mlgenn_delays.data.sets.tonic_spikes import (
    Rows,
    Sensor,
    example_spikes,
    rows_of,
    tell_left_out,
)
from mlgenn_delays.data.split import rows_of_part
from mlgenn_delays.data.types import SpikeData, StreamedSpikes
from mlgenn_delays.errors import InputError
from mlgenn_delays.settings import Integer, one_of, refuse, says, settings

# Data sets that are read faster, and split by speaker, without tonic.
_OWN = {"SHD": "shd", "SSC": "ssc"}
_VERSION = 2  # of what is cached


@settings
class TonicOptions:
    """Options of a data set of tonic."""

    encoding: Spikes = "spikes"
    duration: TrialLength = 1000.0
    time_unit: Annotated[TimeUnit, says("What a time of 1 is; tonic has microseconds.")] = 0.001
    align: Annotated[
        bool, says("Whether the first event of a recording is time 0, not what its clock says.")
    ] = False
    downsample: Annotated[
        Integer, Field(ge=1, le=10_000), says("Pixels along each axis that become one.")
    ] = 1
    polarity: Annotated[
        str,
        one_of("both", "merged", "on"),
        says("Both (channels of their own), merged (one) or on (others are left out)."),
    ] = "both"
    sensor_size: Annotated[
        tuple[Annotated[Integer, Field(ge=1, le=1_000_000)], ...],
        AsTuple,
        says("Columns, rows and polarities; empty for what tonic says."),
    ] = ()
    validation: Annotated[
        HeldOut, says("Share kept for validation where tonic has no such part.")
    ] = 0.1
    test: Annotated[HeldOut, says("Share kept for testing where tonic has no parts at all.")] = 0.1
    group_by: Annotated[
        str,
        says(
            "Name of an attribute of tonic's class that says whose each example is, such as "
            "users; all of one are in one split. Empty for none."
        ),
    ] = ""
    stream: Stream = True
    arguments: Annotated[
        dict[str, bool | int | float | str], says("Further arguments of tonic's class.")
    ] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sensor_size) not in (0, 3):
            wanted = "columns, rows and polarities such as [34, 34, 2], or [] for tonic's own"
            refuse(self, "sensor_size", wanted)
        check_shares(self)

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: a row of pixels, where it is given."""
        return -(-self.sensor_size[0] // self.downsample) if self.sensor_size else 0

    @property
    def space(self) -> Space:
        """How channels lie to each other: as pixels where the sensor's size is given."""
        if not self.sensor_size:
            return (("channel", 0),)
        columns, rows = (-(-size // self.downsample) for size in self.sensor_size[:2])
        return (("row", rows), ("column", columns))


@dataclass(frozen=True)
class _Part:
    """A split as tonic has it: its object, and the rows of that in our order.

    `depends` is all that it depends on, as JSON takes it; None to use no cache.
    """

    name: str
    split: str
    examples: Any
    rows: Rows
    depends: dict[str, object] | None

    def __len__(self) -> int:
        return len(self.rows.order)

    def where(self, row: int) -> str:
        return f"example {self.rows.names[row]} of tonic:{self.name} ({self.split})"

    def __getitem__(self, row: int) -> tuple[Any, Any]:
        """Return events and target of an example."""
        try:
            found = self.examples[int(self.rows.order[row])]
        except Exception as error:  # whatever tonic raises on a damaged file: that is the finding
            reason = " ".join(str(error).split())[:200].rstrip(".") or "no reason given"
            raise InputError(
                f"{self.where(row)} cannot be read ({type(error).__name__}: {reason}); "
                "take another copy of its file"
            ) from error
        if not isinstance(found, tuple) or len(found) != 2:
            raise InputError(
                f"{self.where(row)} must have events and a label, got {type(found).__name__}; "
                "this data set is for another task"
            )
        return found

    def labels(self) -> list[int | str]:
        n = len(self)
        targets = getattr(self.examples, "targets", None)
        if isinstance(targets, (list, tuple, np.ndarray)) and len(targets) == n:
            return [as_label(targets[row], self.name) for row in self.rows.order]

        def compute() -> dict[str, np.ndarray]:
            # Elsewhere labels come with the events alone.
            found = [as_label(self[row][1], self.name) for row in range(n)]
            return {"json": np.frombuffer(json.dumps(found).encode(), np.uint8)}

        key = cache_key("tonic-labels", **(self.depends or {}))
        arrays = cached_arrays(key, ["json"], compute, cache=self.depends is not None)
        return json.loads(arrays["json"].tobytes())


def _load(name: str, folder: Path | None, options: TonicOptions, dt: float, cache: bool) -> Splits:
    """Load a data set of tonic, sorted by path.

    The folder is where tonic keeps its data (it has, or will have, a folder of that name), or that
    folder itself, whatever it is called. Names are paths in it, or numbers where a file has several
    examples.
    """
    assert folder is not None
    n_steps = count_steps(options.duration, dt)
    found = find_class(name)
    arguments = arguments_of(found, name, options.arguments)
    ways = splits_of(found, name)
    _check_folder(name, folder)
    if name in _OWN:
        warnings.warn(
            f"data.dataset = {_OWN[name]!r} reads the files of {name} itself, and faster",
            stacklevel=2,
        )
    ways = {split: arguments | way for split, way in ways.items()}
    opened = open_splits(found, name, folder, ways)
    tell_left_out(opened.values())
    size = options.sensor_size or getattr(opened["train"], "sensor_size", None)
    if size is None:
        raise InputError(
            f"data set 'tonic:{name}' has recordings of several sizes; set data.sensor_size to "
            "columns, rows and polarities that all fit, such as [240, 180, 2]"
        )
    sensor = Sensor.of(size, options.downsample, options.polarity)
    parts = {split: _part(name, split, each, ways[split], cache) for split, each in opened.items()}
    known = class_names(opened["train"])
    labels, names = numbered({s: part.labels() for s, part in parts.items()}, known, name)
    data: dict[str, SpikeData | StreamedSpikes] = {}
    for split, part in parts.items():
        blocks = _blocks(part, sensor, options, dt, n_steps)
        whole = blocks.split(
            labels[split],
            dt=dt,
            label_names=names,
            names=part.rows.names,
            stream=options.stream,
        )
        rows_by = rows_of_part(
            split,
            labels[split],
            where=f"tonic:{name}",
            names=part.rows.names,
            parts=ways,
            divided=len(ways) > 1,
            options=options,
            groups=_groups(part, options.group_by) if split == "train" else None,
            label_names=names,
        )
        for each, rows in rows_by.items():
            data[each] = whole.take(rows)
    return {split: data[split] for split in SPLITS if split in data}


def _check_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputError(
            f"folder {folder} {what}; give the folder in which tonic keeps {name}, or make it for "
            "tonic to download to"
        )


def _part(name: str, split: str, examples: Any, arguments: dict[str, Any], cache: bool) -> _Part:
    import tonic

    rows = rows_of(examples)
    depends = {
        "class": name,
        "arguments": arguments,
        "examples": rows.facts,
        "tonic": str(tonic.__version__),
        "version": _VERSION,
    }
    return _Part(name, split, examples, rows, depends if cache else None)


def _blocks(part: _Part, sensor: Sensor, options: TonicOptions, dt: float, n_steps: int) -> Blocks:
    def example(row: int) -> Examples:
        return example_spikes(
            part.where(row),
            part[row][0],
            sensor,
            n_steps=n_steps,
            dt=dt,
            unit=options.time_unit,
            align=options.align,
        )

    def encode(first: int, end: int) -> Examples:
        found = stack_spikes(map(example, range(first, end)), sensor.n_channels)
        lost = found.losses
        if end - first > 1 and lost.empty.all() and lost.lengths.all():
            raise InputError(
                f"tonic:{part.name} must have events within the trial of {options.duration:g} ms, "
                f"got none in examples {first}..{end - 1} ({part.split}); set data.align to true "
                "if their clock does not start with them, or data.duration or data.time_unit"
            )
        return found

    settings = {
        "sensor": [sensor.width, sensor.height, sensor.polarities],
        "downsample": sensor.downsample,
        "polarity": sensor.polarity,
        "unit": options.time_unit,
        "align": options.align,
        "dt": dt,
    }
    depends = None if part.depends is None else part.depends | settings
    return Blocks(len(part), sensor.n_channels, n_steps, encode, "tonic", depends)


def _groups(part: _Part, attribute: str) -> list[str] | None:
    if not attribute:
        return None
    found = getattr(part.examples, attribute, None)
    try:
        groups = np.asarray(found)
    except ValueError:
        groups = np.zeros(0)
    if groups.shape != (len(part),) or groups.dtype.kind not in "iuUS":
        raise InputError(
            f"data.group_by must be the name of an attribute of tonic.datasets.{part.name} with "
            f"a number or text for each example, got {attribute!r}"
        )
    texts = groups[part.rows.order].tolist()
    return [
        each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in texts
    ]


def _shape(name: str, options: TonicOptions) -> tuple[int, int] | None:
    """Return the numbers of channels and classes, None where only the data know, or tonic does."""
    try:
        import tonic  # noqa: F401
    except ImportError:
        return None
    found = find_class(name)
    size = options.sensor_size or getattr(found, "sensor_size", None)
    names = class_names(found)
    if size is None or names is None:
        return None
    return Sensor.of(size, options.downsample, options.polarity).n_channels, len(names)


def family(name: str) -> Dataset:
    """Return the data set of a class in ``tonic.datasets``, which is not imported for that."""
    return Dataset(
        f"{name} as tonic loads it, a folder for tonic",
        TonicOptions,
        True,
        partial(_load, name),
        partial(_shape, name),
    )
