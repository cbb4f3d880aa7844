"""What a network costs: memory, sparsity, operations per inference, and an estimate of energy.

from mlgenn_delays.cost import measure_cost

cost = measure_cost(network, data)
"""

from mlgenn_delays.lazy import lazily

__getattr__, __all__ = lazily(__name__, __file__)


def __dir__() -> list[str]:
    return __all__
