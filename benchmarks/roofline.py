"""What a row needs at least, by the sizes of its network, and what one core of this machine can do.

Limits are measured where they are used: float32 multiply-adds in registers, copying of arrays that
no cache holds, reads and writes counted, and reads that the L2 cache answers.

An example of SurrogateBPTT needs, per projection, currents forwards, gradients of the taps of every
synapse, and dL/d(spike) of a source that is not the input:

    shifted sums   2 W flops per synapse, step or spike of the source, and each of these ways
    spectra        8 flops per synapse, frequency and way, and a real transform per row

of which the fewer count. W are the taps that carry weight, spikes those that were measured, and
what dropout silences is left out. Candidate gradients are gradients of the taps of all pairs in
place of the synapses. Neurons take `NEURON` flops per step. Currents, voltages and adjoints of the
hidden neurons are written once and read once, as normalisation asks, and the input is read twice;
all of that as if no cache held any of it. Parameters and optimiser are left out.

An example of EventProp needs, per event (a spike at a synapse, forward or backward), two flops and
a read at a place of its own, which at best is one of many independent reads of the L2 cache, and
`LIF_STEP` flops per neuron and step.
"""

import time
from math import log2
from typing import Any, NamedTuple

import numpy as np

# Flops of a hidden neuron and step: normalisation and its statistics 5, voltage 3; backwards the
# surrogate 5, the voltage's adjoint 4, normalisation and its sums 7.
NEURON = 24
# Of a LIF neuron or a leaky integrator: synaptic current 3, voltage 3; backwards the adjoints 4.
LIF_STEP = 10
FLOAT = 4
CHAINS = 10  # independent multiply-adds at once, more than their latency takes
COPIED = 2**28  # bytes
TRIES = 9


class Work(NamedTuple):
    """What is to be done at least."""

    flops: float
    bytes: float

    def times(self, n: float) -> "Work":
        """Return n times that."""
        return Work(n * self.flops, n * self.bytes)


class Limits(NamedTuple):
    """What one core does per second, and how long it reads from the L2 cache [s]."""

    flops: float
    bytes: float
    l2_read: float

    def seconds(self, work: Work) -> tuple[float, float]:
        """Return the least seconds of arithmetic and of memory traffic; the longer is the limit."""
        return work.flops / self.flops, work.bytes / self.bytes

    def event_seconds(self, events: float, neuron_steps: float) -> tuple[float, float]:
        """Return the least seconds of an example of EventProp: of reads, and of arithmetic."""
        flops = 2.0 * events + LIF_STEP * neuron_steps
        return events * self.l2_read, flops / self.flops


# What a row needs


def delay_flops(
    shape: tuple[int, int], synapses: float, pairs: float, *, steps: int, values: float,
    longest: int, taps: int, from_spikes: bool,
) -> float:  # fmt: skip
    """Return the flops of an example's delayed synapses, by the way that takes fewer.

    Arguments:
        shape: Neurons of source and target.
        synapses: Pairs that have one.
        pairs: Pairs that need gradients.
        steps: Of the trial.
        values: Steps in which a source sends something.
        longest: Longest delay [steps].
        taps: W.
        from_spikes: Whether dL/d(source) is needed, of every step.
    """
    backwards = synapses if from_spikes else 0.0
    shifted = 2.0 * taps * (values * (synapses + pairs) + steps * backwards)
    points = steps - 1 + longest
    transforms = shape[0] * (1 + from_spikes) + 2 * shape[1]
    spectra = 8.0 * (points / 2) * (synapses + pairs + backwards)
    return min(shifted, spectra + 2.5 * points * log2(points) * transforms)


def candidate_share(rewiring: Any) -> float:
    """Return the share of batches whose candidate gradients are needed, of RigL or None."""
    if rewiring is None:
        return 0.0
    return min(1.0, round(1.0 / (1.0 - rewiring.averaging)) / rewiring.every)


