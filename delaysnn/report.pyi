from mlgenn_delays.report import *
