"""The data sets by name: what options they take, whether they need a folder, how they load.

A data set is one file, a frozen options class and one line in `DATASETS`. Options come from the
``[data]`` table of a recipe; settings that nest (``[data.encoder]``, ``[data.mel]``) are settings
classes themselves, and one of several kinds is chosen by ``kind``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from mlgenn_delays.data.encode import ENCODERS
from mlgenn_delays.data.encode_rate import RateEncoder
from mlgenn_delays.data.mel import MelSettings
from mlgenn_delays.data.options import (
    CoincidenceOptions,
    DigitsOptions,
    FsddOptions,
    RawhdOptions,
    SequenceOptions,
    ShdOptions,
    SscOptions,
    YinYangOptions,
)
from mlgenn_delays.data.shd_files import N_DIGITS, N_WORDS
from mlgenn_delays.data.types import Batch, CurrentData, SpikeData
from mlgenn_delays.errors import InputError, nearest

Splits = dict[str, SpikeData] | dict[str, CurrentData]

# Nested tables: the settings class of each kind, and the kind meant if none is given.
_TABLES: dict[str, tuple[Mapping[str, type], str]] = {
    "encoder": (ENCODERS, RateEncoder.kind),
    "mel": ({"mel": MelSettings}, "mel"),
}


@dataclass(frozen=True)
class Raw:
    """What an example of a data set is before it is encoded.

    Attributes:
        kind: "recording": (n,) float32 samples at the options' ``sample_rate``, full scale at 1.
            "image": (pixels,) brightness, row by row. "frames": (F, C), a value of each channel
            each step, to be multiplied by the options' ``scale``.
        encode: Function of (options, examples, dt [ms], T) that gives what `Dataset.load` would
            make of them: cut or padded to T steps, with -1 as their labels.
        size: Rows and columns of an image.
        white: Greatest brightness of an image, the least is 0.
    """

    kind: Literal["recording", "image", "frames"]
    encode: Callable[[Any, Sequence[Any], float, int], Batch]
    size: tuple[int, int] = (0, 0)
    white: float = 0.0


@dataclass(frozen=True)
class Dataset:
    """An entry of the registry.

    Attributes:
        summary: One line for listings.
        options: Class of the options, whose defaults are the data set's; its ``encoding`` says
            what kind of data there will be, its ``group`` what `Augment` takes as a group.
        needs_folder: Whether data must be given (``--data DIR``).
        load: Function of (folder or None, options, dt [ms], cache) that gives the splits.
        shape: Function of the options that gives the numbers of channels and classes, or None
            where only the files know.
        raw: What an example is before it is encoded; None if it is events already.
    """

    summary: str
    options: type
    needs_folder: bool
    load: Callable[[Path | None, Any, float, bool], Splits]
    shape: Callable[[Any], tuple[int, int] | None]
    raw: Raw | None = None


def _load_digits(folder: Path | None, options: DigitsOptions, dt: float, cache: bool) -> Splits:
    """Load the digits, which take no folder, and no time that a cache could save."""
    from mlgenn_delays.data.digits import load_digits_data

    if folder is not None:
        raise InputError(
            f"dataset 'digits' must have no folder of data, got {str(folder)!r}; "
            "it comes with scikit-learn: leave --data out"
        )
    return load_digits_data(
        duration=options.duration, dt=dt, window=options.window, both=options.both
    )


def _encode_digits(options: DigitsOptions, images: Sequence[Any], dt: float, n_steps: int) -> Batch:
    """Encode images as the digits are."""
    import numpy as np

    from mlgenn_delays.data.digits import encode_images

    return encode_images(
        np.stack(images), n_steps=n_steps, dt=dt, window=options.window, both=options.both
    )


def _digits_shape(options: DigitsOptions) -> tuple[int, int]:
    """Return the pixels, of the inverted image as well where asked for, and the digits."""
    from mlgenn_delays.data.digits import LABEL_NAMES, N_PIXELS

    return N_PIXELS * (2 if options.both else 1), len(LABEL_NAMES)


def _load_fsdd(folder: Path | None, options: FsddOptions, dt: float, cache: bool) -> Splits:
    """Load FSDD from its folder."""
    from mlgenn_delays.data.fsdd import load_fsdd, load_fsdd_frames

    assert folder is not None
    common: dict[str, Any] = {"mel": options.mel, "duration": options.duration, "cache": cache}
    if options.encoding == "currents":
        return load_fsdd_frames(folder, dt=dt, scale=options.scale, **common)
    return load_fsdd(folder, encoder=options.encoder, dt=dt, **common)


def _encode_fsdd(options: FsddOptions, recordings: Sequence[Any], dt: float, n_steps: int) -> Batch:
    """Encode samples as those of FSDD are."""
    from mlgenn_delays.data.fsdd import encode_recordings, recordings_as_currents

    common: dict[str, Any] = {"mel": options.mel, "duration": n_steps * dt, "dt": dt}
    if options.encoding == "currents":
        return recordings_as_currents(recordings, scale=options.scale, **common)
    return encode_recordings(recordings, encoder=options.encoder, **common)


def _fsdd_shape(options: FsddOptions) -> tuple[int, int]:
    """Return the mel bands, or what the encoder makes of them, and the digits."""
    from mlgenn_delays.data.fsdd import LABEL_NAMES

    n_bands = options.mel.n_bands
    spikes = options.encoding == "spikes"
    return options.encoder.n_channels(n_bands) if spikes else n_bands, len(LABEL_NAMES)


def _load_rawhd(folder: Path | None, options: RawhdOptions, dt: float, cache: bool) -> Splits:
    """Load RawHD from its folder; there is nothing to compute that a cache could keep."""
    from mlgenn_delays.data.rawhd import load_rawhd

    assert folder is not None
    return load_rawhd(
        folder,
        scale=options.scale,
        validation=options.validation,
        duration=options.duration,
        dt=dt,
    )


def _encode_rawhd(options: RawhdOptions, examples: Sequence[Any], dt: float, n_steps: int) -> Batch:
    """Turn frames into currents as those of RawHD are."""
    from mlgenn_delays.data.rawhd import frames_as_currents

    return frames_as_currents(examples, scale=options.scale, n_steps=n_steps)


def _rawhd_shape(options: RawhdOptions) -> tuple[int, int]:
    """Return the channels as published, which files may have others of, and the words."""
    from mlgenn_delays.data.rawhd import LABEL_NAMES, N_CHANNELS

    return N_CHANNELS, len(LABEL_NAMES)


def _load_shd(folder: Path | None, options: SscOptions, dt: float, cache: bool) -> Splits:
    """Load SHD or SSC from its files."""
    from mlgenn_delays.data.shd import load_shd, load_ssc

    assert folder is not None
    common: dict[str, Any] = {"duration": options.duration, "channels": options.channels}
    if isinstance(options, ShdOptions):
        return load_shd(folder, validation=options.validation, dt=dt, cache=cache, **common)
    return load_ssc(folder, dt=dt, cache=cache, **common)


def _load_generated(name: str, folder: Path | None, options: Any, dt: float, cache: bool) -> Splits:
    """Generate a data set, which takes no folder, in the module that is called as it is."""
    if folder is not None:
        raise InputError(
            f"dataset {name!r} must have no folder of data, got {str(folder)!r}; "
            "it is generated: leave --data out"
        )
    module = import_module(f"mlgenn_delays.data.{name.replace('-', '_')}")
    return module.load(options, dt=dt)


DATASETS: dict[str, Dataset] = {
    "digits": Dataset(
        "Handwritten digits of scikit-learn, by latency",
        DigitsOptions,
        False,
        _load_digits,
        _digits_shape,
        Raw("image", _encode_digits, size=(8, 8), white=16.0),
    ),
    "fsdd": Dataset(
        "Free Spoken Digit Dataset, a folder of WAVs",
        FsddOptions,
        True,
        _load_fsdd,
        _fsdd_shape,
        Raw("recording", _encode_fsdd),
    ),
    "rawhd": Dataset(
        "Raw Heidelberg Digits as currents, a folder of four .npy files",
        RawhdOptions,
        True,
        _load_rawhd,
        _rawhd_shape,
        Raw("frames", _encode_rawhd),
    ),
    "shd": Dataset(
        "Spiking Heidelberg Digits, shd_train.h5 and shd_test.h5",
        ShdOptions,
        True,
        _load_shd,
        lambda options: (options.channels, N_DIGITS),
    ),
    "ssc": Dataset(
        "Spiking Speech Commands, three .h5 files such as ssc_train.h5",
        SscOptions,
        True,
        _load_shd,
        lambda options: (options.channels, N_WORDS),
    ),
    "yin-yang": Dataset(
        "Points of the Yin-Yang figure as spike times, generated",
        YinYangOptions,
        False,
        partial(_load_generated, "yin-yang"),
        lambda options: (5, 3),
    ),
    "sequence": Dataset(
        "Which of two inputs came first, generated",
        SequenceOptions,
        False,
        partial(_load_generated, "sequence"),
        lambda options: (2 * options.channels, 2),
    ),
    "coincidence": Dataset(
        "Spikes that planted delays bring together, generated",
        CoincidenceOptions,
        False,
        partial(_load_generated, "coincidence"),
        lambda options: (options.channels, options.patterns),
    ),
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


def dataset_shape(name: str, options: Any = None) -> tuple[int, int] | None:
    """Return how many channels and classes a data set has, without loading it.

    Arguments:
        name: Name in `DATASETS`.
        options: A table for `parse_options`, or what it returned.

    Returns:
        The numbers of channels and classes, or None where only the files know. The files of
        "rawhd" may have other channels than the 40 published: loaded data go before this.

    Raises:
        InputError: Unknown data set or bad options.
    """
    return dataset(name).shape(_parsed(name, options))


def dataset_encoding(name: str, options: Any = None) -> str:
    """Return whether a data set comes as "spikes" or as "currents", without loading it.

    Arguments:
        name: Name in `DATASETS`.
        options: A table for `parse_options`, or what it returned.

    Raises:
        InputError: Unknown data set or bad options.
    """
    return _parsed(name, options).encoding


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
    folder = Path(folder) if folder is not None else None
    return entry.load(folder, _parsed(name, options), dt, cache)


def _parsed(name: str, options: Any) -> Any:
    """Return the options of a data set from a table, or those given."""
    return options if isinstance(options, dataset(name).options) else parse_options(name, options)


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
