"""Arrays from anybody, as NumPy has them."""

from typing import Any

import numpy as np


def to_numpy(value: Any) -> np.ndarray:
    """Return numbers in lists, an array or a tensor of PyTorch, on any device, as an array.

    Raises:
        TypeError: There is no array of it, as with `ValueError` and `OverflowError`.

    Example:
        >>> to_numpy([1, 2]).tolist()
        [1, 2]
    """
    if hasattr(value, "detach"):  # a tensor, which may be learned or lie on a GPU
        value = value.detach().cpu()
    try:
        return np.asarray(value)
    except RuntimeError as error:  # how PyTorch says that there is none
        raise TypeError(str(error)) from error
