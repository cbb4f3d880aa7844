from mlgenn_delays.sweep.results import read_results as read_results
from mlgenn_delays.sweep.results import summarise as summarise
from mlgenn_delays.sweep.sweep import Sweep as Sweep
