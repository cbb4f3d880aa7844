"""Data sets, encoders, augmentation and batching; every name is loaded when first used."""

from importlib import import_module
from typing import Any

_HOME = {
    "Augment": "augment",
    "Batch": "types",
    "CurrentBatch": "types",
    "CurrentData": "types",
    "DATASETS": "datasets",
    "Data": "types",
    "ENCODERS": "encode",
    "LevelEncoder": "encode_level",
    "MelSettings": "mel",
    "RateEncoder": "encode_rate",
    "SpikeBatch": "types",
    "SpikeData": "types",
    "StreamedSpikes": "types",
    "check_kind": "augment",
    "dataset_encoding": "registry",
    "dataset_shape": "registry",
    "encode_frames": "encode",
    "encode_wavs": "fsdd",
    "epoch_batches": "batching",
    "epoch_order": "batching",
    "load_dataset": "registry",
    "load_digits_data": "digits",
    "load_fsdd": "fsdd",
    "load_fsdd_frames": "fsdd",
    "load_rawhd": "rawhd",
    "load_shd": "shd",
    "load_ssc": "shd",
    "mel_frames": "mel",
    "options_table": "registry",
    "parse_options": "registry",
    "read_wav": "wav",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
