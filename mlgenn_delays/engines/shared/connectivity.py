"""Which synapses there are: read from a network, and put into an engine that runs."""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.context import SimulationContext
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import make_plan
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection

_KEYS = ("indptr", "post", "sign")


def connectivity_arrays(network: Network) -> dict[str, np.ndarray]:
    """Return copies of the arrays that say which synapses there are, by ``projection/key``."""
    return {
        f"{name}/{key}": getattr(projection, key).copy()
        for name, projection in network.projections.items()
        for key in _KEYS
        if getattr(projection, key) is not None
    }


def copy_connectivity(source: Network, target: Network) -> None:
    """Give the projections of a network the synapses of another one's."""
    arrays = connectivity_arrays(source)
    for name, projection in target.projections.items():
        for key in _KEYS:
            setattr(projection, key, arrays.get(f"{name}/{key}"))


def replan(context: SimulationContext) -> None:
    """Replace plan, layout and parameters after the network's structure changed.

    Normalisation and step stay. The rest starts from the network, with moments of 0.
    """
    before = context.parameters
    context.plan, context.layout = make_plan(context.network)
    context.parameters = Parameters(context.network, context.layout)
    context.parameters.norms, context.parameters.step = before.norms, before.step


def set_connectivity(context: SimulationContext, arrays: dict[str, np.ndarray]) -> None:
    """Set which synapses there are; projections without an array keep theirs.

    Arguments:
        context: What the engine runs.
        arrays: As `connectivity_arrays` returns them.

    Raises:
        InputError: They are of a network with other populations or numbers of synapses.
    """
    changed = {}
    for name, projection in context.network.projections.items():
        own = _of_projection(projection, arrays)
        if any(not np.array_equal(getattr(projection, key), own[key]) for key in own):
            populations = context.network.populations
            changed[name] = replace(projection, **own)
            changed[name].check(populations[projection.source].n, populations[projection.target].n)
    if changed:
        context.network.projections.update(changed)
        replan(context)


def _of_projection(projection: Projection, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the arrays of one projection by key, those it has use for."""
    out = {}
    for key in _KEYS:
        before, got = getattr(projection, key), arrays.get(f"{projection.name}/{key}")
        if before is None or (got is None and f"{projection.name}/post" not in arrays):
            continue
        if got is None or got.shape != before.shape:
            found = "none" if got is None else f"shape {got.shape}"
            raise InputError(
                f"projection {projection.name!r} must have {key} of shape {before.shape}, got "
                f"{found}; it is of another network"
            )
        out[key] = got.astype(before.dtype)
    return out
