from mlgenn_delays.data import *
