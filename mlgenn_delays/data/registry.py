"""The data sets by name: what options they take, whether they need a folder, how they load.

A data set is one file, a frozen options class and one line in `DATASETS`. Options come from the
``[data]`` table of a recipe; settings that nest (``[data.encoder]``, ``[data.mel]``) are settings
classes themselves, and one of several kinds is chosen by ``kind``.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from mlgenn_delays.data.checks import check_flag, check_number
from mlgenn_delays.data.encode import ENCODERS, Encoder
from mlgenn_delays.data.encode_rate import RateEncoder
from mlgenn_delays.data.mel import MelSettings
from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.errors import InputError, nearest

Splits = dict[str, SpikeData] | dict[str, CurrentData]

_ENCODINGS = ("spikes", "currents")
# Nested tables: the settings class of each kind, and the kind meant if none is given.
_TABLES: dict[str, tuple[Mapping[str, type], str]] = {
    "encoder": (ENCODERS, RateEncoder.kind),
    "mel": ({"mel": MelSettings}, "mel"),
}


@dataclass(frozen=True)
class DigitsOptions:
    """Options of the digits, see `load_digits_data`."""

    duration: float = 50.0
    window: float = 30.0
    both: bool = False

    def __post_init__(self) -> None:
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        check_number("window", self.window, 0.0, self.duration, unit="ms", open_low=True)
        check_flag("both", self.both)

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: a row of pixels."""
        return 8


@dataclass(frozen=True)
class FsddOptions:
    """Options of FSDD, see `load_fsdd`; ``encoding`` is "spikes" or "currents"."""

    encoding: str = "spikes"
    duration: float = 1000.0
    encoder: Encoder = RateEncoder()
    mel: MelSettings = MelSettings()

    def __post_init__(self) -> None:
        if self.encoding not in _ENCODINGS:
            raise InputError(
                f"encoding must have one of {', '.join(_ENCODINGS)}, got {self.encoding!r}"
            )
        check_number("duration", self.duration, 0.0, 1e9, unit="ms", open_low=True)
        for name, kinds in (("encoder", tuple(ENCODERS.values())), ("mel", (MelSettings,))):
            if not isinstance(getattr(self, name), kinds):
                raise InputError(
                    f"{name} must have one of {', '.join(kind.__name__ for kind in kinds)}, "
                    f"got {getattr(self, name)!r}"
                )

    @property
    def group(self) -> int:
        """Channels within which a shift makes sense: the bands of one threshold or level."""
        return self.mel.n_bands


@dataclass(frozen=True)
class Dataset:
    """An entry of the registry.

    Attributes:
        summary: One line for listings.
        options: Class of the options, whose defaults are the data set's.
        needs_folder: Whether data must be given (``--data DIR``).
        load: Function of (folder or None, options, dt [ms], cache) that gives the splits.
    """

    summary: str
    options: type
    needs_folder: bool
    load: Callable[[Path | None, Any, float, bool], Splits]


def _load_digits(folder: Path | None, options: DigitsOptions, dt: float, cache: bool) -> Splits:
    """Load the digits, which take no folder, and no time that a cache could save."""
    from mlgenn_delays.data.digits import load_digits_data

    if folder is not None:
        raise InputError(
            f"dataset 'digits' must have no folder of data, got {str(folder)!r}; "
            "it comes with scikit-learn: leave --data out"
        )
    return load_digits_data(**asdict(options), dt=dt)


def _load_fsdd(folder: Path | None, options: FsddOptions, dt: float, cache: bool) -> Splits:
    """Load FSDD from its folder."""
    from mlgenn_delays.data.fsdd import load_fsdd, load_fsdd_frames

    assert folder is not None
    common: dict[str, Any] = {"mel": options.mel, "duration": options.duration, "cache": cache}
    if options.encoding == "currents":
        return load_fsdd_frames(folder, dt=dt, **common)
    return load_fsdd(folder, encoder=options.encoder, dt=dt, **common)


DATASETS: dict[str, Dataset] = {
    "digits": Dataset(
        "Handwritten digits of scikit-learn, by latency", DigitsOptions, False, _load_digits
    ),
    "fsdd": Dataset("Free Spoken Digit Dataset, a folder of WAVs", FsddOptions, True, _load_fsdd),
}


def dataset(name: str) -> Dataset:
    """Return the entry of a data set.

    Raises:
        InputError: There is none of that name; the nearest and all known ones are named.
    """
    _check_key("dataset", name, list(DATASETS))
    return DATASETS[name]


def parse_options(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return the options of a data set from a table, the rest at their defaults.

    Arguments:
        name: Name of the data set.
        options: The ``[data]`` table without ``dataset``.

    Returns:
        An instance of ``DATASETS[name].options``.

    Raises:
        InputError: An unknown key or kind (the nearest is named), or a value out of range.
    """
    return _build(dataset(name).options, options or {}, "data")


def options_table(options: Any) -> dict[str, Any]:
    """Return options as a table that `parse_options` takes, with every default written out.

    Arguments:
        options: An options object, or an options class for its defaults.
    """
    if isinstance(options, type):
        options = options()
    table: dict[str, Any] = {"kind": options.kind} if hasattr(options, "kind") else {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            value = options_table(value)
        table[field.name] = list(value) if isinstance(value, tuple) else value
    return table


def load_dataset(
    name: str,
    folder: Path | str | None = None,
    options: Any = None,
    *,
    dt: float = 1.0,
    cache: bool = True,
) -> Splits:
    """Load a data set.

    Arguments:
        name: Name in `DATASETS`.
        folder: Folder of the data, where the data set needs one.
        options: A table for `parse_options`, or what it returned.
        dt: Length of a step [ms].
        cache: Whether to use the user's cache folder.

    Returns:
        Data by split, of "train", "validation" and "test" those that there are.

    Raises:
        InputError: Unknown data set, missing folder, bad options or unusable data.
    """
    entry = dataset(name)
    if entry.needs_folder and folder is None:
        raise InputError(f"dataset {name!r} needs a folder of data, got none; give --data DIR")
    if not isinstance(options, entry.options):
        options = parse_options(name, options)
    return entry.load(Path(folder) if folder is not None else None, options, dt, cache)


def _build(settings: type, table: object, where: str) -> Any:
    """Return a settings object from a table, and those nested in it."""
    if not isinstance(table, Mapping):
        raise InputError(f"{where} must have a table of options, got {table!r}")
    known = [field.name for field in fields(settings)]
    values = {}
    for key, value in table.items():
        _check_key(f"[{where}] key", key, known)
        nested = key in _TABLES and isinstance(value, Mapping)
        values[key] = _build_kind(key, value, f"{where}.{key}") if nested else value
    return settings(**values)


def _build_kind(name: str, table: Mapping[str, Any], where: str) -> Any:
    """Return the settings object of a nested table, of the kind it names."""
    kinds, default = _TABLES[name]
    rest = dict(table)
    kind = rest.pop("kind", default) if len(kinds) > 1 else default
    _check_key(f"[{where}] kind", kind, list(kinds))
    return _build(kinds[kind], rest, where)


def _check_key(what: str, key: object, known: list[str]) -> None:
    """Require a known word."""
    if key not in known:
        hint = nearest(str(key), known)
        raise InputError(f"{what} must have one of {', '.join(known)}, got {key!r}{hint}")
