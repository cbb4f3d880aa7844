"""Shifted multiply-adds along contiguous time, written as vector code.

    shifted_axpy  out[u] += sum_k coef[k] x[address[k] + u]          many shifted rows into one
    shifted_dot   out[k] += sum_u row[u] x[address[k] + u]           one row against many

The compiler may not reorder sums of floats by itself (`mlgenn_delays.kernels` says why that must
stay so), so the order is fixed here, in lanes of 16 with fused multiply-adds: a kernel rounds the
same wherever it is inlined, and on machines with narrower vectors.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

intrinsic: Any = numba_intrinsic
LANES = 16
VECTOR = ir.VectorType(ir.FloatType(), LANES)
_INDEX = ir.IntType(64)
_ABREAST = 4  # vectors worked on at once, so that each one's latency is hidden


def word(value: int) -> Any:
    """Return an integer as code."""
    return ir.Constant(_INDEX, value)


class Writer:
    """Writes code of vectors of `LANES` float32."""

    def __init__(self, context: Any, builder: Any) -> None:
        self.context = context
        self.builder = builder
        kind = ir.FunctionType(VECTOR, [VECTOR] * 3)
        self._fma = cgutils.get_or_insert_function(builder.module, kind, "llvm.fma.v16f32")

    def data(self, kind: Any, value: Any) -> Any:
        """Return the pointer to an array's elements."""
        return self.context.make_array(kind)(self.context, self.builder, value).data

    def at(self, pointer: Any, index: Any) -> Any:
        """Return one element."""
        return self.builder.load(self.builder.gep(pointer, [index]))

    def load(self, pointer: Any, index: Any) -> Any:
        """Return 16 elements from an index on."""
        place = self.builder.bitcast(self.builder.gep(pointer, [index]), VECTOR.as_pointer())
        return self.builder.load(place, align=4)

    def store(self, value: Any, pointer: Any, index: Any) -> None:
        """Set 16 elements from an index on."""
        place = self.builder.bitcast(self.builder.gep(pointer, [index]), VECTOR.as_pointer())
        self.builder.store(value, place, align=4)

    def add(self, one: Any, other: Any) -> Any:
        """Return the sum of two integers."""
        return self.builder.add(one, other)

    def splat(self, value: Any) -> Any:
        """Return a value in all lanes."""
        none = ir.Constant(VECTOR, ir.Undefined)
        single = self.builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return self.builder.shuffle_vector(single, none, mask)

    def variable(self, value: Any) -> Any:
        """Return a vector that may change, with its first value."""
        place = cgutils.alloca_once(self.builder, VECTOR)
        self.builder.store(value, place)
        return place

    def number(self, value: Any) -> Any:
        """Return an integer that may change, with its first value."""
        place = cgutils.alloca_once(self.builder, _INDEX)
        self.builder.store(value, place)
        return place

    def fused(self, one: Any, other: Any, third: Any) -> Any:
        """Return one * other + third, rounded once."""
        return self.builder.call(self._fma, [one, other, third])

    def multiply_add(self, one: Any, other: Any, place: Any) -> None:
        """Add the product of two vectors to a variable, rounded once."""
        self.builder.store(self.fused(one, other, self.builder.load(place)), place)

    def total(self, vector: Any) -> Any:
        """Return the sum of all lanes, halves first."""
        lanes = LANES
        while lanes > 1:
            lanes //= 2
            low, high = (
                ir.Constant(ir.VectorType(ir.IntType(32), lanes), [k + first for k in range(lanes)])
                for first in (0, lanes)
            )
            none = ir.Constant(vector.type, ir.Undefined)
            vector = self.builder.fadd(
                self.builder.shuffle_vector(vector, none, low),
                self.builder.shuffle_vector(vector, none, high),
            )
        return self.builder.extract_element(vector, ir.Constant(ir.IntType(32), 0))

    def loop(self, low: Any, high: Any, step: int, body: Callable[[Any], None]) -> None:
        """Write ``for i in range(low, high, step): body(i)``."""
        with cgutils.for_range_slice(self.builder, low, high, word(step)) as (index, _):
            body(index)

    def blocks(self, low: Any, high: Any, unit: int, body: Callable[[Any, int], None]) -> None:
        """Write a loop over units, `_ABREAST` at a time (``body(i, many)``), the rest at once."""
        builder = self.builder
        many = word(_ABREAST * unit)
        count = builder.sdiv(builder.sub(high, low), many)
        whole = self.add(low, builder.mul(count, many))
        self.loop(low, whole, _ABREAST * unit, lambda index: body(index, _ABREAST))
        left = builder.sub(high, whole)
        for rest in range(1, _ABREAST):
            with builder.if_then(builder.icmp_signed("==", left, word(rest * unit))):
                body(whole, rest)


