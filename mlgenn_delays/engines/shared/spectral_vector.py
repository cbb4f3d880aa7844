"""Vector code of spectra: sums of products of complex numbers.

As in `vector`, the order of every sum is fixed, so results depend neither on how many rows are
worked on at once nor on where a kernel is inlined.
"""

from typing import Any

from llvmlite import ir
from numba import types

from mlgenn_delays.engines.shared.vector import LANES, VECTOR, Writer, intrinsic, word


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
