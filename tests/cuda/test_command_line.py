"""``--engine genn --backend cuda``: tests of tests/genn once more."""

import pytest

from tests.cli.helpers import call, parsed
from tests.cuda import emulator
from tests.genn.test_cli import (  # noqa: F401
    folders,
    own_cache,
    runs,
    test_a_run_goes_on_with_the_other_engine,
    test_a_run_says_what_computed_it,
    test_an_epoch_leaves_the_same_network,
    test_both_engines_answer_the_same,
    test_both_engines_learn_the_same,
    test_currents_learn_the_same_with_a_compact_surrogate,
    test_normalised_networks_are_evaluated_folded,
)

pytestmark = [pytest.mark.device(flags=emulator.FAST), pytest.mark.slow]


def test_doctor() -> None:
    found = parsed(call("doctor", "--json"))["genn"]["backends"]["cuda"]
    assert found["works"] is True, found
