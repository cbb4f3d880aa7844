from mlgenn_delays.distributions import *
