"""Small data as users bring them: WAVs in folders of classes, arrays in .npz."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.reference.split import split

RATE = 8000
PITCH = {"no": 300, "yes": 1200, "up": 2400}


def write_wav(path: Path, pitch: float, seconds: float = 0.1) -> Path:
    """Write a tone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(RATE * seconds)) / RATE
    with open(path, "wb") as file:  # soundfile cannot encode every name
        soundfile.write(file, 0.5 * np.sin(2 * np.pi * pitch * time), RATE, format="WAV")
    return path


def write_words(
    folder: Path,
    words: Iterable[str] = ("no", "yes"),
    speakers: Sequence[str] = (
        "ann",
        "bob",
        "cyd",
        "dan",
        "eve",
        "fay",
        "gil",
        "hal",
        "ida",
        "jon",
    ),
    takes: int = 2,
) -> Path:
    """Write each word by each speaker, a tone whose pitch is the word's; return the folder."""
    for word in words:
        for number, speaker in enumerate(speakers):
            for take in range(takes):
                path = folder / word / f"{speaker}_{take}.wav"
                write_wav(path, PITCH[word] + 15 * number + 5 * take)
    return folder


def examples(
    n: int, classes: int = 3, channels: int = 6, seed: int = 0
) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """Return channels and times [ms] of n examples, and their labels: a class spikes later."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    events = []
    for label in labels:
        size = int(rng.integers(5, 15))
        times = 10.0 * label + rng.random(size) * 10
        events.append((rng.integers(0, channels, size), times))
    return events, labels


def write_events(
    path: Path,
    events: Sequence[tuple[np.ndarray, np.ndarray]],
    labels: np.ndarray,
    **more: Any,
) -> Path:
    """Write events as .npz; ``more`` are further arrays, or others in place of those."""
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "times": np.concatenate([each[1] for each in events]),
        "channels": np.concatenate([each[0] for each in events]),
        "start": np.cumsum([0] + [len(each[0]) for each in events]),
        "labels": labels,
    } | more
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def sizes(
    names: Sequence[str],
    labels: Sequence[int],
    test: float = 0.1,
    validation: float = 0.1,
    groups: Sequence[str] | None = None,
) -> dict[str, int]:
    """Return how many examples each split gets by the rule, in the order of the splits."""
    shares = {"test": test, "validation": validation}
    found = Counter(split([int(label) for label in labels], shares, names, groups))
    return {each: found[each] for each in ("train", "validation", "test") if found[each]}


def word_sizes(folder: Path, *, speakers: bool = False) -> dict[str, int]:
    """Return the same of a folder of words, with all of a speaker in one split if so asked."""
    paths = sorted(folder.glob("*/*.wav"))
    words = sorted({path.parent.name for path in paths})
    labels = [words.index(path.parent.name) for path in paths]
    groups = [path.name.split("_")[0] for path in paths] if speakers else None
    return sizes([f"{path.parent.name}/{path.name}" for path in paths], labels, groups=groups)
