"""What lists and tables of runs show of the cost of a network."""

from mlgenn_delays.bits import LARGEST

FORMATS = ("bundle", "c", *(f"c_{kind}" for kind in LARGEST), "genn")  # whose bytes are known
OPERATIONS = "operations"
COLUMNS = (OPERATIONS, *(f"bytes_{name}" for name in FORMATS))
