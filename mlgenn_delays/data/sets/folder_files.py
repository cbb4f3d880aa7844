"""The recordings of a folder: which classes, splits and speakers they are of."""

import re
import unicodedata
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mlgenn_delays.data.dataset import SPLITS
from mlgenn_delays.data.encode.audio import formats_in_words, is_recording
from mlgenn_delays.data.split import NAMES, split_of
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import list_each, list_files, list_folders
from mlgenn_delays.untrusted import read_text, reason

# Of Speech Commands: what of the recordings is in which split, the rest is for training.
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}

_FSDD = re.compile(r"\d_[^_]+_\d+\.[^.]+", re.ASCII)


@dataclass(frozen=True)
class LabelledFile:
    """A recording of a folder, of the name that it has within that, with "/" between its parts.

    The split is "train" where the folder does not say; the speaker is empty where that is not
    asked for.
    """

    path: Path
    name: str
    split: str
    label: str
    speaker: str = ""


@dataclass(frozen=True)
class Listing:
    """Recordings by split, class and name; classes by label; whether the folder says the splits."""

    recordings: tuple[LabelledFile, ...]
    classes: tuple[str, ...]
    divided: bool


def list_folder(
    folder: Path, classes: tuple[str, ...], group_by: str, hold_out: str = ""
) -> Listing:
    """List the recordings of a folder that has folders of classes, or such ones for each split.

    Those of a speaker that is held out are the test split.

    Hidden files and folders, and those with _ in front, are left out. Links to files and folders
    are followed, see `mlgenn_delays.files`.
    """
    inner = _folders(folder, "the folder that has a folder of recordings for each class")
    parts = {each: split for each in inner if (split := split_of(each.name)) and _is_split(each)}
    if parts:
        _check_parts(folder, inner, parts)
        found = {split: _folders(each, "a folder of classes") for each, split in parts.items()}
    else:
        found = {"train": inner}
    classes = _classes(folder, found, classes)
    recordings = _recordings(folder, found, classes, group_by)
    _check_twice(recordings)
    _check_speakers(recordings, group_by)
    listed = {} if parts else _read_lists(folder)
    if listed:
        _check_listed(folder, listed, recordings, classes)
        recordings = [replace(r, split=listed.get(_plain(r.name), r.split)) for r in recordings]
        recordings.sort(key=lambda each: SPLITS.index(each.split))
    if hold_out:
        recordings = _hold_out(folder, recordings, hold_out)
    return Listing(tuple(recordings), classes, bool(parts or listed))


def _folders(folder: Path, what: str) -> list[Path]:
    if not folder.exists():
        raise InputError(f"folder {folder} does not exist; give {what}")
    if not folder.is_dir():
        raise InputError(f"{folder} must be {what}, got a file")
    return list_folders(folder, hidden="._")


def _is_split(folder: Path) -> bool:
    """Return whether a folder has folders and no recording: a split, not a class called so."""
    return bool(_folders(folder, "a folder")) and not list_files(folder, is_recording, deep=False)


def _check_parts(folder: Path, inner: list[Path], parts: dict[Path, str]) -> None:
    others = [each.name for each in inner if each not in parts]
    if others:
        raise InputError(
            f"{folder} must have folders of splits or of classes, not both, got "
            f"{_some([each.name for each in parts])} and {_some(others)}; move the classes into "
            "train, or rename the former"
        )
    for split, names in NAMES.items():
        twice = [each.name for each, found in parts.items() if found == split]
        if len(twice) > 1:
            raise InputError(
                f"{folder} must have one folder for the {split} split, of {', '.join(names)}, got "
                f"{' and '.join(twice)}; remove one of them"
            )


def _classes(
    folder: Path, found: dict[str, list[Path]], wanted: tuple[str, ...]
) -> tuple[str, ...]:
    names = sorted({each.name for folders in found.values() for each in folders})
    for name in names:
        if not name.isprintable():
            raise InputError(
                f"{folder} must have classes with names that can be printed, got {ascii(name)}; "
                "rename the folder"
            )
    if wanted:
        missing = [name for name in wanted if name not in names]
        if missing:
            raise InputError(
                f"{folder} must have a folder for each of data.classes, got none called "
                f"{_some(missing)}; it has {_some(names) or 'none'}"
            )
        return wanted
    if len(names) < 2:
        raise InputError(
            f"{folder} must have a folder of recordings for each of at least two classes, got "
            f"{f'only {names[0]}' if names else 'no folder'}{_hint(folder)}"
        )
    train = {each.name for each in found.get("train", [])}
    unknown = [name for name in names if name not in train] if train else []
    if unknown:
        raise InputError(
            f"{folder} must have every class in its train split, got none called "
            f"{_some(unknown)} there; add recordings, or remove these classes"
        )
    return tuple(names)


def _hint(folder: Path) -> str:
    files = list_files(folder, is_recording, deep=False)
    if files and all(_FSDD.fullmatch(each.name) for each in files):
        return "; its recordings are named as those of FSDD: set data.dataset to 'fsdd'"
    if files:
        return f"; put {files[0].name} and the others into folders named after their classes"
    return ""


