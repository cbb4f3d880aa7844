"""How a delay acts while it is learned: the weights of the steps 0..max delay around it.

Dirac      one step, the delay rounded; its gradient is the difference of one step later
Gaussian   K[k] ~ exp(-((k - delay) / width)^2 / 2), of sum 1, width = |sigma| + 0.27

(Khalfaoui-Hassani, Pellegrini and Masquelier 2023; Hammouamri et al. 2024.) Evaluation always
takes the delay rounded to a step.
"""

from typing import Annotated

from mlgenn_delays.settings import NonNegative, Positive, Unit, refuse, says, settings

LEAST_WIDTH = 0.27  # [steps]; added to sigma, so that a kernel never collapses between two steps


@settings
class Dirac:
    """A delay acts in one step.

    Example:
        >>> from mlgenn_delays import Dirac
        >>> Dirac().width(epoch=1)
        0.0
    """

    def width(self, epoch: int) -> float:
        """Return 0: it has no width."""
        return 0.0


@settings
class Gaussian:
    """A delay acts over steps around it, ever fewer as sigma falls.

    Example:
        >>> from mlgenn_delays import Gaussian
        >>> Gaussian(12.0, 0.23, epochs=10).sigma(epoch=1)
        12.0
    """

    sigma_start: Annotated[Positive, Unit("steps"), says("Sigma in the first epoch.")] = 12.0
    sigma_end: Annotated[Positive, Unit("steps"), says("Sigma at the end.")] = 0.23
    epochs: Annotated[
        NonNegative,
        says("Epochs in which sigma falls exponentially; a quarter of all in the paper."),
    ] = 0.0

    def __post_init__(self) -> None:
        if self.sigma_end > self.sigma_start:
            refuse(self, "sigma_end", f"<= sigma_start ({self.sigma_start:g} steps)")

    def sigma(self, epoch: int) -> float:
        """Return sigma in an epoch, which count from 1 [steps]."""
        share = 1.0 if self.epochs == 0 else min(1.0, (epoch - 1) / self.epochs)
        return self.sigma_start * (self.sigma_end / self.sigma_start) ** share

    def width(self, epoch: int) -> float:
        """Return the width of the kernel in an epoch [steps]."""
        return self.sigma(epoch) + LEAST_WIDTH


DelayKernel = Dirac | Gaussian
