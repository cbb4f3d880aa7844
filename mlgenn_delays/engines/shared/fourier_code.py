"""Writes the code of `fourier`: complex numbers, 16 side by side, and passes over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from mlgenn_delays.engines.shared.vector import LANES, VECTOR, Writer, word

BLOCK = 2 * LANES  # places of 16 complex numbers: real parts, then imaginary ones
RADICES = (5, 4, 3, 2)  # of passes

Complex = tuple[Any, Any]


class Code:
    """Writes code of complex numbers, 16 side by side; `way` is 1 forwards, -1 back."""

    def __init__(self, context: Any, builder: Any, waves: Any, places: Any, way: int) -> None:
        self.w, self.builder = Writer(context, builder), builder
        self.waves, self.way = waves, way
        points = builder.udiv(places, word(2))
        # Places of what `make_transform` puts one behind the other.
        self.twist = word(BLOCK) if way > 0 else self.w.add(places, word(BLOCK))
        self.lanes = self.w.add(builder.mul(places, word(2)), word(BLOCK))
        self.passes = self.w.add(self.lanes, word(6 * BLOCK))
        self.half = builder.udiv(points, word(LANES))  # vectors of half a row

    # Numbers

    def vector(self, value: float) -> Any:
        """Return a constant in all lanes."""
        return ir.Constant(VECTOR, [value] * LANES)

    def negative(self, one: Any) -> Any:
        """Return -one of real numbers."""
        return self.builder.fsub(self.vector(-0.0), one)

    def plus(self, one: Complex, other: Complex) -> Complex:
        """Return one + other."""
        return self.builder.fadd(one[0], other[0]), self.builder.fadd(one[1], other[1])

    def minus(self, one: Complex, other: Complex) -> Complex:
        """Return one - other."""
        return self.builder.fsub(one[0], other[0]), self.builder.fsub(one[1], other[1])

    def scaled(self, one: Complex, by: float) -> Complex:
        """Return by * one."""
        return tuple(self.builder.fmul(part, self.vector(by)) for part in one)

    def grown(self, one: Complex, other: Complex, by: float) -> Complex:
        """Return one + by * other."""
        return tuple(self.w.fused(b, self.vector(by), a) for a, b in zip(one, other, strict=True))

    def turned(self, one: Complex, other: Complex, by: float = 1.0) -> tuple[Complex, Complex]:
        """Return one - way i by other, and one + way i by other."""
        by *= self.way
        if abs(by) == 1.0:
            add, sub = self.builder.fadd, self.builder.fsub
            if by < 0:
                add, sub = sub, add
            return (
                (add(one[0], other[1]), sub(one[1], other[0])),
                (sub(one[0], other[1]), add(one[1], other[0])),
            )
        right, left = (self.vector(sign * by) for sign in (1, -1))
        return (
            (self.w.fused(other[1], right, one[0]), self.w.fused(other[0], left, one[1])),
            (self.w.fused(other[1], left, one[0]), self.w.fused(other[0], right, one[1])),
        )

    def product(self, one: Complex, wave: Complex) -> Complex:
        """Return one times a wave forwards, times its conjugate back; waves are exp(i angle)."""
        builder, (a, b), (c, s) = self.builder, one, wave
        if self.way > 0:
            s_a, s_b = s, self.negative(s)
        else:
            s_a, s_b = self.negative(s), s
        # Forwards exp(-i angle) is what a transform takes.
        return (
            self.w.fused(b, s_a, builder.fmul(a, c)),
            self.w.fused(a, s_b, builder.fmul(b, c)),
        )

    # Memory

    def load(self, pointer: Any, place: Any) -> Complex:
        """Return the block at a place."""
        return self.w.load(pointer, place), self.w.load(pointer, self.w.add(place, word(LANES)))

    def store(self, one: Complex, pointer: Any, place: Any) -> None:
        """Set the block at a place."""
        self.w.store(one[0], pointer, place)
        self.w.store(one[1], pointer, self.w.add(place, word(LANES)))

    def wave(self, place: Any, number: int) -> Complex:
        """Return a block of constants, so many behind a place."""
        return self.load(self.waves, self.w.add(place, word(number * BLOCK)))

    def bent(self, one: Complex, n: Any) -> Complex:
        """Return (x, y) -> (x c - y s, -x s - y c) for vector n: both ways between row and z."""
        c, s = self.load(self.waves, self.w.add(self.twist, self.builder.mul(n, word(BLOCK))))
        x, y = one
        real = self.w.fused(y, s, self.builder.fmul(x, c))
        return real, self.w.fused(self.negative(y), c, self.builder.fmul(x, s))

    # Transforms

    def butterfly(self, x: Sequence[Complex]) -> list[Complex]:
        """Return the transform of 2 to 5 numbers."""
        if len(x) == 2:
            return [self.plus(*x), self.minus(*x)]
        if len(x) == 3:
            both = self.plus(x[1], x[2])
            middle = self.grown(x[0], both, -0.5)
            one, two = self.turned(middle, self.minus(x[1], x[2]), float(np.sqrt(0.75)))
            return [self.plus(x[0], both), one, two]
        if len(x) == 4:
            even, odd = self.plus(x[0], x[2]), self.plus(x[1], x[3])
            one, three = self.turned(self.minus(x[0], x[2]), self.minus(x[1], x[3]))
            return [self.plus(even, odd), one, self.minus(even, odd), three]
        near, far = self.plus(x[1], x[4]), self.plus(x[2], x[3])
        by_near, by_far = self.minus(x[1], x[4]), self.minus(x[2], x[3])
        (c1, s1), (c2, s2) = (
            (float(np.cos(a)), float(np.sin(a))) for a in (0.4 * np.pi, 0.8 * np.pi)
        )
        real = self.grown(self.grown(x[0], near, c1), far, c2)
        other = self.grown(self.grown(x[0], near, c2), far, c1)
        one, four = self.turned(real, self.grown(self.scaled(by_near, s1), by_far, s2))
        two, three = self.turned(other, self.grown(self.scaled(by_near, s2), by_far, -s1))
        return [self.plus(x[0], self.plus(near, far)), one, two, three, four]

    def exchange(self, x: Sequence[Complex], within: bool) -> list[Complex]:
        """Exchange four vectors with their four parts, or with the lanes within each part."""
        order = [[self._place(r, k, within) for k in range(LANES)] for r in range(4)]
        found: list[list[Any]] = []
        for part in (0, 1):
            a, b, c, d = (one[part] for one in x)
            # Two rounds: pairs of vectors first, then pairs of these.
            first = [self._shuffle(p, q, rows) for p, q in ((a, b), (c, d)) for rows in order[:2]]
            found.append(
                [
                    self._shuffle(first[0], first[2], order[2]),
                    self._shuffle(first[0], first[2], order[3]),
                    self._shuffle(first[1], first[3], order[2]),
                    self._shuffle(first[1], first[3], order[3]),
                ]
            )
        return list(zip(*found, strict=True))

    @staticmethod
    def _place(r: int, k: int, within: bool) -> int:
        """Return which of 32 lanes of two vectors shuffle r takes for its lane k."""
        part, lane = divmod(k, 4)
        here, rest = (lane, part) if within else (part, lane)
        low, high = here % 2, here // 2
        # a0 b0 a1 b1 and a2 b2 a3 b3, then the halves of two of these; between parts the other way
        # about, for a processor has an instruction for each.
        if within == (r < 2):
            vector, which = (low, 2 * r + high) if within else (high, r - 2 + 2 * low)
        else:
            vector, which = high, 2 * (r % 2) + low
        return vector * LANES + (4 * rest + which if within else 4 * which + rest)

    def _shuffle(self, one: Any, other: Any, order: Sequence[int]) -> Any:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), list(order))
        return self.builder.shuffle_vector(one, other, mask)

    def group(self, x: list[Complex]) -> list[Complex]:
        """Return the transform of 64 numbers."""
        if self.way > 0:
            x = self._waved(self.butterfly(x), 0)
            x = self._waved(self.butterfly(self.exchange(x, within=False)), 3)
            return self.butterfly(self.exchange(x, within=True))
        x = self._waved(self.exchange(self.butterfly(x), within=True), 3)
        x = self._waved(self.exchange(self.butterfly(x), within=False), 0)
        return self.butterfly(x)

    def _waved(self, x: list[Complex], first: int) -> list[Complex]:
        waves = [self.wave(self.lanes, first + k) for k in range(3)]
        return x[:1] + [self.product(a, b) for a, b in zip(x[1:], waves, strict=True)]

    def run_pass(self, radix: int, buffer: Any, count: Any, inner: Any, waves: Any) -> None:
        """Write a pass over `count` parts of radix * inner vectors, in place."""
        w, builder = self.w, self.builder
        step = builder.mul(inner, word(BLOCK))

        def part(k: Any) -> None:
            begin = builder.mul(k, builder.mul(step, word(radix)))

            def vector(v: Any) -> None:
                at = w.add(begin, builder.mul(v, word(BLOCK)))
                places = [w.add(at, builder.mul(step, word(q))) for q in range(radix)]
                here = w.add(waves, builder.mul(v, word((radix - 1) * BLOCK)))
                own = [self.wave(here, k) for k in range(radix - 1)]
                x = [self.load(buffer, place) for place in places]
                if self.way < 0:
                    x[1:] = [self.product(a, b) for a, b in zip(x[1:], own, strict=True)]
                x = self.butterfly(x)
                if self.way > 0:
                    x[1:] = [self.product(a, b) for a, b in zip(x[1:], own, strict=True)]
                for one, place in zip(x, places, strict=True):
                    self.store(one, buffer, place)

            w.loop(word(0), inner, 1, vector)

        w.loop(word(0), count, 1, part)

    def run_passes(self, buffer: Any, radices: Any, many: Any) -> None:
        """Write all passes, whose radices are known when they run."""
        w, builder = self.w, self.builder
        count, waves = (w.number(value) for value in (word(1), self.passes))
        length = w.number(self.half)
        if self.way < 0:  # begin behind the last pass
            self._skip(radices, many, count, length, waves)

        def one(k: Any) -> None:
            radix = w.at(radices, k if self.way > 0 else builder.sub(builder.sub(many, word(1)), k))
            if self.way < 0:
                self._move(radix, count, length, waves, back=True)
            inner = builder.udiv(builder.load(length), radix)
            for each in RADICES:
                with builder.if_then(builder.icmp_signed("==", radix, word(each))):
                    self.run_pass(each, buffer, builder.load(count), inner, builder.load(waves))
            if self.way > 0:
                self._move(radix, count, length, waves, back=False)

        w.loop(word(0), many, 1, one)

    def _skip(self, radices: Any, many: Any, count: Any, length: Any, waves: Any) -> None:
        self.w.loop(
            word(0), many, 1,
            lambda k: self._move(self.w.at(radices, k), count, length, waves, back=False),
        )  # fmt: skip

    def _move(self, radix: Any, count: Any, length: Any, waves: Any, *, back: bool) -> None:
        """Go on to the next pass, or back to the one before."""
        builder = self.builder
        if back:
            builder.store(builder.mul(builder.load(length), radix), length)
            builder.store(builder.udiv(builder.load(count), radix), count)
        inner = builder.udiv(builder.load(length), radix)
        taken = builder.mul(builder.mul(inner, builder.sub(radix, word(1))), word(BLOCK))
        change = builder.sub if back else builder.add
        builder.store(change(builder.load(waves), taken), waves)
        if not back:
            builder.store(inner, length)
            builder.store(builder.mul(builder.load(count), radix), count)
