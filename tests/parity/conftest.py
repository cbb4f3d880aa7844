"""Networks are built with headers that are compiled once."""

from tests.genn.conftest import quick_compiler  # noqa: F401
