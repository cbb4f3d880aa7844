"""Small trained runs, a cache of the tests' own, and figures that are not rendered."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.analysis.style import Picture
from mlgenn_delays.kernels import kernel_cache
from tests.cli.helpers import REWIRED, SMALL, call, write_rawhd

# The kernels that this process uses, before a test says where caches are.
KERNELS = kernel_cache()


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Path:
    """Return a run of two epochs; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "run"
    result = call("train", "digits", *SMALL, "--epochs", 2, "--out", path)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="session")
def rawhd(tmp_path_factory) -> Path:
    """Return a small folder of RawHD's files; not to be changed."""
    return write_rawhd(tmp_path_factory.mktemp("rawhd") / "data")


@pytest.fixture(scope="session")
def rewired(tmp_path_factory, rawhd) -> Path:
    """Return a run of three epochs on currents with rewiring; not to be changed."""
    path = tmp_path_factory.mktemp("rewired") / "run"
    options = [*REWIRED, "--data", rawhd, "--epochs", 3, "--out", path]
    result = call("train", "rawhd", *options)
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(scope="module")
def unrendered() -> Iterator[None]:
    """Let figures be their numbers, not pixels and paths: these take most of the time.

    What figures look like is tested in tests/analysis and tests/report.
    """

    def numbers(picture: Picture, *_: object) -> bytes:
        axes = picture.figure.axes
        drawn = [line.get_xydata() for each in axes for line in each.lines]
        drawn += [image.get_array() for each in axes for image in each.images]
        return b"".join(np.ascontiguousarray(each).tobytes() for each in drawn)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Picture, "_rendered", numbers)
        patch.setattr("mlgenn_delays.report.page._png", numbers)
        yield


@pytest.fixture(autouse=True)
def undrawn(request, monkeypatch):
    """Leave out the picture at the end of a training, which takes longer than small trainings."""
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr("mlgenn_delays.cli.train._draw", lambda *_: None)


@pytest.fixture
def drawn():
    """Let trainings draw what they reached."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    """Keep the user's cache of data out of the tests; processes use the kernels of this one."""
    monkeypatch.setenv("DELAYSNN_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    if KERNELS is not None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))
