"""Networks as plain data: populations, projections and synapse arrays; no engine in it."""

from mlgenn_delays.distributions import Gamma, Normal, Uniform
from mlgenn_delays.network.models import (
    CurrentInput,
    Delta,
    Exponential,
    Normalisation,
    Population,
    SpikeInput,
)
from mlgenn_delays.network.network import Network
from mlgenn_delays.network.projection import Projection
from mlgenn_delays.neurons.models.euler_li import EulerLI
from mlgenn_delays.neurons.models.euler_lif import EulerLIF
from mlgenn_delays.neurons.models.leaky_integrator import LeakyIntegrator
from mlgenn_delays.neurons.models.lif import LIF
from mlgenn_delays.neurons.models.spike_counter import SpikeCounter

__all__ = [
    "LIF",
    "CurrentInput",
    "Delta",
    "Exponential",
    "Gamma",
    "LeakyIntegrator",
    "Network",
    "Normal",
    "Normalisation",
    "Population",
    "Projection",
    "EulerLI",
    "EulerLIF",
    "SpikeCounter",
    "SpikeInput",
    "Uniform",
]
