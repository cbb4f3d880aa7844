"""Rewiring while CUDA trains: the tests of tests/parity once more."""

import pytest

from tests.parity.test_structure import *  # noqa: F403

pytestmark = [pytest.mark.device, pytest.mark.slow]
