"""Recordings as spikes or currents."""
