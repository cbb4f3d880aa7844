"""One page of one or several runs: curves, structure, examples, settings."""

from mlgenn_delays.report.gather import Wanted
from mlgenn_delays.report.report import Reported, make_report

__all__ = ["Reported", "Wanted", "make_report"]
