"""Strips: values of `STRIP` neighbouring neurons in a step, side by side, then the next step's.

Neurons take their steps in strips, for each one's steps depend on the one before; what arrives, and
goes back, over delays is worked on in rows along time (see `traces`). Blocks of `STRIP` rows and
steps go from one to the other through registers.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic

from mlgenn_delays.engines.shared.lanes import STRIP
from mlgenn_delays.engines.shared.vector import Writer, word

intrinsic: Any = numba_intrinsic
_PART = 4  # lanes that shuffles of most processors are cheap within


def _masks() -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Return pairs of masks that transpose 2 x 2 blocks of 1, of 2, and of `_PART` lanes."""
    parts = range(0, STRIP, _PART)
    ones = [[p + k // 2 + k % 2 * STRIP + h for p in parts for k in range(4)] for h in (0, 2)]
    twos = [[p + k % 2 + k // 2 * STRIP + h for p in parts for k in range(4)] for h in (0, 2)]
    whole = [
        [from_ + p + k for from_ in (0, STRIP) for p in (h, h + 8) for k in range(_PART)]
        for h in (0, _PART)
    ]
    return ones, twos, whole


def _transposed(builder: Any, rows: list[Any]) -> list[Any]:
    """Return the columns of 16 vectors of 16 lanes."""

    def crossed(pairs: list[tuple[int, int]], masks: list[list[int]]) -> None:
        for a, b in pairs:
            kind = ir.VectorType(ir.IntType(32), STRIP)
            both = [builder.shuffle_vector(rows[a], rows[b], ir.Constant(kind, m)) for m in masks]
            rows[a], rows[b] = both

    ones, twos, whole = _masks()
    fours = range(0, STRIP, _PART)
    crossed([(k, k + 1) for k in range(0, STRIP, 2)], ones)
    crossed([(f + k, f + k + 2) for f in fours for k in (0, 1)], twos)
    # Rows f + (0, 2, 1, 3) hold columns 0, 1, 2, 3 of every part of four rows from f on.
    crossed([(f + k, f + k + 4) for f in (0, 8) for k in range(4)], whole)
    crossed([(k, k + 8) for k in range(8)], whole)
    return [rows[f + k] for f in fours for k in (0, 2, 1, 3)]


@intrinsic
def transpose(typing: Any, out: Any, to: Any, out_stride: Any, x: Any, at: Any, stride: Any) -> Any:
    """Set out[to + i out_stride + k] to x[at + k stride + i], i and k < `STRIP`."""
    index = types.int64
    signature = types.void(out, index, index, x, index, index)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        out, x = w.data(kinds[0], given[0]), w.data(kinds[3], given[3])
        to, out_stride, at, stride = (given[i] for i in (1, 2, 4, 5))
        rows = [w.load(x, w.add(at, builder.mul(stride, word(k)))) for k in range(STRIP)]
        for i, column in enumerate(_transposed(builder, rows)):
            w.store(column, out, w.add(to, builder.mul(out_stride, word(i))))
        return context.get_dummy_value()

    return signature, code


@intrinsic
def moments(
    typing: Any, one: Any, at: Any, other: Any, other_at: Any, steps: Any, sums: Any
) -> Any:
    """Set sums (2, `STRIP`) float64 to those of a strip of `one` and of its product with another.

    Each lane's are added in the order of the steps.
    """
    index = types.int64
    signature = types.void(one, index, other, index, index, sums)

    def code(context: Any, builder: Any, signature: Any, given: Any) -> Any:
        w, kinds = Writer(context, builder), signature.args
        one, other, sums = (w.data(kinds[i], given[i]) for i in (0, 2, 5))
        at, other_at, steps = given[1], given[3], given[4]
        wide = ir.VectorType(ir.DoubleType(), STRIP)
        totals = [cgutils.alloca_once(builder, wide) for _ in range(2)]
        for total in totals:
            builder.store(ir.Constant(wide, [0.0] * STRIP), total)

        def step(t: Any) -> None:
            x = builder.fpext(w.load(one, w.add(at, t)), wide)
            y = builder.fpext(w.load(other, w.add(other_at, t)), wide)
            for total, value in zip(totals, (x, builder.fmul(x, y)), strict=True):
                builder.store(builder.fadd(builder.load(total), value), total)

        w.loop(word(0), builder.mul(steps, word(STRIP)), STRIP, step)
        for k, total in enumerate(totals):
            place = builder.bitcast(builder.gep(sums, [word(k * STRIP)]), wide.as_pointer())
            builder.store(builder.load(total), place, align=8)
        return context.get_dummy_value()

    return signature, code
