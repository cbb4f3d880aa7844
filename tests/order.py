"""The order in which workers are given the files of tests."""

from pathlib import Path

import pytest

# Files of few tests that take long. Workers begin with them: pytest-xdist takes files of many tests
# first, and would end with some of these in a row on one core, and nothing left for the others.
FIRST = (
    "engines/test_kernel_cache.py",
    "kills/test_kills.py",
    "docs_commands/test_how_to.py",
    "docs_commands/test_other_pages.py",
    "fuzz/test_fuzz.py",
    "cuda/test_command_line.py",
    "cuda/test_ranks.py",
    "genn/test_ranks.py",
    "sweep/test_end_to_end.py",
    "sweep/test_cluster.py",
    "cli/test_output.py",
    "reference/test_linear.py",
    "test_house.py",
    "test_kernel_store.py",
)

TESTS = Path(__file__).parent


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Return the tests, by file: those of FIRST, then the others, files of many tests first."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    first = {TESTS / name: place - len(FIRST) for place, name in enumerate(FIRST)}
    groups = sorted(files.items(), key=lambda file: (first.get(file[0], 0), -len(file[1])))
    return [item for _, group in groups for item in group]
