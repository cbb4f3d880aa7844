"""Compile the kernels that most tests use, once: `python -m tests.warm`.

Tests that run in several processes would otherwise each compile the same ones. Two trainings that
take no time but for that run side by side, each with its analysis; what they compile stays in the
cache of kernels, so that where nothing has changed this takes seconds.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cli.helpers import REWIRED, SMALL, start, write_rawhd, write_words

# Spike to spike: recordings of digits as spikes, recurrent, blended, with rewiring.
SETTINGS = (
    "network.layers.0.recurrent=true",
    "network.sparsity=0.5",
    "rewiring.rule=rigl",
    "augmentation.blend=0.5",
    "augmentation.shift=1",
)
EVENTS = [*SMALL, *(word for setting in SETTINGS for word in ("--set", setting))]


def said(*words: object) -> str:
    """Run a command; return what it says if it fails, else ""."""
    process = start(*words)
    _, text = process.communicate()
    return text if process.returncode else ""


def compiled(recipe: str, options: list[object], run: Path) -> str:
    """Train an epoch and analyse the run; return what went wrong."""
    train = said("train", recipe, *options, "--epochs", 1, "--out", run)
    return train or said("analyse", run, "--permutations", 99)


def main() -> int:
    """Train both ways, and say what went wrong."""
    began = time.monotonic()
    with TemporaryDirectory() as folder, ThreadPoolExecutor(2) as both:
        base = Path(folder)
        words = write_words(base / "words", [0, 1, 5, 6, *range(10, 18)])
        rawhd = write_rawhd(base / "rawhd")
        asked = (
            ("fsdd", [*EVENTS, "--data", words], base / "events"),
            ("rawhd", [*REWIRED, "--data", rawhd], base / "steps"),
        )
        failed = "".join(both.map(compiled, *zip(*asked, strict=True)))
    print(failed or f"kernels are compiled ({time.monotonic() - began:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
