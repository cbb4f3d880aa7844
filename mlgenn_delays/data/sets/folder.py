"""Recordings of your own: a folder with a folder of audio files for each class.

``DIR/yes/a.wav``, ``DIR/no/b.wav`` and so on, or the same in ``DIR/train``, ``DIR/validation`` and
``DIR/test``; see `folder_files`. Splits that the folder does not give are split off by the names
alone, see `rows_by_split`. Recordings become spikes or currents as those of FSDD do.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np

from mlgenn_delays.data.cache import files_hash
from mlgenn_delays.data.dataset import Dataset, Item, RawFormat, Recordings, Splits, as_item
from mlgenn_delays.data.encode.audio import read_bytes
from mlgenn_delays.data.encode.recordings import (
    ChosenLength,
    RecordingOptions,
    cached_frames,
    chosen_steps,
    cochlea_blocks,
    encode_recordings,
    frame_blocks,
    frame_currents,
    read_frames,
    recording_examples,
)
from mlgenn_delays.data.encode.wav import check_complete
from mlgenn_delays.data.fields import (
    AsTuple,
    HeldOut,
    Stream,
    check_shares,
    check_streams_spikes,
    count_steps,
)
from mlgenn_delays.data.sets.folder_files import list_folder
from mlgenn_delays.data.split import rows_by_split
from mlgenn_delays.settings import refuse, says, settings


@settings
class FolderOptions(RecordingOptions):
    """Options of a folder of recordings."""

    duration: ChosenLength = 0.0
    validation: Annotated[
        HeldOut, says("Share of the recordings kept for validation where no files say which.")
    ] = 0.1
    test: Annotated[
        HeldOut, says("Share of the recordings kept for testing where no files say which.")
    ] = 0.1
    group_by: Annotated[
        str,
        says(
            "Regular expression with one group that finds in a file's name whose it is; all "
            "recordings of one are in one split. Empty for none."
        ),
    ] = ""
    hold_out: Annotated[
        str,
        says(
            "The group, such as a speaker, all of whose recordings are the test split; needs "
            "group_by. Empty for a share of all."
        ),
    ] = ""
    classes: Annotated[
        tuple[str, ...],
        AsTuple,
        says(
            "Names of the folders that are classes, in the order of the labels; empty for all, "
            "sorted."
        ),
    ] = ()
    stream: Stream = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_shares(self)
        self._check_pattern()
        names = self.classes
        if len(names) == 1 or len(set(names)) != len(names) or not all(names):
            refuse(self, "classes", "at least two different names in a list, or [] for all")
        check_streams_spikes(self)
        if self.hold_out and not self.group_by:
            wanted = "empty where group_by does not say whose a recording is"
            refuse(self, "hold_out", wanted, "set data.group_by")

    def _check_pattern(self) -> None:
        try:
            fine = not self.group_by or re.compile(self.group_by).groups == 1
        except (re.error, RecursionError, OverflowError) as error:
            wanted = f"a regular expression ({error})"
            refuse(self, "group_by", wanted, "in TOML put it in single quotes")
        if not fine:
            wanted = "a regular expression with one group in parentheses, such as '^([^_]+)_'"
            refuse(self, "group_by", wanted)


def _load(folder: Path | None, options: FolderOptions, dt: float, cache: bool) -> Splits:
    assert folder is not None
    found = _recordings(folder, options, dt)
    files = files_hash(_contents(found)) if cache else ""
    paths, n_steps, mel = found.paths, found.n_steps, options.mel
    if options.encoding == "currents":
        frames = cached_frames("folder-mel", paths, files, mel)
        return {
            split: frame_currents(
                [frames[row] for row in some],
                found.labels[some],
                tuple(found.names[row] for row in some),
                found.label_names,
                options,
                dt=dt,
                n_steps=n_steps,
            )
            for split, some in found.rows.items()
        }

    def some_frames(first: int, end: int) -> list[np.ndarray]:
        return read_frames(paths[first:end], mel)

    depends: dict[str, object] | None = {"files": files} if files else None
    if options.encoding == "cochlea":
        blocks = cochlea_blocks("folder", paths, dt=dt, n_steps=n_steps, depends=depends)
    else:
        blocks = frame_blocks(
            "folder",
            len(paths),
            some_frames,
            options.encoder,
            mel,
            dt=dt,
            n_steps=n_steps,
            depends=depends,
        )
    whole = blocks.split(
        found.labels,
        dt=dt,
        label_names=found.label_names,
        names=tuple(found.names),
        stream=options.stream,
    )
    return {split: whole.take(some) for split, some in found.rows.items()}


def _items(folder: Path | None, options: FolderOptions, dt: float) -> Iterator[Item]:
    assert folder is not None
    found = _recordings(folder, options, dt)
    order = [(split, row) for split, some in found.rows.items() for row in some.tolist()]
    reads = recording_examples([found.paths[row] for _, row in order], options, dt, found.n_steps)
    for (split, row), read in zip(order, reads, strict=True):
        label = int(found.labels[row])
        yield as_item(split, found.names[row], label, found.label_names[label], read)


def _recordings(folder: Path, options: FolderOptions, dt: float) -> Recordings:
    """List the recordings, with the length of a trial that is given or chosen by them."""
    listed = list_folder(folder, options.classes, options.group_by, options.hold_out)
    files, classes = listed.recordings, listed.classes
    labels = np.array([classes.index(each.label) for each in files], np.int64)
    names = [each.name for each in files]
    groups = [each.speaker for each in files] if options.group_by else None
    rows = rows_by_split(
        np.array([each.split for each in files]),
        labels,
        names=names,
        divided=listed.divided,
        validation=options.validation,
        test=0.0 if options.hold_out else options.test,
        groups=groups,
        label_names=classes,
    )
    paths = [each.path for each in files]
    if options.duration:
        n_steps = count_steps(options.duration, dt)
    else:  # where none is trained on, all have a say
        chosen = rows.get("train", np.arange(len(files)))
        n_steps = chosen_steps([paths[row] for row in chosen.tolist()], dt)
    return Recordings(paths, names, labels, classes, rows, n_steps, groups, listed.divided)


def _contents(found: Recordings) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents one by one, so that truncated files are known before any work."""
    for name, path in zip(found.names, found.paths, strict=True):
        content = read_bytes(path)
        check_complete(content, path)
        yield name, content


DATASET = Dataset(
    "recordings of your own, a folder of audio files for each class",
    FolderOptions,
    True,
    _load,
    lambda options: None,
    RawFormat("recording", encode_recordings),
    _items,
    _recordings,
)
