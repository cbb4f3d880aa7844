"""Limits of hardware from the command line: kept from the first network to the last, or refused."""

from pathlib import Path

import pytest

from mlgenn_delays.hardware import Hardware
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import load_recipe
from tests.cli.helpers import call, refused

LIMITS = Hardware(
    fan_in=60, fan_out=7, input_fan_out=5, neurons_per_core=4, synapses_per_core=70,
    delays=(0, 1, 2, 5), weight_bits=4,
)  # fmt: skip
SPARSE = [
    "digits", "--set", "network.layers.0.size=80", "--set", "network.sparsity=0.95",
    "--set", "rewiring.rule=rigl", "--set", "rewiring.form=magnitude", "--set",
    "rewiring.every=1", "--set", "learning.batch_size=256", "--set", "delays.max=5",
    "--set", "delays.initial_max=5",
]  # fmt: skip
GIVEN = [
    f"--set=hardware.{name}={list(value) if name == 'delays' else value}"
    for name, value in vars(LIMITS).items()
    if name in Hardware.__dataclass_fields__ and name != "preset" and value
]


def test_a_training_keeps_limits_and_resumes(tmp_path: Path) -> None:
    out = tmp_path / "r"
    assert call("train", *SPARSE, *GIVEN, "--epochs", 2, "--out", out).exit_code == 0
    snapshots = sorted(out.glob("snapshots/*.safetensors"))
    found = [Network.load(path) for path in [*snapshots, out / "network.safetensors"]]
    assert len(found) > 2
    for network in found:
        LIMITS.check(network)
        assert network.n_synapses() == found[0].n_synapses()
    posts = [network.projections["input->hidden1"].post.tolist() for network in found]
    assert posts[0] != posts[-1]
    trained = found[-1].projections["input->hidden1"]
    assert set(trained.delay) <= {0.0, 1.0, 2.0, 5.0}
    recipe = load_recipe(out / "recipe.toml")
    assert recipe.hardware == LIMITS
    assert recipe.quantisation.weights == "int4"
    assert call("train", "--resume", "--out", out).exit_code == 0
    text = refused("train", "--resume", "--out", out, "--set", "hardware.fan_in=61")
    assert "hardware.fan_in: 60, 61" in text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["hardware.fan_in=12"], "'input->hidden1' must have at most 960 synapses"),
        (["hardware.preset=loihi"], "hardware.preset must be one of none, loihi2"),
        (["hardware.preset=xylo"], "delays.max must be <= 0 ms, 0 steps of 1 ms"),
        (["hardware.delay_bits=2"], "delays.max must be <= 3 ms, 3 steps of 1 ms"),
        (["hardware.neurons=89"], "hardware.neurons must be >= 90"),
        (["hardware.ram=1000"], "the network must fit into 1000 bytes (hardware.ram), got "),
        (
            ["hardware.weight_bits=4", "quantisation.weights=int8"],
            "quantisation.weights must be of at most 4 bits",
        ),
    ],
)
def test_limits_that_no_network_meets_are_refused(
    given: list[str], words: str, tmp_path: Path
) -> None:
    sets = [part for each in given for part in ("--set", each)]
    sparse = [*SPARSE, "--set", "network.sparsity=0.8"]
    assert words in refused("train", *sparse, *sets, "--epochs", 1, "--out", tmp_path / "r")
    assert not (tmp_path / "r").exists()
