"""NIR files of other tools, beside a simulation of their graphs."""

from pathlib import Path

import nir
import numpy as np
import pytest

from mlgenn_delays import import_network
from mlgenn_delays.errors import InputError
from tests.export.nir import helpers as nir_helpers
from tests.imports import helpers

DT, STEPS = 0.1, 80  # ms


def braille(path: Path, seed: int, *, delays: bool) -> Path:
    """Write what the Braille network of the NIR paper is: CubaLIF with Affine, one recurrent."""
    rng = np.random.default_rng(seed)

    def affine(n: int, m: int, mean: float, deviation: float) -> "nir.Affine":
        weight = rng.normal(mean, deviation, (n, m)).astype(np.float32)
        return nir.Affine(weight=weight, bias=rng.normal(0.0, 0.04, n).astype(np.float32))

    def cuba(n: int, alpha: float, beta: float) -> "nir.CubaLIF":
        tau_mem, tau_syn = DT / 1e3 / (1 - beta), DT / 1e3 / (1 - alpha)
        values = {"tau_mem": tau_mem, "tau_syn": tau_syn, "r": tau_mem / (DT / 1e3),
                  "w_in": tau_syn / (DT / 1e3), "v_leak": 0.0, "v_threshold": 1.0,
                  "v_reset": 0.0}  # fmt: skip
        return nir.CubaLIF(**{key: np.full(n, value) for key, value in values.items()})

    nodes = {
        "input": nir.Input(input_type=np.array([6])),
        "fc1": affine(8, 6, 0.1, 0.3), "lif1.lif": cuba(8, 0.55, 0.9),
        "lif1.w_rec": affine(8, 8, 0.0, 0.1),
        "fc2": affine(4, 8, 0.1, 0.3), "lif2": cuba(4, 0.5, 0.55),
        "output": nir.Output(output_type=np.array([4])),
    }  # fmt: skip
    edges = [("input", "fc1"), ("fc1", "lif1.lif"), ("lif1.lif", "lif1.w_rec"),
             ("lif1.w_rec", "lif1.lif"), ("lif1.lif", "fc2"), ("fc2", "lif2"),
             ("lif2", "output")]  # fmt: skip
    if delays:
        nodes["late"] = nir.Delay(delay=rng.integers(0, 7, 8) * DT / 1e3)
        nodes["later"] = nir.Delay(delay=rng.integers(1, 5, 6) * DT / 1e3)
        edges[4:5] = [("lif1.lif", "late"), ("late", "fc2")]
        edges[0:1] = [("input", "later"), ("later", "fc1")]
    nir.write(path, nir.NIRGraph(nodes=nodes, edges=edges))
    return path


def simulate(path: Path, given: np.ndarray) -> dict[str, np.ndarray]:
    """Return the spikes (T, n) of CubaLIF by Euler's method, an edge to neurons taking a step."""
    graph = nir.read(path)
    before = {b: [a for a, c in graph.edges if c == b] for _, b in graph.edges}
    dt = DT / 1e3
    cells = {name: node for name, node in graph.nodes.items() if isinstance(node, nir.CubaLIF)}
    history = {name: np.zeros((STEPS, len(node.tau_mem))) for name, node in cells.items()}
    history["input"] = given
    state = {name: np.zeros((2, len(node.tau_mem))) for name, node in cells.items()}

    def sent(name: str, t: int) -> np.ndarray:
        """Return what a node hands on from the spikes of step t."""
        if name in history:
            return history[name][t] if t >= 0 else np.zeros(history[name].shape[1])
        node, (source,) = graph.nodes[name], before[name]
        if isinstance(node, nir.Delay):
            steps = np.round(node.delay / dt).astype(int)
            return np.array([sent(source, t - d)[j] for j, d in enumerate(steps)])
        return node.weight @ sent(source, t) + node.bias

    for t in range(STEPS):
        now = {}
        for name, node in cells.items():
            i, v = state[name]
            x = sum(sent(source, t - 1) for source in before[name])
            i = i + dt / node.tau_syn * (node.w_in * x - i)
            v = v + dt / node.tau_mem * (node.v_leak - v + node.r * i)
            now[name] = v >= node.v_threshold
            state[name] = np.array([i, np.where(now[name], node.v_reset, v)])
        for name, fired in now.items():
            history[name][t] = fired
    return history


@pytest.mark.parametrize("delays", [False, True])
def test_spikes_are_those_of_the_graph(delays: bool, tmp_path: Path) -> None:
    path = braille(tmp_path / "net.nir", 3, delays=delays)
    given = helpers.spikes(1, STEPS, 6)
    wanted = simulate(path, given)
    network = import_network(path, "nir", dt=DT, euler=True)
    recording = helpers.run(network, given, 0)
    for name in ("lif1.lif", "lif2"):
        assert wanted[name].sum() > 30
        np.testing.assert_array_equal(helpers.fired(recording, name, STEPS), wanted[name])
    np.testing.assert_array_equal(recording.logits[0], wanted["lif2"][:-1].sum(0))


def test_no_neuron_is_left_out_for_training(tmp_path: Path) -> None:
    path = braille(tmp_path / "net.nir", 3, delays=False)
    graph = nir.read(path)
    graph.nodes["fc2"].weight[:, 3] = 0
    nir.write(path, graph)
    assert import_network(path, "nir", dt=DT).populations["lif1.lif"].n == 8


def test_files_of_ours_need_no_import(tmp_path: Path) -> None:
    path = nir_helpers.write(nir_helpers.artifacts()[0], tmp_path / "net.nir")
    with pytest.raises(InputError, match="must be of another tool, got one that delaysnn wrote"):
        import_network(path, "nir", dt=1.0)
