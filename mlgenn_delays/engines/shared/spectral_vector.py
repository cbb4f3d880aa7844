"""Vector code of spectra: rows times a matrix, and sums of products of complex numbers.

As in `vector`, the order of every sum is fixed, so results depend neither on how many rows are
worked on at once nor on where a kernel is inlined.
"""

from typing import Any

from llvmlite import ir
from numba import types

from mlgenn_delays.engines.shared.vector import LANES, VECTOR, Writer, intrinsic, word

COLUMNS = 4  # vectors of a row of `multiply_tile` at once


@intrinsic
def multiply_tile(typing: Any, rows: Any, many: Any, adds: Any, out: Any, at: Any, out_stride: Any,
          x: Any, base: Any, x_stride: Any, matrix: Any, first: Any, stride: Any,
          n: Any) -> Any:  # fmt: skip
    """Set out[at + r out_stride + c] to the sum over k < n of

    x[base + r x_stride + k] matrix[first + k stride + c], for r < rows, a literal, and c < 16 many,
    `many` in 1..4; or add it where `adds`.
    """
    if not isinstance(rows, types.IntegerLiteral):
        return None
    index = types.int64
    signature = types.void(
        rows, index, types.boolean, out, index, index, x, index, index, matrix, index, index, index
    )

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, x, matrix = (w.data(kinds[i], given[i]) for i in (3, 6, 9))
        many, adds, at, out_stride, base, x_stride = (given[i] for i in (1, 2, 4, 5, 7, 8))
        first, stride, n = given[10:]
        zero, tile = ir.Constant(VECTOR, [0.0] * LANES), range(kinds[0].literal_value)

        def multiply(width: int) -> None:
            sums = [[w.variable(zero) for _ in range(width)] for _ in tile]
            starts = [w.add(base, builder.mul(x_stride, word(r))) for r in tile]

            def step(k: Any) -> None:
                here = w.add(first, builder.mul(k, stride))
                columns = [w.load(matrix, w.add(here, word(c * LANES))) for c in range(width)]
                for start, row in zip(starts, sums, strict=True):
                    value = w.splat(w.at(x, w.add(start, k)))
                    for column, total in zip(columns, row, strict=True):
                        w.multiply_add(value, column, total)

            w.loop(word(0), n, 1, step)
            for r, row in enumerate(sums):
                place = w.add(at, builder.mul(out_stride, word(r)))
                for c, total in enumerate(row):
                    own, here = builder.load(total), w.add(place, word(c * LANES))
                    grown = builder.fadd(w.load(out, here), own)
                    w.store(builder.select(adds, grown, own), out, here)

        for width in range(1, COLUMNS + 1):
            with builder.if_then(builder.icmp_signed("==", many, word(width))):
                multiply(width)
        return context.get_dummy_value()

    return signature, code


@intrinsic
def add_products(typing: Any, many: Any, out: Any, to: Any, one: Any, one_at: Any, other: Any,
          other_at: Any, offset: Any, first: Any, last: Any, block: Any) -> Any:  # fmt: skip
    """Add to out[to[m]] the sum over k in first..last-1 of

    one[one_at[k]] other[other_at[k] + offset[m]], for m < many, a literal. All are 16 complex
    numbers: at `block` behind each place lie their real parts, then their imaginary ones.
    """
    if not isinstance(many, types.IntegerLiteral):
        return None
    index = types.int64
    signature = types.void(
        many, out, to, one, one_at, other, other_at, offset, index, index, index
    )  # fmt: skip

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, to, one, one_at, other, other_at, offset = (
            w.data(kinds[i], given[i]) for i in range(1, 8)
        )
        first, last, block = given[8:]
        zero, minus = (ir.Constant(VECTOR, [value] * LANES) for value in (0.0, -0.0))
        tile = range(kinds[0].literal_value)
        sums = [(w.variable(zero), w.variable(zero)) for _ in tile]
        starts = [builder.gep(other, [w.add(block, w.at(offset, word(m)))]) for m in tile]

        def product(k: Any) -> None:
            here, there = w.add(block, w.at(one_at, k)), w.at(other_at, k)
            real, imaginary = w.load(one, here), w.load(one, w.add(here, word(LANES)))
            negative = builder.fsub(minus, imaginary)
            for start, (total_real, total_imaginary) in zip(starts, sums, strict=True):
                a, b = w.load(start, there), w.load(start, w.add(there, word(LANES)))
                w.multiply_add(a, real, total_real)
                w.multiply_add(b, negative, total_real)
                w.multiply_add(a, imaginary, total_imaginary)
                w.multiply_add(b, real, total_imaginary)

        w.loop(first, last, 1, product)
        for m, parts in enumerate(sums):
            place = w.add(block, w.at(to, word(m)))
            for part in parts:
                w.store(builder.fadd(w.load(out, place), builder.load(part)), out, place)
                place = w.add(place, word(LANES))
        return context.get_dummy_value()

    return signature, code