@intrinsic
def shifted_axpy(typing: Any, out: Any, at: Any, n: Any, x: Any, base: Any, address: Any, coef: Any,
          first: Any, last: Any) -> Any:  # fmt: skip
    """Add sum over k in first..last-1 of coef[k] x[base + address[k] + u] to out[at + u], u < n.

    Arrays are contiguous; n is a multiple of `LANES`; `address` is int64, the rest float32.
    """
    index = types.int64
    signature = types.void(out, index, index, x, index, address, coef, index, index)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, x, address, coef = (w.data(kinds[i], given[i]) for i in (0, 3, 5, 6))
        at, n, base, first, last = (given[i] for i in (1, 2, 4, 7, 8))
        zero = ir.Constant(VECTOR, [0.0] * LANES)

        def block(u: Any, many: int) -> None:
            own = [w.add(w.add(at, u), word(m * LANES)) for m in range(many)]
            # Few sums would wait for one another: every second or fourth tap gets its own.
            ways = max(1, _ABREAST // many)
            sums = [[w.variable(w.load(out, place)) for place in own]]
            sums += [[w.variable(zero) for _ in own] for _ in range(ways - 1)]

            def tap(k: Any, way: int) -> None:
                scale = w.splat(w.at(coef, k))
                here = w.add(w.add(base, w.at(address, k)), u)
                for m in range(many):
                    w.multiply_add(scale, w.load(x, w.add(here, word(m * LANES))), sums[way][m])

            def taps(k: Any) -> None:
                for way in range(ways):
                    tap(w.add(k, word(way)), way)

            count = builder.sdiv(builder.sub(last, first), word(ways))
            whole = w.add(first, builder.mul(count, word(ways)))
            w.loop(first, whole, ways, taps)
            w.loop(whole, last, 1, lambda k: tap(k, 0))
            for m, place in enumerate(own):
                total = builder.load(sums[0][m])
                for way in range(1, ways):
                    total = builder.fadd(total, builder.load(sums[way][m]))
                w.store(total, out, place)

        w.blocks(word(0), n, LANES, block)
        return context.get_dummy_value()

    return signature, code


@intrinsic
def shifted_dot(typing: Any, out: Any, row: Any, at: Any, n: Any, x: Any, base: Any, address: Any,
         first: Any, last: Any) -> Any:  # fmt: skip
    """Add sum over u < n of row[at + u] x[base + address[k] + u] to out[k], k in first..last-1.

    Arrays are contiguous; n is a multiple of `LANES`; `address` is int64, the rest float32.
    """
    index = types.int64
    signature = types.void(out, row, index, index, x, index, address, index, index)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, row, x, address = (w.data(kinds[i], given[i]) for i in (0, 1, 4, 6))
        at, n, base, first, last = (given[i] for i in (2, 3, 5, 7, 8))
        zero = ir.Constant(VECTOR, [0.0] * LANES)

        def block(k: Any, many: int) -> None:
            own = [w.add(k, word(m)) for m in range(many)]
            places = [w.add(base, w.at(address, each)) for each in own]
            sums = [w.variable(zero) for _ in own]

            def step(u: Any) -> None:
                value = w.load(row, w.add(at, u))
                for place, total in zip(places, sums, strict=True):
                    w.multiply_add(value, w.load(x, w.add(place, u)), total)

            w.loop(word(0), n, LANES, step)
            for each, total in zip(own, sums, strict=True):
                grown = builder.fadd(w.at(out, each), w.total(builder.load(total)))
                builder.store(grown, builder.gep(out, [each]))

        w.blocks(first, last, 1, block)
        return context.get_dummy_value()

    return signature, code
