from mlgenn_delays.sweep import *
