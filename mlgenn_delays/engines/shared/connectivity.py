"""Which synapses there are: read from a network, and put into an engine that runs."""

from dataclasses import replace
from typing import Any

import numpy as np

from mlgenn_delays.engines.shared.context import Core
from mlgenn_delays.engines.shared.parameters import Parameters
from mlgenn_delays.engines.shared.plan import make_plan
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network, Projection

_KEYS = ("indptr", "post", "sign")


def structure_of(network: Network) -> dict[str, np.ndarray]:
    """Return copies of the arrays that say which synapses there are, by ``projection/key``."""
    return {
        f"{name}/{key}": getattr(projection, key).copy()
        for name, projection in network.projections.items()
        for key in _KEYS
        if getattr(projection, key) is not None
    }


def copy_structure(source: Network, target: Network) -> None:
    """Give the projections of a network the synapses of another one's."""
    arrays = structure_of(source)
    for name, projection in target.projections.items():
        for key in _KEYS:
            setattr(projection, key, arrays.get(f"{name}/{key}"))


def rebuild(core: Core) -> None:
    """Renew plan, layout and parameters after the network's structure changed.

    Normalisation and step stay. The rest starts from the network, with moments of 0.
    """
    before = core.parameters
    core.plan, core.layout = make_plan(core.network)
    core.parameters = Parameters(core.network, core.layout)
    core.parameters.norms, core.parameters.step = before.norms, before.step


def take_structure(core: Core, arrays: dict[str, np.ndarray]) -> None:
    """Take up which synapses there are; projections without an array keep theirs.

    Arguments:
        core: What the engine runs.
        arrays: As `structure_of` returns them.

    Raises:
        InputError: They are of a network with other populations or numbers of synapses.
    """
    changed = {}
    for name, projection in core.network.projections.items():
        own = _of_projection(projection, arrays)
        if any(not np.array_equal(getattr(projection, key), own[key]) for key in own):
            populations = core.network.populations
            changed[name] = replace(projection, **own)
            changed[name].check(populations[projection.source].n, populations[projection.target].n)
    if changed:
        core.network.projections.update(changed)
        rebuild(core)


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
