from mlgenn_delays.network import *
