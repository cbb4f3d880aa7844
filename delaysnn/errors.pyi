from mlgenn_delays.errors import *
