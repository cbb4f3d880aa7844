"""Delays in the frequency domain: wide kernels cost no more there than narrow ones.

With X, K, R the spectra (see `fourier`) of what neuron i sends, of the taps of synapse s from i to
j times its weight, each a step later, and of the adjoint at the arrivals of j, currents, gradients
of taps (`collect`) and of spikes, all of them shifted sums, are products per frequency:

    arrivals of j            inverse of  sum_s X_i K_s
    gradients of s's taps    inverse of  sum over examples of conj(X_i) R_j
    dL/d(spike) of i         inverse of  sum_s conj(K_s) R_j

`adjoint` and sums of it hold conjugates, so that all three are plain products. Nothing that is read
has been wrapped around: there are N > T + D + 1 points for T steps and delays of at most D, whose
Dirac kernels, while they are learned, have a tap a step later.
"""

from typing import NamedTuple

import numpy as np

from mlgenn_delays.engines.shared.fourier import Transform, passes_of, to_row, to_spectrum
from mlgenn_delays.engines.shared.fourier import count_places as places_for
from mlgenn_delays.engines.shared.fourier_code import BLOCK
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.plan import SPIKING, Plan
from mlgenn_delays.engines.shared.traces import RowLayout, rows_sent
from mlgenn_delays.engines.shared.vector import LANES

AS_IT_IS, CONJUGATE = np.float32(1.0), np.float32(-1.0)


class Spectra(NamedTuple):
    """Spectra of a batch and of the taps, for the projections that are worked on here."""

    chosen: np.ndarray  # (Q,) of which arrivals and gradients of taps are found here
    back: np.ndarray  # (Q,) of which dL/d(spike) is
    transform: Transform
    dense: np.ndarray  # (Q,) which have all synapses that there can be
    taps: np.ndarray  # (blocks, S, BLOCK) flat: of each synapse's taps times its weight
    sources: np.ndarray  # (B, blocks, sources, BLOCK) flat: of what each source sends
    adjoint: np.ndarray  # (G, B blocks neurons BLOCK) of adjoints at the arrivals, conjugate
    own: np.ndarray  # (S,) int64 place of each synapse in `taps`
    pre: np.ndarray  # (S,) int64 place of its source in `sources`, in the first example
    out_own: np.ndarray  # the same in the order of `plan.out_synapse`
    out_post: np.ndarray  # place of the target in `adjoint`


def count_places(steps: int, longest: int) -> int:
    """Return the places of a spectrum of trials of so many steps and delays."""
    return places_for(steps + longest + 2)


# When it pays

# Seconds of 16 multiply-adds, relative to each other: shifted, and of complex products where all
# pairs have a synapse or only some; of a transform per 16 places, and of each of its passes.
# Measured on 40 to 256 neurons of 100 and 1000 steps; how fast a machine is does not matter.
SHIFTED, DENSE, SPARSE, TRANSFORM, PASS = 1.0, 0.7, 2.0, 12.0, 6.0
EVENT = 2.0  # of what a spike brings over a synapse, per 16 taps
SHARE = 0.1  # of the steps; so often neurons are taken to spike, for results must not depend on it
SUM = 6.0  # what a sum of shifted rows costs beside its multiply-adds, in these
# What is done once for a batch counts for so many examples. Not those of the batch at hand: which
# way is taken must not depend on how examples are cut into batches.
EXAMPLES = 32


