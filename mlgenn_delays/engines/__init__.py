"""Engines: ways to run a network. `base` is their protocol, `compile` chooses one."""
