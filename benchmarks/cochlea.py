"""Compare the cochlea with `lauscher`, the program that made SHD, spike by spike.

`python benchmarks/cochlea.py DIR` hears recordings of FSDD, the shortest of each digit, with both
and prints the table of docs/how-to/cochlea.md. Both draw the spikes of the nerve fibres from the
same random numbers, so that every spike of a channel should be at the same time. The loops of
`lauscher` (pip install lauscher) are compiled, or a recording would take it minutes.
"""

import argparse
import inspect
import re
import textwrap
import time
from collections import namedtuple
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
import numpy as np

from mlgenn_delays.data.encode.audio import read_recording
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
    """Return the spikes of `lauscher`, whose loops over samples are compiled as they stand."""
    from lauscher.audiowaves import MonoAudioWave
    from lauscher.transformations import (
        BasilarMembrane,
        BushyCell,
        HairCell,
        HanningWindow,
        RmsNormalizer,
    )

    wave = MonoAudioWave(samples.astype(float), SAMPLE_RATE)
    wave = wave.transform(RmsNormalizer(0.3)).transform(HanningWindow())
    moved = wave.transform(BasilarMembrane(N_CHANNELS))
    hair, cell = HairCell(), BushyCell()
    meddis, lif = compiled(HairCell._meddis), compiled(BushyCell._lif)
    chance = [meddis(constants(hair), row, MEMBRANE_RATE) for row in moved.channels]
    np.random.seed(seed)
    fibres = [cell._sample(row, MEMBRANE_RATE) for row in chance]
    return np.array([lif(constants(cell), row, MEMBRANE_RATE) for row in fibres]) > 0


@cache
def compiled(method: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Compile a method of `lauscher`, whose object becomes a named tuple."""
    text = textwrap.dedent(inspect.getsource(method))
    scope: dict[str, Any] = {"np": np}
    # Numba takes the greatest of a list only by another name.
    exec(re.sub(r"np\.max\(\[(.*), 0\]\)", r"max(\1, 0.0)", text), scope)
    return numba.njit(scope[method.__name__])


def constants(cell: object) -> tuple[float, ...]:
    """Return the numbers that an object holds, by name."""
    held = {name: float(value) for name, value in vars(cell).items()}
    return namedtuple("Constants", held)(**held)


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


def cost(samples: np.ndarray) -> float:
    """Return the CPU time that a second of sound takes us [s]."""
    begun = time.process_time()
    cochlea_spikes(samples)
    return (time.process_time() - begun) * SAMPLE_RATE / len(samples)


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
        samples = read_recording(path, SAMPLE_RATE)
        took = min(cost(samples) for _ in range(3))
        print(row(path.name, samples, heard_by_lauscher(samples, digit), digit), flush=True)
        print(f"<!-- ours took {took:.2f} CPU s per second of sound -->")


if __name__ == "__main__":
    main()
