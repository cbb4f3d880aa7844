"""Whether a network that is still to be trained will fit into the memory of its hardware, as C."""

from dataclasses import replace

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c.costs import Limits, costs_of
from mlgenn_delays.export.c.fit import less_ram
from mlgenn_delays.export.c.make import make_layout
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.network import Network
from mlgenn_delays.quantisation import Quantisation, quantise


def check_ram(
    network: Network,
    n_steps: int,
    hardware: Hardware,
    quantisation: Quantisation | None = None,
) -> int:
    """Reject a network whose state and stack as C would be larger than the RAM of the hardware.

    Arguments:
        network: The network; delays that are learned count as the longest that they may get.
        n_steps: Length of a trial.
        hardware: Its limit `ram`.
        quantisation: Kind of the weights in C; float32 if None.

    Returns:
        The bytes that state and stack take at least.

    Raises:
        InputError: It is larger; the text says what to change.

    Example:
        >>> from mlgenn_delays import Hardware
        >>> from mlgenn_delays.export.c import check_ram
        >>> from mlgenn_delays.recipe import build_network, load_recipe
        >>> network = build_network(load_recipe("digits"), 128, 10, seed=0)
        >>> 0 < check_ram(network, 64, Hardware(ram=100_000)) < 100_000
        True
    """
    longest = network.folded()
    for projection in longest.projections.values():
        if projection.learns_delay:
            projection.delay = projection.delay * 0 + projection.max_delay
    wanted = quantisation or Quantisation()
    artifact = Artifact.of(longest, About.numbered(longest, n_steps))
    quantised = None
    if wanted.weights != FLOAT:
        rounded, quantised = quantise(artifact.network, wanted.weights, wanted.per)
        artifact = replace(artifact, network=rounded)
    limits = Limits(ram=hardware.limits.ram or None)
    needed = costs_of(make_layout(artifact, quantised, Limits(ram=0))).ram  # the least
    if limits.ram is not None and needed > limits.ram:
        smaller = "" if quantised else ", or quantise weights (quantisation.weights = 'int8')"
        raise InputError(
            f"the network must fit into {limits.ram} bytes (hardware.ram), got {needed} bytes of "
            f"state and stack as C, with {wanted.weights} weights and delays as long as they may "
            f"get (delays.max); {less_ram(artifact, quantised, limits)}{smaller}"
        )
    return needed
