"""What runs are exported as: whether all formats answer the same, how large they are, how quick.

    python benchmarks/exports.py RUN... [--data DIR]

Each run is exported in every format that this machine can run, and answers the validation split;
DIR is the data's folder, that of the training by default. Equal means: the same label as the CPU
engine gives the network as it was trained, and the same hidden spikes, step by step. Where spikes
differ, the float64 twin says whether a voltage had come within 1e-5 of its threshold before: such
trials are ties.
Latency is that of one example at a time, encoded already, median of all; for C, a process's time
over its examples, reading them from text included.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.c.examples import examples_of
from mlgenn_delays.export.formats import ExportOptions, artifact_of, export_model
from mlgenn_delays.export.model import CPURunner, load
from mlgenn_delays.network import Network
from mlgenn_delays.recipe import build_rule, load_data
from mlgenn_delays.runs.run import Run

FORMATS = ["bundle", "genn", "nir", "c", "c int8"]
FLAGS = ["-std=c99", "-O2", "-ffp-contract=off"]
Spikes = list[dict[str, list[np.ndarray]]]  # by example and population: steps of each neuron


def spikes_of(recording: Recording, kept: dict[str, np.ndarray] | None = None) -> Spikes:
    """Return the spikes of all examples, of the neurons that were kept if only those matter."""
    names = recording.start if kept is None else kept
    out = []
    for e in range(len(recording.logits)):
        found = {}
        for name in names:
            row, time = recording.start[name][e], recording.time[name]
            index = np.arange(len(row) - 1) if kept is None else kept[name]
            found[name] = [np.asarray(time[row[j] : row[j + 1]], np.int64) for j in index]
        out.append(found)
    return out


def run_c(folder: Path, batch: Batch, sizes: list[tuple[str, int]]) -> tuple[Any, Spikes, float]:
    """Compile a C export; return logits, spikes and seconds an example."""
    program = folder / "program"
    sources = [str(folder / "test_model.c"), str(folder / "delaysnn_model.c")]
    subprocess.run(["gcc", *FLAGS, *sources, "-lm", "-o", str(program)], check=True)
    text = "".join(example.text() for example in examples_of(batch))
    began = perf_counter()
    subprocess.run([program], input=text, capture_output=True, text=True, check=True)
    spent = (perf_counter() - began) / len(batch)
    said = subprocess.run([program, "--spikes"], input=text, capture_output=True, text=True)
    logits, spikes = [], []
    for line in said.stdout.splitlines():
        word, *rest = line.split()
        if word == "example":
            found: list[list[list[int]]] = [[[] for _ in range(n)] for _, n in sizes]
        elif word == "spike":
            population, step, neuron = map(int, rest)
            found[population][neuron].append(step)
        elif word == "logits":
            logits.append([float(x) for x in rest])
            spikes.append(
                {
                    name: [np.array(own, np.int64) for own in each]
                    for (name, _), each in zip(sizes, found, strict=True)
                }
            )
    return np.array(logits, np.float32), spikes, spent


def tie_steps(network: Network, batch: Batch, example: int) -> int:
    """Return the first step of an example in which the twin's voltage is at a threshold, else T."""
    from tests.reference import steps

    one = pick(batch, np.array([example]))
    return int(steps.forward(network, one, training=False).tie[0])


def pick(batch: Batch, index: np.ndarray) -> Batch:
    """Return some examples of a batch."""
    if isinstance(batch, CurrentBatch):
        return CurrentBatch(batch.values[index], batch.labels[index], batch.index[index])
    return SpikeBatch(
        batch.start[index], batch.time, batch.labels[index], batch.index[index], batch.n_steps
    )


def compare(network: Network, batch: Batch, wanted: Spikes, got: Spikes) -> tuple[int, int]:
    """Return in how many trials spikes differ after a tie, and in how many without one."""
    ties = wrong = 0
    for e, (right, found) in enumerate(zip(wanted, got, strict=True)):
        same = all(
            np.array_equal(a, b)
            for name in right
            for a, b in zip(right[name], found[name], strict=True)
        )
        if same:
            continue
        tie = tie_steps(network, batch, e)
        before = all(
            np.array_equal(a[a < tie], b[b < tie])
            for name in right
            for a, b in zip(right[name], found[name], strict=True)
        )
        ties, wrong = ties + before, wrong + (not before)
    return ties, wrong


