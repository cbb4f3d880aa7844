"""What every rule shares: the arrays of a projection, the settings' base, scores and removal.

Shapes: S synapses, n_pre presynaptic and n_post postsynaptic neurons. A pair is (pre, post); its
flat index is pre * n_post + post. A pair with a synapse is present, any other is absent.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from mlgenn_delays.settings import Time, Whole, one_of, refuse, says, settings


def uniform(n: int, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return m different indices below n, each set equally likely, int64 in no given order."""
    if m == n:
        return np.arange(n)
    return rng.choice(n, m, replace=False, shuffle=False)


def largest(score: np.ndarray, m: int, rng: np.random.Generator) -> np.ndarray:
    """Return the indices of the m largest scores, int64 in no given order.

    Dead neurons have gradients of exactly zero, so ties are common: among equals at the
    threshold each is equally likely, whatever its index. Takes time linear in n.
    """
    n = len(score)
    if m == 0 or m == n:
        return np.arange(m)
    threshold = np.partition(score, n - m)[n - m]
    above = np.flatnonzero(score > threshold)
    ties = np.flatnonzero(score == threshold)
    return np.concatenate([above, ties[uniform(len(ties), m - len(above), rng)]])


@dataclass(frozen=True, eq=False)
class Synapses:
    """The synapses of one projection, by pre, then post; at most one a pair.

    Arguments:
        n_pre: Number of presynaptic neurons.
        n_post: Number of postsynaptic neurons.
        pre: (S,) int32.
        post: (S,) int32.
        weight: (S,) float32.
        delay: (S,) float32 [steps].
        sign: (S,) int8 of -1 and 1, or None where weights may take any sign.
        moments: The optimiser's state, each (S,), by name: float32 moments, and int32 counts of
            the updates that they hold. A synapse that grows starts with 0 of each.
        dead: (S,) bool, which of them go before others; None for none. See `Rewiring.dead_first`.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.rewiring import Synapses
        >>> one = np.zeros(1, np.int64)
        >>> Synapses(2, 3, one, one, np.ones(1), np.zeros(1), sign=None, moments={}).n_absent
        5
    """

    n_pre: int
    n_post: int
    pre: np.ndarray
    post: np.ndarray
    weight: np.ndarray
    delay: np.ndarray
    sign: np.ndarray | None
    moments: dict[str, np.ndarray]
    dead: np.ndarray | None = None

    def __len__(self) -> int:
        """S, the number of synapses."""
        return len(self.pre)

    @property
    def n_absent(self) -> int:
        """How many pairs have no synapse."""
        return self.n_pre * self.n_post - len(self)

    @property
    def flat(self) -> np.ndarray:
        """The flat index of each synapse's pair, (S,) int64, ascending."""
        return self.pre.astype(np.int64) * self.n_post + self.post

    @property
    def magnitude(self) -> np.ndarray:
        """The size of each weight, (S,); 0 on the wrong side of zero, -1 of a dead synapse."""
        signed = self.sign is not None
        size = np.maximum(self.sign * self.weight, 0) if signed else np.abs(self.weight)
        return size if self.dead is None else np.where(self.dead, np.float32(-1.0), size)


@dataclass(frozen=True, eq=False)
class Pairs:
    """What a synapse grown at a pair would get.

    Arguments:
        sign: (n_pre, n_post) int8 of -1 and 1, or None where weights may take any sign.
        delay: (n_pre, n_post) float32 [steps].
    """

    sign: np.ndarray | None
    delay: np.ndarray


@dataclass(frozen=True, eq=False)
class Rewired:
    """What a pass returns.

    Arguments:
        synapses: As many synapses as before.
        pairs: The pairs, with the delays of removed synapses.
        origin: (S,) int64: the index each synapse had before, or -1 where it is new.
    """

    synapses: Synapses
    pairs: Pairs
    origin: np.ndarray

    @property
    def moved(self) -> int:
        """The number of new synapses."""
        return int(np.count_nonzero(self.origin < 0))


