"""Networks as GeNN's own inference code, which runs without GeNN or mlGeNN."""

from mlgenn_delays.export.genn.write import write_genn

__all__ = ["write_genn"]
