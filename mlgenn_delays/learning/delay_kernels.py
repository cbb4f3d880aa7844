"""How a delay acts while it is learned: the weights of the steps 0..max delay around it.

Dirac      one step, the delay rounded; its gradient is the difference of one step later
Gaussian   K[k] ~ exp(-((k - delay) / width)^2 / 2), of sum 1, width = |sigma| + 0.27

(Khalfaoui-Hassani, Pellegrini and Masquelier 2023; Hammouamri et al. 2024.) Evaluation always
takes the delay rounded to a step.
"""

from dataclasses import dataclass

from mlgenn_delays.checks import check_number, refuse

LEAST_WIDTH = 0.27  # [steps]; added to sigma, so that a kernel never collapses between two steps


@dataclass(frozen=True)
class Dirac:
    """A delay acts in one step."""

    def width(self, epoch: int) -> float:
        """Return 0: it has no width."""
        return 0.0


@dataclass(frozen=True)
class Gaussian:
    """A delay acts over steps around it, ever fewer as sigma falls.

    Arguments:
        sigma_start: Sigma in the first epoch [steps].
        sigma_end: Sigma from epoch ``epochs + 1`` on [steps].
        epochs: Epochs in which it falls from one to the other, exponentially; a quarter of all in
            the paper.
    """

    sigma_start: float = 12.0
    sigma_end: float = 0.23
    epochs: float = 0.0

    def __post_init__(self) -> None:
        check_number(self, "sigma_start", 0, open_low=True, unit="steps")
        check_number(self, "sigma_end", 0, open_low=True, unit="steps")
        check_number(self, "epochs", 0)
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
