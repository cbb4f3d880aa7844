"""Networks are built with headers that are compiled once."""

from collections.abc import Iterator

import pytest

from tests.genn.headers import compiler
from tests.needs import GENN, lack


@pytest.fixture(autouse=True, scope="module")
def quick_compiler() -> Iterator[None]:
    """Set CXX for the tests of a file. Those on CUDA do not: the emulator has its own headers."""
    with pytest.MonkeyPatch.context() as patch:
        if not lack(*GENN):
            patch.setenv("CXX", compiler())
        yield
