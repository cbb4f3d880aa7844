"""What C exports take on a Cortex-M: bytes of memory, and instructions per step, counted.

    python benchmarks/cortex.py RUN... [--data DIR] [--into docs/benchmarks.md]

A RUN is a run, a bundle or the name of a network that comes with the package. It is exported with
each kind of weights, compiled with -Os for a Cortex-M3 (no floating-point unit) and a Cortex-M4
(with one), and runs the validation split on an emulator, qemu, which counts instructions. Labels
and hidden spikes, step by step, are compared with the CPU engine's of the same network, of rounded
weights where they are rounded. Where spikes differ, the float64 twin says whether a voltage had
come within 1e-5 of its threshold before: such trials are ties.
"""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from exports import Spikes, compare, spikes_of
from tables import show, table

sys.path.insert(0, str(Path(__file__).parent.parent))

from mlgenn_delays.bits import BITS, FLOAT
from mlgenn_delays.data.types import Batch
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c import Limits, quantise, write_c
from mlgenn_delays.export.formats import artifact_of, validation_split
from mlgenn_delays.export.model import CPURunner
from tests.export.c import board
from tests.export.c.building import Answer

HEAD = [
    "network", "weights", "synapses", "RAM: state, stack", "flash: constants, code", "core",
    "instructions per step: mean, most", "other labels", "ties", "other spikes", "accuracy",
]  # fmt: skip


def spikes_in(answers: list[Answer], sizes: list[tuple[str, int]]) -> Spikes:
    """Return the steps of each neuron's spikes, by example and population."""
    out = []
    for answer in answers:
        found: list[list[list[int]]] = [[[] for _ in range(n)] for _, n in sizes]
        for population, step, neuron in answer.spikes:
            found[population][neuron].append(step)
        named = zip(sizes, found, strict=True)
        out.append({name: [np.array(own, np.int64) for own in each] for (name, _), each in named})
    return out


def rows_of(
    name: str, artifact: Artifact, kind: str, batch: Batch, cores: list[str], limits: Limits | None
) -> list[list[str]]:
    """Return the rows of the table for a network and a kind of weights."""
    quantised = artifact.quantised
    if kind != FLOAT and quantised is None:
        network, quantised = quantise(artifact.network, kind)
        artifact = replace(artifact, network=network)
    network, rows = artifact.network, []
    recording = CPURunner(artifact).run(batch)
    wanted, labels = spikes_of(recording), recording.logits.argmax(1)
    sizes = [(p.name, p.n) for p in network.order() if p in network.spiking()]
    with tempfile.TemporaryDirectory() as folder:
        costs = write_c(artifact, Path(folder), quantised=quantised, limits=limits, examples=False)
        for core in cores:
            program = board.build(Path(folder), core)
            ran = board.run(program, batch)
            got = np.array([answer.label for answer in ran.answers])
            ties, wrong = compare(network, batch, wanted, spikes_in(ran.answers, sizes))
            rows.append(
                [
                    name, kind, f"{costs.synapses:,}",
                    f"{costs.state_bytes:,}, {ran.stack:,}",
                    f"{costs.constant_bytes:,}, {program.code:,}", core,
                    f"{ran.instructions.mean():,.0f}, {ran.instructions.max():,}",
                    f"{(got != labels).sum()} of {len(batch)}", str(ties), str(wrong),
                    f"{100 * (got == batch.labels).mean():.2f} %",
                ]
            )  # fmt: skip
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data")
    parser.add_argument("--limit", type=int, help="examples; all by default")
    parser.add_argument("--weights", nargs="*", default=[*BITS], choices=[*BITS])
    parser.add_argument("--cores", nargs="*", default=[*board.CORES], choices=[*board.CORES])
    parser.add_argument("--ram", type=int, help="bytes that programs must fit")
    parser.add_argument("--into", type=Path, help="page that gets the table")
    parser.add_argument("--table", default="currents", help="name of its place there")
    asked = parser.parse_args()
    rows, limits = [], Limits(asked.ram) if asked.ram else None
    for source in asked.runs:
        artifact = artifact_of(Path(source))
        data = None if artifact.about.data.get("dataset") == "digits" else asked.data
        split, why = validation_split(artifact, Path(source), data)
        if split is None:
            raise SystemExit(f"{source}: {why}")
        batch = split.batch(np.arange(min(len(split), asked.limit or len(split))))
        known = artifact.about.quantised  # integers that were learned
        for kind in [known] if known else asked.weights:
            rows += rows_of(Path(source).name, artifact, kind, batch, asked.cores, limits)
    show(f"cortex.py {asked.table}", table(HEAD, rows), asked.into)


if __name__ == "__main__":
    main()
