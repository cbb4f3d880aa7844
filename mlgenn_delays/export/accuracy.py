"""The accuracy of what is exported, on the data of its training."""

from pathlib import Path

import numpy as np

from mlgenn_delays.data.types import Data
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact, Measured
from mlgenn_delays.export.model import AT_ONCE, CPURunner
from mlgenn_delays.runs.run import check_labels

SPLIT = "validation"


def validation_split(artifact: Artifact, source: Path, data: str | None) -> tuple[Data | None, str]:
    """Return the validation split of the data that a network was trained on.

    Arguments:
        artifact: The network.
        source: What it was made of; a run knows where its data lie.
        data: Folder of the data; that of the training if None.

    Returns:
        The split, or None and the reason why there is none.

    Raises:
        InputError: The folder given cannot be used.
    """
    try:
        split = _split(artifact, source, data)
    except InputError as error:
        if data is not None:
            raise
        return None, str(error)
    return split, "" if split is not None else f"the data have no {SPLIT} split"


def accuracy(artifact: Artifact, split: Data) -> Measured:
    """Return the accuracy on the validation split, on the CPU engine."""
    runner, hits = CPURunner(artifact), 0
    for first in range(0, len(split), AT_ONCE):
        batch = split.batch(np.arange(first, min(first + AT_ONCE, len(split))))
        hits += int((runner.logits(batch).argmax(1) == batch.labels).sum())
    return Measured(split=SPLIT, accuracy=hits / len(split), n=len(split))


def _split(artifact: Artifact, source: Path, data: str | None) -> Data | None:
    """Return the validation split of the data that a network was trained on."""
    from mlgenn_delays.data import load_dataset

    table = dict(artifact.about.data)
    if not table:
        raise InputError("the model does not say on what data it was trained")
    if data is None and source.is_dir():
        from mlgenn_delays.runs.run import Run

        data = Run(source).folder(None)
    name = table.pop("dataset")
    splits = load_dataset(name, data, table, dt=artifact.network.dt)
    split = splits.get(SPLIT)
    if split is not None:
        check_labels(artifact.about.labels, split.label_names)
    return split
