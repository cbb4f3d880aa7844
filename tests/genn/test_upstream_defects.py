"""What mlGeNN 2.3.1's EventProp gets wrong, shown beside the float64 twin, and ours gets right."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)
pytestmark = pytest.mark.slow

from pygenn.single_threaded_cpu_backend import Preferences  # noqa: E402

from mlgenn_delays.data.types import SpikeBatch  # noqa: E402
from mlgenn_delays.engines.results import Gradients  # noqa: E402
from mlgenn_delays.network import (  # noqa: E402
    LIF,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeInput,
)
from tests.engines.helpers import relative, worst  # noqa: E402
from tests.genn.helpers import batch_of, compiled, ours, pairs  # noqa: E402
from tests.genn.upstream import NAME, Upstream  # noqa: E402
from tests.reference import eventprop  # noqa: E402

LENGTH = 80  # [ms]
CLOSE = 1e-4
# Upstream's adjoints are of the mean of V over continuous time, which is this far from that over
# steps of 1 ms, and as much nearer as steps are shorter.
SAME = 5e-3
DT, TAU_MEM = 0.05, 30.0  # of the fine network [ms]; hidden neurons have another tau_mem
EARLY = [(5, 0), (9, 1), (25, 0), (27, 1), (30, 0)]
FIRST, LAST = "input->hidden", "hidden->output"


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep our generated code in a folder of these tests; return it."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DELAYSNN_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the coarse network's code."""
    return tmp_path_factory.mktemp("coarse")


@pytest.fixture(scope="module")
def coarse(folder: Path) -> Upstream:
    """Return upstream at steps of 1 ms."""
    return Upstream(pairs(), LENGTH, folder)


