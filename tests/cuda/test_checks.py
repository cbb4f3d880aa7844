"""What a GPU would not tell: that no order is relied on, and nothing touched that must not be."""

import pytest

from tests.cuda import emulator
from tests.cuda.test_run import CASES, agree, train

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("given_blocks")]
every_case = pytest.mark.parametrize("name", CASES)
some_cases = pytest.mark.parametrize("name", ["eventprop-sparse", "bptt-gaussian", "currents"])


@pytest.mark.device(order=7, workers=2)
@some_cases
def test_any_order_of_blocks_and_threads(name: str) -> None:
    agree(name)


@pytest.mark.device(order=8, workers=2)
def test_training_in_any_order() -> None:
    train(pipelined=True)


@pytest.mark.device(flags=emulator.CHECKED)
@every_case
def test_no_races_and_no_place_that_is_not_ones_own(name: str) -> None:
    agree(name)


@pytest.mark.device(flags=emulator.CHECKED)
def test_training_without_races() -> None:
    train(pipelined=True)


@pytest.mark.device(flags=emulator.SANITIZED)
@some_cases
def test_sanitizers_are_content(name: str) -> None:
    agree(name)
