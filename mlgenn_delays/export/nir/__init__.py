"""NIR files: networks as other tools for spiking networks read them."""

from mlgenn_delays.export.nir.read import read_nir
from mlgenn_delays.export.nir.write import write_nir

__all__ = ["read_nir", "write_nir"]
