"""What is learned and how: rules, optimisers, schedules, regularisers; settings, no kernels."""

from mlgenn_delays.learning.optimisers import Adam
from mlgenn_delays.learning.regularisers import SpikeCount
from mlgenn_delays.learning.rules import EventProp
from mlgenn_delays.learning.schedules import Constant, Cosine, EaseIn, OneCycle

__all__ = ["Adam", "Constant", "Cosine", "EaseIn", "EventProp", "OneCycle", "SpikeCount"]
