"""Count what networks cost with delaysnn and with NeuroBench, and print both.

    pip install neurobench snntorch
    python benchmarks/neurobench_check.py

The networks are without delays: dense or sparse, two layers of LIF neurons and a leaky integrator,
on the handwritten digits, as spikes and as currents of 1/2 or 3/2. Weights are multiples of 1/64
and voltages halve from step to step, so that both compute them without rounding. A spike arrives a
step later here: in snnTorch, a register before each linear layer does that. The trial ends later
than the last spike.
"""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from mlgenn_delays import (
    LIF,
    CurrentData,
    CurrentInput,
    Delta,
    LeakyIntegrator,
    Network,
    SpikeInput,
    load_dataset,
)
from mlgenn_delays.cost import Cost, measure_cost

TAU = 1.0 / math.log(2.0)  # [ms]; voltages halve from step to step
OPTIONS = {"both": True, "window": 24.0, "duration": 50.0}


def make_network(sizes: tuple[int, ...], density: float, *, currents: bool) -> Network:
    """Return a network without delays, with weights of multiples of 1/64."""
    net, rng = Network(dt=1.0), np.random.default_rng(0)
    net.add("input", (CurrentInput if currents else SpikeInput)(sizes[0]))
    names = ["input", *(f"hidden{k}" for k in range(1, len(sizes) - 1)), "output"]
    for source, target, n_pre, n in zip(names, names[1:], sizes, sizes[1:], strict=False):
        model = LeakyIntegrator if target == "output" else LIF
        net.add(target, model(n, tau_mem=TAU))
        p = net.connect(source, target, Delta(), weight=0.0, density=density)
        mean = 16.0 / (n_pre * density)
        p.weight[:] = np.round(64 * rng.normal(mean, 4 * mean, p.n_synapses)) / 64
    return net


def in_snntorch(network: Network) -> Any:
    """Return the same network as linear layers and neurons of snnTorch."""
    import snntorch
    import torch

    class Register(torch.nn.Module):
        """Gives what it got a step before."""

        def __init__(self) -> None:
            super().__init__()
            self.kept: Any = None

        def forward(self, x: Any) -> Any:
            before, self.kept = self.kept, x
            return torch.zeros_like(x) if before is None else before

    class Stack(torch.nn.Module):
        """Layers in turn; `reset` begins a trial."""

        def __init__(self, layers: list[Any]) -> None:
            super().__init__()
            self.layers = torch.nn.ModuleList(layers)

        def reset(self) -> None:
            for layer in self.layers:
                if isinstance(layer, Register):
                    layer.kept = None
            snntorch.utils.reset(self)

        def forward(self, x: Any) -> tuple[Any, Any]:
            for layer in self.layers:
                x = layer(x)
            return x

    layers: list[Any] = []
    for p in network.projections.values():
        shape = network.populations[p.source].n, network.populations[p.target].n
        weight = np.zeros(shape, np.float32)
        weight[p.pre(), p.post] = p.weight / 2  # V = V / 2 + I / 2
        linear = torch.nn.Linear(*shape, bias=False)
        linear.weight.data = torch.from_numpy(weight.T.copy())
        last = p.target == "output"
        # It spikes above its threshold, a LIF here at it.
        threshold = 1e30 if last else float(np.nextafter(np.float32(1), np.float32(0)))
        neurons = snntorch.Leaky(
            beta=0.5, threshold=threshold, init_hidden=True, output=last, reset_delay=False,
            reset_mechanism="none" if last else "zero",
        )  # fmt: skip
        layers += [Register(), linear, neurons]
    return Stack(layers)


def make_data(examples: int, *, currents: bool) -> tuple[Any, np.ndarray]:
    """Return some digits, and what each channel sends in each step, (N, T, C) float32."""
    data = load_dataset("digits", options=OPTIONS)["test"].take(np.arange(examples))
    values = np.zeros((examples, data.n_steps, data.n_channels), np.float32)
    for b, start in enumerate(data.start):
        for channel, (low, high) in enumerate(zip(start, start[1:], strict=False)):
            values[b, data.time[low:high], channel] = 1.0
    if not currents:
        return data, values
    values *= np.where(np.arange(data.n_channels) % 2, np.float32(0.5), np.float32(1.5))
    return CurrentData(values, data.labels, data.dt, data.label_names), values


def of_neurobench(network: Network, values: np.ndarray) -> dict[str, float]:
    """Return NeuroBench's metrics of the network on (N, T, C) values."""
    import torch
    from neurobench.benchmarks import Benchmark
    from neurobench.metrics.static import ConnectionSparsity
    from neurobench.metrics.workload import (
        ActivationSparsity,
        MembraneUpdates,
        SynapticOperations,
    )
    from neurobench.models import SNNTorchModel

    examples = torch.utils.data.TensorDataset(torch.from_numpy(values), torch.zeros(len(values)))
    loader = torch.utils.data.DataLoader(examples, batch_size=len(values))
    metrics = [ActivationSparsity, MembraneUpdates, SynapticOperations]
    model = SNNTorchModel(in_snntorch(network))
    with torch.no_grad():
        found = Benchmark(model, loader, [], [], [[ConnectionSparsity], metrics]).run(quiet=True)
    operations = found["SynapticOperations"]
    return {
        "connection sparsity": found["ConnectionSparsity"],
        "activation sparsity": found["ActivationSparsity"],
        "dense operations": operations["Dense"],
        "effective ACs": operations["Effective_ACs"],
        "effective MACs": operations["Effective_MACs"],
        "membrane updates": found["MembraneUpdates"],
    }


def of_ours(cost: Cost) -> dict[str, float]:
    """Return the same of a cost; NeuroBench counts the output as neurons that never spike."""
    places = cost.steps * sum(cost.neurons.values())
    return {
        "connection sparsity": round(cost.connection_sparsity, 4),  # as NeuroBench rounds it
        "activation sparsity": 1 - sum(cost.spikes.values()) / places,
        "dense operations": cost.dense,
        "effective ACs": cost.acs,
        "effective MACs": cost.macs,
        "membrane updates": cost.updates or 0.0,
    }


def compare(density: float, examples: int, *, currents: bool) -> dict[str, tuple[float, float]]:
    """Return each metric by delaysnn and by NeuroBench, of a network on some digits."""
    network = make_network((128, 64, 32, 10), density, currents=currents)
    data, values = make_data(examples, currents=currents)
    ours, theirs = of_ours(measure_cost(network, data)), of_neurobench(network, values)
    return {name: (ours[name], theirs[name]) for name in ours}


def main() -> None:
    """Print a column per network; a cell has two numbers where delaysnn and NeuroBench differ."""
    import neurobench

    names = ("spikes", "currents")
    cases = [(currents, density) for currents in (False, True) for density in (1.0, 0.25)]
    found = [compare(density, 100, currents=currents) for currents, density in cases]
    print(f"NeuroBench {getattr(neurobench, '__version__', '')}, 100 digits\n")
    heads = [f"{names[currents]}, density {density:g}" for currents, density in cases]
    print("| | " + " | ".join(heads) + " |\n" + "|---" * (len(cases) + 1) + "|")
    for metric in found[0]:
        texts = [[f"{value:.10g}" for value in each[metric]] for each in found]
        print(f"| {metric} | " + " | ".join(" / ".join(dict.fromkeys(t)) for t in texts) + " |")


if __name__ == "__main__":
    main()
