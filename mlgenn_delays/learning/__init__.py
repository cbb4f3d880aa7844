"""What is learned and how: rules, optimisers, schedules, regularisers; settings, no kernels."""

from mlgenn_delays.learning.optimisers import Adam, Constant, Cosine, EaseIn, OneCycle, SpikeCount
from mlgenn_delays.learning.rules import (
    Atan,
    Boxcar,
    Dirac,
    EventProp,
    Gaussian,
    Rule,
    SurrogateBPTT,
    Triangle,
)

__all__ = [
    "Adam",
    "Atan",
    "Boxcar",
    "Constant",
    "Cosine",
    "Dirac",
    "EaseIn",
    "EventProp",
    "Gaussian",
    "OneCycle",
    "Rule",
    "SpikeCount",
    "SurrogateBPTT",
    "Triangle",
]
