"""Vector code of spectra: sums of products of complex numbers.

As in `vector`, the order of every sum is fixed, so results depend neither on how many spectra are
worked on at once nor on where a kernel is inlined.
"""

from typing import Any

from llvmlite import ir
from numba import types

from mlgenn_delays.engines.shared.vector import LANES, VECTOR, Writer, intrinsic, word


@intrinsic
def add_products(typing: Any, rows: Any, many: Any, out: Any, at: Any, row: Any, to: Any, one: Any,
          base: Any, one_row: Any, one_at: Any, other: Any, other_at: Any, offset: Any, begin: Any,
          first: Any, last: Any) -> Any:  # fmt: skip
    """Add to out[at + r row + to[begin + m]] the sum over k in first..last-1 of

    one[base + r one_row + one_at[k]] other[offset[begin + m] + other_at[k]], for r < rows and
    m < many, both literals. All are 16 complex numbers: real parts, behind them imaginary ones.
    """
    if not (isinstance(rows, types.IntegerLiteral) and isinstance(many, types.IntegerLiteral)):
        return None
    index = types.int64
    signature = types.void(
        rows, many, out, index, index, to, one, index, index, one_at, other, other_at, offset,
        index, index, index,
    )  # fmt: skip

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, to, one, one_at, other, other_at, offset = (
            w.data(kinds[i], given[i]) for i in (2, 5, 6, 9, 10, 11, 12)
        )
        at, row, base, one_row, begin, first, last = (given[i] for i in (3, 4, 7, 8, 13, 14, 15))
        lines, tile = (range(kinds[i].literal_value) for i in (0, 1))
        zero, minus = (ir.Constant(VECTOR, [value] * LANES) for value in (0.0, -0.0))
        sums = [[(w.variable(zero), w.variable(zero)) for _ in tile] for _ in lines]
        starts = [builder.gep(other, [w.at(offset, w.add(begin, word(m)))]) for m in tile]
        heads = [builder.gep(one, [w.add(base, builder.mul(one_row, word(r)))]) for r in lines]

        def product(k: Any) -> None:
            here, there = w.at(one_at, k), w.at(other_at, k)
            factors = []
            for head in heads:
                real, imaginary = w.load(head, here), w.load(head, w.add(here, word(LANES)))
                factors.append((real, imaginary, builder.fsub(minus, imaginary)))
            for m, start in enumerate(starts):
                a, b = w.load(start, there), w.load(start, w.add(there, word(LANES)))
                for totals, (real, imaginary, negative) in zip(sums, factors, strict=True):
                    w.multiply_add(a, real, totals[m][0])
                    w.multiply_add(b, negative, totals[m][0])
                    w.multiply_add(a, imaginary, totals[m][1])
                    w.multiply_add(b, real, totals[m][1])

        w.loop(first, last, 1, product)
        for r, totals in enumerate(sums):
            for m, parts in enumerate(totals):
                place = w.add(at, w.add(builder.mul(row, word(r)), w.at(to, w.add(begin, word(m)))))
                for part in parts:
                    w.store(builder.fadd(w.load(out, place), builder.load(part)), out, place)
                    place = w.add(place, word(LANES))
        return context.get_dummy_value()

    return signature, code
