"""The RAM that a network will need as C, asked before it is trained."""

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.c import Limits, c_costs, check_ram, write_c
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.network import Network
from mlgenn_delays.quantisation import Quantisation, quantise
from mlgenn_delays.recipe import build_network, load_recipe

STEPS = 64


def network() -> Network:
    sets = ["network.layers.0.size=40", "network.sparsity=0.5", "delays.initial_max=2.0"]
    return build_network(load_recipe("digits", sets), 128, 10, seed=1)


@pytest.mark.parametrize("kind", ["float32", "int8", "ternary"])
def test_it_is_that_of_the_export_with_the_longest_delays(kind: str, tmp_path) -> None:
    start = network()
    with pytest.raises(InputError) as error:
        check_ram(start, STEPS, Hardware(ram=100), Quantisation(weights=kind))
    needed = int(str(error.value).split("got ")[1].split()[0])
    assert f"{kind} weights" in str(error.value)
    assert "train" in str(error.value)
    assert check_ram(start, STEPS, Hardware(ram=needed), Quantisation(weights=kind)) == needed
    with pytest.raises(InputError, match=f"got {needed} bytes"):
        check_ram(start, STEPS, Hardware(ram=needed - 1), Quantisation(weights=kind))
    for projection in start.projections.values():
        projection.delay = np.full_like(projection.delay, projection.max_delay)
    artifact, quantised = Artifact.of(start, About.numbered(start, STEPS)), None
    if kind != "float32":
        rounded, quantised = quantise(artifact.network, kind)
        artifact = Artifact(rounded, artifact.kept, artifact.sizes, artifact.about)
    made = write_c(artifact, tmp_path, quantised=quantised, limits=Limits(ram=needed),
                   examples=False)  # fmt: skip
    assert made.ram <= needed
    if kind == "float32":
        assert c_costs(artifact).ram >= needed


def test_nothing_is_refused_without_a_limit() -> None:
    assert check_ram(network(), STEPS, Hardware()) > 1000
