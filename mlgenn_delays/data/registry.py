"""The data sets by name: what options they take, whether they need a folder, how they load.

Options come from the ``[data]`` table of a recipe; settings that nest (``[data.encoder]``,
``[data.mel]``) are settings classes themselves, and one of several kinds is chosen by ``kind``.
"""

import shlex
import warnings
from collections import UserDict
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from mlgenn_delays.data.dataset import Dataset, Item, Splits
from mlgenn_delays.data.encode.base import ENCODERS
from mlgenn_delays.data.encode.mel import MelSettings
from mlgenn_delays.data.encode.rate import RateEncoder
from mlgenn_delays.data.losses import Losses, warnings_of
from mlgenn_delays.errors import DamagedError, InputError, nearest

# Nested tables: the settings class of each kind, and the kind meant if none is given.
_TABLES: dict[str, tuple[Mapping[str, type], str]] = {
    "encoder": (ENCODERS, RateEncoder.kind),
    "mel": ({"mel": MelSettings}, "mel"),
}


class _Modules(UserDict[str, Any]):
    """Values by name; where a module of `data.sets` is given, its value of one name."""

    def __init__(self, attribute: str, modules: Mapping[str, str]) -> None:
        self.attribute = attribute
        super().__init__(modules)

    def __getitem__(self, name: str) -> Any:
        value = self.data[name]
        if isinstance(value, str):
            module = import_module(f"mlgenn_delays.data.sets.{value}")
            value = self.data[name] = getattr(module, self.attribute)
        return value


# Each data set's module, whose `DATASET` is imported when it is first asked for.
DATASETS: MutableMapping[str, Dataset] = _Modules(
    "DATASET",
    {
        "digits": "digits",
        "fsdd": "fsdd",
        "rawhd": "rawhd",
        "shd": "shd",
        "ssc": "ssc",
        "yin-yang": "yin_yang",
        "sequence": "sequence",
        "coincidence": "coincidence",
        "delayed-copy": "delayed_copy",
        "mackey-glass": "mackey_glass",
        "folder": "folder",
        "npz": "npz",
    },
)

# Data sets that can be downloaded: the module of `data.download` that does.
DOWNLOADS: Mapping[str, str] = {"shd": "shd", "ssc": "shd", "fsdd": "fsdd"}

# Data sets of one kind, called KIND:NAME: the module whose `family` gives the data set of a name.
FAMILIES: MutableMapping[str, Callable[[str], Dataset]] = _Modules("family", {"tonic": "tonic"})


def dataset(name: str) -> Dataset:
    """Return the data set of a name in `DATASETS`, or of a family's, such as ``tonic:NMNIST``."""
    kind, colon, rest = name.partition(":")
    if kind in FAMILIES and colon and rest:
        return FAMILIES[kind](rest)
    _check_key("dataset", name, [*DATASETS, *(f"{each}:NAME" for each in FAMILIES)])
    return DATASETS[name]


def parse_options(name: str, options: Mapping[str, Any] | None = None) -> Any:
    """Return the options of a data set from a table, the rest at their defaults.

    Arguments:
        name: Name of the data set.
        options: The ``[data]`` table without ``dataset``.

    Returns:
        An instance of ``dataset(name).options``.

    Raises:
        InputError: An unknown key or kind (the nearest is named), or a value out of range.

    Example:
        >>> from mlgenn_delays.data import parse_options
        >>> parse_options("digits", {"duration": 60.0}).duration
        60.0
    """
    return _build(dataset(name).options, options or {}, "data")


def dataset_shape(name: str, options: Any = None) -> tuple[int, int] | None:
    """Return how many channels and classes a data set has, without loading it.

    Arguments:
        name: See `dataset`.
        options: A table for `parse_options`, or what it returned.

    Returns:
        The numbers of channels and classes, or None where only the files know. The files of
        "rawhd" may have other channels than the 40 published: loaded data go before this.

    Raises:
        InputError: Unknown data set or bad options.

    Example:
        >>> from mlgenn_delays.data import dataset_shape
        >>> dataset_shape("digits")
        (64, 10)
    """
    return dataset(name).shape(_parsed(name, options))


def dataset_encoding(name: str, options: Any = None) -> Literal["spikes", "currents"]:
    """Return whether a data set comes as "spikes" or as "currents", without loading it.

    Arguments:
        name: See `dataset`.
        options: A table for `parse_options`, or what it returned.

    Raises:
        InputError: Unknown data set or bad options.
    """
    return "currents" if _parsed(name, options).encoding == "currents" else "spikes"


