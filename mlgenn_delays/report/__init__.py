"""One page of one or several runs: curves, structure, examples, settings."""

from mlgenn_delays.report.gather import ReportOptions
from mlgenn_delays.report.report import Reported, make_report

Wanted = ReportOptions  # its name in version 0.1.0

__all__ = ["ReportOptions", "Reported", "Wanted", "make_report"]
