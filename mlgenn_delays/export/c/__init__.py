"""Export as C99 source that needs no operating system and no memory but its own arrays."""

from mlgenn_delays.export.c.header import Costs
from mlgenn_delays.export.c.ram import check_ram
from mlgenn_delays.export.c.write import write_c
from mlgenn_delays.quantisation import Quantised, quantise

__all__ = ["Costs", "Quantised", "check_ram", "quantise", "write_c"]
