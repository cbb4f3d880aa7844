"""Pages in which commands run, those that a test file names as PAGES."""

import pytest

from mlgenn_delays.kernels import kernel_cache
from tests.cli.conftest import unrendered  # noqa: F401
from tests.docs_commands.given import publish
from tests.docs_commands.running import opened
from tests.genn.conftest import quick_compiler  # noqa: F401
from tests.sweep.helpers import Here
from tests.web import only_this_machine, web

# The kernels that this process uses, before a test says where caches are.
KERNELS = kernel_cache()


@pytest.fixture(scope="module")
def book(request, tmp_path_factory, unrendered):  # noqa: F811
    """Return pages by name, each with a folder in which its commands run."""
    base = tmp_path_factory.mktemp("pages")
    with pytest.MonkeyPatch.context() as patch, web() as served:
        patch.setenv("DELAYSNN_CACHE", str(base / "cache"))
        if KERNELS is not None:
            patch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))
        only_this_machine(patch)
        publish(served, base / "published", patch)
        patch.setattr("mlgenn_delays.sweep.executor.Child", Here)
        with opened(base, request.module.PAGES) as found:
            yield found
