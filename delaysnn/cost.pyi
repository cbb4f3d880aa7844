from mlgenn_delays.cost import *
