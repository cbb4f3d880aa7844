"""Spiking Speech Commands: the 35 words of Speech Commands as spikes of an inner ear, see `shd`."""

from functools import partial
from pathlib import Path

from mlgenn_delays.data.dataset import Dataset, Splits
from mlgenn_delays.data.encode.cochlea import N_CHANNELS
from mlgenn_delays.data.fields import Stream
from mlgenn_delays.data.sets.shd import (
    RAW,
    CochleaOptions,
    encoding_of,
    file_items,
    load_files,
    settings_of,
)
from mlgenn_delays.data.sets.shd_files import N_WORDS
from mlgenn_delays.settings import settings

SSC_FILES = {"train": "ssc_train.h5", "validation": "ssc_valid.h5", "test": "ssc_test.h5"}


@settings
class SscOptions(CochleaOptions):
    """Options of SSC, see `load_ssc`."""

    stream: Stream = True


def load_ssc(
    folder: Path | str,
    *,
    duration: float = 1000.0,
    channels: int = N_CHANNELS,
    encoding: str = "spikes",
    stream: Stream = True,
    dt: float = 1.0,
    cache: bool = True,
) -> Splits:
    """Load SSC from ``ssc_train.h5``, ``ssc_valid.h5`` and ``ssc_test.h5``.

    Arguments, splits (a file each) and errors are those of `load_shd`.

    Example:
        >>> from mlgenn_delays.data import load_ssc
        >>> load_ssc("ssc", dt=10.0)["train"].n_classes
        35
    """
    how = encoding_of(duration, channels, dt, encoding)
    return load_files(Path(folder), SSC_FILES, N_WORDS, how, stream, cache)[0]


def _load(folder: Path | None, options: SscOptions, dt: float, cache: bool) -> Splits:
    assert folder is not None
    return load_ssc(folder, dt=dt, cache=cache, **settings_of(options))


DATASET = Dataset(
    "Spiking Speech Commands, three .h5 files such as ssc_train.h5",
    SscOptions,
    True,
    _load,
    lambda options: (options.channels, N_WORDS),
    RAW,
    items=partial(file_items, SSC_FILES, N_WORDS),
)
