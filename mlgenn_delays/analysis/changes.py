"""How weights and delays lie before and after training, and how excitation balances inhibition."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlgenn_delays.analysis.afferents import Afferents, pair_keys
from mlgenn_delays.network import Projection

_QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def spread(values: np.ndarray) -> dict[str, Any]:
    """Number, mean, standard deviation and quantiles of values; of none, None for each.

    The quantiles are the least, 5, 25, 50, 75 and 95 % and the largest.
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"n": 0, "mean": None, "sd": None, "quantiles": None}
    return {
        "n": len(values),
        "mean": float(values.mean()),
        "sd": float(values.std()),
        "quantiles": np.quantile(values, _QUANTILES).tolist(),
    }


@dataclass(frozen=True)
class Moved:
    """What training did to the synapses that are there before and after.

    Attributes:
        n: Their number.
        delay: (n,) float64 how far each delay moved [ms], later positive.
        turned: Share of the weights that changed sign.
    """

    n: int
    delay: np.ndarray
    turned: float


def moved(before: Projection, after: Projection) -> Moved:
    """Compare the synapses that a projection has before and after.

    Arguments:
        before: The projection as it was.
        after: The same, later.
    """
    _, old, new = np.intersect1d(
        pair_keys(before), pair_keys(after), assume_unique=True, return_indices=True
    )
    shift = after.delay_per_synapse()[new] - before.delay_per_synapse()[old]
    turned = np.sign(after.weight[new]) != np.sign(before.weight[old])
    return Moved(len(old), shift, float(turned.mean()) if len(old) else 0.0)


@dataclass(frozen=True)
class Balance:
    """Excitation and inhibition onto each of M neurons.

    Attributes:
        excitatory: (M,) int64 excitatory synapses.
        inhibitory: (M,) int64 inhibitory synapses.
        excitation: (M,) float64 sum of their weights.
        inhibition: (M,) float64 sum of their weights' magnitudes.
    """

    excitatory: np.ndarray
    inhibitory: np.ndarray
    excitation: np.ndarray
    inhibition: np.ndarray

    @property
    def ratio(self) -> np.ndarray:
        """(M,) excitation / inhibition, infinite without inhibition, NaN without synapses."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.excitation / self.inhibition)

    @property
    def share(self) -> np.ndarray:
        """(M,) excitation / (excitation + inhibition), NaN without synapses."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.excitation / (self.excitation + self.inhibition))


def balance(afferents: Afferents) -> Balance:
    """Sum excitation and inhibition onto each neuron."""
    m, post, weight = afferents.n_neurons, afferents.post, afferents.weight
    positive = weight > 0
    return Balance(
        np.bincount(post[positive], minlength=m),
        np.bincount(post[~positive], minlength=m),
        np.bincount(post[positive], weight[positive], m),
        np.bincount(post[~positive], -weight[~positive], m),
    )