def latency(model: Any, batch: Batch) -> float:
    """Return the median seconds of one example at a time."""
    times = []
    for e in range(len(batch)):
        one = pick(batch, np.array([e]))
        began = perf_counter()
        model.logits(one)
        times.append(perf_counter() - began)
    return float(np.median(times))


def size_of(path: Path) -> str:
    """Return the bytes of a file or folder, of C those of constants and state."""
    header = path / "delaysnn_model.h"
    if header.exists():
        macros = dict(re.findall(r"#define DELAYSNN_(\w+)_BYTES (\d+)", header.read_text()))
        return f"{int(macros['CONSTANT']):,} and {int(macros['STATE']):,} of state"
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return f"{sum(each.stat().st_size for each in files):,}"


def measure(source: str, data: str | None, formats: list[str], limit: int | None) -> list[str]:
    """Return the rows of the table for a run."""
    run = Run(source)
    splits = load_data(run.recipe, run.folder(data))
    split = splits["validation"]
    batch = split.batch(np.arange(min(len(split), limit or len(split))))
    network = Network.load(run.directory.network_path())
    engine = compile_network(network, build_rule(run.recipe), total_steps=1, learns=False)
    reference = engine.record(batch)
    artifact = artifact_of(Path(source))
    wanted = spikes_of(reference, artifact.kept)
    answers = reference.logits.argmax(1)
    right = 100 * float((answers == batch.labels).mean())
    rows = [f"| {Path(source).name} | engine `cpu` | | | | {right:.2f} % | | |"]
    with tempfile.TemporaryDirectory() as folder:
        for name in formats:
            form, _, rest = name.partition(" ")
            path = Path(folder) / name.replace(" ", "-")
            path = path.with_suffix({"bundle": ".safetensors", "nir": ".nir"}.get(form, ""))
            export_model(Path(source), ExportOptions(form, path, weights=rest or None), data)
            small, right_spikes, right_answers = artifact.network, wanted, answers
            if rest:
                from mlgenn_delays.export.c import quantise

                small, _ = quantise(artifact.network, rest)
            size = size_of(path)
            if form == "c":
                sizes = [(p.name, p.n) for p in small.order() if p in small.spiking()]
                logits, spikes, seconds = run_c(path, batch, sizes)
            else:
                model = load(path)
                recording = model.record(batch)
                logits, spikes, seconds = recording.logits, spikes_of(recording), 0.0
                seconds = latency(model, batch)
            if rest:
                exact = CPURunner(replace(artifact, network=small)).run(batch)
                right_spikes, right_answers = spikes_of(exact), exact.logits.argmax(1)
            ties, wrong = compare(small, batch, right_spikes, spikes)
            labels = int((logits.argmax(1) != right_answers).sum())
            accuracy = 100 * float((logits.argmax(1) == batch.labels).mean())
            rows.append(
                f"| | {name} | {labels} of {len(batch)} | {ties} | {wrong} | {accuracy:.2f} % "
                f"| {size} | {1000 * seconds:.2f} |"
            )
    return rows


def lack(form: str) -> str:
    """Return what a format needs and this machine does not have, "" if nothing."""
    if form == "genn" and not (find_spec("pygenn") and find_spec("ml_genn")):
        return "GeNN is not installed"
    if form == "nir" and not find_spec("nir"):
        return "nir is not installed"
    programs = {"genn": ("make", "g++"), "c": ("gcc",)}.get(form.split()[0], ())
    return next((f"there is no {each}" for each in programs if not shutil.which(each)), "")


def formats_here() -> list[str]:
    """Return the formats that this machine can run, and say why others are left out."""
    for form in FORMATS:
        if reason := lack(form):
            print(f"{form} is left out: {reason}", file=sys.stderr)
    return [form for form in FORMATS if not lack(form)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--data")
    parser.add_argument("--limit", type=int, help="examples; all by default")
    parser.add_argument("--formats", nargs="*", help=f"all that run here of {', '.join(FORMATS)}")
    asked = parser.parse_args()
    formats = formats_here() if asked.formats is None else asked.formats
    print(
        "| run | format | other labels | ties | other spikes | accuracy | bytes | ms per example |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for source in asked.runs:
        data = asked.data if Run(source).recipe.data.dataset != "digits" else None
        for row in measure(source, data, formats, asked.limit):
            print(row, flush=True)


if __name__ == "__main__":
    main()