def _row_cost(places: int) -> float:
    return (TRANSFORM + PASS * len(passes_of(places))) * (places // LANES)


def pays(
    n_pre: int, n_post: int, synapses: int, *, spiking: bool, size: int, span: int, places: int
) -> tuple[bool, bool]:
    """Return what of a projection of W = `size` taps costs less in the frequency domain.

    First arrivals and gradients of taps, then dL/d(spike), which only a `spiking` source needs;
    `span` is that of `RowLayout`.
    """
    shifted = SHIFTED * synapses * size * (span // LANES)
    walked = SHIFTED * EVENT * synapses * -(-size // LANES) * SHARE * span
    kind = DENSE if synapses == n_pre * n_post else SPARSE
    product, row = kind * synapses * 2 * (places // LANES), _row_cost(places)
    taps = synapses / EXAMPLES
    both = 2 * product + row * (n_pre + 2 * (n_post + taps))
    back = product + row * (n_pre + n_post + taps)
    return both < 2 * (min(shifted, walked) if spiking else shifted), spiking and back < shifted


def choose(plan: Plan, layout: RowLayout, size: int, places: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `chosen` and `back` of `Spectra`, with W = `size` taps."""
    chosen, back = np.zeros((2, len(plan.source)), bool)
    for q in range(len(chosen)):
        source, target = plan.source[q], plan.target[q]
        if target < 0 or plan.recurrent_projection[q] or layout.event_driven[source]:
            continue
        n_pre, n_post = int(plan.n[source]), int(plan.n[target])
        rows = plan.row[plan.row_first[q] : plan.row_first[q] + n_post + 1].astype(np.int64)
        chosen[q], back[q] = pays(
            n_pre, n_post, int(rows[n_post] - rows[0]), spiking=bool(plan.kind[source] == SPIKING),
            size=size, span=layout.span, places=places,
        )  # fmt: skip
    return chosen, back


@kernel
def walks(plan, layout, p, size, traces, e):
    """Return whether the spikes of population p in example e are walked one by one.

    Otherwise whole rows are added, of W = `size` taps.
    """
    if layout.event_driven[p] or plan.kind[p] != SPIKING:
        return bool(layout.event_driven[p])
    spikes, n = np.int64(0), plan.n[p]
    for i in range(n):
        spikes += traces.counts[e, layout.neuron_row[p] + i]
    vectors = -(-size // LANES)
    return EVENT * vectors * spikes < (size + 1) * n * (layout.span // LANES)


def choose_table(
    plan: Plan, layout: RowLayout, q: int, places: int, size: int, events: float, has_adjoint: bool
) -> bool:
    """Return whether all pairs of projection q over `size` delays cost less here.

    Neurons of the source send `events` values per example.
    """
    n_pre, n_post = plan.n[plan.source[q]], plan.n[plan.target[q]]
    if plan.recurrent_projection[q] or layout.event_driven[plan.source[q]]:
        return False
    shifted = SHIFTED * n_pre * n_post * (events * -(-size // LANES) + SUM)
    products = DENSE * n_pre * n_post * 2 * (places // LANES)
    transforms = n_pre + (0 if has_adjoint else n_post) + n_pre * n_post / EXAMPLES
    return bool(products + _row_cost(places) * transforms < shifted)


# Transforms. Spectra that are read together lie together: block by block of all sources, neurons
# or synapses, in each example.


@kernel
def transform_taps(spectra, size, first, coef, low, high):
    """Write the spectra of the taps of synapses low..high-1."""
    places, radices, waves = spectra.transform
    row, buffer = np.zeros(places, np.float32), np.empty(places, np.float32)
    for s in range(low, high):
        begin = first[s] + 1
        for k in range(size):
            row[begin + k] = coef[s * size + k]
        to_spectrum(
            places, radices, waves, row, 0, -(-(begin + size) // LANES), AS_IT_IS, spectra.taps,
            s * BLOCK, len(first) * BLOCK, buffer,
        )  # fmt: skip
        row[begin : begin + size] = 0.0


@kernel
def transform_sources(spectra, plan, layout, p, spike_scale, traces, low, high):
    """Write the spectra of what population p sends in examples low..high-1."""
    places, radices, waves = spectra.transform
    buffer, first, n = np.empty(places, np.float32), layout.source_row[p], layout.sources
    sent = np.zeros((1 + plan.n[p]) * layout.length, np.float32)
    for e in range(low, high):
        neuron_scale = spike_scale[e if len(spike_scale) > 1 else 0]
        sources, base = rows_sent(plan, layout, p, neuron_scale, traces, e, sent)
        for i in range(plan.n[p]):
            to_spectrum(
                places, radices, waves, sources, base + i * layout.length, layout.span // LANES,
                AS_IT_IS, spectra.sources, e * n * places + (first + i) * BLOCK, n * BLOCK, buffer,
            )  # fmt: skip


@kernel
def transform_adjoints(spectra, plan, layout, p, g, adjoint, at, e):
    """Write the conjugate spectra of the adjoints of group g of population p in example e.

    They are rows of `adjoint` from place `at` on.
    """
    places, radices, waves = spectra.transform
    buffer, n = np.empty(places, np.float32), layout.neurons
    to = e * n * places + layout.neuron_row[p] * BLOCK
    for j in range(plan.n[p]):
        to_spectrum(
            places, radices, waves, adjoint, at + j * layout.length, layout.span // LANES,
            CONJUGATE, spectra.adjoint[g], to + j * BLOCK, n * BLOCK, buffer,
        )  # fmt: skip


@kernel
def put_rows(spectra, layout, n, tile, k, sign, adds, out, at):
    """Write, or add, the rows of example k of a tile (E, blocks, n, BLOCK) to out from `at` on."""
    places, radices, waves = spectra.transform
    buffer = np.empty(places, np.float32)
    for j in range(n):
        to_row(
            places, radices, waves, tile, k * n * places + j * BLOCK, n * BLOCK,
            layout.span // LANES, sign, out, at + j * layout.length, buffer, adds,
        )  # fmt: skip


@kernel
def write_lags(spectra, steps, first, size, low, high, base, sums, row, stride, out):
    """Write correlations of synapses low..high-1 to out (S size,); see `add_correlations`."""
    places, radices, waves = spectra.transform
    lags, buffer = np.empty(places, np.float32), np.empty(places, np.float32)
    for s in range(low, high):
        begin = first[s] + 1
        to_row(
            places, radices, waves, sums, (s - base) * row, stride, -(-(begin + size) // LANES),
            CONJUGATE, lags, 0, buffer, False,
        )  # fmt: skip
        for m in range(size):
            # What is sent arrives before the trial ends.
            out[s * size + m] = lags[begin + m] if begin + m < steps else np.float32(0.0)
