from mlgenn_delays.recipe import *
