"""GeNN's CUDA code against the CPU engine."""

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import (
    Adam,
    Boxcar,
    EventProp,
    Gaussian,
    SpikeCount,
    SurrogateBPTT,
    Triangle,
)
from mlgenn_delays.rewiring import RigL
from tests.engines.helpers import relative
from tests.reference.nets import Recipe, StepRecipe, data, network, step_data, step_network

pytestmark = [pytest.mark.device, pytest.mark.usefixtures("given_blocks")]
TOLERANCE = 1e-4
EXAMPLES, BATCH = 11, 4  # batches of 4, 4 and 3: side by side, the last one filled up


CASES = {
    "eventprop": (Recipe(recurrent=True), EventProp()),
    "eventprop-sparse": (
        Recipe(recurrent=True, density=0.4, tau_refrac=4.0, bias=0.1, seed=1),
        EventProp(spike_count=SpikeCount(strength=0.01, target=3.0)),
    ),
    "bptt": (StepRecipe(recurrent=True), SurrogateBPTT(surrogate=Triangle())),
    "bptt-sparse": (StepRecipe(recurrent=True, density=0.5), SurrogateBPTT(surrogate=Boxcar())),
    "bptt-gaussian": (
        StepRecipe(seed_models=True),
        SurrogateBPTT(surrogate=Triangle(), kernel=Gaussian(3.0, 0.5, 5)),
    ),
    "currents": (StepRecipe(current=True), SurrogateBPTT(surrogate=Triangle())),
}


def case(name):
    recipe, rule = CASES[name]
    plain = isinstance(recipe, Recipe)
    net = network(recipe) if plain else step_network(recipe)
    return net, rule, (data if plain else step_data)(recipe, EXAMPLES)


def both(net, rule, **options):
    return [
        compile_network(
            net.copy(), rule, total_steps=9, engine=engine, backend="cuda", batch_size=BATCH,
            **options,
        )
        for engine in ("cpu", "genn")
    ]  # fmt: skip


def agree(name):
    """Reject a difference between the engines in trials or gradients of a case."""
    net, rule, examples = case(name)
    cpu, cuda = both(net, rule)
    for size in (EXAMPLES, 3):
        batch = examples.batch(np.arange(size))
        one, other = cpu.record(batch), cuda.record(batch)
        for population, times in one.time.items():
            np.testing.assert_array_equal(other.start[population], one.start[population])
            np.testing.assert_array_equal(other.time[population], times)
        assert relative(other.voltage, one.voltage) < TOLERANCE
        mine, theirs = cpu.gradients(batch, epoch=0), cuda.gradients(batch, epoch=0)
        assert theirs.loss == pytest.approx(mine.loss, rel=TOLERANCE)
        for projection in mine.weight:
            assert relative(theirs.weight[projection], mine.weight[projection]) < TOLERANCE
            assert relative(theirs.delay[projection], mine.delay[projection]) < TOLERANCE


@pytest.mark.parametrize("name", CASES)
def test_spikes_voltages_and_gradients(name):
    agree(name)


def test_candidates():
    net, rule, examples = case("eventprop-sparse")
    cpu, cuda = both(net, rule)
    batch = examples.batch(np.arange(EXAMPLES))
    for name in net.projections:
        assert relative(cuda.candidates(batch, name), cpu.candidates(batch, name)) < TOLERANCE


def train(pipelined=False):
    """Reject a difference between the engines in a training with dropout and rewiring."""
    net, _, examples = case("eventprop-sparse")
    settings = {"weights": Adam(0.01), "delays": Adam(0.3), "dropout": {"hidden0": 0.2}}
    rule = EventProp(**settings, pipelined=pipelined)
    rewiring = RigL(form="magnitude", every=2, signs="free")
    batches = [
        examples.batch(np.arange(low, min(low + BATCH, EXAMPLES)))
        for low in range(0, EXAMPLES, BATCH)
    ]
    found = []
    for compiled in both(net, rule, rewiring=rewiring):
        results = [compiled.train_epoch(batches, epoch=epoch) for epoch in range(3)]
        assert sum(result.grown for result in results) > 0
        found.append((results[-1].loss, compiled.evaluate(batches).loss))
    assert found[1] == pytest.approx(found[0], rel=1e-3)


def test_training_with_rewiring_and_dropout():
    train()