def surrogate_work(
    sizes: tuple[int, int, int], density: float, *, steps: int, longest: int, taps: int,
    spikes: float, candidates: float, dropout: float,
) -> Work:  # fmt: skip
    """Return the least work of an example of `common.make_network`, forwards and backwards.

    Arguments:
        sizes: Neurons: input, hidden, output.
        density: Share of pairs with a synapse.
        steps: Of the trial.
        longest: Longest delay [steps].
        taps: W.
        spikes: Of a hidden neuron.
        candidates: Share of batches with candidate gradients of all pairs.
        dropout: Share of hidden neurons without effect.
    """
    n_input, n_hidden, n_output = sizes
    common = {"steps": steps, "longest": longest, "taps": taps}
    kept, flops = (1.0 - dropout) * n_hidden, NEURON * n_hidden * steps
    for shape, values, from_spikes in (
        ((n_input, n_hidden), steps, False),
        ((kept, n_output), spikes, True),
    ):
        every = shape[0] * shape[1]
        synapses = density * every
        pairs = synapses + candidates * (every - synapses)
        flops += delay_flops(
            shape, synapses, pairs, values=values, from_spikes=from_spikes, **common
        )
    return Work(flops, FLOAT * steps * (6 * n_hidden + 2 * n_input))


# What the machine can do


def best(run: Any, tries: int = TRIES) -> float:
    """Return the least seconds of some calls."""
    seconds = []
    for _ in range(tries):
        begin = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def measure_limits() -> Limits:
    """Return the limits of one core; it takes a few seconds."""
    flops, rounds, half = 0.0, 10**6, np.float32(0.5)
    for lanes in (8, 16):  # whichever vectors this core is faster with
        run = multiply_adds(lanes)
        run(1, half, half)
        took = best(lambda run=run: run(rounds, half, half))
        flops = max(flops, 2.0 * CHAINS * lanes * rounds / took)
    source = np.ones(COPIED // FLOAT, np.float32)
    target = np.empty_like(source)
    copying = best(lambda: np.copyto(target, source))
    return Limits(flops, 2.0 * COPIED / copying, l2_read())


def multiply_adds(lanes: int) -> Any:
    """Return a compiled function of (rounds, x, y): `CHAINS` times a = a x + y, from y on, summed.

    Lanes are alike; it returns one of them.
    """
    import numba

    from mlgenn_delays.engines.shared.lanes import lane, splat

    fused = _fused()

    @numba.njit
    def run(rounds, x, y):
        scale, shift = splat(lanes, x), splat(lanes, y)
        a = b = c = d = e = f = g = h = i = j = shift
        for _ in range(rounds):
            a, b = fused(a, scale, shift), fused(b, scale, shift)
            c, d = fused(c, scale, shift), fused(d, scale, shift)
            e, f = fused(e, scale, shift), fused(f, scale, shift)
            g, h = fused(g, scale, shift), fused(h, scale, shift)
            i, j = fused(i, scale, shift), fused(j, scale, shift)
        return lane(a + b + c + d + e + f + g + h + i + j, 0)

    return run


def _fused() -> Any:
    """Return a multiply-add of vectors, which kernels of the package do not have."""
    from llvmlite import ir
    from numba.extending import intrinsic

    @intrinsic
    def fused(typing, one, two, three):
        def code(context, builder, signature, given):
            kind, name = given[0].type, f"llvm.fma.v{given[0].type.count}f32"
            known = builder.module.globals.get(name)
            function = known or ir.Function(builder.module, ir.FunctionType(kind, [kind] * 3), name)
            return builder.call(function, given)

        return one(one, two, three), code

    return fused


def l2_read() -> float:
    """Return how long one of many independent reads takes that the L2 cache answers [s].

    They are of 4,096 cache lines, 256 KiB, scattered over 1 MiB: more than the L1 cache has.
    """
    import numba

    @numba.njit
    def touch(values, places, rounds):
        total = 0
        for _ in range(rounds):
            for k in range(len(places)):
                total += values[places[k]]
        return total

    line = np.random.default_rng(0).permutation(2**14)[: 2**12]
    places, values = (16 * line).astype(np.uint32), np.ones(2**18, np.int32)
    touch(values, places, 10)
    return best(lambda: touch(values, places, 100), 20) / (100 * len(places))
