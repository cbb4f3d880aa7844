"""Where weights and delays start, and random connectivity."""

import math
from numbers import Integral

import numpy as np

from mlgenn_delays.arrays import to_numpy
from mlgenn_delays.distributions import Distribution, Uniform
from mlgenn_delays.errors import InputError
from mlgenn_delays.machine import check_memory
from mlgenn_delays.network.projection import GRANULARITIES, Projection
from mlgenn_delays.rng import generator
from mlgenn_delays.settings import check, is_number
from mlgenn_delays.untrusted import shown


def kaiming(fan_in: float) -> Uniform:
    """Kaiming's uniform distribution for rectifiers (He et al. 2015, eq. 10)."""
    bound = math.sqrt(6.0 / fan_in)
    return Uniform(-bound, bound)


SIGNS = ("free", "synapse", "dale")
Initial = float | np.ndarray | Distribution


def values(what: str, initial: Initial, rng: np.random.Generator, n: int) -> np.ndarray:
    """N starting values, float64 (n,), from a number, an array or a distribution."""
    if isinstance(initial, Distribution):
        return initial.draw(rng, n)
    array = _numbers(what, initial)
    if array.ndim == 0:
        array = np.full(n, float(array))
    if array.shape != (n,):
        raise InputError(f"{what} must be of shape ({n},), got {array.shape}")
    if not np.isfinite(array).all():
        raise InputError(f"{what} must be finite, got NaN or infinity")
    return array.copy()


def _numbers(what: str, initial: Initial) -> np.ndarray:
    try:
        if initial is None:
            raise TypeError
        return to_numpy(initial).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{what} must be a number, an array or a distribution, got {shown(initial)}"
        ) from error


def matrix(what: str, initial: Initial, n_pre: int, n_post: int) -> np.ndarray | None:
    """A matrix of starting values, float64 (n_pre, n_post), NaN without a synapse; else None."""
    if isinstance(initial, Distribution):
        return None
    array = _numbers(what, initial)
    if array.ndim < 2:
        return None
    if array.shape != (n_pre, n_post):
        hint = "; transpose it with .T" if array.shape == (n_post, n_pre) else ""
        raise InputError(
            f"{what} must be of shape ({n_pre}, {n_post}) as a matrix, presynaptic by postsynaptic "
            f"neurons, got {array.shape}{hint}"
        )
    return array


