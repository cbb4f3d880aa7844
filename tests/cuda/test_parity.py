"""Trials, gradients and candidate gradients on CUDA: tests of tests/parity once more."""

import pytest

from tests.parity.test_forward import *  # noqa: F403
from tests.parity.test_gradients import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow, pytest.mark.usefixtures("given_blocks")]
