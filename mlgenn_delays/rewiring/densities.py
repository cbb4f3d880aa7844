"""How many synapses each projection has.

    uniform, explicit  floor((1 - sparsity) * n_pre * n_post + 1e-9) each
    erdos-renyi        floor((1 - sparsity) * sum of n_pre * n_post + 1e-9) in total, in
                       proportion to n_pre + n_post, none above dense

References: Mocanu et al., Nat. Commun. 9, 2018; Evci et al., ICML 2020.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from mlgenn_delays.errors import InputError, nearest

ALLOCATIONS = ("uniform", "erdos-renyi")
Shape = tuple[int, int]


def synapse_counts(
    sparsity: float | Sequence[float],
    shapes: Sequence[Shape],
    allocation: str = "uniform",
    names: Sequence[str] | None = None,
) -> list[int]:
    """Return the number of synapses of each projection.

    Arguments:
        sparsity: Share of the pairs without a synapse, in [0, 1); or one a projection.
        shapes: (n_pre, n_post) of each projection.
        allocation: ``"uniform"`` (the same sparsity everywhere) or ``"erdos-renyi"`` (small
            projections are denser).
        names: Names of the projections, for errors.

    Raises:
        InputError: A sparsity is outside [0, 1) or leaves a projection without a synapse, or
            the arguments do not fit each other.
    """
    if allocation not in ALLOCATIONS:
        raise InputError(
            f"allocation must be one of {', '.join(ALLOCATIONS)}, got {allocation!r}"
            + nearest(str(allocation), ALLOCATIONS)
        )
    names = [f"{pre} x {post}" for pre, post in shapes] if names is None else list(names)
    if len(names) != len(shapes):
        raise InputError(f"names must have {len(shapes)} entries, got {len(names)}")
    if not isinstance(sparsity, Sequence):
        _check_sparsity(sparsity, "")
        if allocation == "erdos-renyi":
            return _erdos_renyi(sparsity, shapes, names)
        sparsity = [sparsity] * len(shapes)
    elif allocation == "erdos-renyi":
        raise InputError(
            f"sparsity must be one number with allocation 'erdos-renyi', got {list(sparsity)!r}"
        )
    if len(sparsity) != len(shapes):
        raise InputError(
            f"sparsity must have one number for each of {len(shapes)} projections "
            f"({', '.join(names)}), got {list(sparsity)!r}"
        )
    return [_count(*each) for each in zip(sparsity, shapes, names, strict=True)]


def _check_sparsity(sparsity: float, where: str) -> None:
    number = hasattr(sparsity, "__float__") and not isinstance(sparsity, bool)
    if not (number and 0 <= sparsity < 1):
        raise InputError(f"sparsity{where} must be in [0, 1), got {sparsity!r}")


def _count(sparsity: float, shape: Shape, name: str) -> int:
    _check_sparsity(sparsity, f" of projection {name!r}")
    count = math.floor((1 - sparsity) * shape[0] * shape[1] + 1e-9)
    if count < 1:
        raise InputError(
            f"projection {name!r} must have at least one synapse, got sparsity {sparsity!r} of "
            f"{shape[0]} x {shape[1]} pairs; lower it"
        )
    return count


def _erdos_renyi(sparsity: float, shapes: Sequence[Shape], names: Sequence[str]) -> list[int]:
    """Return counts in proportion to n_pre + n_post with an exact total."""
    dense = [pre * post for pre, post in shapes]
    total = math.floor((1 - sparsity) * sum(dense) + 1e-9)
    if total < len(shapes):
        raise InputError(
            f"every projection ({', '.join(names)}) must have at least one synapse, got sparsity "
            f"{sparsity!r}, which leaves {total} for {len(shapes)}; lower it"
        )
    counts = _round(_shares(total, [pre + post for pre, post in shapes], dense), total)
    while 0 in counts:
        counts[counts.index(max(counts))] -= 1
        counts[counts.index(0)] += 1
    return counts


def _shares(total: int, weights: list[int], dense: list[int]) -> list[Fraction]:
    """Return the total split in proportion to the weights, with what exceeds dense passed on."""
    shares = [Fraction(each) for each in dense]
    open_ = set(range(len(dense)))
    while open_:
        left = total - sum(dense[i] for i in range(len(dense)) if i not in open_)
        scale = Fraction(left, sum(weights[i] for i in open_))
        full = {i for i in open_ if weights[i] * scale > dense[i]}
        if not full:
            for i in open_:
                shares[i] = weights[i] * scale
            break
        open_ -= full
    return shares


def _round(shares: list[Fraction], total: int) -> list[int]:
    """Return whole numbers of the given total: those with the largest remainders go up."""
    counts = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    return counts
