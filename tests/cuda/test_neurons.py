"""Every declared neuron on CUDA: tests of tests/parity once more."""

import pytest

from tests.parity.test_neurons import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow, pytest.mark.usefixtures("given_blocks")]
