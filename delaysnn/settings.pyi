from mlgenn_delays.settings import *
