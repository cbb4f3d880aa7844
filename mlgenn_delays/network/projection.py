"""A projection: the synapses from one population to another, in CSR order by presynaptic neuron.

Shapes: S synapses, n_pre presynaptic and n_post postsynaptic neurons.
"""

from dataclasses import dataclass

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.network.models import SynapseModel
from mlgenn_delays.settings import LONGEST, is_number

GRANULARITIES = ("synapse", "axon", "fixed")


@dataclass
class Projection:
    """Synapses from `source` to `target`.

    Attributes:
        name: Unique in its network; ``"source->target"`` unless chosen.
        source: Name of the presynaptic population.
        target: Name of the postsynaptic population; the same as `source` if recurrent.
        synapse: `Exponential` or `Delta`.
        indptr: (n_pre+1,) int64; the synapses of neuron i are ``indptr[i]:indptr[i+1]``.
        post: (S,) int32 postsynaptic neuron, ascending within a presynaptic neuron.
        weight: (S,) float32.
        delay: [ms] float64: (S,), (n_pre,) or (1,) as `granularity` says.
        max_delay: Delays are kept in 0..max_delay [ms].
        granularity: ``"synapse"``, ``"axon"`` (one per presynaptic neuron) or ``"fixed"`` (one for
            the projection, never learned).
        sign: (S,) int8 of -1 and 1 where structure is learned, or None.
        frozen: Whether training leaves weights, delays and structure as they are.
        capped: Whether `max_delay` is only the longest delay that `Network.connect` was given, for
            nobody said another. Files do not keep it.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays import Delta, Projection
        >>> indptr, post = np.array([0, 2, 3]), np.array([0, 1, 1])
        >>> values = {"weight": np.ones(3), "delay": np.zeros(3), "max_delay": 20.0}
        >>> Projection("a->b", "a", "b", Delta(), indptr, post, **values).pre().tolist()
        [0, 0, 1]
    """

    name: str
    source: str
    target: str
    synapse: SynapseModel
    indptr: np.ndarray
    post: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    max_delay: float
    granularity: str = "synapse"
    sign: np.ndarray | None = None
    frozen: bool = False
    capped: bool = False

    def __repr__(self) -> str:
        return f"Projection({self.name!r}, {self.in_words()})"

    def in_words(self) -> str:
        """What it has, in a line."""
        return (
            f"{self.n_synapses} synapses, {self.synapse}, delays 0..{self.max_delay:g} ms"
            f" a {self.granularity}{', frozen' if self.frozen else ''}"
        )

    @property
    def n_synapses(self) -> int:
        """S, the number of synapses."""
        return len(self.post)

    @property
    def recurrent(self) -> bool:
        """Whether source and target are one population."""
        return self.source == self.target

    @property
    def learns_delay(self) -> bool:
        """Whether its delays can be learned."""
        return self.granularity != "fixed" and not self.frozen

    def pre(self) -> np.ndarray:
        """Presynaptic neuron of each synapse, (S,) int32."""
        n_pre = len(self.indptr) - 1
        return np.repeat(np.arange(n_pre, dtype=np.int32), np.diff(self.indptr))

    def delay_per_synapse(self) -> np.ndarray:
        """Delay of each synapse [ms], (S,) float64."""
        if self.granularity == "synapse":
            return self.delay.copy()
        if self.granularity == "axon":
            return self.delay[self.pre()]
        return np.full(self.n_synapses, self.delay[0])

    def n_delays(self) -> int:
        """Number of delay values by granularity."""
        sizes = {"synapse": self.n_synapses, "axon": len(self.indptr) - 1, "fixed": 1}
        return sizes[self.granularity]

    def check(self, n_pre: int, n_post: int) -> None:
        """Reject arrays that do not describe synapses from n_pre to n_post neurons.

        Raises:
            InputError: A shape, order, index, sign or value is wrong; the text says which.
        """
        self._check_structure(n_pre, n_post)
        where = f"projection {self.name!r}"
        if self.granularity not in GRANULARITIES:
            raise InputError(
                f"granularity of {where} must be one of {', '.join(GRANULARITIES)}, "
                f"got {self.granularity!r}"
            )
        if not isinstance(self.frozen, bool):
            raise InputError(f"frozen of {where} must be true or false, got {self.frozen!r}")
        if not (is_number(self.max_delay) and 0 <= self.max_delay <= LONGEST):
            raise InputError(
                f"max_delay of {where} must be a number in [0, {LONGEST:g}] ms, got "
                f"{self.max_delay!r}"
            )
        for what, array, size in (
            ("weight", self.weight, self.n_synapses),
            ("delay", self.delay, self.n_delays()),
        ):
            if array.shape != (size,):
                raise InputError(f"{what} of {where} must be of shape ({size},), got {array.shape}")
            if not np.isfinite(array).all():
                raise InputError(f"{what} of {where} must be finite, got NaN or infinity")
        if len(self.delay) and (self.delay.min() < 0 or self.delay.max() > self.max_delay):
            early = self.delay.min() < 0
            raise InputError(
                f"delay of {where} must be in 0..{self.max_delay:g} ms, got "
                f"{self.delay.min():g}..{self.delay.max():g}; "
                + ("no spike arrives before it is sent" if early else "raise max_delay")
            )
        if self.sign is not None and (
            self.sign.shape != self.post.shape or not np.isin(self.sign, (-1, 1)).all()
        ):
            raise InputError(f"sign of {where} must be -1 or 1, one per synapse")

    def _check_structure(self, n_pre: int, n_post: int) -> None:
        where = f"projection {self.name!r}"
        indptr, post = self.indptr, self.post
        if indptr.shape != (n_pre + 1,):
            raise InputError(
                f"indptr of {where} must be of shape ({n_pre + 1},), got {indptr.shape}"
            )
        if post.ndim != 1 or indptr[0] != 0 or indptr[-1] != len(post):
            raise InputError(f"indptr of {where} must go from 0 to the {post.size} synapses")
        if (np.diff(indptr) < 0).any():
            raise InputError(f"indptr of {where} must be ascending")
        if len(post) and (post.min() < 0 or post.max() >= n_post):
            raise InputError(
                f"post of {where} must be in 0..{n_post - 1}, got {post.min()}..{post.max()}"
            )
        flat = self.pre().astype(np.int64) * n_post + post
        if (np.diff(flat) <= 0).any():
            raise InputError(f"post of {where} must be ascending in each row, without repeats")
