"""Training and rewiring on CUDA: tests of tests/parity once more."""

import pytest

from tests.parity.test_structure import *  # noqa: F403
from tests.parity.test_training import *  # noqa: F403

# The host's part, which no backend changes; test_command_line resumes from one engine to the other.
del test_a_state_goes_to_the_other_engine, test_a_state_taken_up_goes_on_bit_for_bit  # noqa: F821

pytestmark = [pytest.mark.device, pytest.mark.slow, pytest.mark.usefixtures("given_blocks")]
