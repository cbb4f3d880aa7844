"""What no machine can hold, or no trial can show, is refused before any work."""

import numpy as np
import pytest

from mlgenn_delays import machine
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.engines.checks import Trials, check_sizes
from mlgenn_delays.engines.genn.neuron_code import neuron_code
from mlgenn_delays.engines.shared import spectra
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp, Gaussian, Rule, SurrogateBPTT, Triangle
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, Normal, SpikeInput
from mlgenn_delays.neurons.models.adaptive_lif import AdaptiveLIF
from mlgenn_delays.neurons.models.balanced_resonator import BalancedResonator
from mlgenn_delays.training import Trainer

GAUSSIAN = SurrogateBPTT(surrogate=Triangle(), kernel=Gaussian(5.0, 0.23, 2))


def network(
    hidden: int = 8, max_delay: float = 20.0, model: type = LIF, learn: tuple[str, ...] = (),
    **more: object,
) -> Network:  # fmt: skip
    net = Network()
    net.add("input", SpikeInput(5))
    net.add("hidden", model(hidden), learn=learn)
    net.add("output", LeakyIntegrator(2))
    delays = {"delay": 1.0, "max_delay": max_delay}
    net.connect("input", "hidden", Exponential(), weight=1.0, **delays, **more)
    net.connect("hidden", "output", Exponential(), weight=Normal(0.0, 1.0), **delays)
    return net


def data(steps: int = 100) -> SpikeData:
    start = np.arange(4)[:, None] + np.array([0, 1, 1, 1, 1, 1])
    return SpikeData(start, np.full(4, 3, np.int32), np.arange(4) % 2, steps, 1.0, ("a", "b"))


def test_a_gaussian_kernel_over_days() -> None:
    """It took 40 s a step, without a word, to normalise what no spike can reach."""
    wide = SurrogateBPTT(surrogate=Triangle(), kernel=Gaussian(5e8, 0.23, 2))
    with pytest.raises(
        InputError, match=r"^delays.max \(max_delay of 'input->hidden'\) must be at "
    ):
        Trainer(network(max_delay=1e9), wide, epochs=1).check(data())
    with pytest.raises(InputError, match="got 1e\\+09 ms; .* beyond the 100 ms of a trial acts"):
        Trainer(network(max_delay=1e9), wide, epochs=1).check(data())
    Trainer(network(max_delay=150.0), wide, epochs=1).check(data())
    Trainer(network(max_delay=1e9), EventProp(), epochs=1).check(data())


SIZES = [
    (EventProp(), {}, Trials(256, 2_000_000, 2), "values along time", "network.dt"),
    (SurrogateBPTT(), {}, Trials(256, 2_000_000, 2), "values along time", "learning.batch_size"),
    (GAUSSIAN, {"max_delay": 1e6}, Trials(2, 1_000_000, 1), "taps of delay kernels", "delays.max"),
    (EventProp(), {}, Trials(2, 10**9, 1, 1), "values along time", "data.duration"),
]


@pytest.mark.parametrize(("rule", "settings", "trials", "what", "lower"), SIZES)
def test_what_needs_most_and_what_to_lower_are_named(
    rule: object, settings: dict, trials: Trials, what: str, lower: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if what.startswith("taps"):
        rule = SurrogateBPTT(surrogate=Triangle(), kernel=Gaussian(2e5, 0.23, 2))
    monkeypatch.setattr(machine, "total_memory", lambda: 10**9)
    with pytest.raises(InputError, match="memory of 1 GB, got one with .* in all about") as error:
        check_sizes(network(**settings), rule, None, trials)
    assert what in str(error.value) and lower in str(error.value)
    check_sizes(network(), rule, None, Trials(256, 1000, 2))


def test_populations_and_projections_are_refused_before_they_are_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match="population 'hidden' must fit into the memory of"):
        network(hidden=2**31 - 1)
    monkeypatch.setattr(machine, "total_memory", lambda: 10**6)
    with pytest.raises(InputError, match="projection 'input->hidden' .* got 5 x 20000 pairs of"):
        network(hidden=20_000)
    network(hidden=100)


