"""Training and rewiring on CUDA: tests of tests/parity once more."""

import pytest

from tests.parity.test_structure import *  # noqa: F403
from tests.parity.test_training import *  # noqa: F403

del test_batch_results_equal_the_cpu_engine  # noqa: F821 - those of epochs are their sums

pytestmark = [pytest.mark.device, pytest.mark.slow]
