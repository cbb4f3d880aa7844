"""Cost of the engine `genn` beside the CPU engine and plain mlGeNN, on one core.

    python benchmarks/genn_cost.py batch        ms per example, by density
    python benchmarks/genn_cost.py rewiring     what rewiring after each epoch adds to it

The network is 700-256-20, trials are 1,000 steps of 1 ms with 8,000 input spikes, delays of up to
64 steps are learned by EventProp in batches of 32, on GeNN's single-threaded CPU backend. mlGeNN
runs one example a batch there, with an optimiser step each, and needs ``optimize_code=True`` to be
compared at all. Each side has a process of its own, and they take turns (`in_turn`), a batch each.
"""

import argparse
import atexit
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tables
from in_turn import serve, summarise, take_turns

from mlgenn_delays.data.types import SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import Adam, EventProp
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, Normal, Uniform
from mlgenn_delays.network import SpikeInput as Channels
from mlgenn_delays.rewiring import SET, RigL

SIZES, STEPS, SPIKES, LONGEST, BATCH = (700, 256, 20), 1000, 8000, 64.0, 32
RULE = EventProp(weights=Adam(1e-3), delays=Adam(0.1))
# For rewiring: learning that would make one network spike more than another is left out.
STILL = EventProp(weights=Adam(1e-9), delays=Adam(1e-9))


def network(density: float) -> Network:
    """Return the network."""
    net = Network(seed=0)
    net.add("input", Channels(SIZES[0]))
    net.add("hidden", LIF(SIZES[1]))
    net.add("output", LeakyIntegrator(SIZES[2], readout="expweighted"))
    for source, target, mean, sd in (("input", "hidden", 0.03, 0.01), ("hidden", "output", 0, 0.1)):
        share = density if source == "input" else 1.0
        net.connect(
            source, target, Exponential(5.0), weight=Normal(mean / share, sd / share**0.5),
            delay=Uniform(0.0, LONGEST), max_delay=LONGEST, density=share,
        )  # fmt: skip
    return net


def examples(n: int) -> SpikeData:
    """Return n random examples."""
    rng = np.random.default_rng(0)
    events = []
    for _ in range(n):
        raster = np.unique(rng.integers(0, SIZES[0] * STEPS, SPIKES))
        events.append((raster % SIZES[0], raster // SIZES[0]))
    labels = rng.integers(0, SIZES[2], n)
    return SpikeData.from_events(
        events, labels, n_channels=SIZES[0], n_steps=STEPS, dt=1.0,
        label_names=tuple(str(k) for k in range(SIZES[2])),
    )  # fmt: skip


def ours(engine: str, density: float) -> object:
    """Return a function that learns from a batch on one of our engines."""
    compiled = compile_network(network(density), RULE, total_steps=100, threads=1, engine=engine)
    batch = examples(BATCH).batch(np.arange(BATCH))

    def run() -> dict:
        result = compiled.train_epoch([batch], epoch=0)
        return {"examples": BATCH, "spikes": result.spikes["hidden"]}

    run()
    return run


def plain(density: float) -> object:
    """Return the same of mlGeNN's own compiler, which counts no spikes."""
    net, data = network(density), examples(BATCH)
    from ml_genn import Connection, Population
    from ml_genn import Network as GeNNNetwork
    from ml_genn.compilers import EventPropCompiler
    from ml_genn.compilers.event_prop_compiler import default_params
    from ml_genn.connectivity import Dense
    from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire, SpikeInput
    from ml_genn.optimisers import Adam as GeNNAdam
    from ml_genn.synapses import Exponential as GeNNExponential
    from ml_genn.utils.data import preprocess_spikes

    from mlgenn_delays.engines.genn.compiler import GivenSparse

    out = GeNNNetwork(default_params)
    with out:
        populations = {
            "input": Population(SpikeInput(max_spikes=SPIKES), SIZES[0], name="input"),
            "hidden": Population(LeakyIntegrateFire(tau_mem=20.0), SIZES[1], name="hidden"),
            "output": Population(
                LeakyIntegrate(tau_mem=20.0, readout="avg_var_exp_weight"), SIZES[2], name="output"
            ),
        }
        connections = []
        for k, p in enumerate(net.projections.values()):
            delay, shape = np.floor(p.delay + 0.5), (len(p.indptr) - 1, populations[p.target].shape)
            dense = p.n_synapses == shape[0] * shape[1][0]
            size = (shape[0], shape[1][0])
            connectivity = (
                Dense(p.weight.reshape(size), delay.reshape(size))
                if dense
                else GivenSparse(p.pre(), p.post, p.weight, delay)
            )
            connections.append(
                Connection(
                    populations[p.source], populations[p.target], connectivity,
                    GeNNExponential(5.0), name=f"c{k}", max_delay_steps=int(LONGEST),
                )
            )  # fmt: skip
    compiler = EventPropCompiler(
        example_timesteps=STEPS, losses="sparse_categorical_crossentropy",
        optimiser=GeNNAdam(1e-3), delay_optimiser=GeNNAdam(0.1), delay_learn_conns=connections,
        max_spikes=256, batch_size=1, backend="single_threaded_cpu", optimize_code=True,
    )  # fmt: skip
    batch = data.batch(np.arange(BATCH))
    spikes = []
    for b in range(BATCH):
        start = batch.start[b]
        channels = np.repeat(np.arange(SIZES[0]), np.diff(start))
        times = batch.time[start[0] : start[-1]].astype(float)
        spikes.append(preprocess_spikes(times, channels, SIZES[0]))
    labels = list(batch.labels)
    x, y = {populations["input"]: spikes}, {populations["output"]: labels}
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))
    compiled = compiler.compile(out, "plain")
    stack.enter_context(compiled)

    def run() -> dict:
        compiled.train(x, y, num_epochs=1, shuffle=False, callbacks=[])
        return {"examples": BATCH, "spikes": float("nan")}

    run()
    return run


