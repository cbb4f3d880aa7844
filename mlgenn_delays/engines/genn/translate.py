"""Networks as mlGeNN's: populations and connections of the same names, dense or sparse."""

import re
from typing import Any

import numpy as np
from ml_genn import Connection, Population
from ml_genn import Network as GeNNNetwork
from ml_genn.connectivity import Dense
from ml_genn.connectivity.sparse_base import SparseBase
from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire
from ml_genn.neurons import SpikeInput as GeNNSpikeInput
from ml_genn.synapses import Delta as GeNNDelta
from ml_genn.synapses import Exponential as GeNNExponential
from ml_genn.utils.snippet import ConnectivitySnippet

from mlgenn_delays.network import LIF, Exponential, Network
from mlgenn_delays.network.delays import delay_steps, longest_steps
from mlgenn_delays.network.models import InputModel, OutputModel


class GivenSparse(SparseBase):
    """Sparse connectivity of given synapses.

    Arguments:
        pre: (S,) presynaptic neurons.
        post: (S,) postsynaptic neurons.
        weight: (S,).
        delay: (S,) [steps].
    """

    def __init__(
        self, pre: np.ndarray, post: np.ndarray, weight: np.ndarray, delay: np.ndarray
    ) -> None:
        super().__init__(weight, delay)
        self.pre_ind, self.post_ind = pre, post

    def connect(self, source: Population, target: Population) -> None:
        """Do nothing: the sizes of populations are given."""

    def get_snippet(
        self, connection: Connection, supported_matrix_type: Any
    ) -> ConnectivitySnippet:
        """Return these synapses as GeNN takes them."""
        return self._get_snippet(supported_matrix_type, None)


def identifiers(network: Network) -> dict[str, str]:
    """Return the name that each population and projection has in GeNN.

    GeNN takes letters, digits and underscores; the number keeps them apart. They do not depend on
    the synapses, so that a rewired network needs no new code.
    """
    names = [*network.populations, *network.projections]
    return {name: re.sub(r"\W", "_", f"g{k}_{name}", flags=re.A) for k, name in enumerate(names)}


def translate(network: Network) -> GeNNNetwork:
    """Return a network as mlGeNN's, with its weights and with delays in whole steps.

    Our compilers take its structure alone; weights and delays are put into what runs.
    """
    out, own = GeNNNetwork(), identifiers(network)
    with out:
        populations = {
            name: Population(_neuron(p.model), p.n, name=own[name])
            for name, p in network.populations.items()
        }
        for name, p in network.projections.items():
            delay = delay_steps(p, network.dt)
            weight = p.weight.astype(np.float32)
            if network.is_dense(p):
                shape = populations[p.source].shape + populations[p.target].shape
                connectivity: Any = Dense(weight.reshape(shape), delay.reshape(shape))
            else:
                connectivity = GivenSparse(p.pre(), p.post, weight, delay)
            synapse = (
                GeNNExponential(p.synapse.tau_syn, scale_i=True)
                if isinstance(p.synapse, Exponential)
                else GeNNDelta()
            )
            Connection(
                populations[p.source], populations[p.target], connectivity, synapse,
                name=own[name], max_delay_steps=longest_steps(p.max_delay, network.dt),
            )  # fmt: skip
    return out


def _neuron(model: Any) -> Any:
    """Return mlGeNN's neuron for a population model."""
    if isinstance(model, InputModel):
        return GeNNSpikeInput()
    if isinstance(model, OutputModel):
        return LeakyIntegrate(tau_mem=model.tau_mem, scale_i=True, readout="avg_var")
    rest = model.tau_refrac if isinstance(model, LIF) else 0.0
    return LeakyIntegrateFire(
        v_thresh=model.v_thresh, tau_mem=model.tau_mem, tau_refrac=rest or None,
        relative_reset=False, integrate_during_refrac=False, scale_i=True,
    )  # fmt: skip
