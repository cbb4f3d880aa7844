"""Training on CUDA, and states that go from one engine to the other: the tests of tests/parity once more."""

import pytest

from tests.parity.test_training import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow]