def cost_of_batch(rounds: int, page: Path | None) -> None:
    """Show ms per example of all sides, dense and sparse."""
    names = ["cpu", "genn", "mlGeNN"]
    head = ["density", *(f"{name}, ms per example: best, median, CPU" for name in names)]
    head += ["mlGeNN over genn", "genn over cpu", f"peak MB: {', '.join(names)}"]
    head += ["hidden spikes: cpu, genn"]
    rows = []
    for density in (1.0, 0.1):
        commands = {name: [__file__, "--side", name, str(density)] for name in names}
        answers = take_turns(commands, dict.fromkeys(names, [{}]), seconds=3600.0, most=rounds)
        cpu, genn, upstream = (each and summarise(each[0], 1) for each in answers.values())
        cells = [tables.times(each, 1e3) for each in (cpu, genn, upstream)]
        cells += [tables.ratios(upstream, genn), tables.ratios(genn, cpu)]
        cells += [tables.each_side([cpu, genn, upstream], "peak", ".0f")]
        rows.append([f"{density:g}", *cells, tables.each_side([cpu, genn], "spikes", ".1f")])
    tables.show("genn_cost.py batch", tables.table(head, rows), page)


def cost_of_rewiring(rounds: int) -> None:
    """Print what rewiring adds to an epoch of 8,000 examples, density 0.1."""
    data, steps = examples(256), 8000 // BATCH
    parts = [data.batch(np.arange(k, k + BATCH)) for k in range(0, 256, BATCH)]
    epoch = [parts[k % len(parts)] for k in range(steps)]
    rules = {
        "none": None,
        "SET": SET(every=0, signs="free"),
        "RigL, magnitude": RigL(form="magnitude", every=0, signs="free"),
    }
    compiled = {
        name: compile_network(
            network(0.1), STILL, rewiring=rule, total_steps=100 * steps, epoch_steps=steps,
            engine="genn",
        )
        for name, rule in rules.items()
    }  # fmt: skip
    seconds: dict[str, list[float]] = {name: [] for name in rules}
    for k in range(rounds + 1):  # the first round compiles
        for name, each in compiled.items():
            began = time.perf_counter()
            result = each.train_epoch(epoch, epoch=k)
            seconds[name] += [time.perf_counter() - began] if k else []
            if k == rounds:
                least, base = min(seconds[name]), min(seconds["none"])
                print(
                    f"{name:16} {least:.2f} s per epoch, {100 * (least / base - 1):+.1f} %, "
                    f"{result.grown or 0} synapses grown",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side, share = sys.argv[2], float(sys.argv[3])
        serve(lambda: plain(share) if side == "mlGeNN" else ours(side, share))
        sys.exit()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["batch", "rewiring"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--into", type=Path, metavar="PAGE", help="write the batch's table there too"
    )
    asked = parser.parse_args()
    if asked.what == "batch":
        cost_of_batch(asked.rounds, asked.into)
    else:
        cost_of_rewiring(asked.rounds)
