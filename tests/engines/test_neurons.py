"""Every declared neuron on the CPU engine against the float64 twin of its equations."""

from itertools import product

import numpy as np
import pytest

from mlgenn_delays.learning import Atan, Dirac, Gaussian, Triangle
from tests.engines.helpers import raster
from tests.engines.test_surrogate import Case, check, compared, free, network, pick
from tests.reference.nets import NEURONS, StepRecipe

WIDE = (Gaussian(3.0, 0.23, epochs=4), 1)
CASES = [
    Case(
        StepRecipe(
            700 + k, sizes=(9, 11, 3), neuron=neuron, recurrent=recurrent, current=k % 3 == 0,
            dt=(1.0, 0.5)[k % 4 == 1],
        ),
        (Atan(), Triangle())[k % 2],
        *kernel,
    )
    for k, (neuron, recurrent, kernel) in enumerate(
        product(NEURONS, (False, True), [(Dirac(), None), WIDE])
    )
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.recipe.neuron}-{case}")
def test_spikes_and_gradients_equal_the_twins(case: Case) -> None:
    wanted = check(case)
    from mlgenn_delays.engines.compile import compile_network

    built = compile_network(network(case.recipe), case.rule(), total_steps=1)
    index = free(case)
    recording = built.record(pick(case.recipe, index))
    for name, fired in wanted.trace.spikes.items():
        if case.width:  # recording is of rounded delays
            break
        for e in range(len(index)):
            assert np.array_equal(raster(recording, name, e, case.recipe.steps), fired[e])


def test_spikes_are_neither_rare_nor_everywhere() -> None:
    for case in CASES:
        wanted, _ = compared(case)
        for fired in wanted.trace.spikes.values():
            assert 0.01 < fired.mean() < 0.5, case.recipe