Every = Annotated[
    Whole, says("Optimiser steps between passes; 0 for one pass at the end of every epoch.")
]
Signs = Annotated[
    str,
    one_of("free", "synapse", "dale"),
    says(
        "Signs of weights: free, synapse (a random sign per pair) or dale (a random sign per "
        "presynaptic neuron)."
    ),
]
GrowDelay = Annotated[
    str,
    one_of("kept", "random", "gradient"),
    says(
        "Delay of a grown synapse: what its pair had last (kept), random, or where the candidate "
        "gradient is best (gradient; rigl)."
    ),
]


DeadFirst = Annotated[
    bool,
    says(
        "Whether synapses on no path from the input to the output, which learn nothing, go before "
        "others (set, rigl by magnitude), or at once (deep_r, rigl signed)."
    ),
]


@settings(kw_only=True)
class Rewiring(ABC):
    """Settings of a rule, which check themselves.

    Raises:
        InputError: A setting makes no sense, or the rule cannot keep it.
    """

    grows_by_gradient: ClassVar[bool] = False  # whether it may choose delays so

    every: Every = 1
    signs: Signs = "synapse"
    grow_delay: GrowDelay = "kept"
    longest: Annotated[
        Time | None,
        says("Largest delay drawn for a pair that has no synapse yet; None for the projection's."),
    ] = None
    dead_first: DeadFirst = False

    def __post_init__(self) -> None:
        if self.grow_delay == "gradient" and not self.grows_by_gradient:
            refuse(self, "grow_delay", "one of kept, random", "only RigL grows by gradient")

    @property
    def needs_gradient(self) -> bool:
        """Whether growth reads candidate gradients of absent synapses."""
        return False

    @property
    def follows_length(self) -> bool:
        """Whether passes depend on how long the training is: then no epochs can be added later."""
        return self.needs_gradient  # which is gathered ahead of the passes to come

    @property
    def averaging(self) -> float:
        """Decay of the exponential average of candidate gradients over batches; 0 for none."""
        return 0.0

    @property
    def until(self) -> float:
        """Share of all optimiser steps after which passes stop."""
        return 1.0

    def due(self, step: int, total_steps: int, last_of_epoch: bool) -> bool:
        """Return whether a pass follows an optimiser step.

        Arguments:
            step: The optimiser step just taken, counted from 1.
            total_steps: Optimiser steps of the whole training.
            last_of_epoch: Whether it was the epoch's last.
        """
        return last_of_epoch if self.every == 0 else step % self.every == 0

    @abstractmethod
    def drop(
        self, synapses: Synapses, step: int, total_steps: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return the indices of the synapses that go, ascending int64."""

    def grow(
        self, score: np.ndarray | None, n: int, m: int, rng: np.random.Generator
    ) -> np.ndarray:
        """Return which m of n absent pairs get a synapse, as indices in no particular order.

        Arguments:
            score: (n,) score of each, larger grows first; None without `needs_gradient`.
            n: Number of absent pairs.
            m: Number of synapses to grow, at most n.
            rng: Breaks ties, or draws uniformly without scores.
        """
        return uniform(n, m, rng) if score is None else largest(score, m, rng)


def growth_score(gradient: np.ndarray, sign: np.ndarray | None) -> np.ndarray:
    """Return how fast a synapse of weight 0 would grow: larger grows first.

    Arguments:
        gradient: dL/dw, of any shape, such as (n_pre, n_post) or (delays, n_pre, n_post).
        sign: -1 and 1, of a shape that broadcasts with `gradient`, or None for weights of any
            sign.

    Returns:
        -sign * gradient, or abs(gradient) without signs.

    Example:
        >>> import numpy as np
        >>> from mlgenn_delays.rewiring import growth_score
        >>> growth_score(np.array([-2.0, 1.0]), sign=np.array([1, 1])).tolist()
        [2.0, -1.0]
    """
    if sign is None:
        return np.abs(gradient)
    return -(sign * gradient)


def check_signs(rule: Rewiring, other: str = "") -> None:
    """Reject free signs where synapses vanish at zero; `other` says what else may be set."""
    if rule.signs == "free":
        why = "a synapse is removed where its magnitude reaches zero, which needs a sign"
        refuse(rule, "signs", "synapse or dale", why + other)


def vanished(synapses: Synapses) -> np.ndarray:
    """Return the indices of the synapses with sign * weight <= 0, ascending."""
    return np.flatnonzero(synapses.magnitude <= 0)
