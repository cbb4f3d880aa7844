"""Training: the epoch loop, run directories, checkpoints and resuming."""

from mlgenn_delays import lazily

_PUBLIC = {
    "History": ".runs.history",
    "RunDirectory": ".runs.directory",
    "Trainer": "trainer",
    "describe_environment": ".runs.directory",
}
__all__ = ["History", "RunDirectory", "Trainer", "describe_environment"]
__getattr__ = lazily(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
