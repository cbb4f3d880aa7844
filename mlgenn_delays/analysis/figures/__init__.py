"""The figures of an analysis, one file a kind, in the look of `mlgenn_delays.analysis.style`."""

from mlgenn_delays.analysis.figures.all import captions, pictures

__all__ = ["captions", "pictures"]
