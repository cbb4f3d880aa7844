"""Modules of PyTorch alone against the CPU engine: spikes, logits, gradients, fine-tuning."""

import ast
import importlib.util
import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from mlgenn_delays import compile_network
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.torch import write_torch
from mlgenn_delays.learning import SurrogateBPTT
from mlgenn_delays.network import Exponential, LeakyIntegrator, Network, SpikeInput
from tests.cli.helpers import call
from tests.engines.helpers import raster, relative
from tests.export.c.cases import CASES, EXAMPLES, Case, artifact, batch, wanted
from tests.needs import need, needs
from tests.reference import nets
from tests.reference.forward import stimulus

every_case = pytest.mark.parametrize("case", CASES, ids=str)


def module(made: Artifact, folder: Path) -> Any:
    """Export a network and import what was written."""
    need("torch")
    write_torch(made, folder)
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def given(case: Case) -> Any:
    import torch

    rows = [stimulus(batch(case), b) for b in range(EXAMPLES)]
    return torch.tensor(np.stack(rows), dtype=torch.float32)


@lru_cache(maxsize=64)
def answered(case: Case) -> Any:
    """Return what the exported module makes of the case's batch."""
    import torch

    with TemporaryDirectory() as folder, torch.no_grad():
        return module(artifact(case), Path(folder)).load().run(given(case))


@needs("torch")
@every_case
def test_equals_the_cpu_engine(case: Case) -> None:
    recording, tie = wanted(case, "float32")
    got, steps = answered(case), case.recipe.steps
    assert {*got.spikes} == {p.name for p in artifact(case).network.spiking()}
    for b in range(EXAMPLES):
        for name, spikes in got.spikes.items():
            right = raster(recording, name, b, steps)
            np.testing.assert_array_equal(spikes[b].numpy()[: tie[b]] == 1, right[: tie[b]], name)
        if tie[b] == steps:
            assert relative(got.logits[b].numpy(), recording.logits[b]) < 1e-5
            assert relative(got.voltage[b].numpy(), recording.voltage[b]) < 1e-5


LEARNED = [case for case in CASES if case.more not in ("hostile", "bare", "counted")]


@needs("torch")
@pytest.mark.parametrize("case", LEARNED, ids=str)
def test_gradients_are_those_of_surrogate_bptt(case: Case, tmp_path: Path) -> None:
    import torch

    network, own = artifact(case).network, batch(case)
    learner = compile_network(network, SurrogateBPTT(), total_steps=1, threads=1)
    gradients = learner.gradients(own)
    net = module(artifact(case), tmp_path).load()
    labels = torch.from_numpy(own.labels)
    torch.nn.functional.cross_entropy(net(given(case)), labels).backward()
    for k, name in enumerate(network.projections):
        got = net.projections[k]
        assert gradients.weight[name].any(), name
        assert relative(got.weight.grad.numpy(), gradients.weight[name]) < 1e-4, name
        assert relative(got.delay.grad.numpy(), gradients.delay[name]) < 1e-4, name


@needs("torch")
def test_it_can_be_fine_tuned(tmp_path: Path) -> None:
    import torch

    case = CASES[8]
    net = module(artifact(case), tmp_path).load()
    x, labels = given(case), torch.from_numpy(batch(case).labels)
    net.populations[0].neuron.p_tau_mem.requires_grad_()
    net.populations[0].synapses[0].tau_syn.requires_grad_()
    optimiser = torch.optim.Adam(net.parameters(), 0.05)
    losses = []
    for _ in range(25):
        loss = torch.nn.functional.cross_entropy(net(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad.any() for p in net.parameters() if p.requires_grad)
    with torch.no_grad():
        for projection in net.projections:
            projection.delay -= 100.0
        net(x)
        assert all((each.delay == 0.0).all() for each in net.projections)
    with pytest.raises(ValueError, match=r"x must have shape \(batch, steps, 9\), got \(6, 50\)"):
        net(x[:, :, 0])


def test_labels_and_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    # Without PyTorch: writing needs none.
    bad = '"""\nimport os  # \\ \u2028 \ud800'
    network = Network()
    network.add("in\"'", SpikeInput(2)), network.add("out\\", LeakyIntegrator(2))
    network.connect("in\"'", "out\\", Exponential(), weight=1.0, delay=3.0)
    made = Artifact.of(network, About(n_steps=9, labels=("a", "b")))
    about = About.model_construct(**(dict(made.about) | {"labels": (bad, "b")}))
    write_torch(Artifact(made.network, made.kept, made.sizes, about), tmp_path)
    tree = ast.parse((tmp_path / "model.py").read_text())
    tables = {
        node.target.id: node.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert ast.literal_eval(tables["LABELS"])[0] == bad
    assert ast.literal_eval(tables["PROJECTIONS"])[0][0] == "in\"'->out\\"
    imported = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
    assert imported == {"math", "torch"}
    weights = load_file(tmp_path / "weights.safetensors")
    np.testing.assert_array_equal(weights["projections.0.delay"], [3.0] * 4)


def test_a_run_is_exported_and_needs_nothing_of_this_package(trained: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    done = call("export", trained, "--format", "torch", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["form"] == "torch"
    assert sorted(each.name for each in out.iterdir()) == ["model.py", "weights.safetensors"]
    assert call("export", trained, "--format", "torch", "--out", out).exit_code == 2
    need("torch")
    code = (
        "import sys; sys.modules.update(mlgenn_delays=None, delaysnn=None); import torch, model; "
        "print(model.load()(torch.zeros(2, 9, model.POPULATIONS[0][1])).shape == "
        "(2, len(model.LABELS)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=out, capture_output=True, text=True)
    assert ran.stdout == "True\n", ran.stderr


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("trained") / "run"
    small = ["--epochs", "1", "--set", "network.layers.0.size=8"]
    assert call("train", "digits", *small, "--out", run).exit_code == 0
    return run


def test_the_cases_show_something() -> None:
    assert any(case.recipe.tau_refrac for case in LEARNED)
    assert {nets.step_network(case.recipe).input().model.spiking for case in LEARNED} == {0, 1}
