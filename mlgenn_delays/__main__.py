"""`python -m delaysnn`, for where the script `delaysnn` is not on the path."""

from importlib import import_module

import_module("mlgenn_delays.cli").main(prog_name="delaysnn")
