"""Float64 twin of Adam (Kingma and Ba 2015, algorithm 1), each parameter with its own count.

Update n of a parameter, which counts from 1, with both moments 0 before the first:

    m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
    value -= rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + epsilon)
"""

import math
from dataclasses import dataclass


@dataclass
class Parameter:
    """One number that is learned.

    Attributes:
        value: The number.
        first: Its first moment.
        second: Its second moment.
        updates: How many updates it has had.
    """

    value: float
    first: float = 0.0
    second: float = 0.0
    updates: int = 0

    def update(
        self, gradient: float, rate: float, beta1: float, beta2: float, epsilon: float
    ) -> None:
        self.updates += 1
        self.first = beta1 * self.first + (1 - beta1) * gradient
        self.second = beta2 * self.second + (1 - beta2) * gradient**2
        mean = self.first / (1 - beta1**self.updates)
        square = self.second / (1 - beta2**self.updates)
        self.value -= rate * mean / (math.sqrt(square) + epsilon)
