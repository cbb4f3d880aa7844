"""What trained networks have learned, as numbers."""

from mlgenn_delays.analysis.planted import Recovery, chance, recovered

__all__ = ["Recovery", "chance", "recovered"]
