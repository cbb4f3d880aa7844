"""The frequency domain against loops, the float64 twin and candidate gradients without it."""

from typing import Any

import numba
import numpy as np
import pytest

from mlgenn_delays.engines.cpu import frequency_domain
from mlgenn_delays.engines.shared import spectra
from mlgenn_delays.engines.shared.fourier import make_transform, to_row, to_spectrum
from mlgenn_delays.engines.shared.spectral_sums import sum_products
from mlgenn_delays.learning import Atan, Dirac, Gaussian, SurrogateBPTT, Triangle
from tests.engines.helpers import KINDS, compiled, errors, relative
from tests.engines.test_surrogate import Case, free, pick
from tests.reference import nets
from tests.reference.nets import StepRecipe

CLOSE = 1e-5
WIDE = (Gaussian(3.0, 0.23, epochs=4), 1)
CASES = [
    Case(StepRecipe(700, current=True), Atan(), *WIDE),
    Case(StepRecipe(701, current=True, sizes=(9, 17, 8, 3)), Atan(), *WIDE),
    Case(StepRecipe(702, current=True, recurrent=True, density=0.5), Atan(), *WIDE),
    Case(StepRecipe(703, current=True, delta=True), Triangle(), *WIDE),
    Case(StepRecipe(704), Atan(), *WIDE),
    Case(StepRecipe(705, current=True, normalised="all", seed_models=True), Atan(), *WIDE),
    Case(StepRecipe(706, current=True, granularity="axon", max_delay=30.0), Atan(), *WIDE),
    Case(StepRecipe(707, current=True, max_delay=60.0, steps=33), Atan(), *WIDE),
    Case(StepRecipe(708, current=True), Atan(), Dirac(), None),
]


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do in the frequency domain what can be done there."""
    monkeypatch.setattr(spectra, "SHIFTED", 1e9)


@numba.njit
def forwards(transform, row, blocks, sign, out, at, stride):
    places, radices, waves = transform
    buffer = np.empty(places, np.float32)
    to_spectrum(places, radices, waves, row, 3, blocks, sign, out, at, stride, buffer)


@numba.njit
def back(transform, spectrum, stride, blocks, sign, out, at, adds):
    places, radices, waves = transform
    buffer = np.empty(places, np.float32)
    to_row(places, radices, waves, spectrum, 5, stride, blocks, sign, out, at, buffer, adds)


@numba.njit
def products(several, count, out, at, row, to, one, base, one_row, one_at, other, other_at, offset):
    sum_products(
        several,
        0,
        count,
        out,
        at,
        row,
        to,
        one,
        base,
        one_row,
        one_at,
        other,
        other_at,
        offset,
        1,
        4,
    )


def whole(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(-9, 10, n).astype(np.float32)


def frequencies(transform: Any) -> np.ndarray:
    """Return which frequency each complex number of a spectrum belongs to."""
    found, step = np.zeros(1, int), 1
    for radix in [*transform.radices, 4, 4, 4]:
        found = (found[:, None] + step * np.arange(radix)).ravel()
        step *= radix
    # Within a group, the last of the three passes comes first.
    return found.reshape(-1, 16, 4).transpose(0, 2, 1).ravel()


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 5, 10, 12])
@pytest.mark.parametrize("missing", [0, 5])
@pytest.mark.parametrize("sign", [1, -1])
def test_spectra_are_sums_over_rows(groups: int, missing: int, sign: int) -> None:
    transform, rng = make_transform(128 * groups), np.random.default_rng(groups)
    n, blocks = 128 * groups, 8 * groups - missing
    row, time = rng.normal(size=n + 3).astype(np.float32), np.arange(n)
    out, stride = np.full(2 * n + 7, 9.0, np.float32), 32 * (1 + missing // 5)
    forwards(transform, row, blocks, np.float32(sign), out, 5, stride)
    parts = out[5 : 5 + stride * n // 32].reshape(-1, stride // 16, 16)
    assert (
        (out[:5] == 9.0).all() and (parts[:, 2:] == 9.0).all() and (out[2 * n + 5 :] == 9.0).all()
    )
    x = np.where(time < 16 * blocks, row[3:], 0.0)
    angle = np.outer(4 * frequencies(transform) + 1, time) % (2 * n) * np.pi / n
    wanted = np.exp(-1j * sign * angle) @ x
    got = (parts[:, 0] + 1j * parts[:, 1]).ravel()
    assert np.abs(got - wanted).max() < 5e-7 * np.abs(wanted).max()
    for adds in (False, True):
        again = np.full(n + 4, 2.0, np.float32)
        back(transform, out, stride, blocks, np.float32(sign), again, 2, adds)
        assert (again[:2] == 2.0).all() and (again[16 * blocks + 2 :] == 2.0).all()
        np.testing.assert_allclose(
            again[2:][: 16 * blocks], x[: 16 * blocks] + 2.0 * adds, atol=3e-6
        )


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("count", [1, 2, 4, 8, 15])
def test_sums_of_complex_products(count: int, several: bool) -> None:
    rng = np.random.default_rng(count)
    one, other, out = whole(rng, 600), whole(rng, 400), whole(rng, 2100)
    one_at, other_at = rng.integers(0, 300, (2, 5))
    to, offset = 40 * np.arange(count), rng.integers(0, 30, count)
    wanted = out.copy()

    def value(array: np.ndarray, place: int) -> np.ndarray:
        return array[place : place + 16] + 1j * array[place + 16 : place + 32]

    for r in range(3 if several else 1):
        for m in range(count):
            total = sum(
                value(one, 8 + 90 * r + one_at[k]) * value(other, other_at[k] + offset[m])
                for k in (1, 2, 3)
            )
            begin = 7 + 700 * r + to[m]
            wanted[begin : begin + 32] += np.concatenate([total.real, total.imag])
    products(several, count, out, 7, 700, to, one, 8, 90, one_at, other, other_at, offset)
    np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize(
    ("steps", "longest", "places"),
    [
        (100, 24, 128),
        (100, 26, 128),
        (100, 27, 256),
        (1, 0, 128),
        (1000, 250, 1280),
        (1, 900, 1024),
    ],
)
def test_points_are_enough_and_few(steps: int, longest: int, places: int) -> None:
    assert spectra.count_places(steps, longest) == places


@pytest.mark.parametrize("longest", [26.0, 27.0])
def test_taps_behind_the_longest_delay_do_not_wrap(
    longest: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That a Dirac kernel is learned by, where 128 points are just enough, and just not."""
    recipe = StepRecipe(711, current=True, steps=100, max_delay=longest, sizes=(9, 8, 3))
    net = nets.step_network(recipe)
    for projection in net.projections.values():
        projection.delay[:] = longest
    batch = nets.step_data(recipe, 4).batch(np.arange(4))
    wanted, got = (
        compiled(net, SurrogateBPTT(kernel=Dirac())).gradients(batch)
        for shifted in (0.0, 1e9)
        if monkeypatch.setattr(spectra, "SHIFTED", shifted) is None
    )
    for name in net.projections:
        assert relative(got.delay[name], wanted.delay[name]) < CLOSE
        assert relative(got.weight[name], wanted.weight[name]) < CLOSE


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_equal_the_twin(case: Case) -> None:
    assert len(free(case)) > 1
    batch = pick(case.recipe, free(case))
    wanted, got = case.wanted(batch), case.got(batch)
    assert got.loss == pytest.approx(wanted.loss, rel=1e-5, abs=1e-6)
    assert not {name: e for name, e in errors(got, wanted).items() if not e <= CLOSE}


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_threads_change_no_bit(case: Case) -> None:
    batch = nets.step_data(case.recipe, 19).batch(np.arange(19))
    one, two = case.got(batch), case.got(batch, threads=2)
    for kind in KINDS:
        for name, array in getattr(one, kind).items():
            np.testing.assert_array_equal(array, getattr(two, kind)[name])


