"""Sweeps: a recipe over a grid of settings and seeds, resumable, on this machine or a cluster.

from mlgenn_delays.sweep import Sweep, read_results

sweep = Sweep("digits", "DIR", grid={"delays.learn": [True, False]}, seeds=3)
rows = sweep.run()
rows = read_results("DIR")   # the same, later
"""

from mlgenn_delays import lazily

_PUBLIC = {"Sweep": "sweep", "read_results": "results", "summarise": "results"}
__all__ = ["Sweep", "read_results", "summarise"]
__getattr__ = lazily(__name__, _PUBLIC)


def __dir__() -> list[str]:
    return sorted(__all__)
