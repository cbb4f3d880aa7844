"""What to know of how recordings are split: speakers in several splits, few to test on."""

import re
from collections import defaultdict

from mlgenn_delays.data.dataset import Recordings

FEW_TESTED = 50  # recordings; of so many, one is two points of accuracy
# How names within a class may say who speaks, as for `group_by`.
_SPEAKERS = ("^([^_/]+)_", "^([^-/]+)-", "^([^/]+)/", "^[^_/]+_([^_/]+)_")


def notes_on_splits(found: Recordings) -> list[str]:
    """Return what a user should know of the splits of some recordings, in words.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.data.dataset import Recordings
        >>> names = [f"{word}/{who}_0.wav" for word in ("no", "yes") for who in ("ann", "ben")]
        >>> rows = {"train": np.array([0, 3]), "test": np.array([1, 2])}
        >>> found = Recordings([], names, np.array([0, 0, 1, 1]), ("no", "yes"), rows, 100)
        >>> for note in notes_on_splits(found):
        ...     print(note)
        names seem to say who speaks, and 2 of 2, such as 'ann', are in several splits; if so, set data.group_by='^([^_/]+)_'
        2 recordings to test on are few: each is 50.0 points of accuracy; record more, or sweep over data.hold_out
    """  # noqa: E501
    notes = []
    if not found.divided and found.groups is None:
        notes += _shared_speakers(found)
    n = len(found.rows.get("test", ()))
    if 0 < n < FEW_TESTED:
        notes.append(
            f"{n} recordings to test on are few: each is {100 / n:.1f} points of accuracy; record "
            "more, or sweep over data.hold_out"
        )
    return notes


def _shared_speakers(found: Recordings) -> list[str]:
    """Return a note where names seem to say who speaks, and speakers are in several splits."""
    within = [name.partition("/")[2] for name in found.names]
    for pattern in _SPEAKERS:
        matches = [re.search(pattern, name) for name in within]
        speakers = [match[1] for match in matches if match]
        words = defaultdict(set)
        for speaker, label in zip(speakers, found.labels.tolist(), strict=False):
            words[speaker].add(label)
        several = sum(len(each) > 1 for each in words.values())
        # Speakers say several words, and several recordings are theirs; takes and words do not.
        if len(speakers) < len(within) or len(words) < 2 or 2 * several <= len(words):
            continue
        splits = defaultdict(set)
        for split, rows in found.rows.items():
            for row in rows.tolist():
                splits[speakers[row]].add(split)
        shared = sorted(speaker for speaker, each in splits.items() if len(each) > 1)
        if shared:
            return [
                f"names seem to say who speaks, and {len(shared)} of {len(words)}, such as "
                f"{shared[0]!r}, are in several splits; if so, set data.group_by='{pattern}'"
            ]
        return []
    return []
