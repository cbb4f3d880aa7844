"""Export as C99 source that needs no operating system and no memory but its own arrays."""

from mlgenn_delays.export.c.costs import Costs, Limits
from mlgenn_delays.export.c.fit import c_costs
from mlgenn_delays.export.c.write import write_c
from mlgenn_delays.quantisation import Quantised, quantise

__all__ = ["Costs", "Limits", "Quantised", "c_costs", "quantise", "write_c"]
