"""Other tools load the files and give the same spikes.

They pass spikes on within a step, so a layer runs one step earlier than here, and one more for
each layer before it (`EulerLIF`: two steps).
"""

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.needs import need

need("torch")


from tests.export.nir import helpers, torches  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
TOOLS = ("snntorch", "norse")


def module_of(tool: str, path: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        need(tool)
        graph = torches.without_output(path)
        return torches.of_snntorch(graph) if tool == "snntorch" else torches.of_norse(graph)


def assert_shifted(got: dict, wanted: dict, step: int) -> None:
    for k, name in enumerate(torches.HIDDEN):
        later = wanted[name][step * (k + 1) :]
        assert later.sum() > 20
        np.testing.assert_array_equal(got[name][: len(later)], later)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["delta", "exponential"])
@pytest.mark.parametrize("tool", TOOLS)
def test_lif(tool: str, kind: str, seed: int, tmp_path: Path) -> None:
    artifact = torches.network(kind, seed=seed)
    module = module_of(tool, helpers.write(artifact, tmp_path / "net.nir", euler=True))
    given = torches.stimulus(seed)
    wanted = helpers.fired(artifact, torches.as_data(given, torches.DT), 0)
    assert_shifted(torches.run(module, given), wanted, 1)


@pytest.mark.parametrize("kind", ["delta", "exponential"])
def test_recurrent(kind: str, tmp_path: Path) -> None:
    # Norse alone: snnTorch 1.0 raises AttributeError on every graph that is recurrent.
    artifact = torches.network(kind, recurrent=True)
    module = module_of("norse", helpers.write(artifact, tmp_path / "net.nir", euler=True))
    given = torches.stimulus(3)
    wanted = helpers.fired(artifact, torches.as_data(given, torches.DT), 0)
    assert_shifted(torches.run(module, given), wanted, 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("tool", TOOLS)
def test_seed(tool: str, seed: int, tmp_path: Path) -> None:
    # Input in even steps arrives in odd ones, and EulerLIF spikes in even ones: so nothing arrives
    # in the step of a spike, which EulerLIF would discard and these tools would not.
    artifact = torches.network("seed", seed=seed)
    module = module_of(tool, helpers.write(artifact, tmp_path / "net.nir"))
    given = torches.stimulus(seed, even=True)
    wanted = helpers.fired(artifact, torches.as_data(given, torches.DT), 0)
    assert_shifted(torches.run(module, given), wanted, 2)


def test_seed_differs_where_something_is_discarded(tmp_path: Path) -> None:
    artifact = torches.network("seed")
    module = module_of("snntorch", helpers.write(artifact, tmp_path / "net.nir"))
    given = torches.stimulus(0)
    wanted = helpers.fired(artifact, torches.as_data(given, torches.DT), 0)["hidden0"][2:]
    got = torches.run(module, given)["hidden0"][: len(wanted)]
    assert 0 < (got != wanted).mean() < 0.2


def test_physical_constants_differ_by_little(tmp_path: Path) -> None:
    artifact = torches.network("exponential")
    module = module_of("snntorch", helpers.write(artifact, tmp_path / "net.nir"))
    given = torches.stimulus(0)
    wanted = helpers.fired(artifact, torches.as_data(given, torches.DT), 0)["hidden0"][1:]
    got = torches.run(module, given)["hidden0"][: len(wanted)]
    assert 0.5 < got.sum() / wanted.sum() < 1.5
