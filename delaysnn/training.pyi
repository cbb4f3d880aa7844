from mlgenn_delays.training import *
