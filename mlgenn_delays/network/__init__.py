"""Networks as plain data: populations, projections and synapse arrays; no engine in it."""

from mlgenn_delays.network.initialise import Normal, Uniform
from mlgenn_delays.network.models import (
    LIF,
    CurrentInput,
    Delta,
    Exponential,
    LeakyIntegrator,
    Normalisation,
    Population,
    SeedLI,
    SeedLIF,
    SpikeInput,
)
from mlgenn_delays.network.network import Network
from mlgenn_delays.network.projection import Projection

__all__ = [
    "LIF",
    "CurrentInput",
    "Delta",
    "Exponential",
    "LeakyIntegrator",
    "Network",
    "Normal",
    "Normalisation",
    "Population",
    "Projection",
    "SeedLI",
    "SeedLIF",
    "SpikeInput",
    "Uniform",
]
