"""How many planted delays the delays of trained networks find again.

    python benchmarks/planted.py RUN... [--split test] [--errors]

Runs are of the data set `coincidence`. A line each: the share found among the synapses that carry
weight of the neurons that have a part in the answer, as `mlgenn_delays.analysis.planted` defines
it; the same of all hidden neurons, silent ones too, before the training and after it; and what
shuffling each neuron's delays would find.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from mlgenn_delays.analysis import Recovery, chance, recovered
from mlgenn_delays.data.sets.coincidence import CoincidenceOptions, planted_delays
from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import Recipe, build_network, build_rule, load_data
from mlgenn_delays.runs.run import Run

HIDDEN = "hidden1"


def count_spikes(network: Network, recipe: Recipe, data: SpikeData) -> np.ndarray:
    """Return the spikes (n,) of each hidden neuron over all examples."""
    compiled = compile_network(network, build_rule(recipe), total_steps=1, learns=False)
    start = compiled.record(data.batch(np.arange(len(data)))).start[HIDDEN]
    return np.diff(start, axis=1).sum(axis=0)


def of_all(network: Network, planted: np.ndarray) -> Recovery:
    """Return what all hidden neurons found, whether they spike or not."""
    return recovered(network, planted, np.ones(network.populations[HIDDEN].n, np.int64))


def line_of(path: str, split: str, errors: bool) -> str:
    """Return what is to be said of a run."""
    run = Run(path)
    recipe = run.recipe
    if recipe.data.dataset != "coincidence":
        raise InputError(f"{path} must be a run on coincidence, got {recipe.data.dataset!r}")
    planted = planted_delays(CoincidenceOptions(**recipe.data.options))
    data = load_data(recipe)[split]
    assert isinstance(data, SpikeData)
    network = Network.load(run.directory.network_path("best"))
    start = build_network(recipe, data.n_channels, data.n_classes, recipe.seed)
    spikes = count_spikes(network, recipe, data)
    found = recovered(network, planted, spikes)
    agree = int((found.pattern == found.answer).sum())
    text = (
        f"{path}: found {found.n_found} of {found.n_carrying} = {found.share:.1%} "
        f"({found.n_idle} carry no weight); {len(found.neuron)} neurons, {found.silent} without a "
        f"part, {agree} answer the class of their pattern; all neurons "
        f"{of_all(network, planted).share:.1%}, before training {of_all(start, planted).share:.1%}"
        f", shuffled {chance(network, planted, spikes):.1%}"
    )
    if errors:
        for j, row in enumerate(found.error):
            own = " ".join(f"{value:6.2f}" for value in row)
            text += f"\n  neuron {found.neuron[j]} pattern {found.pattern[j]}: {own}"
    return text


def main() -> None:
    """Say it of every run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--errors", action="store_true", help="print every error [ms]")
    args = parser.parse_args()
    for path in args.runs:
        print(line_of(path, args.split, args.errors), flush=True)


if __name__ == "__main__":
    main()
