"""GeNN's forward pass on CUDA: the tests of tests/parity once more."""

import pytest

from tests.parity.test_forward import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow]
