from mlgenn_delays.rewiring import *
