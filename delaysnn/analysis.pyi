from mlgenn_delays.analysis import *
