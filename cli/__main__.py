"""`python -m mlgenn_delays.cli`, for where the script `delaysnn` is not on the path."""

from . import main

main(prog_name="delaysnn")
