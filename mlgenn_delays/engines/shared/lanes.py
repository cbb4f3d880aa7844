"""Several neurons side by side: short vectors of float32 as values of kernels.

    v = alpha * v + beta * load(BLOCK, current, at)       the same step of 32 neurons
    fired = at_least(v, v_thresh)                         bit k: lane k is at its threshold
    v = where(fired, splat(BLOCK, zero), v)

Operators act lane by lane and round as those of single numbers do: no sum is reordered, nothing is
fused. Arrays are flat and contiguous; places are elements.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, overload, register_model

from mlgenn_delays.engines.shared.vector import LANES as ROW_LANES

intrinsic: Any = numba_intrinsic
LANES = 8  # neurons whose values of a step lie side by side, then those of the next step
BLOCK = 32  # neurons that take a step at once: what one waits for is hidden by the others
STRIP = ROW_LANES  # those of a strip, in `SurrogateBPTT`: rows become strips in whole vectors
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
def load_rows(typing: Any, n: Any, array: Any, place: Any, length: Any) -> Any:
    """Return n elements: `LANES` from a place on, as many `length` places later, and so on."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        parts, place = [], given[2]
        for _ in range(n.literal_value // LANES):
            at = _pointer(context, builder, signature.args[1], given[1], place, LANES)
            parts.append(builder.load(at, align=4))
            place = builder.add(place, given[3])
        while len(parts) > 1:
            parts = [_joined(builder, *parts[k : k + 2]) for k in range(0, len(parts), 2)]
        return parts[0]

    if not isinstance(n, types.IntegerLiteral):
        return None
    return Floats(n.literal_value)(n, array, types.uint64, types.uint64), code


def _joined(builder: Any, one: Any, other: Any) -> Any:
    return _picked(builder, one, other, range(2 * one.type.count))


def _picked(builder: Any, one: Any, other: Any, order: Any) -> Any:
    """Elements of two vectors end to end, by their places."""
    mask = ir.Constant(_vector(len(order), ir.IntType(32)), list(order))
    return builder.shuffle_vector(one, other, mask)


@intrinsic
def put_rows(typing: Any, array: Any, place: Any, length: Any, value: Any) -> Any:
    """Set what `load_rows` returns."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = given[1]
        for first in range(0, value.n, LANES):
            at = _pointer(context, builder, signature.args[0], given[0], place, LANES)
            part = _picked(builder, given[3], given[3], range(first, first + LANES))
            builder.store(part, at, align=4)
            place = builder.add(place, given[2])
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, value), code


@intrinsic
def fetch(typing: Any, array: Any, place: Any) -> Any:
    """Have the cache line of an element of an array fetched; it may lie past the array's end."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kinds = [ir.IntType(8).as_pointer(), *[ir.IntType(32)] * 3]
        kind, name = ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0i8"
        act = cgutils.get_or_insert_function(builder.module, kind, name)
        at = _pointer(context, builder, signature.args[0], given[0], given[1], 1)
        # To be read, kept in all caches, as data.
        builder.call(act, [builder.bitcast(at, kinds[0]), *(_int32(k) for k in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(array, types.uint64), code


@intrinsic
def splat(typing: Any, n: Any, value: Any) -> Any:
    """Return a float32 in all of n lanes; n is a literal."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = _vector(n.literal_value)
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), given[1], _int32(0))
        return _picked(builder, first, ir.Constant(kind, ir.Undefined), [0] * n.literal_value)

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
def with_lane(typing: Any, vector: Any, k: Any, value: Any) -> Any:
    """Return a vector whose lane k is another value."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.insert_element(given[0], given[2], given[1])

    return vector(vector, types.uint64, types.float32), code


def _bits(kind: Any) -> Any:
    return types.Integer.from_bitwidth(kind.n, signed=False)


def _comparison(sign: str) -> Any:
    def compare(typing: Any, one: Any, other: Any) -> Any:
        def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.bitcast(builder.fcmp_ordered(sign, *given), ir.IntType(one.n))

        return _bits(one)(one, one), code

    return intrinsic(compare)


at_least = _comparison(">=")  # the lanes in which one >= other, as bits
above = _comparison(">")


@intrinsic
def where(typing: Any, bits: Any, one: Any, other: Any) -> Any:
    """Return `one` in the lanes whose bits are set, `other` elsewhere."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        mask = builder.bitcast(given[0], _vector(one.n, ir.IntType(1)))
        return builder.select(mask, given[1], given[2])

    return one(_bits(one), one, one), code


@intrinsic
def having(typing: Any, array: Any, place: Any, bit: Any) -> Any:
    """Return which of 16 elements of an array of uint16, from a place on, have a bit, as bits."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        word, data = ir.IntType(16), context.make_array(array)(context, builder, given[0]).data
        kind = _vector(word.width, word)
        at = builder.bitcast(builder.gep(data, [given[1]]), kind.as_pointer())
        one = builder.shl(ir.Constant(word, 1), builder.trunc(given[2], word))
        first = builder.insert_element(ir.Constant(kind, ir.Undefined), one, _int32(0))
        every = _picked(builder, first, ir.Constant(kind, ir.Undefined), [0] * word.width)
        found = builder.and_(builder.load(at, align=2), every)
        return builder.bitcast(builder.icmp_unsigned("!=", found, ir.Constant(kind, None)), word)

    return types.uint16(array, types.uint64, types.uint64), code


@intrinsic
def magnitude(typing: Any, vector: Any) -> Any:
    """Return the absolute values."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        kind = _vector(vector.n)
        name = f"llvm.fabs.v{vector.n}f32"
        act = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind]), name)
        return builder.call(act, given)

    return vector(vector), code


@intrinsic
def add_wide(typing: Any, sums: Any, place: Any, vector: Any) -> Any:
    """Add a vector to as many elements of an array of float64 from a place on."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        wide = ir.VectorType(ir.DoubleType(), vector.n)
        data = context.make_array(sums)(context, builder, given[0]).data
        at = builder.bitcast(builder.gep(data, [given[1]]), wide.as_pointer())
        total = builder.fadd(builder.load(at, align=8), builder.fpext(given[2], wide))
        builder.store(total, at, align=8)
        return context.get_dummy_value()

    return types.void(sums, types.uint64, vector), code


@intrinsic
def lowest(typing: Any, bits: Any) -> Any:
    """Return which is the lowest set bit of a uint64, 64 of 0."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.cttz(given[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), code


@intrinsic
def put_pairs(typing: Any, array: Any, place: Any, length: Any, one: Any, two: Any) -> Any:
    """Write the pairs one[k], two[k]: the first four from a place on, the next `length` later."""

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        place = given[1]
        for first in range(0, one.n, LANES // 2):
            order = [first + k // 2 + (one.n if k % 2 else 0) for k in range(LANES)]
            pairs = _picked(builder, given[3], given[4], order)
            at = _pointer(context, builder, signature.args[0], given[0], place, LANES)
            builder.store(pairs, at, align=4)
            place = builder.add(place, given[2])
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


_INSTRUCTIONS = {
    operator.add: "fadd", operator.sub: "fsub", operator.mul: "fmul", operator.truediv: "fdiv",
}  # fmt: skip
for _act, _instruction in _INSTRUCTIONS.items():
    _operator(_act, _instruction)


@intrinsic
def _negated(typing: Any, vector: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        return builder.fneg(given[0])

    return vector(vector), code


@overload(operator.neg)
def _negative(vector):  # type: ignore[no-untyped-def]
    return (lambda vector: _negated(vector)) if isinstance(vector, Floats) else None


def _by_lane(act: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of vectors that takes one lane after the other, as single numbers are."""

    def by_lane(vector: Any) -> Any:
        return act(vector)

    def of_vector(vector):  # type: ignore[no-untyped-def]
        n = vector.n

        def each(vector):  # type: ignore[no-untyped-def]
            out = vector
            for k in range(n):
                out = with_lane(out, k, np.float32(act(lane(vector, k))))
            return out

        return each

    overload(by_lane)(of_vector)
    return by_lane


exp, log, sqrt = _by_lane(np.exp), _by_lane(np.log), _by_lane(np.sqrt)
tanh, sin, cos = _by_lane(np.tanh), _by_lane(np.sin), _by_lane(np.cos)


def power(one: Any, other: Any) -> Any:
    """Return one to the power of other."""
    return one**other


@overload(power)
def _power(one, other):  # type: ignore[no-untyped-def]
    n = one.n

    def each(one, other):  # type: ignore[no-untyped-def]
        out = one
        for k in range(n):
            out = with_lane(out, k, np.float32(lane(one, k) ** lane(other, k)))
        return out

    return each


def _plain() -> dict[str, Callable[..., Any]]:
    """The same in NumPy, for kernels that run as plain Python (NUMBA_DISABLE_JIT)."""

    def put(array: Any, place: Any, value: Any) -> None:
        array.reshape(-1)[int(place) : int(place) + len(value)] = value

    def rows(array: Any, place: Any, length: Any, n: int, size: int) -> Any:
        for k in range(n):
            first = int(place) + k * int(length)
            yield array.reshape(-1)[first : first + size]

    def load_rows(n: int, array: Any, place: Any, length: Any) -> Any:
        return np.concatenate(list(rows(array, place, length, n // LANES, LANES)))

    def put_rows(array: Any, place: Any, length: Any, value: Any) -> None:
        parts = value.reshape(-1, LANES)
        for row, part in zip(rows(array, place, length, len(parts), LANES), parts, strict=True):
            row[:] = part

    def put_pairs(array: Any, place: Any, length: Any, one: Any, two: Any) -> None:
        put_rows(array, place, length, np.stack([one, two], 1).reshape(-1))

    def as_bits(lanes: Any) -> Any:
        return np.packbits(lanes, bitorder="little").view(f"uint{len(lanes)}")[0]

    def where(bits: Any, one: Any, other: Any) -> Any:
        return np.where(int(bits) >> np.arange(len(one)) & 1, one, other)

    def lowest(bits: Any) -> Any:
        return np.uint64((int(bits) & -int(bits)).bit_length() - 1 if bits else 64)

    def with_lane(vector: Any, k: Any, value: Any) -> Any:
        out = vector.copy()
        out[int(k)] = value
        return out

    def add_wide(sums: Any, place: Any, vector: Any) -> None:
        sums.reshape(-1)[int(place) : int(place) + len(vector)] += vector

    return {
        "add_wide": add_wide,
        "with_lane": with_lane,
        "magnitude": np.abs,
        "put": put,
        "put_rows": put_rows,
        "load_rows": load_rows,
        "lowest": lowest,
        "put_pairs": put_pairs,
        "where": where,
        "fetch": lambda array, place: None,
        "load": lambda n, array, place: array.reshape(-1)[int(place) : int(place) + n].copy(),
        "splat": lambda n, value: np.full(n, value, np.float32),
        "lane": lambda vector, k: vector[k],
        "having": lambda array, place, bit: as_bits(array[int(place) :][:16] >> bit & 1),
        "at_least": lambda one, other: as_bits(one >= other),
        "above": lambda one, other: as_bits(one > other),
    }


_CONFIG: Any = config
if _CONFIG.DISABLE_JIT:
    globals().update(_plain())
