"""The options of data sets that users bring: frozen settings that check themselves."""

import re
from dataclasses import dataclass, field
from typing import Any

from mlgenn_delays.data.dataset import Space
from mlgenn_delays.data.option_checks import check_flag, check_number, check_word
from mlgenn_delays.data.options import RecordingOptions
from mlgenn_delays.errors import InputError


@dataclass(frozen=True)
class FolderOptions(RecordingOptions):
    """Options of a folder of recordings, see `mlgenn_delays.data.sets.folder`.

    Attributes:
        validation: Share of the recordings kept for validation where no files say which.
        test: Share of the recordings kept for testing where no files say which.
        group_by: Regular expression with one group that finds in a file's name whose it is; all
            recordings of one are in one split. Empty for none.
        classes: Names of the folders that are classes, in the order of the labels; empty for all,
            sorted.
        stream: Whether spikes stay on disk, in the cache, until a batch needs them.
    """

    validation: float = 0.1
    test: float = 0.1
    group_by: str = ""
    classes: tuple[str, ...] = ()
    stream: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self.validation, self.test)
        check_pattern("group_by", self.group_by)
        object.__setattr__(self, "classes", _names("classes", self.classes))
        check_flag("stream", self.stream)
        if self.stream and self.encoding == "currents":
            raise InputError(
                "stream must have false with encoding 'currents', got true: only spikes can stay "
                "on disk; currents take 4 bytes a step and band of memory"
            )


@dataclass(frozen=True)
class NpzOptions:
    """Options of arrays in .npz files, see `mlgenn_delays.data.sets.npz`.

    Attributes:
        encoding: "spikes", from events or a raster, or "currents", from values.
        duration: Length of a trial [ms]; 0 for that of the longest example.
        channels: C; 0 for what the files have.
        time_unit: What a time of 1 is [ms]: 1000 for seconds, 0.001 for microseconds.
        validation: Share of the examples kept for validation where no file holds them.
        test: Share of the examples kept for testing where there is one file.
    """

    encoding: str = "spikes"
    duration: float = 0.0
    channels: int = 0
    time_unit: float = 1.0
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        check_word("encoding", self.encoding, ("spikes", "currents"))
        check_number("time_unit", self.time_unit, 0.0, 1e6, unit="ms", open_low=True)
        if self.encoding == "currents" and self.time_unit != 1.0:
            raise InputError(
                f"time_unit must be 1 with encoding 'currents', got {self.time_unit:g}: values "
                "have no times, a row is a step of network.dt"
            )
        check_number("duration", self.duration, 0.0, 1e9, unit="ms")
        check_number("channels", self.channels, 0, 10_000_000, integer=True)
        check_shares(self.validation, self.test)

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: all there are."""
        return 0

    @property
    def space(self) -> Space:
        """How channels lie to each other: one after the other."""
        return (("channel", 0),)


@dataclass(frozen=True)
class TonicOptions:
    """Options of a data set of tonic, see `mlgenn_delays.data.sets.tonic`.

    Attributes:
        encoding: "spikes".
        duration: Length of a trial [ms].
        time_unit: What a time of 1 is [ms]; tonic has microseconds.
        align: Whether the first event of a recording is time 0, not what its clock says.
        downsample: Pixels along each axis that become one.
        polarity: "both" (channels of their own), "merged" (one) or "on" (others are left out).
        sensor_size: Columns, rows and polarities; empty for what tonic says.
        validation: Share kept for validation where tonic has no such part.
        test: Share kept for testing where tonic has no parts at all.
        group_by: Name of an attribute of tonic's class that says whose each example is, such as
            "users"; all of one are in one split. Empty for none.
        stream: Whether examples stay on disk, in the cache, until a batch needs them.
        arguments: Further arguments of tonic's class.
    """

    encoding: str = "spikes"
    duration: float = 1000.0
    time_unit: float = 0.001
    align: bool = False
    downsample: int = 1
    polarity: str = "both"
    sensor_size: tuple[int, ...] = ()
    validation: float = 0.1
    test: float = 0.1
    group_by: str = ""
    stream: bool = True
    arguments: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_word("encoding", self.encoding, ("spikes",))
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        check_number("time_unit", self.time_unit, 0.0, 1e6, unit="ms", open_low=True)
        check_flag("align", self.align)
        check_number("downsample", self.downsample, 1, 10_000, integer=True)
        check_word("polarity", self.polarity, ("both", "merged", "on"))
        self._check_sensor()
        check_shares(self.validation, self.test)
        if not isinstance(self.group_by, str):
            raise InputError(f"group_by must have the name of an attribute, got {self.group_by!r}")
        check_flag("stream", self.stream)
        if not isinstance(self.arguments, dict) or not all(
            isinstance(each, (bool, int, float, str)) for each in self.arguments.values()
        ):
            raise InputError(
                "arguments must have a table of numbers, texts, true and false, "
                f"got {self.arguments!r}"
            )

    def _check_sensor(self) -> None:
        """Require columns, rows and polarities, or nothing."""
        size = self.sensor_size
        if not isinstance(size, (list, tuple)) or len(size) not in (0, 3):
            raise InputError(
                f"sensor_size must have columns, rows and polarities such as [34, 34, 2], or [] "
                f"for tonic's own, got {size!r}"
            )
        for number in size:
            check_number("each of sensor_size", number, 1, 1_000_000, integer=True)
        object.__setattr__(self, "sensor_size", tuple(int(number) for number in size))

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


def check_shares(validation: object, test: object) -> None:
    """Require shares for validation and testing that leave something to train on.

    Raises:
        InputError: They are no such shares.
    """
    check_number("validation", validation, 0.0, 0.9)
    check_number("test", test, 0.0, 0.9)
    if validation + test > 0.9:  # type: ignore[operator]
        raise InputError(
            f"validation and test must have at most 0.9 together, got {validation!r} and {test!r}; "
            "leave some to train on"
        )


def check_pattern(name: str, pattern: object) -> None:
    """Require a regular expression with one group, or an empty text.

    Raises:
        InputError: It is none.
    """
    try:
        fine = isinstance(pattern, str) and (not pattern or re.compile(pattern).groups == 1)
    except (re.error, RecursionError, OverflowError) as error:
        raise InputError(
            f"{name} must have a regular expression, got {pattern!r} ({error}); "
            "in TOML put it in single quotes"
        ) from error
    if not fine:
        raise InputError(
            f"{name} must have a regular expression with one group in parentheses, such as "
            f"'^([^_]+)_', got {pattern!r}"
        )


def _names(name: str, value: object) -> tuple[str, ...]:
    """Require a list of at least two different names, or an empty one."""
    names = list(value) if isinstance(value, (list, tuple)) else [None]
    words = all(isinstance(each, str) and each for each in names)
    if not words or len(names) == 1 or len(set(names)) != len(names):
        raise InputError(
            f"{name} must have at least two different names in a list, or [] for all, got {value!r}"
        )
    return tuple(str(each) for each in names)
