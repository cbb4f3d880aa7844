"""Training: the epoch loop, run directories, checkpoints and resuming."""

from mlgenn_delays import lazily

_PUBLIC = {
    "History": ".runs.history",
    "InitialWeights": "initial_weights",
    "RunDirectory": ".runs.directory",
    "Trainer": "trainer",
    "describe_environment": ".runs.directory",
    "initialise_weights": "initial_weights",
}
__all__ = [
    "History",
    "InitialWeights",
    "RunDirectory",
    "Trainer",
    "describe_environment",
    "initialise_weights",
]
__getattr__ = lazily(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
