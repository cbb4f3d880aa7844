"""Export as a module of PyTorch that needs nothing of this package."""

from mlgenn_delays.export.torch.write import write_torch

__all__ = ["write_torch"]
