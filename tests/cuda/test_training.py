"""Training and rewiring on CUDA: tests of tests/parity once more."""

import pytest

from tests.parity.test_structure import *  # noqa: F403
from tests.parity.test_training import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow]
