"""Training: the epoch loop, run directories, checkpoints and resuming."""

from mlgenn_delays.lazy import lazily

__getattr__, __all__ = lazily(__name__, __file__)


def __dir__() -> list[str]:
    return __all__
