"""Compare the cochlea with `lauscher`, the program that made SHD, spike by spike.

`python benchmarks/cochlea.py DIR` hears recordings of FSDD, the shortest of each digit, with both
and prints the table of docs/how-to/cochlea.md. Both draw the spikes of the nerve fibres from the
same random numbers, so that every spike of a channel should be at the same time. `lauscher` (pip
install lauscher) takes minutes per recording.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from mlgenn_delays.data.encode.cochlea import (
    MEMBRANE_RATE,
    N_CHANNELS,
    SAMPLE_RATE,
    bushy_constants,
    cochlea_spikes,
    firing_probability,
    membrane,
    prepared,
)
from mlgenn_delays.data.encode.cochlea_kernel import bushy_cells
from mlgenn_delays.data.encode.wav import read_wav
from mlgenn_delays.data.sets.fsdd import list_fsdd

Raster = np.ndarray  # (C, S) bool: channels, samples of the membrane
_NEAR = round(1e-3 * MEMBRANE_RATE)  # 1 ms


def chances(samples: np.ndarray) -> np.ndarray:
    """Return our chances of a spike per fibre and sample, (C, S), S as `lauscher` has it."""
    n = len(samples) // 2 + 1
    moved = (part[:, :n] for _, part in membrane(prepared(samples)))
    return np.concatenate([firing_probability(part) for part in moved])


def drawn(chance: np.ndarray, seed: int) -> Raster:
    """Return the spikes of chances, with the fibres drawn as `lauscher` draws them."""
    from lauscher.transformations import BushyCell

    np.random.seed(seed)
    cell = BushyCell()
    counts = np.array([cell._sample(row, MEMBRANE_RATE).sum(axis=1) for row in chance], np.uint8)
    spiked = np.zeros(counts.shape, np.bool_)
    bushy_cells(counts, *bushy_constants(), round(cell.tau_refrac * MEMBRANE_RATE), spiked)
    return spiked


def heard_by_lauscher(samples: np.ndarray, seed: int) -> Raster:
    from lauscher.audiowaves import MonoAudioWave
    from lauscher.transformations.wave2spike import Wave2Spike

    np.random.seed(seed)
    wave = MonoAudioWave(samples.astype(float), SAMPLE_RATE)
    found = wave.transform(Wave2Spike(N_CHANNELS))
    return raster(found.spike_labels, found.spike_times, len(samples) // 2 + 1)


def raster(channels: np.ndarray, seconds: np.ndarray, n: int) -> Raster:
    spiked = np.zeros((N_CHANNELS, n), np.bool_)
    at = np.rint(np.asarray(seconds) * MEMBRANE_RATE).astype(np.int64)
    spiked[np.asarray(channels).astype(np.int64), at] = True
    return spiked


def matched(one: Raster, other: Raster, within: int) -> float:
    """Return the share of spikes that have a partner of their channel, at most so far away."""
    pairs = 0
    for row, beside in zip(one, other, strict=True):
        a, b = np.flatnonzero(row), np.flatnonzero(beside)
        i = j = 0
        while i < len(a) and j < len(b):
            if abs(a[i] - b[j]) <= within:
                pairs, i, j = pairs + 1, i + 1, j + 1
            elif a[i] < b[j]:
                i += 1
            else:
                j += 1
    return 2 * pairs / max(1, one.sum() + other.sum())


def row(name: str, samples: np.ndarray, theirs: Raster, seed: int) -> str:
    """Return a row of the table."""
    ours = drawn(chances(samples), seed)
    own = raster(*cochlea_spikes(samples), theirs.shape[1])
    numbers = [f"{each.sum():,}" for each in (theirs, ours, own)]
    shares = [f"{100 * matched(theirs, ours, within):.2f} %" for within in (0, _NEAR)]
    return f"| {name} | {' | '.join([*numbers, *shares])} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--takes", default="10-49", help="those to choose from")
    parser.add_argument("--recordings", type=int, default=10)
    arguments = parser.parse_args()
    first, last = map(int, arguments.takes.split("-"))
    known = [each for each in list_fsdd(arguments.folder) if first <= each.take <= last]
    print("| recording | lauscher | same draws | own draws | same time | within 1 ms |")
    print("|---|---|---|---|---|---|")
    for digit in range(arguments.recordings):
        some = [each.path for each in known if each.digit == digit % 10]
        path = sorted(some, key=lambda each: each.stat().st_size)[digit // 10]
        samples = read_wav(path, SAMPLE_RATE)
        begun = time.process_time()
        cochlea_spikes(samples)
        took = (time.process_time() - begun) * SAMPLE_RATE / len(samples)
        print(row(path.name, samples, heard_by_lauscher(samples, digit), digit), flush=True)
        print(f"<!-- ours took {took:.2f} CPU s per second of sound -->")


if __name__ == "__main__":
    main()
