"""The CPU engine: Numba kernels on flat arrays, and the driver that runs them in threads."""
