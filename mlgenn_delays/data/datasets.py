"""The table of the data sets: a data set is one file, a class of options and an entry here."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from mlgenn_delays.data.dataset import Dataset, Item, Raw, Splits
from mlgenn_delays.data.options import (
    CoincidenceOptions,
    DigitsOptions,
    FsddOptions,
    RawhdOptions,
    RecordingOptions,
    SequenceOptions,
    ShdOptions,
    SscOptions,
    YinYangOptions,
)
from mlgenn_delays.data.options_own import FolderOptions, NpzOptions, TonicOptions
from mlgenn_delays.data.sets.shd_files import N_DIGITS, N_WORDS
from mlgenn_delays.data.types import Batch
from mlgenn_delays.errors import InputError


def _load_digits(folder: Path | None, options: DigitsOptions, dt: float, cache: bool) -> Splits:
    """Load the digits, which take no folder, and no time that a cache could save."""
    from mlgenn_delays.data.sets.digits import load_digits_data

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

    from mlgenn_delays.data.sets.digits import encode_images

    return encode_images(
        np.stack(images), n_steps=n_steps, dt=dt, window=options.window, both=options.both
    )


def _digits_shape(options: DigitsOptions) -> tuple[int, int]:
    """Return the pixels, of the inverted image as well where asked for, and the digits."""
    from mlgenn_delays.data.sets.digits import LABEL_NAMES, N_PIXELS

    return N_PIXELS * (2 if options.both else 1), len(LABEL_NAMES)


def _load_fsdd(folder: Path | None, options: FsddOptions, dt: float, cache: bool) -> Splits:
    """Load FSDD from its folder."""
    from mlgenn_delays.data.sets.fsdd import load_fsdd, load_fsdd_frames

    assert folder is not None
    common: dict[str, Any] = {"mel": options.mel, "duration": options.duration, "cache": cache}
    if options.encoding == "currents":
        return load_fsdd_frames(folder, dt=dt, scale=options.scale, **common)
    return load_fsdd(folder, encoder=options.encoder, dt=dt, **common)


def _encode_recordings(
    options: RecordingOptions, recordings: Sequence[Any], dt: float, n_steps: int
) -> Batch:
    """Encode samples as those of the data set are."""
    from mlgenn_delays.data.encode.recordings import encode_recordings, recordings_as_currents

    common: dict[str, Any] = {"mel": options.mel, "duration": n_steps * dt, "dt": dt}
    if options.encoding == "currents":
        return recordings_as_currents(recordings, scale=options.scale, **common)
    return encode_recordings(recordings, encoder=options.encoder, **common)


def _fsdd_shape(options: FsddOptions) -> tuple[int, int]:
    """Return the mel bands, or what the encoder makes of them, and the digits."""
    from mlgenn_delays.data.sets.fsdd import LABEL_NAMES

    return options.n_channels, len(LABEL_NAMES)


def _load_rawhd(folder: Path | None, options: RawhdOptions, dt: float, cache: bool) -> Splits:
    """Load RawHD from its folder; there is nothing to compute that a cache could keep."""
    from mlgenn_delays.data.sets.rawhd import load_rawhd

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
    from mlgenn_delays.data.sets.rawhd import frames_as_currents

    return frames_as_currents(examples, scale=options.scale, n_steps=n_steps)


def _rawhd_shape(options: RawhdOptions) -> tuple[int, int]:
    """Return the channels as published, which files may have others of, and the words."""
    from mlgenn_delays.data.sets.rawhd import LABEL_NAMES, N_CHANNELS

    return N_CHANNELS, len(LABEL_NAMES)


def _load_shd(folder: Path | None, options: SscOptions, dt: float, cache: bool) -> Splits:
    """Load SHD or SSC from its files."""
    from mlgenn_delays.data.sets.shd import load_shd, load_ssc

    assert folder is not None
    common: dict[str, Any] = {
        "duration": options.duration,
        "channels": options.channels,
        "encoding": options.encoding,
        "stream": options.stream,
    }
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
    module = import_module(f"mlgenn_delays.data.sets.{name.replace('-', '_')}")
    return module.load(options, dt=dt)


def _items(module: str, name: str, folder: Path | None, options: Any, dt: float) -> Iterator[Item]:
    """Return what a function gives whose module is imported when it is called."""
    found: Iterator[Item] = getattr(import_module(f"mlgenn_delays.data.sets.{module}"), name)(
        folder, options, dt
    )
    return found


def _load_own(module: str, folder: Path | None, options: Any, dt: float, cache: bool) -> Splits:
    """Load what users bring, in the module that is named."""
    assert folder is not None
    loading = import_module(f"mlgenn_delays.data.sets.{module}")
    return loading.load(folder, options, dt=dt, cache=cache)


def _tonic(name: str) -> Dataset:
    """Return the entry of a class of tonic, which is not imported for that."""

    def load(folder: Path | None, options: TonicOptions, dt: float, cache: bool) -> Splits:
        from mlgenn_delays.data.sets.tonic import load as load_tonic

        assert folder is not None
        return load_tonic(name, folder, options, dt=dt, cache=cache)

    def shape(options: TonicOptions) -> tuple[int, int] | None:
        from mlgenn_delays.data.sets.tonic_classes import known_shape

        return known_shape(name, options)

    return Dataset(f"{name} as tonic loads it, a folder for tonic", TonicOptions, True, load, shape)


# Data sets of one kind, called KIND:NAME, by kind: what gives the entry of a name.
FAMILIES: dict[str, Callable[[str], Dataset]] = {"tonic": _tonic}

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
        Raw("recording", _encode_recordings),
        items=partial(_items, "fsdd_items", "fsdd_items"),
    ),
    "rawhd": Dataset(
        "Raw Heidelberg Digits as currents, a folder of four .npy files",
        RawhdOptions,
        True,
        _load_rawhd,
        _rawhd_shape,
        Raw("frames", _encode_rawhd),
        items=partial(_items, "rawhd", "rawhd_items"),
    ),
    "shd": Dataset(
        "Spiking Heidelberg Digits, shd_train.h5 and shd_test.h5",
        ShdOptions,
        True,
        _load_shd,
        lambda options: (options.channels, N_DIGITS),
        items=partial(_items, "shd", "shd_items"),
    ),
    "ssc": Dataset(
        "Spiking Speech Commands, three .h5 files such as ssc_train.h5",
        SscOptions,
        True,
        _load_shd,
        lambda options: (options.channels, N_WORDS),
        items=partial(_items, "shd", "shd_items"),
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
    "folder": Dataset(
        "WAVs of your own, a folder with a folder of them for each class",
        FolderOptions,
        True,
        partial(_load_own, "folder"),
        lambda options: None,
        Raw("recording", _encode_recordings),
        items=partial(_items, "folder", "folder_items"),
    ),
    "npz": Dataset(
        "Arrays of your own, events, rasters or currents in .npz files",
        NpzOptions,
        True,
        partial(_load_own, "npz"),
        lambda options: None,
    ),
}
