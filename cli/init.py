"""The network of --init: read, and checked against the recipe or the run that it is for."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from mlgenn_delays.errors import InputError

if TYPE_CHECKING:
    from mlgenn_delays.network import Network, Projection
    from mlgenn_delays.runs.run import Run, Start

# Where weights and delays start: a given network has its own. Delays that rewiring grows start
# within delays.initial_max all the same.
_WEIGHTS = r"network\.(layers\.\d+|readout)\.(recurrent_)?weight_(init|mean|sd|scale)"
_DELAYS = r"delays\.(initial|initial_max|recurrent_initial)"


def check_overrides(overrides: Sequence[str], *, rewired: bool) -> None:
    """Reject settings of starting values beside a network that has its own.

    Arguments:
        overrides: Each ``"dotted.key=value"``, as of --set.
        rewired: Whether synapses will grow.

    Raises:
        InputError: As said.
    """
    for override in overrides:
        key = override.partition("=")[0].strip()
        if re.fullmatch(_WEIGHTS if rewired else f"{_WEIGHTS}|{_DELAYS}", key):
            raise InputError(
                f"{key} has no effect with --init, got --set {override}: the network has weights "
                "and delays already; leave one of them out"
            )


def check_fits(network: "Network", wanted: "Network", path: str, *, dale: bool) -> None:
    """Reject a network of other populations, projections or synapse counts than the recipe's.

    Arguments:
        network: The network of --init.
        wanted: What the recipe builds for the data.
        path: Where the network is from.
        dale: Whether all synapses of a neuron must have one sign.

    Raises:
        InputError: As said.
    """
    got, expected = _described(network), _described(wanted)
    for name in [*expected, *(name for name in got if name not in expected)]:
        if got.get(name) != expected.get(name):
            raise InputError(
                f"--init must be a network that fits the recipe and the data: {path} has for "
                f"{name} {got.get(name, 'nothing')}, the recipe {expected.get(name, 'nothing')}"
                + _remedy(network, wanted, name)
            )
    for name, projection in network.projections.items():
        if dale and not _one_sign(projection):
            raise InputError(
                f"--init must be a network with one sign per presynaptic neuron for network.dale = "
                f"true, got both for {name} of {path}"
            )


def _remedy(network: "Network", wanted: "Network", name: str) -> str:
    """Return what to do about a projection with another number of synapses, in words."""
    one, other = network.projections.get(name), wanted.projections.get(name)
    if one is None or other is None or one.n_synapses == other.n_synapses:
        return ""
    counts = [p.n_synapses for p in network.projections.values()]
    return (
        f"; give network.sparsity as it was trained with, or --set network.sparsity=0 "
        f"--set network.synapses={counts} to keep its synapses"
    )


def _described(network: "Network") -> dict[str, str]:
    """Return what must be alike, by name, in words."""
    parts = {"dt": f"{network.dt:g} ms"}
    for name, p in network.populations.items():
        parts[name] = str(p.model) + (", normalised" if p.normalisation is not None else "")
    for name, q in network.projections.items():
        signs = ", with signs" if q.sign is not None else ""
        delays = f"delays 0..{q.max_delay:g} ms per {q.granularity}"
        parts[name] = f"{q.n_synapses} synapses, {q.synapse}, {delays}{signs}"
    return parts


def _one_sign(projection: "Projection") -> bool:
    """Return whether all synapses of each presynaptic neuron have one sign."""
    if projection.sign is None:
        return False
    total = np.bincount(projection.pre(), projection.sign, len(projection.indptr) - 1)
    return bool((np.abs(total) == np.diff(projection.indptr)).all())


def read_init(path: str | None) -> tuple["Start | None", "Network | None"]:
    """Return what to note of a network file, and the network."""
    if path is None:
        return None, None
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.run import Start

    network = Network.load(path)
    note = Start(path=str(Path(path).resolve()), crc32=crc32(Path(path).read_bytes()))
    return note, network


def init_of_run(given: str | None, run: "Run") -> "Network | None":
    """Return the network of --init that a run started from, None if it started without.

    Arguments:
        given: The --init of now, if any.
        run: The run.

    Raises:
        InputError: The given one, or the one that is left of the run, is another.
    """
    from mlgenn_delays.runs.files import INIT

    kept = run.directory.path / INIT
    noted = run.start()
    if noted is None and kept.exists():  # environment.json is gone
        noted, _ = read_init(str(kept))
    if given is None and noted is None:
        return None
    path = given or (str(kept) if kept.exists() or noted is None else noted.path)
    start, network = read_init(path)
    if noted is None or start is None or start.crc32 != noted.crc32:
        raise InputError(
            f"resuming needs the --init that the run {run.directory.path} was started with, "
            f"{noted.path if noted else 'none'}, got {path}, which holds something else"
        )
    return network