def pairs_of(what: str, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of neurons that a matrix has numbers for, as CSR (indptr, post)."""
    pre, post = np.nonzero(~np.isnan(matrix))
    if not len(pre):
        raise InputError(f"{what} must have at least one synapse, got NaN everywhere")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=len(matrix)))])
    return indptr.astype(np.int64), post.astype(np.int32)


def synapse_count(
    density: float | None, n_pre: int, n_post: int, synapses: int | None = None
) -> int:
    """Number of synapses of a projection of a given density, or the given number, checked."""
    if synapses is not None:
        if density is not None:
            raise InputError(
                f"synapses must come without a density, got {synapses!r} with density {density!r}; "
                "leave one of them out"
            )
        if not (
            is_number(synapses)
            and isinstance(synapses, Integral)
            and 1 <= synapses <= n_pre * n_post
        ):
            raise InputError(f"synapses must be in 1..{n_pre * n_post}, got {synapses!r}")
        return int(synapses)
    if density is None:
        return n_pre * n_post
    if not (is_number(density) and 0.0 < density <= 1.0):
        raise InputError(f"density must be in (0, 1], got {density!r}")
    count = int(np.floor(density * n_pre * n_post + 1e-9))
    if count < 1:
        raise InputError(
            f"density must leave at least one of {n_pre} x {n_post} synapses, got {density!r}"
        )
    return count


def check_pairs(
    name: str, n_pre: int, n_post: int, count: int, signs: str, *, drawn: bool = True
) -> None:
    """Reject a projection that this machine's memory cannot hold."""
    pairs = n_pre * n_post
    # Connectivity is drawn among all pairs, and so are signs.
    check_memory(
        f"projection {name!r}",
        f"{n_pre} x {n_post} pairs of neurons, which need",
        60 * count + 8 * pairs * (drawn and count < pairs) + 10 * pairs * (signs != "free"),
        "make its populations smaller (network.layers.0.size for the first layer)",
    )


def pair_signs(kind: str, seed: int, name: str, n_pre: int, n_post: int) -> np.ndarray | None:
    """The sign that a synapse of each pair has, (n_pre, n_post) int8, or None if free.

    A ``"synapse"`` sign is drawn per pair, a ``"dale"`` one per presynaptic neuron: projections of
    one source share those.
    """
    if kind not in SIGNS:
        raise InputError(f"signs must be one of {', '.join(SIGNS)}, got {kind!r}")
    if kind == "free":
        return None
    if kind == "synapse":
        drawn = generator(seed, "sign", name).random((n_pre, n_post))
    else:
        source = name.partition("->")[0]
        drawn = np.repeat(generator(seed, "sign", source).random((n_pre, 1)), n_post, axis=1)
    return np.where(drawn < 0.5, -1, 1).astype(np.int8)


def neurons_one_to_one(name: str, n_pre: int, n_post: int) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of neurons with the same number, as CSR (indptr, post)."""
    if n_pre != n_post:
        raise InputError(
            f"one_to_one of {name!r} must be between populations of one size, got {n_pre} and "
            f"{n_post} neurons"
        )
    return np.arange(n_pre + 1), np.arange(n_pre, dtype=np.int32)


def connectivity(
    count: int, n_pre: int, n_post: int, rng: np.random.Generator, *, reach_all: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """`count` pairs drawn uniformly without repeats, as CSR (indptr, post).

    With `reach_all`, synapses onto neurons with several then move to those without any.
    """
    if count == n_pre * n_post:
        flat = np.arange(count)
    else:
        flat = np.sort(rng.choice(n_pre * n_post, count, replace=False))
        if reach_all:
            flat = np.sort(_reaching_all(flat, n_post, rng))
    indptr = np.searchsorted(flat, np.arange(n_pre + 1) * n_post)
    return indptr.astype(np.int64), (flat % n_post).astype(np.int32)


def _reaching_all(flat: np.ndarray, n_post: int, rng: np.random.Generator) -> np.ndarray:
    pre, post = flat // n_post, flat % n_post
    inputs = np.bincount(post, minlength=n_post)
    without = iter(np.flatnonzero(inputs == 0))
    for synapse in rng.permutation(len(flat)):
        if inputs[post[synapse]] > 1:
            neuron = next(without, None)
            if neuron is None:
                break
            inputs[post[synapse]] -= 1
            post[synapse] = neuron
    return pre * n_post + post


def pairs(
    name: str, shape: tuple[int, int], weight: Initial, density: float | None,
    synapses: int | None, rng: np.random.Generator, *, reach_all: bool, signs: str,
    one_to_one: bool,
) -> tuple[np.ndarray, np.ndarray, Initial]:  # fmt: skip
    """The pairs of neurons that have a synapse, as CSR (indptr, post), and the weights.

    A matrix of weights says which these are, `one_to_one` does, or they are drawn. The other
    arguments are those of `Network.connect`.
    """
    check(f"one_to_one of {name!r}", one_to_one, bool)
    check(f"reach_all of {name!r}", reach_all, bool)
    what = f"weight of {name!r}"
    given = matrix(what, weight, *shape)
    if given is None and not one_to_one:
        count = synapse_count(density, *shape, synapses)
        check_pairs(name, *shape, count, signs)
        return *connectivity(count, *shape, rng, reach_all=reach_all), weight
    if (density, synapses) != (None, None):
        raise InputError(
            f"density and synapses of {name!r} must be left out with "
            f"{'one_to_one' if one_to_one else 'a matrix of weights'}, got density {density!r} and "
            f"synapses {synapses!r}"
        )
    if given is not None and one_to_one:
        raise InputError(
            f"{what} must be one number per neuron with one_to_one, got a matrix; leave one_to_one "
            "out: a matrix says which synapses there are, by NaN where there is none"
        )
    if given is not None:
        found, weight = pairs_of(what, given), given[~np.isnan(given)]
    else:
        found = neurons_one_to_one(name, *shape)
    check_pairs(name, *shape, len(found[1]), signs, drawn=False)
    return *found, weight


def set_delays(
    projection: Projection, delay: Initial, max_delay: float | None, shape: tuple[int, int],
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Give a projection, whose pairs are known, its delays and the largest they may get [ms].

    The arguments are those of `Network.connect`.
    """
    if projection.granularity not in GRANULARITIES:
        projection.max_delay = 0.0
        projection.delay = np.zeros(0)
        return  # check() refuses it with the known names
    if not (max_delay is None or is_number(max_delay)):
        raise InputError(
            f"max_delay of projection {projection.name!r} must be a number or None, got "
            f"{max_delay!r}"
        )
    what = f"delay of {projection.name!r}"
    given = matrix(what, delay, *shape)
    if given is not None:
        if projection.granularity != "synapse":
            raise InputError(
                f"{what} must be one per {projection.granularity}, got a matrix; leave granularity "
                "out for a delay per synapse"
            )
        delay = given[projection.pre(), projection.post]
    drawn = values(what, delay, rng, projection.n_delays())
    if isinstance(delay, Distribution):
        drawn = np.clip(drawn, 0.0, np.inf if max_delay is None else max_delay)
    projection.delay = drawn
    projection.max_delay = float(drawn.max(initial=0.0) if max_delay is None else max_delay)
