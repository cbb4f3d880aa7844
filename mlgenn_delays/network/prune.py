"""Pruning by magnitude after training."""

from typing import TYPE_CHECKING

import numpy as np

from mlgenn_delays.network.initialise import synapse_count
from mlgenn_delays.network.projection import Projection

if TYPE_CHECKING:
    from mlgenn_delays.network.network import Network


def pruned(network: "Network", density: float) -> "Network":
    """A copy with the synapses of the largest magnitude; see `Network.pruned`."""
    small, folded = network.copy(), network.folded()
    for name, projection in small.projections.items():
        n_pre, n_post = (network.populations[p].n for p in (projection.source, projection.target))
        count = synapse_count(density, n_pre, n_post)
        if count < projection.n_synapses and not projection.frozen:
            order = np.argsort(-np.abs(folded.projections[name].weight), kind="stable")
            _keep(projection, np.sort(order[:count]))
    return small


def _keep(projection: Projection, kept: np.ndarray) -> None:
    pre = projection.pre()[kept]
    projection.indptr = np.searchsorted(pre, np.arange(len(projection.indptr))).astype(np.int64)
    projection.post, projection.weight = projection.post[kept], projection.weight[kept]
    if projection.granularity == "synapse":
        projection.delay = projection.delay[kept]
    if projection.sign is not None:
        projection.sign = projection.sign[kept]
