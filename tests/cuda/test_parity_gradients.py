"""Gradients and candidate gradients on CUDA: the tests of tests/parity once more."""

import pytest

from tests.parity.test_gradients import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow]
