"""Small trainings on the CPU engine that ranks share: what each of them has at the end.

Run with ``mpiexec -n RANKS python -m tests.engines.shared_training mpi``, it prints a hash per
training and quantity.
"""

import json
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import numpy as np

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import Adam, EventProp, Gaussian, Rule, SpikeCount, SurrogateBPTT
from mlgenn_delays.network import Network
from mlgenn_delays.network.models import learning
from mlgenn_delays.rewiring import Rewiring, RigL
from tests.reference.nets import StepRecipe, step_data, step_network

EXAMPLES, BATCH = 20, 9  # 5 chunks a batch, and one of 2 examples for the first rank alone

SETTINGS: dict[str, Any] = {
    "weights": Adam(0.01), "delays": Adam(0.3), "spike_count": SpikeCount(0.01, 3.0),
    "neurons": Adam(0.02),
}  # fmt: skip


def _learned(recipe: StepRecipe, *names: str) -> Network:
    net = step_network(recipe)
    hidden = net.populations["hidden0"]
    hidden.model, hidden.learn = learning("'hidden0'", hidden.model, names), names
    return net


def eventprop() -> tuple[StepRecipe, Network, Rule, Rewiring | None]:
    recipe = StepRecipe(1, recurrent=True)
    return (
        recipe,
        _learned(recipe, "tau_mem"),
        EventProp(**SETTINGS, dropout={"hidden0": 0.2}),
        None,
    )


def eventprop_rigl() -> tuple[StepRecipe, Network, Rule, Rewiring | None]:
    recipe = StepRecipe(2, density=0.4, signs="synapse", recurrent=True)
    return recipe, step_network(recipe), EventProp(**SETTINGS, pipelined=True), RigL()


def eventprop_currents() -> tuple[StepRecipe, Network, Rule, Rewiring | None]:
    recipe = StepRecipe(3, density=0.4, current=True)
    rigl = RigL(form="magnitude", every=2, signs="free", grow_delay="gradient")
    return recipe, step_network(recipe), EventProp(**SETTINGS), rigl


def normalised() -> tuple[StepRecipe, Network, Rule, Rewiring | None]:
    recipe = StepRecipe(4, current=True, normalised="all", seed_models=True)
    rule = SurrogateBPTT(**SETTINGS, dropout={"hidden0": 0.2}, kernel=Gaussian(3.0, 0.23, epochs=2))
    return recipe, step_network(recipe), rule, None


def normalised_rigl() -> tuple[StepRecipe, Network, Rule, Rewiring | None]:
    recipe = StepRecipe(5, density=0.4, normalised="hidden", signs="synapse")
    return recipe, _learned(recipe, "v_thresh"), SurrogateBPTT(**SETTINGS), RigL(every=0)


CASES: dict[str, Callable[[], tuple[StepRecipe, Network, Rule, Rewiring | None]]] = {
    case.__name__: case
    for case in (eventprop, eventprop_rigl, eventprop_currents, normalised, normalised_rigl)
}


def outcome(name: str, communicator: str | None = None, threads: int = 1) -> dict[str, np.ndarray]:
    """Train, evaluate and record; return all that came of it."""
    recipe, net, rule, rewiring = CASES[name]()
    data = step_data(recipe, EXAMPLES)
    batches = [
        data.batch(np.arange(low, min(low + BATCH, EXAMPLES))) for low in range(0, EXAMPLES, BATCH)
    ]
    compiled = compile_network(
        net, rule, rewiring=rewiring, total_steps=6, epoch_steps=3, threads=threads,
        communicator=communicator,
    )  # fmt: skip
    trained = [compiled.train_epoch(batches, epoch=epoch) for epoch in (1, 2)]
    found = {f"state {key}": np.asarray(each) for key, each in compiled.state().items()}
    evaluation = compiled.evaluate(batches)
    gradients = compiled.gradients(batches[0])
    variables = ("V",) if isinstance(rule, SurrogateBPTT) else ()
    recording = compiled.record(batches[1], variables)
    last = list(net.projections)[0]
    return found | {
        "loss": np.array([each.loss for each in trained]),
        "grown": np.array([each.grown or 0 for each in trained]),
        "logits": evaluation.logits,
        "statistics": evaluation.statistics,
        "weights' gradient": gradients.weight[last],
        "candidates": compiled.candidates(batches[0], last),
        "voltage": recording.voltage,
        **{f"spikes of {key}": each for key, each in recording.time.items()},
        **{f"{key}": each for key, each in recording.variables.items()},
    }


def hashes(communicator: str | None) -> dict[str, dict[str, str]]:
    """Return hashes of all outcomes, by training and quantity."""
    return {
        name: {
            str(key): sha256(np.ascontiguousarray(each).tobytes()).hexdigest()
            for key, each in outcome(name, communicator).items()
        }
        for name in CASES
    }


if __name__ == "__main__":
    print(json.dumps(hashes(sys.argv[1])), flush=True)
