"""Compile the kernels of the engine and of the data once: `python -m tests.warm`.

Tests that run in several processes would otherwise each compile the same ones. Two trainings that
take no time but for that run side by side; what they compile stays in the cache of kernels, so
that where nothing has changed this takes seconds.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.cli.helpers import REWIRED, SMALL, start, write_rawhd, write_words

# Spike to spike: EventProp of spoken digits, recurrent, augmented in every way, with rewiring.
EVENTS = [
    *SMALL,
    *(
        word
        for setting in (
            "network.layers.0.recurrent=true",
            "network.sparsity=0.5",
            "rewiring.rule=rigl",
        )
        for word in ("--set", setting)
    ),
]


def main() -> int:
    """Train both ways, and say what went wrong."""
    began = time.monotonic()
    with TemporaryDirectory() as folder:
        base = Path(folder)
        words = write_words(base / "words", [0, 1, 5, 6, *range(10, 18)])
        rawhd = write_rawhd(base / "rawhd")
        trainings = [
            ["fsdd", *EVENTS, "--data", words],
            ["rawhd", *REWIRED, "--data", rawhd],
        ]
        running = [
            start("train", *options, "--epochs", 1, "--out", base / f"run-{options[0]}")
            for options in trainings
        ]
        failed = [said for each in running if (said := each.communicate()[1]) and each.returncode]
    print("".join(failed) or f"kernels are compiled ({time.monotonic() - began:.0f} s)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
