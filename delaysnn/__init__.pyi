from mlgenn_delays import *
from mlgenn_delays import __version__ as __version__