def _recordings(
    folder: Path, found: dict[str, list[Path]], classes: tuple[str, ...], group_by: str
) -> list[LabelledFile]:
    by_split = {split: {each.name: each for each in found.get(split, [])} for split in SPLITS}
    places = [
        (split, label, by_name[label])
        for split, by_name in by_split.items()
        for label in classes
        if label in by_name
    ]
    files = list_each([place for _, _, place in places], is_recording, hidden="._")
    recordings = []
    for split, label, place in places:
        if not files[place]:
            raise InputError(
                f"{place} must have recordings ({formats_in_words()}), got {_others(place)}; "
                "convert them, remove the folder, or name the classes to use in data.classes"
            )
        for path in files[place]:
            speaker = _speaker(group_by, path.relative_to(place).as_posix())
            name = path.relative_to(folder).as_posix()
            recordings.append(LabelledFile(path, name, split, label, speaker))
    return recordings


def _others(place: Path) -> str:
    """Say which files a folder without recordings has."""
    kinds = sorted({each.suffix or each.name for each in list_files(place)})
    return f"only {_some(kinds)}" if kinds else "none"


def _check_twice(recordings: list[LabelledFile]) -> None:
    """Reject a recording in two formats, which could lie in two splits."""
    seen: dict[str, str] = {}
    for each in recordings:
        other = seen.setdefault(str(PurePosixPath(each.name).with_suffix("")), each.name)
        if other != each.name:
            raise InputError(
                f"recordings must have names of their own, got {other} and {each.name}, which "
                "differ by their format alone; remove one of them"
            )


def _read_lists(folder: Path) -> dict[str, str]:
    """Return the split of each recording that the lists of Speech Commands name, see `_plain`."""
    found: dict[str, str] = {}
    for split, name in LISTS.items():
        try:
            text = read_text(folder / name)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or reason(error)
            raise InputError(f"cannot read {folder / name}: {why}; copy it again") from error
        for line in map(_plain, filter(None, map(str.strip, text.splitlines()))):
            if found.get(line, split) != split:
                raise InputError(
                    f"{folder} must have each recording in one of {' and '.join(LISTS.values())}, "
                    f"got {line} in both; remove it from one"
                )
            found[line] = split
    return found


def _plain(name: str) -> str:
    """Return a name within the folder, however it is composed; "./a/b" is "a/b"."""
    return PurePosixPath(unicodedata.normalize("NFC", name)).as_posix()


def _check_listed(
    folder: Path, listed: dict[str, str], recordings: list[LabelledFile], classes: tuple[str, ...]
) -> None:
    """Reject lists that name recordings which are not there: those meant would be trained on."""
    known = {_plain(each.name) for each in recordings}
    if not known & listed.keys():
        raise InputError(
            f"{folder} must have recordings that its lists name, got none of {_some(listed)}; "
            "remove the lists, or put the recordings where they say"
        )
    ours = {_plain(label) for label in classes}
    missing = {name: name.split("/")[0] for name in listed if name not in known}
    wrong = [name for name, label in missing.items() if label in ours]
    if wrong:
        files = " or ".join(dict.fromkeys(LISTS[listed[name]] for name in wrong))
        raise InputError(
            f"{folder} must have every recording that {files} names, got none called "
            f"{_some(wrong)}; correct the names or remove them from the list: recordings that no "
            "list names are trained on"
        )
    gone = [name for name, label in missing.items() if not (folder / label).is_dir()]
    if gone:
        warnings.warn(
            f"the lists in {folder} name {len(gone)} recordings of classes that have no folder "
            f"there, such as {gone[0]}",
            stacklevel=2,
        )


def _speaker(pattern: str, within: str) -> str:
    """Return whose a recording is by its path in the folder of its class, empty if unknown."""
    match = re.search(pattern, within) if pattern else None
    return (match[1] or "") if match else ""


def _check_speakers(recordings: list[LabelledFile], pattern: str) -> None:
    wrong = [each.name for each in recordings if pattern and not each.speaker]
    if wrong:
        raise InputError(
            "data.group_by must find its group in the name of every recording, got none with "
            f"{pattern!r} in {_some(wrong)}; change it, or rename them"
        )


def _hold_out(folder: Path, recordings: list[LabelledFile], speaker: str) -> list[LabelledFile]:
    known = sorted({each.speaker for each in recordings})
    if speaker not in known or len(known) < 2:
        raise InputError(
            f"data.hold_out must be one of several groups, got {speaker!r}; {folder} has "
            f"{_some(known)}"
        )
    if any(each.split == "test" for each in recordings):
        raise InputError(
            f"data.hold_out must be empty where the data have a test split, got {speaker!r} "
            f"with {folder}; leave it out, or move its recordings into train"
        )
    held = [replace(r, split="test") if r.speaker == speaker else r for r in recordings]
    return sorted(held, key=lambda each: SPLITS.index(each.split))


def _some(names: Iterable[str]) -> str:
    known = list(names)
    more = f" and {len(known) - 3} more" if len(known) > 3 else ""
    return ", ".join(known[:3]) + more
