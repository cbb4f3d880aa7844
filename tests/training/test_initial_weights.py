"""Initial weights found on data: every layer spikes, whatever the network."""

from dataclasses import replace

import numpy as np
import pytest

from mlgenn_delays import (
    LIF,
    CurrentData,
    CurrentInput,
    Delta,
    EulerLI,
    EulerLIF,
    Exponential,
    LeakyIntegrator,
    Network,
    SpikeData,
    SpikeInput,
    SurrogateBPTT,
    Uniform,
    compile_network,
    initialise_weights,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.training.initial_weights import LOGITS, SPIKES

CHANNELS, STEPS, CLASSES = 30, 60, 4


def spikes(n: int = 40, rate: float = 2.0, seed: int = 0, dt: float = 1.0) -> SpikeData:
    """Return random trials with some spikes per channel."""
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(n):
        count = rng.poisson(rate, CHANNELS)
        times = rng.integers(0, STEPS // 2, count.sum())
        channels = np.repeat(np.arange(CHANNELS), count)
        _, first = np.unique(channels * STEPS + times, return_index=True)
        events.append((channels[first], times[first]))
    return SpikeData.from_events(
        events, np.arange(n) % CLASSES, n_channels=CHANNELS, n_steps=STEPS, dt=dt,
        label_names=tuple("abcd"),
    )  # fmt: skip


def currents(sign: float = 1.0) -> CurrentData:
    rng = np.random.default_rng(1)
    values = sign * rng.gamma(1.0, 1.0, (40, STEPS, CHANNELS))
    return CurrentData(values.astype(np.float32), np.arange(40) % CLASSES, 1.0, tuple("abcd"))


def network(
    layers: int = 1, *, model=LIF, synapse=None, v_thresh: float = 1.0, density: float = 1.0,
    recurrent: bool = False, normalise: bool = False, signs: str = "free", n: int = 50,
    source=SpikeInput, readout: str = "expweighted", dt: float = 1.0, output=LeakyIntegrator,
) -> Network:  # fmt: skip
    """Return a network whose weights are all 0."""
    synapse = synapse or Exponential(5.0)
    net = Network(dt=dt, seed=3)
    net.add("input", source(CHANNELS))
    before = "input"
    options = {"weight": 0.0, "delay": Uniform(0.0, 8.0), "max_delay": 10.0, "signs": signs}
    for k in range(1, layers + 1):
        name = f"hidden{k}"
        net.add(name, model(n, 10.0, v_thresh), normalise=normalise)
        net.connect(before, name, synapse, density=density, reach_all=True, **options)
        if recurrent:
            net.connect(name, name, synapse, density=density, **options)
        before = name
    net.add("output", output(CLASSES, 10.0, readout))
    net.connect(before, "output", synapse, **options)
    return net


EULER = {"model": EulerLIF, "synapse": Delta(), "output": EulerLI}
CASES = {
    "dense": {},
    "delta": {"synapse": Delta()},
    "euler": EULER,
    "a tenth of the synapses": {"density": 0.1},
    "an input or two each": {"density": 0.05},
    "high threshold": {"v_thresh": 20.0},
    "three layers": {"layers": 3},
    "recurrent": {"recurrent": True},
    "sparse and recurrent": {"recurrent": True, "density": 0.2, "layers": 2},
    "fine steps": {"dt": 0.5},
    "sum of softmaxes": {"readout": "softmax-sum"},
    "sum": {"readout": "sum"},
    "maximum": {"readout": "max"},
}


@pytest.mark.parametrize("case", CASES)
def test_all_neurons_spike_about_as_often_and_logits_are_of_order_one(case: str) -> None:
    net = network(**CASES[case])
    data = spikes(dt=net.dt)
    found = initialise_weights(net, data)
    rule = SurrogateBPTT(weights=None, delays=None)
    run = compile_network(net, rule, total_steps=1).evaluate([data.batch(range(40))])
    for population in net.spiking():
        assert 0.6 * SPIKES < run.spikes[population.name] < 1.6 * SPIKES
        assert run.silent[population.name] == 0
    assert found.spikes == pytest.approx(run.spikes, rel=0.2)
    assert run.logits.std(1).mean() == pytest.approx(LOGITS, rel=0.25)
    assert found.examples == 32 and set(found.weights) == set(net.projections)
    for name, projection in net.projections.items():
        weight = projection.weight.astype(np.float64)
        assert found.weights[name] == pytest.approx((weight.mean(), weight.std()))


def test_weights_are_proportional_to_the_threshold() -> None:
    """A LIF of twice the threshold with twice the weights spikes at the same times."""
    one, four = network(v_thresh=1.0), network(v_thresh=4.0)
    initialise_weights(one, spikes())
    initialise_weights(four, spikes())
    a, b = (net.projections["input->hidden1"].weight for net in (one, four))
    assert np.array_equal(4 * a, b)


def test_the_same_whatever_the_threads_and_what_weights_were_before() -> None:
    found = []
    for threads, before in ((1, 0.0), (2, 0.0), (1, 7.0)):
        net = network(layers=2, recurrent=True, density=0.3)
        for projection in net.projections.values():
            projection.weight[:] = before
        report = initialise_weights(net, spikes(), threads=threads)
        found.append((report, [p.weight.tobytes() for p in net.projections.values()]))
    assert found[0] == found[1] == found[2]
    other = network(layers=2, recurrent=True, density=0.3)
    other.seed = 4
    initialise_weights(other, spikes())
    weight = other.projections["input->hidden1"].weight
    assert weight.tobytes() != found[0][1][0]


def test_drive_is_the_same_for_neurons_of_few_and_of_many_inputs() -> None:
    net = network(density=0.3, n=400)
    data = spikes(400)
    initialise_weights(net, data)
    projection = net.projections["input->hidden1"]
    rate = np.diff(data.batch(range(400)).start, axis=1).mean(0)
    drive = np.bincount(projection.post, projection.weight * rate[projection.pre()], 400)
    inputs = np.bincount(projection.post, minlength=400)
    few, many = drive[inputs <= 6], drive[inputs >= 12]
    assert len(few) > 20 and len(many) > 20
    assert few.mean() == pytest.approx(many.mean(), rel=0.2)
    # With few inputs nearly all weights are positive and drives alike, with many neither.
    assert few.std() / few.mean() == pytest.approx(np.sqrt(5.5) / 14, rel=0.3)
    assert many.std() / many.mean() == pytest.approx(np.sqrt(12.5) / 14, rel=0.3)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_currents_of_either_sign(sign: float) -> None:
    net = network(source=CurrentInput, density=0.2)
    found = initialise_weights(net, currents(sign))
    assert found.silent == {"hidden1": 0}
    assert found.spikes["hidden1"] == pytest.approx(SPIKES, rel=0.4)
    assert sign * net.projections["input->hidden1"].weight.mean() > 0


@pytest.mark.parametrize("signs", ["synapse", "dale"])
def test_signs_stay(signs: str) -> None:
    net = network(signs=signs, density=0.5, recurrent=True)
    before = {name: p.sign.copy() for name, p in net.projections.items()}
    found = initialise_weights(net, spikes())
    for name, projection in net.projections.items():
        assert np.array_equal(projection.sign, before[name])
        assert (projection.weight * projection.sign >= 0).all()
    assert found.silent["hidden1"] <= 2
    assert found.spikes["hidden1"] == pytest.approx(SPIKES, rel=0.4)


def test_normalised_populations_take_kaimings_and_pass_their_spikes_on() -> None:
    options = EULER | {"source": CurrentInput, "layers": 2}
    net = network(normalise=True, **options)
    found = initialise_weights(net, currents())
    assert np.abs(net.projections["input->hidden1"].weight).max() <= np.sqrt(6 / CHANNELS)
    norm = net.populations["hidden1"].normalisation
    assert (norm.mean == 0).all() and (norm.variance == 1).all()  # training starts as ever
    assert found.spikes["hidden2"] > 1 and found.logits == pytest.approx(LOGITS, rel=0.2)
    rule = SurrogateBPTT(weights=None, delays=None)
    epoch = compile_network(net, rule, total_steps=1).train_epoch(
        [currents().batch(range(40))], epoch=1
    )
    assert epoch.spikes == pytest.approx(found.spikes, rel=0.2)


def test_chosen_projections_only() -> None:
    net = network(layers=2)
    for projection in net.projections.values():
        projection.weight[:] = 0.5
    before = net.copy()
    found = initialise_weights(net, spikes(), ["hidden1->hidden2"])
    assert list(found.weights) == ["hidden1->hidden2"]
    assert found.spikes["hidden2"] == pytest.approx(SPIKES, rel=0.3)
    for name, projection in net.projections.items():
        old = before.projections[name]
        same = np.array_equal(projection.weight, old.weight)
        assert same == (name != "hidden1->hidden2")
        assert np.array_equal(projection.delay, old.delay)
        assert np.array_equal(projection.post, old.post)


def test_neurons_that_cannot_spike_so_often_spike_half_as_often_as_they_can() -> None:
    data = spikes(rate=0.5)
    model = replace(LIF(50), tau_refrac=100.0)  # a spike per trial at most
    net = network()
    net.populations["hidden1"].model = model
    found = initialise_weights(net, data)
    assert 0.4 < found.spikes["hidden1"] < 1.0
    assert np.abs(net.projections["input->hidden1"].weight).max() < 100


def test_small_currents_straight_to_the_output() -> None:
    net = Network(dt=1.0, seed=3)
    net.add("input", CurrentInput(CHANNELS))
    net.add("output", LeakyIntegrator(CLASSES))
    net.connect("input", "output", Exponential(5.0), weight=0.0)
    data = currents()
    small = CurrentData(data.values * np.float32(1e-6), data.labels, 1.0, data.label_names)
    assert initialise_weights(net, small).logits == pytest.approx(LOGITS, rel=0.2)


@pytest.mark.parametrize("spiking", [0, 1])
def test_a_population_of_weights_of_its_own_may_hardly_spike(spiking: int) -> None:
    net = network()
    projection = net.projections["input->hidden1"]
    projection.weight[projection.post < spiking] = 0.12
    found = initialise_weights(net, spikes(), ["hidden1->output"])
    assert found.silent == {"hidden1": 50 - spiking}
    assert 0 < np.abs(net.projections["hidden1->output"].weight).max() <= np.sqrt(6 / 50)


def late() -> Network:
    net = network()
    net.projections["input->hidden1"].max_delay = 500.0
    net.projections["input->hidden1"].delay[:] = 500.0
    return net


@pytest.mark.parametrize(
    ("make", "data", "projections", "says"),
    [
        (network, spikes(rate=0.0), None, "'input' must be active for initial weights of 'hidden"),
        (late, spikes(), None, "no neuron of 'hidden1' spikes however large .*; lengthen the tria"),
        (network, spikes(), ["in->out"], "projections must be of input->hidden1, .*; got 'in->o"),
        (network, currents(), None, "data must be SpikeData, which the SpikeInput 'input' takes"),
        (
            lambda: network(recurrent=True), spikes(), ["hidden1->hidden1"],
            "projections must have those onto 'hidden1' from other populations",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be(make: object, data: object, projections: object, says: str) -> None:
    net = make()
    before = net.projections["input->hidden1"].weight.copy()
    with pytest.raises(InputError, match=says):
        initialise_weights(net, data, projections)
    assert np.array_equal(net.projections["input->hidden1"].weight, before)


def test_says_what_was_reached() -> None:
    text = str(initialise_weights(network(), spikes()))
    assert (
        text.startswith("hidden1 ") and "spikes per neuron and trial, 0 silent; logits of" in text
    )


def test_says_which_neurons_nothing_excites() -> None:
    net = network(signs="dale", density=0.1)
    (first, _) = net.projections.values()
    first.sign = np.where(first.post < 6, -1, 1).astype(np.int8)
    found = initialise_weights(net, spikes())
    assert found.unexcited == {"hidden1": 6} and found.silent["hidden1"] >= 6
    assert "silent (6 without excitatory input)" in str(found)
    assert initialise_weights(network(), spikes()).unexcited == {}
