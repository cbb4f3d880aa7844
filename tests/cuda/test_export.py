"""Exports for CUDA, compiled and run: tests of tests/export/genn once more."""

import pytest

from tests.export.genn.conftest import export  # noqa: F401
from tests.export.genn.test_folder import copy, test_the_example_in_c  # noqa: F401
from tests.export.genn.test_parity import *  # noqa: F403

del test_the_longest_delay  # noqa: F821 - 65,000 steps, the same code but for one number

pytestmark = [pytest.mark.device, pytest.mark.slow]
