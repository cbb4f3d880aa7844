"""Training with few bits in GeNN against the CPU engine."""

import numpy as np
import pytest

from tests.needs import GENN, need

need(*GENN)
pytestmark = pytest.mark.slow

from mlgenn_delays import Quantisation  # noqa: E402
from mlgenn_delays.learning import Adam, EventProp, Rule, SurrogateBPTT, Triangle  # noqa: E402
from tests.engines.helpers import errors, relative  # noqa: E402
from tests.engines.test_quantised import check_on_the_grid  # noqa: E402
from tests.parity.helpers import KERNEL, cpu, genn  # noqa: E402
from tests.reference import nets  # noqa: E402
from tests.reference.nets import StepRecipe  # noqa: E402

LEARNS = {"weights": Adam(0.01), "delays": Adam(0.2)}


@pytest.mark.parametrize(
    ("rule", "of", "quantisation"),
    [
        (
            EventProp(**LEARNS), StepRecipe(1320, recurrent=True),
            Quantisation(weights="int4", delay_step=2.0),
        ),
        (
            EventProp(**LEARNS, pipelined=True), StepRecipe(1321, granularity="axon"),
            Quantisation(weights="ternary", per="projection", delay_values=(0, 1, 4, 8)),
        ),
        (
            SurrogateBPTT(**LEARNS, surrogate=Triangle(), kernel=KERNEL), StepRecipe(1322),
            Quantisation(weights="ternary", delay_step=3.0),
        ),
    ],
    ids=["int4", "pipelined", "gaussian"],
)  # fmt: skip
def test_what_acts_is_that_of_the_cpu_engine(
    rule: Rule, of: StepRecipe, quantisation: Quantisation
) -> None:
    data = nets.step_data(of, 12)
    batches = [data.batch(np.arange(low, low + 4)) for low in (0, 4, 8)]
    one, other = (
        kind(nets.step_network(of), rule, quantisation=quantisation, total_steps=12)
        for kind in (cpu, genn)
    )
    one.train_epoch(batches, epoch=1)
    other.load_state(one.state())
    right, got = one.evaluate(batches), other.evaluate(batches)
    assert got.spikes == right.spikes and relative(got.logits, right.logits) < 1e-4
    found = errors(other.gradients(batches[0]), one.gradients(batches[0]))
    assert max(found.values()) < 1e-3
    before = other.pull().copy()
    # One step from equal states: nearly all integers and delays are the same.
    one.train_epoch(batches[:1], epoch=2)
    other.train_epoch(batches[:1], epoch=2)
    check_on_the_grid(other.pull(), quantisation)
    for name, p in other.network.projections.items():
        wanted, start = one.pull().projections[name], before.projections[name]
        assert np.isclose(p.weight, wanted.weight, rtol=1e-3).mean() > 0.95
        assert (p.delay == wanted.delay).mean() > 0.95
        assert (p.weight != start.weight).any() or (p.delay != start.delay).any()
