"""Losses: what of the output's voltage is learned, from classes or from targets in time.

Shapes: B examples, K output neurons, T steps; V (B, K, T) is the voltage of the output.

    CrossEntropy        L = -sum_k q_k log softmax(y)_k, y the logits of the population's readout
    MeanSquaredError    L = 1/(K (T - s)) sum_k sum_{t >= s} (V_k[t] - target_k[t])^2
    SpikeCountLoss      L = 1/K sum_k (sum_t V_k[t] - count_k)^2, V the spikes, by a SpikeCounter
    SpikeTimeLoss       MeanSquaredError from the V that the target spikes would cause
    a function          (V, targets) -> (L (B,), dL/dV (B, K, T))
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

import numpy as np

from mlgenn_delays.errors import InputError, nearest
from mlgenn_delays.settings import NonNegative, Share, Time, refuse, says, settings

LossFunction = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
Smoothing = Annotated[
    Share, says("Share of the probability that is spread evenly over all classes, the right one's.")
]
Start = Annotated[Time, says("What comes before this time in a trial does not count.")]
Correct = Annotated[NonNegative, says("Wanted spikes per trial of the right class's neuron.")]
Wrong = Annotated[NonNegative, says("Wanted spikes per trial of each other class's neuron.")]


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

    series: ClassVar[bool] = False  # whether it takes targets in time, not classes
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

    series: ClassVar[bool] = True
    start: Start = 0.0


@settings
class SpikeCountLoss:
    """Mean squared error of spike counts, for data with classes and an output that spikes.

    The output is a `SpikeCounter`, with one neuron per class. It has no gradient under `EventProp`,
    for the number of spikes does not change with their times.

    Example:
        >>> from mlgenn_delays import SpikeCountLoss
        >>> SpikeCountLoss(correct=8.0).wrong
        1.0
    """

    series: ClassVar[bool] = False
    correct: Correct = 10.0
    wrong: Wrong = 1.0

    def __post_init__(self) -> None:
        if self.correct <= self.wrong:
            refuse(self, "correct", f"a number > wrong ({self.wrong:g})")


@settings
class SpikeTimeLoss:
    """Distance of spike trains (van Rossum 2001), for data with target spike trains of 0 and 1.

    Both trains are filtered by the output, a `LeakyIntegrator` or another linear readout, and its
    synapses: the loss is the mean squared difference of its voltage from that which it would have
    if each of its neurons had the target spikes as its only input, through a synapse of weight 1
    and delay 0.

    Example:
        >>> from mlgenn_delays import SpikeTimeLoss
        >>> SpikeTimeLoss()
        SpikeTimeLoss()
    """

    series: ClassVar[bool] = True


NamedLoss = CrossEntropy | MeanSquaredError | SpikeCountLoss | SpikeTimeLoss
Loss = NamedLoss | LossFunction
LOSSES: dict[str, type[NamedLoss]] = {
    "cross-entropy": CrossEntropy,
    "mean-squared-error": MeanSquaredError,
    "spike-count": SpikeCountLoss,
    "spike-time": SpikeTimeLoss,
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
    if isinstance(loss, NamedLoss):
        return loss
    if callable(loss) and not isinstance(loss, type):
        function: LossFunction = loss
        return function
    hint = nearest(loss, tuple(LOSSES)) if isinstance(loss, str) else ""
    raise InputError(
        f"loss must be one of {', '.join(LOSSES)}, "
        f"{', '.join(f'{kind.__name__}(...)' for kind in LOSSES.values())} or a function of "
        f"voltage and targets, got {loss!r}{hint}"
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
        InputError: There are targets and the loss takes classes, or the reverse, no step counts, or
            spikes are neither 0 nor 1.
    """
    if not isinstance(loss, NamedLoss):
        return
    name = name_of(loss)
    if targets is not None and not loss.series:
        raise InputError(
            f"{what} must have classes with the loss {name!r}, got target series; "
            "take the loss 'mean-squared-error' (loss.kind of a recipe)"
        )
    if targets is None and loss.series:
        raise InputError(
            f"{what} must have target series with the loss {name!r}, got classes; "
            "give them targets, or take the loss 'cross-entropy' (loss.kind of a recipe)"
        )
    if isinstance(loss, MeanSquaredError) and first_step(loss, dt) >= steps:
        raise InputError(
            f"loss.start must be below the {steps * dt:g} ms of a trial, got {loss.start:g}; "
            "lower it"
        )
    if isinstance(loss, SpikeTimeLoss) and targets is not None:
        other = targets[(targets != 0) & (targets != 1)]
        if len(other):
            raise InputError(
                f"{what} must have targets of 0 and 1, the spikes in each step, with the loss "
                f"{name!r}, got {other[0]:g}; take the loss 'mean-squared-error' for other series "
                "(loss.kind of a recipe)"
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
