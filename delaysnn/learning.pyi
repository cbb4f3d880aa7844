from mlgenn_delays.learning import *
