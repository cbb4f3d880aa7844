"""Tests marked `device` run CUDA code: on a GPU where there is one, else on the emulator.

A mark's arguments are settings of the emulator (docs/developer/emulator.md); tests with any always
run on it. All of a file with equal settings run in one process of their own.
"""

from collections.abc import Iterator

import pytest

from tests.cuda import emulator, machine
from tests.cuda.generate import give_blocks
from tests.cuda.relay import Child
from tests.needs import CUDA_CODE, lack, needs

_children: dict[tuple[str, str], Child] = {}


def _child(item: pytest.Item, mark: pytest.Mark) -> Child:
    """Return the process that runs a test; it is started with the first test of its kind."""

    def alike(other: pytest.Item) -> bool:
        return other.path == item.path and other.get_closest_marker("device") == mark

    key = str(item.path), repr(mark.kwargs)
    if key not in _children:
        environment, settings = dict(machine.ON_CUDA), dict(mark.kwargs)
        if settings or not machine.has_gpu():
            environment = dict(machine.emulated(settings.pop("flags", emulator.QUICK)))
        own = [each.nodeid for each in item.session.items if alike(each)]
        own_settings = {f"EMULATOR_{name.upper()}": str(v) for name, v in settings.items()}
        _children[key] = Child(item.config, item.config.rootpath, own, environment | own_settings)
    return _children[key]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Have a test for a device run where it can."""
    mark = item.get_closest_marker("device")
    if mark is None or machine.in_child():
        return None
    if lack(*CUDA_CODE):
        item.add_marker(needs(*CUDA_CODE))
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _child(item, mark).reports(item.nodeid):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    # What the test before had set up for this one, such as its folder, is for none of the next.
    item.session._setupstate.teardown_exact(nextitem)
    return True


@pytest.fixture(scope="session")
def given_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        give_blocks(patch)
        yield


def pytest_sessionfinish() -> None:
    """End what still runs, and remove the emulators."""
    for child in _children.values():
        child.end()
    machine.remove()