def estimate_and_taken(
    net: Network, rule: object, steps: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int]:
    """Bytes that a training of one epoch should take, and those of the arrays that it allocates."""
    import tracemalloc

    examples = data(steps)
    trainer = Trainer(net, rule, epochs=1, batch_size=4, threads=1, progress="none")
    trainer.fit(examples)  # kernels are compiled
    tracemalloc.start()
    trainer.fit(examples)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    found = []
    monkeypatch.setattr(
        "mlgenn_delays.engines.checks.check_memory", lambda *given: found.append(given[2])
    )
    check_sizes(net, rule, None, Trials(4, steps, 1))
    return found[0], taken


@pytest.mark.parametrize("rule", [EventProp(), GAUSSIAN, SurrogateBPTT()])
def test_the_estimate_is_near_what_is_taken(rule: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within a factor of 3; an estimate, not an account."""
    net = network(hidden=64, max_delay=50.0)
    found, taken = estimate_and_taken(net, rule, 2000, monkeypatch)
    assert taken / 3 < found < 3 * taken


def test_spectra_are_in_the_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    net, rule = network(hidden=64, max_delay=50.0), SurrogateBPTT(kernel=Gaussian(9.0, 9.0, 0))
    found, taken = estimate_and_taken(net, rule, 2000, monkeypatch)
    assert taken / 1.4 < found < 1.4 * taken
    monkeypatch.setattr(spectra, "SHIFTED", 0.0)
    assert 1.3 * estimate_and_taken(net, rule, 2000, monkeypatch)[0] < found


TRIANGLE = SurrogateBPTT(surrogate=Triangle())


@pytest.mark.parametrize(
    ("model", "learn", "rule", "hidden", "steps"),
    [
        (BalancedResonator, (), TRIANGLE, 64, 2000),  # states that the adjoint reads
        (AdaptiveLIF, ("tau_mem", "tau_adapt"), TRIANGLE, 64, 2000),
        (AdaptiveLIF, (), EventProp(), 16, 20_000),  # states that a thread keeps
        (AdaptiveLIF, ("tau_mem", "tau_adapt"), EventProp(), 4000, 50),  # sums of gradients
    ],
)
def test_states_and_learned_parameters_are_in_the_estimate(
    model: type, learn: tuple[str, ...], rule: object, hidden: int, steps: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    net = network(hidden, 50.0, model, learn)
    found, taken = estimate_and_taken(net, rule, steps, monkeypatch)
    assert taken / 1.6 < found < 1.6 * taken


SURROGATE = SurrogateBPTT(surrogate=Triangle())


@pytest.mark.parametrize(
    ("rule", "model", "learn", "tapes"),
    [
        (SURROGATE, LIF(8), (), 0),
        (SURROGATE, BalancedResonator(8), (), 3),  # q, V and U
        (EventProp(), LIF(8), (), 0),
        (EventProp(), LIF(8, tau_refrac=2.0), (), 1),
        (EventProp(), LIF(8), ("tau_mem",), 2),  # V and I
        (EventProp(), AdaptiveLIF(8), (), 2),  # of spikes
        (EventProp(), AdaptiveLIF(8), ("tau_adapt",), 5),  # V, w, I, and 2 of spikes
    ],
)
def test_tapes_that_an_adjoint_reads_take_room_in_genn(
    rule: Rule, model: object, learn: tuple[str, ...], tapes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, trials = [], Trials(4, 2000, 1, 2)
    monkeypatch.setattr(
        "mlgenn_delays.engines.checks.check_memory", lambda *given: found.append(given[2])
    )
    net = network()
    check_sizes(net, SURROGATE, None, trials)
    hidden = net.populations["hidden"]
    hidden.model, hidden.learn = model, learn
    check_sizes(net, rule, None, trials)
    assert found[1] - found[0] == 4 * 2 * 4 * 2000 * 8 * tapes
    assert len(neuron_code(net, hidden, rule, keeps=False).arrays) == 1 + tapes
