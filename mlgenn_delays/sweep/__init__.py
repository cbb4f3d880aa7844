"""Sweeps: a recipe over a grid of settings and seeds, resumable, on this machine or a cluster.

from mlgenn_delays.sweep import Sweep, read_results

sweep = Sweep("digits", "DIR", grid={"delays.learn": [True, False]}, seeds=3)
rows = sweep.run()
rows = read_results("DIR")   # the same, later
"""

from mlgenn_delays.lazy import lazily

__getattr__, __all__ = lazily(__name__, __file__)


def __dir__() -> list[str]:
    return __all__
