"""A graph read by Euler's method alone gives the spikes of the CPU engine."""

from pathlib import Path

import nir
import numpy as np
import pytest

from mlgenn_delays import LIF, SeedLIF
from mlgenn_delays.export.artifact import Artifact
from tests.engines.helpers import raster
from tests.export.nir import helpers
from tests.export.nir.euler import Walk, walk
from tests.reference.forward import stimulus


def plain(artifact: Artifact) -> bool:
    """Return whether NIR can tell all of a network."""
    models = [population.model for population in artifact.network.spiking()]
    return not any(isinstance(model, LIF) and model.tau_refrac for model in models)


CASES = [(k, a) for k, a in enumerate(helpers.artifacts()) if plain(a)]
N = 2


def trials(artifact: Artifact, path: Path) -> list[Walk]:
    """Return trials of a file's graph."""
    graph, network = nir.read(path), artifact.network
    seeds = {p.name for p in network.spiking() if isinstance(p.model, SeedLIF)}
    batch = helpers.examples(artifact, N).batch(np.arange(N))
    return [walk(graph, stimulus(batch, b), network.dt * 1e-3, seeds) for b in range(N)]


@pytest.mark.parametrize(("k", "artifact"), CASES)
def test_euler_gives_our_spikes(k: int, artifact: Artifact, tmp_path: Path) -> None:
    edges = "synapse" if k % 2 else "delay"
    path = helpers.write(artifact, tmp_path / "net.nir", edges=edges, euler=True)
    wanted = helpers.record(artifact, helpers.examples(artifact, N))
    output = artifact.network.output().name
    found, seen = "n1" if output == "1" else output, 0
    for b, trial in enumerate(trials(artifact, path)):
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


def test_few_trials_are_left_out(tmp_path: Path) -> None:
    ties = [
        trial.tie < helpers.STEPS
        for _, artifact in CASES
        for trial in trials(artifact, helpers.write(artifact, tmp_path / "net.nir", euler=True))
    ]
    assert len(ties) >= 30 and np.mean(ties) < 0.02


def test_physical_constants_are_near(tmp_path: Path) -> None:
    # Without euler=True, Euler's method errs by the order of dt/tau.
    artifact = CASES[0][1]
    output = artifact.network.output().name
    exact, near = (
        trials(artifact, helpers.write(artifact, tmp_path / f"{euler}.nir", euler=euler))[0]
        for euler in (True, False)
    )
    a, b = (np.array(trial.out[output]) for trial in (exact, near))
    assert 0.0 < np.abs(a - b).max() < 0.5 * np.abs(a).max()