def unsplit_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table of options with which nothing is split off from the training examples."""
    shares = [
        field.name
        for field in fields(dataset(name).options)
        if field.name in ("validation", "test") and isinstance(field.default, float)
    ]
    return {**options, **dict.fromkeys(shares, 0.0)}


def splits_by_name(name: str) -> bool:
    """Return whether a data set is one of your own, split by names where it says nothing."""
    return {"validation", "test"} <= {
        field.name for field in fields(dataset(name).options) if isinstance(field.default, float)
    }


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
        name: See `dataset`.
        folder: Folder of the data, where the data set needs one.
        options: A table for `parse_options`, or what it returned.
        dt: Length of a step [ms].
        cache: Whether to use the user's cache folder.

    Returns:
        Data by split, of "train", "validation" and "test" those that there are.

    Raises:
        InputError: Unknown data set, missing folder, bad options or unusable data.

    Warns:
        UserWarning: More than a fifth of the events was cut or merged, or of the examples is
            empty; the text says what may be the reason.

    Example:
        >>> from mlgenn_delays import load_dataset
        >>> splits = load_dataset("yin-yang", options={"train": 90, "validation": 30, "test": 30})
        >>> {name: len(data) for name, data in splits.items()}
        {'train': 90, 'validation': 30, 'test': 30}
    """
    place = _folder(name, folder, "--data DIR")
    try:
        splits = dataset(name).splits(place, _parsed(name, options), dt, cache)
    except DamagedError as error:
        find = f"delaysnn data check {name} {shlex.quote(str(folder))}"
        raise DamagedError(f"{error}; {find} lists all that are damaged") from error
    lost = known_losses(splits)
    if lost:
        trial = next(iter(splits.values())).n_steps * dt
        for text in warnings_of(lost, trial, dt):
            warnings.warn(text, stacklevel=2)
    return splits


def data_items(
    name: str, folder: Path | str | None = None, options: Any = None, *, dt: float = 1.0
) -> Iterator[Item]:
    """Iterate over every example of a data set, damaged ones among them."""
    place = _folder(name, folder, "DIR")
    return dataset(name).examples(name, place, _parsed(name, options), dt)


def _folder(name: str, folder: Path | str | None, argument: str) -> Path | None:
    if dataset(name).needs_folder and folder is None:
        does = "downloads it to DIR" if name in DOWNLOADS else "says where to get it"
        get = f"delaysnn data prepare {name} DIR {does}"
        raise InputError(
            f"dataset {name!r} needs a folder of data, got none; give {argument}; "
            f"{dataset(name).summary if splits_by_name(name) else get}"
        )
    return None if folder is None else Path(folder)


def known_losses(splits: Splits) -> dict[str, Losses]:
    """Return the losses of each split for which they are known."""
    return {name: data.losses for name, data in splits.items() if data.losses is not None}


def _parsed(name: str, options: Any) -> Any:
    return options if isinstance(options, dataset(name).options) else parse_options(name, options)


def _build(settings: type, table: object, where: str) -> Any:
    if not isinstance(table, Mapping):
        raise InputError(f"{where} must be a table of options, got {table!r}")
    known = [field.name for field in fields(settings)]
    values = {}
    for key, value in table.items():
        _check_key(f"[{where}] key", key, known)
        nested = key in _TABLES and isinstance(value, Mapping)
        values[key] = _build_kind(key, value, f"{where}.{key}") if nested else value
    try:
        return settings(**values)
    except InputError as error:
        # The key of the recipe, not the class.
        raise InputError(str(error).replace(f"{settings.__name__}.", f"{where}.", 1)) from None


def _build_kind(name: str, table: Mapping[str, Any], where: str) -> Any:
    kinds, default = _TABLES[name]
    rest = dict(table)
    kind = rest.pop("kind", default) if len(kinds) > 1 else default
    _check_key(f"[{where}] kind", kind, list(kinds))
    return _build(kinds[kind], rest, where)


def _check_key(what: str, key: object, known: list[str]) -> None:
    if key not in known:
        hint = nearest(str(key), known)
        raise InputError(f"{what} must be one of {', '.join(known)}, got {key!r}{hint}")