@pytest.fixture(scope="module")
def fine(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """Return upstream at steps of 0.05 ms, with another tau_mem."""
    net = pairs(DT, TAU_MEM)
    return Upstream(net, round(LENGTH / DT), tmp_path_factory.mktemp("fine"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    """Return the coarse network with room for 16 spikes a neuron."""
    return Upstream(pairs(), LENGTH, tmp_path_factory.mktemp("short"), max_spikes=16)


def example(*more: tuple[int, int], label: int = 0) -> SpikeBatch:
    """Return one example: the early spikes and more (step, channel), at steps of 1 ms."""
    return batch_of([[*EARLY, *more]], LENGTH, [label])


def fine_example() -> SpikeBatch:
    """Return the early spikes at the steps of the fine network."""
    return batch_of([[(round(t / DT), c) for t, c in EARLY]], round(LENGTH / DT), [0])


def twin(network: Network, batch: SpikeBatch) -> eventprop.Result:
    """Return the twin's gradients, of examples in which float32 cannot fall another way."""
    right = eventprop.gradients(network, batch)
    assert all(trace.tie == batch.n_steps for trace in right.traces)
    assert all(gradient.all() for gradient in (*right.weight.values(), *right.delay.values()))
    return right


def fired(right: eventprop.Result, neuron: int) -> list[int]:
    """Return the steps in which a hidden neuron spikes in the first example."""
    return np.flatnonzero(right.traces[0].spikes["hidden"][:, neuron]).tolist()


def factor(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return how many times larger one gradient is than another."""
    return float(got @ wanted / (wanted @ wanted))


def check(got: Gradients, right: eventprop.Result) -> None:
    """Reject gradients of ours that are not the twin's."""
    assert got.loss == pytest.approx(right.loss, rel=1e-5)
    assert worst(got, right.weight, right.delay) < CLOSE


# Where upstream is right


def test_upstream_is_right_where_nothing_goes_wrong(coarse: Upstream, fine: Upstream) -> None:
    right, got = twin(coarse.network, example()), coarse.each(example())[0]
    assert len(fired(right, 0)) > 4 and len(fired(right, 1)) > 2
    assert got.loss == pytest.approx(right.loss, rel=1e-6)
    assert relative(got.weight[LAST], right.weight[LAST]) < SAME
    assert relative(got.delay[LAST], right.delay[LAST]) < SAME
    batch = fine_example()
    right, got = twin(fine.network, batch), fine.each(batch)[0]
    assert got.loss == pytest.approx(right.loss, rel=1e-6)
    assert relative(got.weight[LAST], right.weight[LAST]) < SAME * DT
    # Upstream's I is that at the begin of a step and its V that above the threshold.
    assert relative(got.weight[FIRST], right.weight[FIRST]) < 0.05
    assert relative(got.delay[FIRST], right.delay[FIRST]) < 0.02
    check(ours(fine.network, batch), right)


# What is wrong


def test_a_spike_in_the_last_step_costs_a_neuron_all_its_gradients(coarse: Upstream) -> None:
    net, batch = coarse.network, example((LENGTH - 2, 0))
    right, got = twin(net, batch), coarse.each(batch)[0]
    assert fired(right, 0)[-1] == LENGTH - 1 and len(fired(right, 0)) > 4
    into, out = got.weight[FIRST].reshape(2, 2), got.weight[LAST].reshape(2, 2)
    assert not into[:, 0].any() and not out[0].any()
    assert not got.delay[FIRST].reshape(2, 2)[:, 0].any()
    assert relative(got.weight[LAST], right.weight[LAST]) > 0.5
    assert relative(out[1], right.weight[LAST].reshape(2, 2)[1]) < SAME
    check(ours(net, batch), right)


def test_so_does_an_input_spike_in_the_last_step(coarse: Upstream) -> None:
    net, batch = coarse.network, example((LENGTH - 1, 1))
    right, got = twin(net, batch), coarse.each(batch)[0]
    into = got.weight[FIRST].reshape(2, 2)
    assert not into[1].any() and into[0].all()
    assert relative(got.weight[FIRST], twin(net, example()).weight[FIRST]) > 0.5
    check(ours(net, batch), right)


@pytest.mark.parametrize("late", [(LENGTH - 1, 0), (LENGTH - 2, 1)], ids=["last", "delayed"])
def test_late_spikes_leak_into_the_next_example(coarse: Upstream, late: tuple[int, int]) -> None:
    net, right = coarse.network, twin(coarse.network, example())
    pair = batch_of([[*EARLY, late], EARLY], LENGTH, [1, 0])
    calm, got = coarse.each(batch_of([EARLY, EARLY], LENGTH, [1, 0]))[1], coarse.each(pair)[1]
    assert calm.loss == pytest.approx(right.loss, rel=1e-6)
    assert relative(calm.weight[LAST], right.weight[LAST]) < SAME
    assert abs(got.loss - right.loss) > 0.05
    assert relative(got.weight[LAST], right.weight[LAST]) > 0.15
    check(ours(net, pair), twin(net, pair))
    engine = compiled(net)
    engine.gradients(example(late))
    check(engine.gradients(example()), right)


def test_currents_are_cut_before_the_last_step(coarse: Upstream) -> None:
    # They are set to 0 for the next example, but a step too early.
    net, batch = coarse.network, example((LENGTH - 6, 0))
    right, got = twin(net, batch), coarse.each(batch)[0]
    assert fired(right, 0)[-1] < LENGTH - 1
    assert abs(got.loss - right.loss) > 2e-4
    check(ours(net, batch), right)


def test_the_last_batch_is_never_learned(coarse: Upstream) -> None:
    before, batch = coarse.network.projections, example()
    for epochs in (1, 3):
        for name, weight in coarse.trained(batch, epochs=epochs).items():
            np.testing.assert_array_equal(weight, before[name].weight)
    followed = coarse.trained(batch, silent=1)
    assert all((followed[name] != before[name].weight).all() for name in before)
    engine = compiled(coarse.network.copy())
    engine.train_epoch([batch], epoch=1)
    after = engine.pull().projections
    for name, weight in after.items():
        assert (weight.weight != before[name].weight).all()


def test_more_spikes_than_there_is_room_for_are_dropped_silently(
    coarse: Upstream, short: Upstream, capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:  # fmt: skip
    net, batch = coarse.network, example(*((t, 0) for t in range(6, 30) if t != 25))
    right = twin(net, batch)
    assert 20 < len(fired(right, 0)) < 40
    capfd.readouterr()
    wide, got = coarse.each(batch)[0], short.each(batch)[0]
    assert not len(recwarn) and capfd.readouterr() == ("", "")
    assert relative(wide.weight[LAST], right.weight[LAST]) < SAME
    assert relative(got.weight[LAST], right.weight[LAST]) > 0.3
    always = example(*((t, c) for t in range(LENGTH) for c in (0, 1)))
    right = twin(net, always)
    assert fired(right, 0) == list(range(1, LENGTH)) and fired(right, 1)[-1] == LENGTH - 1
    check(ours(net, always), right)


def test_the_gradient_is_divided_by_tau_mem_of_the_output(coarse: Upstream, fine: Upstream) -> None:
    for upstream, batch in ((coarse, example()), (fine, fine_example())):
        net = upstream.network
        right, raw, got = twin(net, batch), upstream.raw(batch)[0], ours(net, batch)
        tau_mem = net.output().model.tau_mem
        wanted = right.weight[LAST]
        assert factor(raw.weight[LAST], wanted) == pytest.approx(1 / tau_mem, rel=SAME)
        assert factor(got.weight[LAST], wanted) == pytest.approx(1.0, rel=CLOSE)


def test_the_delay_gradient_is_per_ms(coarse: Upstream, fine: Upstream) -> None:
    for upstream, batch in ((coarse, example()), (fine, fine_example())):
        net = upstream.network
        right, raw, got = twin(net, batch), upstream.raw(batch)[0], ours(net, batch)
        tau_mem = net.output().model.tau_mem
        for name, rel in ((FIRST, 0.15), (LAST, SAME)):
            wanted = right.delay[name]
            assert tau_mem * factor(raw.delay[name], wanted) == pytest.approx(1 / net.dt, rel=rel)
            assert factor(got.delay[name], wanted) == pytest.approx(1.0, rel=CLOSE)


def test_a_batch_is_refused_on_the_cpu_backend(coarse: Upstream, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="only supports simulations with a batch size of 1"):
        Upstream(coarse.network, LENGTH, tmp_path, batch_size=3)
    examples: Sequence[list[tuple[int, int]]] = (EARLY, EARLY[1:], [*EARLY, (40, 1), (50, 0)])
    batch, net = batch_of(examples, LENGTH, [0, 1, 1]), coarse.network
    engine, right = compiled(net), twin(net, batch)
    got = engine.gradients(batch)
    check(got, right)
    alone = [
        engine.gradients(batch_of([own], LENGTH, [label]))
        for own, label in zip(examples, batch.labels, strict=True)
    ]
    for name in net.projections:
        assert relative(got.weight[name], np.mean([g.weight[name] for g in alone], 0)) < 1e-5
        assert relative(got.weight[name], alone[0].weight[name]) > 0.1


def test_the_default_build_is_not_optimised(coarse: Upstream, folder: Path, cache: Path) -> None:
    assert not Preferences().optimize_code
    (makefile,) = folder.glob(f"{NAME}*_CODE/Makefile")
    assert "CXXFLAGS" in makefile.read_text() and " -O" not in makefile.read_text()
    ours(coarse.network, example())
    own = list(cache.glob("genn/*/*_CODE/Makefile"))
    assert own and all(" -O3" in path.read_text() for path in own)


def test_equal_time_constants_are_no_division_by_zero(tmp_path: Path) -> None:
    net = Network()
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(1, tau_mem=5.0))
    net.add("output", LeakyIntegrator(2, tau_mem=5.0))
    net.connect("input", "hidden", Exponential(5.0), weight=8.0, delay=2.0, max_delay=4.0)
    net.connect(
        "hidden", "output", Exponential(5.0), weight=np.array([1.0, -0.5]), delay=1.0,
        max_delay=4.0,
    )  # fmt: skip
    with pytest.raises(ZeroDivisionError):
        Upstream(net, LENGTH, tmp_path)
    check(ours(net, example()), twin(net, example()))
