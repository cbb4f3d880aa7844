"""Fast Fourier transforms of real rows, at odd frequencies, as vector code.

The spectrum of a row x of N = 2 M points has its values at the M frequencies (2 k + 1/2) 2 pi / N.
Products of such spectra are those of shifted sums in which what wraps around changes its sign, so
that they are as good as any where nothing wraps; there is neither mean nor Nyquist frequency.
With i x[n + M] taken off x[n] they are a complex transform of M points:

    z[n] = (x[n] - i x[n + M]) exp(-i pi n / N),   X[k] = sum_n z[n] exp(-2 pi i k n / M)

M = 64 p. Passes of radix 2 to 5 cut M points into p groups of 64, which are transformed in
registers: three passes of radix 4, across vectors, with their lanes exchanged in between. What is
cut stays in place, so that frequencies come in a fixed order other than theirs, which products do
not mind: the inverse takes them in this order. The order of all sums is fixed, as in `vector`.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types

from mlgenn_delays.engines.shared.fourier_code import BLOCK, RADICES, Code, Complex
from mlgenn_delays.engines.shared.vector import LANES, Writer, intrinsic, word

GROUP = 4 * BLOCK  # places of 64 complex numbers, which are as many points of a row


class Transform(NamedTuple):
    """What transforms of rows of one length need; see `make_transform`."""

    places: int  # N: points of a row, and places of a spectrum
    radices: np.ndarray  # int64 those of the passes
    waves: np.ndarray  # float32 constants, in the order in which `make_transform` puts them


def count_places(least: int) -> int:
    """Return the fewest points that a transform has of at least so many."""
    places = -(-least // GROUP) * GROUP
    while GROUP * math.prod(passes_of(places)) < places:
        places += GROUP
    return places


def passes_of(places: int) -> list[int]:
    """Return the radices of the passes, those of its factors that there are."""
    found, groups = [], places // GROUP
    for radix in RADICES:
        while groups % radix == 0:
            found.append(radix)
            groups //= radix
    return found


def make_transform(places: int) -> Transform:
    """Return the transform of rows of so many points, as `count_places` gives them."""
    points = places // 2
    radices = passes_of(places)
    twist = np.exp(-1j * np.pi * np.arange(points) / places)
    lanes = np.arange(LANES)
    parts = [np.zeros(BLOCK), twist, twist / points]
    parts += [_turns(64, k * lanes) for k in (1, 2, 3)]
    parts += [_turns(16, k * (lanes % 4)) for k in (1, 2, 3)]
    length = points
    for radix in radices:
        inner = length // radix
        for low in range(0, inner, LANES):
            parts += [_turns(length, k * (low + lanes)) for k in range(1, radix)]
        length = inner
    waves = np.concatenate([_blocks(part) if np.iscomplexobj(part) else part for part in parts])
    return Transform(places, np.array(radices, np.int64), waves.astype(np.float32))


def _turns(whole: int, part: np.ndarray) -> np.ndarray:
    """Return exp(2 pi i part / whole); whole turns are left out first, so that angles are exact."""
    return np.exp(2j * np.pi * (part % whole) / whole)


def _blocks(values: np.ndarray) -> np.ndarray:
    blocks = values.reshape(-1, LANES)
    return np.stack([blocks.real, blocks.imag], 1).reshape(-1)


def _write_forwards(code: Code, given: Sequence[Any]) -> None:
    """Write the code of `to_spectrum`, from pointers and numbers."""
    w, builder = code.w, code.builder
    _, radices, many, _, x, blocks, sign, out, stride, buffer = given
    signs = w.splat(sign)

    def row(n: Any) -> Any:
        """Vector n of the row, 0 behind its end."""
        inside = builder.icmp_signed("<", n, blocks)
        there = builder.gep(x, [builder.mul(n, word(LANES))])
        return w.load(builder.select(inside, there, code.waves), word(0))

    def put(values: list[Complex], n: Any) -> None:
        for k, (real, imaginary) in enumerate(code.group(values)):
            place = builder.mul(w.add(n, word(k)), stride)
            code.store((real, builder.fmul(imaginary, signs)), out, place)

    def bent(n: Any) -> Complex:
        return code.bent((row(n), row(w.add(n, code.half))), n)

    with builder.if_else(builder.icmp_signed("==", many, word(0))) as (single, several):
        with single:
            put([bent(word(k)) for k in range(4)], word(0))
        with several:
            w.loop(
                word(0), code.half, 1,
                lambda n: code.store(bent(n), buffer, builder.mul(n, word(BLOCK))),
            )  # fmt: skip
            code.run_passes(buffer, radices, many)

            def group(k: Any) -> None:
                at = builder.mul(k, word(BLOCK))
                put([code.load(buffer, w.add(at, word(m * BLOCK))) for m in range(4)], k)

            w.loop(word(0), code.half, 4, group)


def _write_back(code: Code, given: Sequence[Any]) -> None:
    """Write the code of `to_row`, from pointers and numbers."""
    w, builder = code.w, code.builder
    _, radices, many, _, spectrum, stride, blocks, sign, out, buffer, adds = given
    signs = w.splat(sign)

    def put(value: Any, n: Any) -> None:
        with builder.if_then(builder.icmp_signed("<", n, blocks)):
            place = builder.mul(n, word(LANES))
            grown = builder.fadd(w.load(out, place), value)
            w.store(builder.select(adds, grown, value), out, place)

    def group(n: Any) -> list[Complex]:
        places = [builder.mul(w.add(n, word(k)), stride) for k in range(4)]
        parts = [code.load(spectrum, place) for place in places]
        return code.group([(a, builder.fmul(b, signs)) for a, b in parts])

    def put_both(one: Complex, n: Any) -> None:
        x, y = code.bent(one, n)
        put(x, n)
        put(y, w.add(n, code.half))

    with builder.if_else(builder.icmp_signed("==", many, word(0))) as (single, several):
        with single:
            for k, one in enumerate(group(word(0))):
                put_both(one, word(k))
        with several:

            def groups(k: Any) -> None:
                at = builder.mul(k, word(BLOCK))
                for m, one in enumerate(group(k)):
                    code.store(one, buffer, w.add(at, word(m * BLOCK)))

            w.loop(word(0), code.half, 4, groups)
            code.run_passes(buffer, radices, many)
            w.loop(
                word(0), code.half, 1,
                lambda n: put_both(code.load(buffer, builder.mul(n, word(BLOCK))), n),
            )  # fmt: skip


def _function(context: Any, module: Any, way: int) -> Any:
    """Return the function that transforms, which a module holds once however often it is called."""
    name = "delaysnn_to_spectrum" if way > 0 else "delaysnn_to_row"
    function = module.globals.get(name)
    if function is None:
        floats, index = ir.FloatType().as_pointer(), ir.IntType(64)
        kinds = [index, index.as_pointer(), index, floats, floats]
        if way > 0:
            kinds += [index, ir.FloatType(), floats, index, floats]
        else:
            kinds += [index, index, ir.FloatType(), floats, floats, ir.IntType(1)]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        function.linkage = "linkonce_odr"
        function.attributes.add("noinline")
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        code = Code(context, builder, function.args[3], function.args[0], way)
        (_write_forwards if way > 0 else _write_back)(code, function.args)
        builder.ret_void()
    return function


def _call(context: Any, builder: Any, kinds: Any, given: Any, way: int, row: int, out: int) -> Any:
    """Write a call of it; `row` and `out` are numbers of arguments, behind which their places are.

    The places of both go into the pointers.
    """
    w, values = Writer(context, builder), list(given)
    many = context.make_array(kinds[1])(context, builder, given[1]).nitems
    for k, kind in enumerate(kinds):
        if isinstance(kind, types.Array):
            values[k] = w.data(kind, given[k])
    for k in (row, out):
        values[k] = builder.gep(values[k], [given[k + 1]])
    left = [value for k, value in enumerate(values) if k not in (row + 1, out + 1)]
    builder.call(_function(context, builder.module, way), [*left[:2], many, *left[2:]])
    return context.get_dummy_value()


@intrinsic
def to_spectrum(typing: Any, places: Any, radices: Any, waves: Any, x: Any, base: Any, blocks: Any,
                sign: Any, out: Any, at: Any, stride: Any, buffer: Any) -> Any:  # fmt: skip
    """Write the spectrum of a row of 16 `blocks` values, imaginary parts times `sign`, 1 or -1.

    The row begins at x[base]; blocks of the spectrum at out[at], each `stride` places behind the
    one before. Fields of a `Transform` come first. Without passes `buffer` is not used, else it
    has room for a spectrum.
    """
    index = types.int64
    signature = types.void(
        index, radices, waves, x, index, index, types.float32, out, index, index, buffer
    )  # fmt: skip
    return signature, lambda context, builder, signature, given: _call(
        context, builder, signature.args, given, 1, 3, 7
    )


@intrinsic
def to_row(typing: Any, places: Any, radices: Any, waves: Any, x: Any, base: Any, stride: Any,
           blocks: Any, sign: Any, out: Any, at: Any, buffer: Any, adds: Any) -> Any:  # fmt: skip
    """Write the first 16 `blocks` values of the row of a spectrum to out[at:], or add them.

    See `to_spectrum`; here the spectrum is what begins at x[base].
    """
    index = types.int64
    signature = types.void(
        index, radices, waves, x, index, index, index, types.float32, out, index, buffer,
        types.boolean,
    )  # fmt: skip
    return signature, lambda context, builder, signature, given: _call(
        context, builder, signature.args, given, -1, 3, 8
    )
