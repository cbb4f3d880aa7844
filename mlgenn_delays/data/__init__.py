"""Data sets, encoders, augmentation and batching; every name is loaded when first used."""

from mlgenn_delays import lazily

_HOME = {
    "Augment": "augment.augment",
    "Baseline": "baseline",
    "Batch": "types",
    "CurrentBatch": "types",
    "CurrentData": "types",
    "DATASETS": "registry",
    "Data": "types",
    "ENCODERS": "encode.base",
    "LevelEncoder": "encode.level",
    "MelSettings": "encode.mel",
    "RateEncoder": "encode.rate",
    "SpikeBatch": "types",
    "SpikeData": "types",
    "StreamedSpikes": "types",
    "check_kind": "augment.augment",
    "cochlea_spikes": "encode.cochlea",
    "dataset_encoding": "registry",
    "dataset_shape": "registry",
    "encode_frames": "encode.base",
    "epoch_batches": "batching",
    "epoch_order": "batching",
    "load_dataset": "registry",
    "load_digits_data": "sets.digits",
    "load_fsdd": "sets.fsdd",
    "load_fsdd_frames": "sets.fsdd",
    "load_rawhd": "sets.rawhd",
    "load_shd": "sets.shd",
    "load_ssc": "sets.ssc",
    "measure_baseline": "baseline",
    "options_table": "registry",
    "parse_options": "registry",
    "read_recording": "encode.audio",
}

__all__ = sorted(_HOME)
__getattr__ = lazily(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