@pytest.mark.parametrize("current", [False, True])
def test_candidates_are_those_of_shifted_sums(
    current: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = StepRecipe(710, current=current, density=0.4, sizes=(9, 17, 3))
    net, rule = nets.step_network(recipe), SurrogateBPTT(kernel=WIDE[0])
    batch = nets.step_data(recipe, 9).batch(np.arange(9))
    rng = np.random.default_rng(0)
    for name, p in net.projections.items():
        n = [net.populations[each].n for each in (p.source, p.target)]
        for delay in (None, rng.uniform(0.0, p.max_delay, n)):
            for threads in (1, 2):
                monkeypatch.setattr(spectra, "SHIFTED", 0.0)
                wanted = compiled(net, rule).candidates(batch, name, delay, epoch=1)
                monkeypatch.setattr(spectra, "SHIFTED", 1e9)
                got = compiled(net, rule, threads).candidates(batch, name, delay, epoch=1)
                assert wanted.any() and relative(got, wanted) < CLOSE
                if threads == 1:
                    first = got
            np.testing.assert_array_equal(first, got)


def chosen(width: float, density: float, steps: int = 100) -> list[bool]:
    """Return which projections of 40-256-10 the cost model puts into the frequency domain."""
    recipe = StepRecipe(
        0, current=True, sizes=(40, 256, 10), density=density, steps=steps, max_delay=24.0,
        seed_models=True,
    )  # fmt: skip
    net = nets.step_network(recipe)
    rule = SurrogateBPTT(kernel=Gaussian(width, width, epochs=0))
    built: Any = compiled(net, rule)
    built.gradients(nets.step_data(recipe, 2).batch(np.arange(2)), epoch=1)
    found = built._simulation._tapped(rule.kernel.width(1))[3].chosen
    return [bool(each) for each in found]


def test_wide_kernels_of_dense_projections_pay() -> None:
    assert chosen(12.0, 1.0) == [True, True]
    assert not any(chosen(0.23, 0.05))


def test_nothing_is_allocated_that_is_not_used() -> None:
    none = frequency_domain.no_spectra(3)
    assert not none.chosen.any() and none.taps.size == none.sources.size == 0
