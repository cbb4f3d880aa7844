"""What is learned and how: rules, optimisers, schedules, regularisers; settings, no kernels."""

from mlgenn_delays.learning.losses import (
    CrossEntropy,
    MeanSquaredError,
    SpikeCountLoss,
    SpikeTimeLoss,
)
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
    "CrossEntropy",
    "Dirac",
    "EaseIn",
    "EventProp",
    "Gaussian",
    "MeanSquaredError",
    "OneCycle",
    "Rule",
    "SpikeCount",
    "SpikeCountLoss",
    "SpikeTimeLoss",
    "SurrogateBPTT",
    "Triangle",
]
