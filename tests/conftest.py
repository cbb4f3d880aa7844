"""What all tests share: reproducible property tests, interrupts that arrive, a marker for docs."""

import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Kernels compile inside the first example of a test, so no deadlines; the same examples in every
# run, so that a red test is red for a reason in the change.
settings.register_profile(
    "delaysnn",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("delaysnn")

TESTS = Path(__file__).parent
# What runs commands and examples of the documentation carries the marker `docs`.
DOCS = ("docs", "docs_commands", "test_readme.py", "test_comparison.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the documentation."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] in DOCS:
            item.add_marker("docs")


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """Let SIGINT interrupt this process and those it starts.

    What a shell starts in the background ignores SIGINT, and so does whatever it starts in turn:
    a test that interrupts a training would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
