"""What is learned and how: rules, optimisers, schedules, regularisers; settings, no kernels."""

from mlgenn_delays.learning.delay_kernels import Dirac, Gaussian
from mlgenn_delays.learning.optimisers import Adam, Constant, Cosine, EaseIn, OneCycle, SpikeCount
from mlgenn_delays.learning.rules import EventProp, Rule, SurrogateBPTT
from mlgenn_delays.learning.surrogates import Atan, Boxcar, Triangle

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
