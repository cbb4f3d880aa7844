"""Networks as modules of PyTorch; every name is loaded when first used."""

from mlgenn_delays.lazy import lazily

__getattr__, __all__ = lazily(__name__, __file__)


def __dir__() -> list[str]:
    return __all__
