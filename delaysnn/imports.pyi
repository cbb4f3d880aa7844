from mlgenn_delays.imports import *
