"""What is said of how recordings are split: shared speakers, few to test on."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.data.dataset import Recordings
from mlgenn_delays.data.inspect.splits import FEW_TESTED, notes_on_splits
from mlgenn_delays.data.sets.folder_files import list_folder
from mlgenn_delays.data.split import rows_by_split


def recordings(names: list[str], test: int, *, divided: bool = False) -> Recordings:
    """Return recordings by name, the last `test` of them for testing."""
    classes = tuple(dict.fromkeys(name.split("/")[0] for name in names))
    labels = np.array([classes.index(name.split("/")[0]) for name in names])
    row = np.arange(len(names))
    rows = {"train": row[: len(row) - test], "test": row[len(row) - test :]}
    return Recordings([], names, labels, classes, rows, 100, divided=divided)


def named(form: str, *, takes: int = 20) -> list[str]:
    """Return names of two words by two speakers, so that all are in the last half too."""
    return [
        form.format(word=word, who=who, take=take)
        for take in range(takes)
        for word in ("no", "yes")
        for who in ("ann", "ben")
    ]


@pytest.mark.parametrize(
    ("form", "pattern"),
    [
        ("{word}/{who}_{take}.wav", "^([^_/]+)_"),
        ("{word}/{who}-{take}.wav", "^([^-/]+)-"),
        ("{word}/{who}/{take}.wav", "^([^/]+)/"),
        ("{word}/{word}_{who}_{take}.wav", "^[^_/]+_([^_/]+)_"),
    ],
)
def test_shared_speakers_are_told_with_the_expression_that_finds_them(form, pattern) -> None:
    names = named(form, takes=2 * FEW_TESTED)
    (note,) = notes_on_splits(recordings(names, len(names) // 2))
    assert "2 of 2, such as 'ann', are in several splits" in note
    assert note.endswith(f"set data.group_by='{pattern}'")


def test_the_expression_puts_each_speaker_into_one_split(tmp_path: Path) -> None:
    for word in ("no", "yes"):
        (tmp_path / word).mkdir()
        for who, take in product("abcdefghijkl", range(5)):
            (tmp_path / word / f"{who}_{take}.wav").touch()

    def split(pattern: str) -> tuple[Recordings, list[str]]:
        files = list_folder(tmp_path, (), pattern).recordings
        names, groups = [each.name for each in files], [each.speaker for each in files]
        labels = np.array([("no", "yes").index(each.label) for each in files])
        rows = rows_by_split(
            np.full(len(files), "train"), labels, names=names, divided=False, validation=0.1,
            test=0.2, groups=groups if pattern else None,
        )  # fmt: skip
        return Recordings([], names, labels, ("no", "yes"), rows, 9), groups

    pattern = notes_on_splits(split("")[0])[0].rpartition("=")[2].strip("'")
    found, speakers = split(pattern)
    parts = [{speakers[row] for row in rows} for rows in found.rows.values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 12 and len(parts) == 3


@pytest.mark.parametrize(
    "form",
    ["{word}/{word}_{take}.wav", "{word}/{take}{who}.wav", "{word}/recording_{who}{take}.wav"],
)
def test_words_and_takes_are_no_speakers(form) -> None:
    names = named(form, takes=2 * FEW_TESTED)
    assert notes_on_splits(recordings(names, len(names) // 2)) == []


def test_splits_that_the_data_give_are_as_they_should_be() -> None:
    names = named("{word}/{who}_{take}.wav", takes=2 * FEW_TESTED)
    assert notes_on_splits(recordings(names, len(names) // 2, divided=True)) == []


def test_few_to_test_on() -> None:
    names = [f"{word}/{n}.wav" for n in range(2 * FEW_TESTED) for word in ("no", "yes")]
    assert notes_on_splits(recordings(names, FEW_TESTED)) == []
    assert notes_on_splits(recordings(names, 0)) == []
    (note,) = notes_on_splits(recordings(names, 40))
    assert note.startswith("40 recordings to test on are few: each is 2.5 points of accuracy")
