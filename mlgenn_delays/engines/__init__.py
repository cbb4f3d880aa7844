"""Engines: ways to run a network. `base` is the protocol that the rest of the package knows."""
