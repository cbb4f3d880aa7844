"""A whole training from epochs that were measured at a few widths of the delay kernels."""

import numpy as np

EPOCHS = 150  # of Mészáros, Knight and Nowotny (2024)
ANNEALED = EPOCHS / 4


def measured_epochs(n: int) -> list[int]:
    """Return n epochs evenly from the first to the first at the final width, with ends."""
    last = int(np.ceil(ANNEALED)) + 1
    return [int(epoch) for epoch in np.round(np.linspace(1, last, n))]


def every_epoch(epochs: list[int], seconds: list[float]) -> np.ndarray:
    """Return the seconds of each epoch: between measured ones on a straight line.

    Sigma falls exponentially, so the line is one over log sigma. After the last the width stays.
    """
    return np.interp(np.arange(1, EPOCHS + 1), epochs, seconds)
