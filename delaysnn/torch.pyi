from mlgenn_delays.torch import *
