"""What is compiled ahead is what a training calls, with the same types of arguments."""

import sys
from typing import Any

import pytest
from numba.core.registry import CPUDispatcher

from mlgenn_delays.rewiring import RigL
from tests.engines.rewired import batches, engine, event, gaussian, recipe, surrogate
from tests.needs import needs
from tests.reference import nets
from tests.reference.nets import StepRecipe


def known() -> dict[tuple[str, str], list[Any]]:
    """Return the types of arguments that each kernel of the engine was compiled for."""
    return {
        (module.__name__, name): list(value.signatures)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("mlgenn_delays.engines.")
        for name, value in vars(module).items()
        if isinstance(value, CPUDispatcher)
    }


CASES = [
    (event(), recipe(3)),
    (event(), recipe(4, current=True)),
    (surrogate(), recipe(5)),
    (gaussian(), recipe(6, normalised="hidden", recurrent=False, current=True)),
]


@needs("compiled kernels")
@pytest.mark.parametrize(("rule", "of"), CASES)
def test_nothing_else_is_compiled(rule: Any, of: StepRecipe) -> None:
    net, rewiring = nets.step_network(of), RigL(every=1)
    (batch,) = batches(of, n=1)
    engine(net, rule, rewiring).train_epoch([batch], epoch=1)
    before = known()
    assert any(key[1] in ("back_chunk", "back_neurons") for key in before)
    ahead: Any = engine(net, rule, rewiring)
    ahead._rehearse(batch)
    assert ahead.parameters.step == 1
    assert known() == before
