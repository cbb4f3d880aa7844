"""Several neurons side by side: short vectors of float32 as values of kernels.

    v = alpha * v + beta * load(LANES, current, at)       the same step of eight neurons
    fired = at_least(v, v_thresh)                         bit k: lane k is at its threshold
    v = where(fired, splat(LANES, zero), v)

Operators act lane by lane and round as those of single numbers do: no sum is reordered, nothing is
fused. Arrays are flat and contiguous; places are elements.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, overload, register_model

intrinsic: Any = numba_intrinsic
LANES = 8  # neurons that take a step at once
PAIR = 2


class Floats(types.Type):
    """A vector of n float32."""

    def __init__(self, n: int) -> None:
        self.n = n
        super().__init__(name=f"floats{n}")


@register_model(Floats)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Floats) -> None:
        super().__init__(manager, kind, _vector(kind.n))


def _vector(n: int, of: Any = None) -> Any:
    return ir.VectorType(of or ir.FloatType(), n)


def _pointer(context: Any, builder: Any, kind: Any, array: Any, place: Any, n: int) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [place]), _vector(n).as_pointer())


@intrinsic
def load(typing: Any, n: Any, array: Any, place: Any) -> Any:
    """Return n elements of an array from a place on; n is a literal."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        at = _pointer(context, builder, signature.args[1], given[1], given[2], n.literal_value)
        return builder.load(at, align=4)

    if not isinstance(n, types.IntegerLiteral):
        return None
    return Floats(n.literal_value)(n, array, types.uint64), code


@intrinsic
def put(typing: Any, array: Any, place: Any, value: Any) -> Any:
    """Set the elements of an array from a place on."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        at = _pointer(context, builder, signature.args[0], given[0], given[1], value.n)
        builder.store(given[2], at, align=4)
        return context.get_dummy_value()

    return types.void(array, types.uint64, value), code


@intrinsic
def splat(typing: Any, n: Any, value: Any) -> Any:
    """Return a float32 in all of n lanes; n is a literal."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = _vector(n.literal_value)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), given[1], _int32(0))
        mask = ir.Constant(_vector(n.literal_value, ir.IntType(32)), [0] * n.literal_value)
        return builder.shuffle_vector(first, ir.Constant(kind, ir.Undefined), mask)

    if not isinstance(n, types.IntegerLiteral):
        return None
    return Floats(n.literal_value)(n, types.float32), code


def _int32(value: int) -> Any:
    return ir.Constant(ir.IntType(32), value)


@intrinsic
def lane(typing: Any, vector: Any, k: Any) -> Any:
    """Return lane k."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.extract_element(*given)

    return types.float32(vector, types.uint64), code


@intrinsic
def at_least(typing: Any, one: Any, other: Any) -> Any:
    """Return the lanes of eight in which one >= other, as bits."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.bitcast(builder.fcmp_ordered(">=", *given), ir.IntType(LANES))

    return types.uint8(one, one), code


@intrinsic
def where(typing: Any, bits: Any, one: Any, other: Any) -> Any:
    """Return `one` in the lanes of eight whose bits are set, `other` elsewhere."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        mask = builder.bitcast(given[0], _vector(LANES, ir.IntType(1)))
        return builder.select(mask, given[1], given[2])

    return one(types.uint8, one, one), code


@intrinsic
def put_pairs(typing: Any, array: Any, place: Any, other_place: Any, one: Any, two: Any) -> Any:
    """Write the pairs one[k], two[k]: the first four from a place on, the others from another."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        for first, where_to in ((0, given[1]), (LANES // 2, given[2])):
            order = [first + k // 2 + (LANES if k % 2 else 0) for k in range(LANES)]
            mask = ir.Constant(_vector(LANES, ir.IntType(32)), order)
            pairs = builder.shuffle_vector(given[3], given[4], mask)
            at = _pointer(context, builder, signature.args[0], given[0], where_to, LANES)
            builder.store(pairs, at, align=4)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, one, two), code


def _operator(act: Callable[..., Any], instruction: str) -> None:
    @intrinsic
    def lane_by_lane(typing: Any, one: Any, other: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return getattr(builder, instruction)(*given)

        return one(one, one), code

    def act_on(one, other):  # type: ignore[no-untyped-def]
        if isinstance(one, Floats) and one == other:
            return lambda one, other: lane_by_lane(one, other)
        return None

    overload(act)(act_on)


for _act, _instruction in ((operator.add, "fadd"), (operator.sub, "fsub"), (operator.mul, "fmul")):
    _operator(_act, _instruction)


def _plain() -> dict[str, Callable[..., Any]]:
    """The same in NumPy, for kernels that run as plain Python (NUMBA_DISABLE_JIT)."""

    def put(array: Any, place: Any, value: Any) -> None:
        array.reshape(-1)[int(place) : int(place) + len(value)] = value

    def put_pairs(array: Any, place: Any, other_place: Any, one: Any, two: Any) -> None:
        half = LANES // 2
        put(array, place, np.stack([one[:half], two[:half]], 1).reshape(-1))
        put(array, other_place, np.stack([one[half:], two[half:]], 1).reshape(-1))

    def where(bits: Any, one: Any, other: Any) -> Any:
        return np.where(np.unpackbits(np.uint8(bits), bitorder="little").astype(bool), one, other)

    return {
        "put": put,
        "put_pairs": put_pairs,
        "where": where,
        "load": lambda n, array, place: array.reshape(-1)[int(place) : int(place) + n].copy(),
        "splat": lambda n, value: np.full(n, value, np.float32),
        "lane": lambda vector, k: vector[k],
        "at_least": lambda one, other: np.packbits(one >= other, bitorder="little")[0],
    }


_CONFIG: Any = config
if _CONFIG.DISABLE_JIT:
    globals().update(_plain())
