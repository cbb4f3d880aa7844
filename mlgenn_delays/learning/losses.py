"""Losses: what of the output's voltage is learned, from classes or from target series.

Shapes: B examples, K output neurons, T steps; V (B, K, T) is the voltage of the output.

    CrossEntropy        L = -sum_k q_k log softmax(y)_k, y the logits of the population's readout
    MeanSquaredError    L = 1/(K (T - s)) sum_k sum_{t >= s} (V_k[t] - target_k[t])^2
    a function          (V, targets) -> (L (B,), dL/dV (B, K, T))
"""

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.settings import Share, Time, says, settings

LossFunction = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Smoothing = Annotated[
    Share, says("Share of the probability that is spread evenly over all classes, the right one's.")
]
Start = Annotated[Time, says("What comes before this time in a trial does not count.")]


@settings
class CrossEntropy:
    """Cross-entropy of the softmax of the readout's logits, for data with classes.

    With label smoothing (Szegedy et al. 2016) q_k is 1 - label_smoothing of the right class, and
    label_smoothing / K more of every class.

    Example:
        >>> from mlgenn_delays import CrossEntropy
        >>> CrossEntropy(label_smoothing=0.1)
        CrossEntropy(label_smoothing=0.1)
    """

    label_smoothing: Smoothing = 0.0


@settings
class MeanSquaredError:
    """Mean squared error of the output's voltage, for data with target series.

    The mean is over output neurons and over the steps that count.

    Example:
        >>> from mlgenn_delays import MeanSquaredError
        >>> MeanSquaredError(start=50.0).start
        50.0
    """

    start: Start = 0.0


Loss = CrossEntropy | MeanSquaredError | LossFunction
LOSSES: dict[str, type[CrossEntropy] | type[MeanSquaredError]] = {
    "cross-entropy": CrossEntropy,
    "mean-squared-error": MeanSquaredError,
}


def as_loss(loss: object) -> Loss:
    """Return a loss from what stands for one: its name, its settings, or a function.

    Example:
        >>> from mlgenn_delays.learning.losses import as_loss
        >>> as_loss("mean-squared-error")
        MeanSquaredError(start=0.0)

    Raises:
        InputError: It is none of these.
    """
    if isinstance(loss, str) and loss in LOSSES:
        return LOSSES[loss]()
    if isinstance(loss, CrossEntropy | MeanSquaredError):
        return loss
    if callable(loss) and not isinstance(loss, type):
        function: LossFunction = loss
        return function
    hint = nearest(loss, tuple(LOSSES)) if isinstance(loss, str) else ""
    raise InputError(
        f"loss must be one of {', '.join(LOSSES)}, CrossEntropy(...), MeanSquaredError(...) or a "
        f"function of voltage and targets, got {loss!r}{hint}"
    )


def name_of(loss: Loss) -> str:
    """Return the name of a loss, of a function its own."""
    for name, kind in LOSSES.items():
        if isinstance(loss, kind):
            return name
    return str(getattr(loss, "__qualname__", type(loss).__qualname__))


def first_step(loss: Loss, dt: float) -> int:
    """Return the first step of a trial that counts, in steps of dt [ms]."""
    return round(loss.start / dt) if isinstance(loss, MeanSquaredError) else 0


def check_targets(loss: Loss, what: str, targets: np.ndarray | None, steps: int, dt: float) -> None:
    """Reject data whose classes or targets (N, K, T) a loss cannot take; `what` names the data.

    Raises:
        InputError: There are targets and the loss takes classes, or the reverse, or no step counts.
    """
    if isinstance(loss, CrossEntropy) and targets is not None:
        raise InputError(
            f"{what} must have classes with the loss 'cross-entropy', got target series; "
            "take the loss 'mean-squared-error' (loss.kind of a recipe)"
        )
    if isinstance(loss, MeanSquaredError):
        if targets is None:
            raise InputError(
                f"{what} must have target series with the loss 'mean-squared-error', got classes; "
                "give them targets, or take the loss 'cross-entropy' (loss.kind of a recipe)"
            )
        if first_step(loss, dt) >= steps:
            raise InputError(
                f"loss.start must be below the {steps * dt:g} ms of a trial, got {loss.start:g}; "
                "lower it"
            )


def check_result(result: Any, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return what a loss function gave for voltages of a shape, (B,) and (B, K, T) float32.

    Raises:
        InputError: It is not a pair of arrays of these shapes.
    """
    if not isinstance(result, tuple | list) or len(result) != 2:
        raise InputError(
            "a loss function must give a pair of loss (B,) and dL/dV (B, K, T), got "
            f"{type(result).__name__}"
        )
    try:
        loss, drive = (np.asarray(part, np.float32, order="C") for part in result)
    except (TypeError, ValueError) as error:
        raise InputError(f"a loss function must give arrays of real numbers, got {error}") from None
    if loss.shape != shape[:1] or drive.shape != shape:
        raise InputError(
            f"a loss function must give loss {shape[:1]} and dL/dV {shape}, got {loss.shape} and "
            f"{drive.shape}; the loss is of each example, not their mean"
        )
    return loss, drive
