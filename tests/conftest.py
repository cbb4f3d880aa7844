"""What all tests share: compiled kernels, reproducible property tests, interrupts that arrive."""

import os
import signal

import pytest
from hypothesis import HealthCheck, settings

from mlgenn_delays.files import cache_folder
from tests.order import in_order

# Tests have caches of their own, but the kernels of the user, and so do processes they start.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder() / "kernels"))

# Read by NumPy, which nothing above imports. Matrices of tests are small: BLAS threads that wait
# for each other, on cores where other tests run, take many times as long. No training calls BLAS.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

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

# In a container tests run as root, which Open MPI refuses unless told so.
for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"):
    os.environ.setdefault(name, "1")

LONG = 900  # seconds for a test that is known to take long, on a busy machine


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for workers; let tests that are marked slow or docs take longer."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items[:] = in_order(items)
    for item in items:
        long = item.get_closest_marker("slow") or item.get_closest_marker("docs")
        if long and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG))


@pytest.fixture(scope="session", autouse=True)
def quick_disk() -> None:
    """Let files of this process reach the disk when they may: no test cuts the power.

    A training writes several files an epoch and waits for the disk each time, for longer than a
    tiny network learns.
    """
    os.fsync = os.fstat


@pytest.fixture(scope="session", autouse=True)
def interrupts_arrive() -> None:
    """Let SIGINT interrupt this process and those it starts.

    What a shell starts in the background ignores SIGINT, and so does whatever it starts in turn:
    a test that interrupts a training would wait for ever.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
