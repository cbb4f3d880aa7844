"""Shifted multiply-adds along contiguous time, written as vector code.

    shifted_axpy  out[u] += sum_k coef[k] x[address[k] + u]          many shifted rows into one
    shifted_axpys the same into several rows, of 16 values each
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
_ABREAST = 4  # vectors worked on at least at once, so that each one's latency is hidden
_VECTORS = tuple(range(8, 0, -1))  # of a sum of rows at once: most trials' last ones in one go
_TAPS = (8, 4, 2, 1)  # at once against one row


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

    def totals(self, vectors: list[Any]) -> Any:
        """Return the sums of all lanes of 1, 2, 4 or 8 vectors, as a vector, halves first."""
        lanes = LANES  # of each sum
        while lanes > 1:
            lanes //= 2
            pairs = list(zip(vectors[::2], vectors[1::2], strict=True)) if vectors[1:] else []
            vectors = [self._halves(*pair, lanes) for pair in pairs or [(vectors[0], None)]]
        return vectors[0]

    def _halves(self, one: Any, other: Any, lanes: int) -> Any:
        """Return first plus second halves of each sum's lanes, of one vector and then another."""
        count = one.type.count * (1 if other is None else 2)
        none = ir.Constant(one.type, ir.Undefined)
        both = []
        for first in (0, lanes):
            order = [k + first for start in range(0, count, 2 * lanes) for k in
                     range(start, start + lanes)]  # fmt: skip
            mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), order)
            both.append(self.builder.shuffle_vector(one, none if other is None else other, mask))
        return self.builder.fadd(*both)

    def loop(self, low: Any, high: Any, step: int, body: Callable[[Any], None]) -> None:
        """Write ``for i in range(low, high, step): body(i)``."""
        with cgutils.for_range_slice(self.builder, low, high, word(step)) as (index, _):
            body(index)

    def in_turn(self, low: Any, high: Any, ways: int, body: Callable[[Any, int], None]) -> None:
        """Write a loop ``body(i, way)`` whose ways take turns; what is left over goes to way 0."""

        def turn(index: Any) -> None:
            for way in range(ways):
                body(self.add(index, word(way)), way)

        count = self.builder.sdiv(self.builder.sub(high, low), word(ways))
        whole = self.add(low, self.builder.mul(count, word(ways)))
        self.loop(low, whole, ways, turn)
        self.loop(whole, high, 1, lambda index: body(index, 0))

    def store_totals(self, sums: list[list[Any]], pointer: Any, places: list[Any]) -> None:
        """Set 16 elements from each place on to the sum of its variables, one of each way."""
        for place, parts in zip(places, zip(*sums, strict=True), strict=True):
            total = self.builder.load(parts[0])
            for part in parts[1:]:
                total = self.builder.fadd(total, self.builder.load(part))
            self.store(total, pointer, place)

    def blocks(
        self, low: Any, high: Any, unit: int, sizes: tuple[int, ...],
        body: Callable[[Any, int], None],
    ) -> None:  # fmt: skip
        """Write a loop over units, ``body(i, many)``: as many as fit of each of the falling sizes.

        After the first, each size must go at most once into what is left.
        """
        many = word(sizes[0] * unit)
        count = self.builder.sdiv(self.builder.sub(high, low), many)
        whole = self.add(low, self.builder.mul(count, many))
        self.loop(low, whole, sizes[0] * unit, lambda index: body(index, sizes[0]))
        place = cgutils.alloca_once(self.builder, _INDEX)
        self.builder.store(whole, place)
        for size in sizes[1:]:
            begin, step = self.builder.load(place), word(size * unit)
            fits = self.builder.icmp_signed(">=", self.builder.sub(high, begin), step)
            with self.builder.if_then(fits):
                body(begin, size)
                self.builder.store(self.add(begin, step), place)


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

            w.in_turn(first, last, ways, tap)
            w.store_totals(sums, out, own)

        w.blocks(word(0), n, LANES, _VECTORS, block)
        return context.get_dummy_value()

    return signature, code


@intrinsic
def shifted_axpys(typing: Any, rows: Any, out: Any, at: Any, row: Any, x: Any, base: Any,
          length: Any, first: Any, own: Any, stride: Any, address: Any, coef: Any, begin: Any,
          end: Any) -> Any:  # fmt: skip
    """Add sum over k in begin..end-1 of coef[k] x[base + r length + first[own + r stride] +
    address[k] + u] to out[at + r row + u], u < 16, for r < rows, a literal.

    Arrays are contiguous; `first` and `address` are int64, the rest float32. The order of each sum
    is that of `shifted_axpy`.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    index = types.int64
    signature = types.void(
        rows, out, index, index, x, index, index, first, index, index, address, coef, index, index
    )

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, x, first, address, coef = (w.data(kinds[i], given[i]) for i in (1, 4, 7, 10, 11))
        at, row, base, length, own, stride, begin, end = (
            given[i] for i in (2, 3, 5, 6, 8, 9, 12, 13)
        )
        zero = ir.Constant(VECTOR, [0.0] * LANES)
        lines, places, heads = range(kinds[0].literal_value), [], []
        for r in lines:
            places.append(w.add(at, builder.mul(row, word(r))))
            shift = w.at(first, w.add(own, builder.mul(stride, word(r))))
            heads.append(w.add(shift, w.add(base, builder.mul(length, word(r)))))
        sums = [[w.variable(w.load(out, place)) for place in places]]
        sums += [[w.variable(zero) for _ in lines] for _ in range(1, _ABREAST)]

        def tap(k: Any, way: int) -> None:
            scale, here = w.splat(w.at(coef, k)), w.at(address, k)
            for r in lines:
                w.multiply_add(scale, w.load(x, w.add(heads[r], here)), sums[way][r])

        w.in_turn(begin, end, _ABREAST, tap)
        w.store_totals(sums, out, places)
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
            totals = w.totals([builder.load(total) for total in sums])
            here = builder.bitcast(builder.gep(out, [k]), totals.type.as_pointer())
            builder.store(builder.fadd(builder.load(here, align=4), totals), here, align=4)

        w.blocks(first, last, 1, _TAPS, block)
        return context.get_dummy_value()

    return signature, code
