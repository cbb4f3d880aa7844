"""A graph read by Euler's method alone gives the spikes of the CPU engine."""

from collections.abc import Callable
from functools import cache

import nir
import numpy as np
import pytest

from mlgenn_delays import LIF, EulerLIF
from mlgenn_delays.export.artifact import Artifact
from tests.engines.helpers import raster
from tests.export.nir import helpers
from tests.export.nir.euler import Walk, walk
from tests.reference.forward import stimulus


def plain(artifact: Artifact) -> bool:
    """Return whether NIR can tell all of a network."""
    models = [population.model for population in artifact.network.spiking()]
    return not any(isinstance(model, LIF) and model.tau_refrac for model in models)


CASES = [artifact for artifact in helpers.artifacts() if plain(artifact)]
N = 2
Trials = Callable[..., list[Walk]]


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> Trials:
    """Return what walks through trials of the file of a case, each once."""
    folder = tmp_path_factory.mktemp("euler")

    @cache
    def walked(k: int, euler: bool = True) -> list[Walk]:
        network = CASES[k].network
        edges = "synapse" if k % 2 else "delay"
        path = helpers.write(CASES[k], folder / "net.nir", edges=edges, euler=euler)
        graph, dt = nir.read(path), network.dt * 1e-3
        seeds = {p.name for p in network.spiking() if isinstance(p.model, EulerLIF)}
        batch = helpers.examples(CASES[k], N).batch(np.arange(N))
        return [walk(graph, stimulus(batch, b), dt, seeds) for b in range(N)]

    return walked


@pytest.mark.parametrize("k", range(len(CASES)))
def test_euler_gives_our_spikes(k: int, trials: Trials) -> None:
    artifact = CASES[k]
    wanted = helpers.record(artifact, helpers.examples(artifact, N))
    output = artifact.network.output().name
    found, seen = "n1" if output == "1" else output, 0
    for b, trial in enumerate(trials(k)):
        for p in artifact.network.spiking():
            fired = raster(wanted, p.name, b, helpers.STEPS)
            got = np.array(trial.out[p.name])
            seen += fired.sum()
            np.testing.assert_array_equal(got[: trial.tie], fired[: trial.tie])
        voltage = wanted.voltage[b].T[: trial.tie]
        np.testing.assert_allclose(
            np.array(trial.out[found])[: trial.tie], voltage, atol=1e-4 * np.abs(voltage).max()
        )
    assert seen > 5


def test_few_trials_are_left_out(trials: Trials) -> None:
    ties = [trial.tie < helpers.STEPS for k in range(len(CASES)) for trial in trials(k)]
    assert len(ties) >= 30 and np.mean(ties) < 0.02


def test_physical_constants_are_near(trials: Trials) -> None:
    # Without euler=True, Euler's method errs by the order of dt/tau.
    output = CASES[0].network.output().name
    a, b = (np.array(trials(0, euler)[0].out[output]) for euler in (True, False))
    assert 0.0 < np.abs(a - b).max() < 0.5 * np.abs(a).max()
