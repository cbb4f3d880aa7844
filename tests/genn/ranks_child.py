"""One rank of a training of `test_ranks`: prints what it has at the end as JSON.

Run with ``mpiexec -n RANKS python -m tests.genn.ranks_child mpi``, or alone without ``mpi``.
"""

import json
import sys
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import Adam, EventProp, Rule, SpikeCount, SurrogateBPTT, Triangle
from mlgenn_delays.network.models import learning
from mlgenn_delays.rewiring import RigL
from tests.backend import BACKEND
from tests.cuda.generate import give_blocks
from tests.reference.nets import Recipe, data, network

RECIPE = Recipe(density=0.5, recurrent=True)
EXAMPLES, BATCH = 11, 5  # the last batch has fewer examples than there are ranks


SETTINGS: dict[str, Any] = {
    "weights": Adam(0.01), "delays": Adam(0.3), "dropout": {"hidden0": 0.2},
    "spike_count": SpikeCount(strength=0.01, target=3.0),
}  # fmt: skip
RULES = [
    EventProp(**SETTINGS),
    EventProp(**SETTINGS, pipelined=True),
    SurrogateBPTT(surrogate=Triangle(), neurons=Adam(0.02), **SETTINGS),
]
LEARNED = ("tau_mem", "v_thresh")


def found(communicator: str | None, rule: Rule) -> dict[str, Any]:
    net = network(RECIPE)
    hidden = net.populations["hidden0"]
    if isinstance(rule, SurrogateBPTT):
        hidden.model, hidden.learn = learning("'hidden0'", hidden.model, LEARNED), LEARNED
    compiled = compile_network(
        net, rule, rewiring=RigL(form="magnitude", every=2, signs="free"),
        total_steps=9, engine="genn", backend=BACKEND, batch_size=BATCH, communicator=communicator,
    )  # fmt: skip
    examples = data(RECIPE, EXAMPLES)
    batches = [
        examples.batch(np.arange(low, min(low + BATCH, EXAMPLES)))
        for low in range(0, EXAMPLES, BATCH)
    ]
    trained = [compiled.train_epoch(batches, epoch=epoch) for epoch in range(3)]
    evaluation = compiled.evaluate(batches)
    recorded = compiled.record(batches[0])
    net = compiled.pull()
    return {
        "train": [each.loss for each in trained],
        "grown": [each.grown for each in trained],
        "loss": evaluation.loss,
        "logits": evaluation.logits.tolist(),
        "spikes": {name: len(t) for name, t in recorded.time.items()},
        "post": {name: p.post.tolist() for name, p in net.projections.items()},
        "weight": {name: p.weight.tolist() for name, p in net.projections.items()},
        "delay": {name: p.delay.tolist() for name, p in net.projections.items()},
        "parameter": {
            name: np.asarray(getattr(net.populations["hidden0"].model, name)).tolist()
            for name in LEARNED
        },
    }


def main(communicator: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if BACKEND == "cuda":
            give_blocks(patch)
        print(json.dumps([found(communicator, rule) for rule in RULES]), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
