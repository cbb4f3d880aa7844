"""What a training batch costs on the CPU engine, beside a plain loop kernel.

    python benchmarks/engine_cost.py                  every table
    python benchmarks/engine_cost.py speed density    some: speed, examples, steps, delays, density,
                                                      fan-out, spikes
    python benchmarks/engine_cost.py --into docs/benchmarks.md ...    written into a page as well

The network is that of the SHD experiments: 700 inputs, 256 hidden neurons, 20 outputs, trials of
1000 steps of 1 ms, 8,000 input spikes an example, a learned delay a synapse; batches of 64. Input
weights are scaled so that hidden neurons spike about 20 times a trial in every row.

The plain kernel (`plain_kernel`, always one thread) has a process of its own; the two take turns
(`in_turn`), a batch each, three times, then more until SECONDS are over or there were nine. Before,
a third process finds the gradients of both equal. The engine's time includes the optimiser's step,
the plain kernel's memory the compiler, for no cache has it. An event is a spike at a synapse,
forward or backward. The last columns are how long a row takes at the least, if each event were one
independent read of the L2 cache, and the longer of the two as a share of the engine's CPU time.
"""

import argparse
import json
import sys
from functools import cache
from pathlib import Path

import tables
from common import describe
from in_turn import MOST, FailedError, Side, serve, summarise, take_turns
from roofline import Limits, measure_limits

SECONDS = 20.0  # a row
EQUAL = 1e-3  # relative; where a current barely exceeds the threshold, rounding counts a lot
OUTPUTS = 20
BASE = {
    "threads": 1, "max_delay": 64, "density": 1.0, "steps": 1000, "spikes": 8000, "hidden": 256,
    "batch": 64, "recurrent": False,
}  # fmt: skip
TABLES = {
    "speed": [{"threads": 1}, {"threads": 2}, {"threads": 1, "recurrent": True}],
    "examples": [{"batch": n} for n in (16, 32, 64, 128, 256)],
    "steps": [{"steps": t} for t in (250, 500, 1000, 2000, 4000)],
    "delays": [{"max_delay": d} for d in (16, 32, 64, 128, 256, 512, 1024)],
    "density": [{"density": d} for d in (1.0, 0.1, 0.01)],
    "fan-out": [{"hidden": n} for n in (64, 128, 256, 512, 1024)],
    "spikes": [{"spikes": n} for n in (1000, 2000, 4000, 8000, 16000)],
}
COLUMNS = [
    "engine, ms per example: best, median, CPU", "plain kernel: the same", "ratios",
    "peak MB: engine, plain kernel", "hidden spikes", "million events", "CPU ns per event",
    "ms at the limit: L2 reads, arithmetic", "share reached",
]  # fmt: skip


def make(settings: dict) -> tuple:
    """Return the network and a batch of random examples."""
    import numpy as np

    from mlgenn_delays import (
        LIF,
        Exponential,
        LeakyIntegrator,
        Network,
        Normal,
        SpikeData,
        SpikeInput,
        Uniform,
    )

    rng = np.random.default_rng(0)
    steps, density, spikes = settings["steps"], settings["density"], settings["spikes"]
    n = settings["batch"]
    mean = steps / (spikes * density * 5.0)  # a mean current of 1, to be scaled by `calibrate`
    delay = Uniform(0.0, settings["max_delay"])
    net = Network(seed=0)
    net.add("input", SpikeInput(700))
    net.add("hidden", LIF(settings["hidden"]))
    net.add("output", LeakyIntegrator(OUTPUTS, readout="expweighted"))
    common = {"delay": delay, "max_delay": settings["max_delay"], "density": density}
    net.connect("input", "hidden", Exponential(5.0), weight=Normal(mean, mean / 3), **common)
    if settings["recurrent"]:
        net.connect("hidden", "hidden", Exponential(5.0), weight=Normal(0, 0.02), **common)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0, 0.1), **common)
    events = [(rng.integers(0, 700, spikes), rng.integers(0, steps, spikes)) for _ in range(n)]
    data = SpikeData.from_events(
        events, rng.integers(0, OUTPUTS, n), n_channels=700, n_steps=steps, dt=1.0,
        label_names=tuple(map(str, range(OUTPUTS))),
    )  # fmt: skip
    net.projections["input->hidden"].weight *= settings.get("scale", 1.0)
    return net, data.batch(np.arange(n))


def calibrate(net: object, batch: object, wanted: float = 20.0) -> float:
    """Scale the input weights until hidden neurons spike as often as wanted; return the factor."""
    from mlgenn_delays import EventProp, compile_network

    projection = net.projections["input->hidden"]
    compiled = compile_network(net, EventProp(), total_steps=1)
    start, low, high = projection.weight.copy(), 0.5, 8.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        projection.weight = start * middle
        compiled.push(net)
        more = compiled.evaluate([batch]).spikes["hidden"] < wanted
        low, high = (middle, high) if more else (low, middle)
    return middle


def prepare_facts(settings: dict) -> object:
    """Return a function for the factor of `calibrate`, events, and whether both sides agree."""
    from plain_kernel import PlainEventProp, largest_difference

    from mlgenn_delays import EventProp, compile_network

    net, batch = make(settings)

    def run() -> dict:
        scale = calibrate(net, batch)
        worst, same = largest_difference(
            compile_network(net, EventProp(), total_steps=1), net, batch
        )
        if worst > EQUAL or 2 * same < len(batch):
            raise SystemExit(
                f"gradients differ by {worst:.1e}, spikes in {len(batch) - same} examples"
            )
        kernel = PlainEventProp(net)
        events = kernel.events(batch, kernel.run(batch)[1])
        return {"scale": scale, "events": events, "worst": worst, "same": same}

    return run


def prepare_engine(settings: dict) -> object:
    """Return a function that learns from a batch, for examples and spikes."""
    from mlgenn_delays import Adam, EventProp, compile_network

    net, batch = make(settings)
    rule = EventProp(weights=Adam(1e-9), delays=Adam(1e-9))
    compiled = compile_network(net, rule, total_steps=1000, threads=settings["threads"])

    def run() -> dict:
        result = compiled.train_epoch([batch], epoch=0)
        return {"examples": len(batch), "spikes": result.spikes["hidden"]}

    run()
    return run


def prepare_plain(settings: dict) -> object:
    """Return the same of the plain kernel."""
    from plain_kernel import PlainEventProp

    net, batch = make(settings)
    kernel = PlainEventProp(net)

    def run() -> dict:
        return {"examples": len(batch), "spikes": float(kernel.run(batch)[1].sum(1).mean())}

    run()
    return run


PREPARE = {"facts": prepare_facts, "engine": prepare_engine, "plain": prepare_plain}


def command(side: str, settings: dict) -> list[str]:
    """Return the command of a side."""
    return [__file__, "--side", side, json.dumps(settings)]


@cache
def facts_of(row: str) -> dict:
    """Return the facts of a row that is given as JSON."""
    side = Side(command("facts", json.loads(row)))
    try:
        side.wait()
        facts = side.ask()
    except FailedError:
        raise SystemExit(f"{row} failed, see above") from None
    finally:
        side.close()
    note = f"gradients differ by {facts['worst']:.0e}, over {facts['same']} examples"
    print(note, file=sys.stderr)
    return facts


@cache
def measure(row: str) -> tuple[dict, dict | None, dict | None]:
    """Return the facts of a row, given as JSON, and the times of both sides per example."""
    settings = json.loads(row)
    facts = facts_of(json.dumps(settings | {"threads": 1}))
    settings = settings | {"scale": facts["scale"]}
    names = ("engine", "plain")
    commands = {name: command(name, settings) for name in names}
    answers = take_turns(commands, dict.fromkeys(names, [{}]), SECONDS, MOST)
    return facts, *(answers[name] and summarise(answers[name][0], 1) for name in names)


def table(name: str, limits: Limits) -> str:
    """Return a table as Markdown."""
    keys, rows = list(dict.fromkeys(key for row in TABLES[name] for key in row)), []
    for row in TABLES[name]:
        settings = BASE | row
        facts, engine, plain = measure(json.dumps(settings))
        cells = [str(settings[key]) for key in keys]
        cells += [tables.times(side, 1e3) for side in (engine, plain)]
        cells += [tables.ratios(plain, engine), tables.each_side([engine, plain], "peak", ".0f")]
        cells += [tables.each_side([engine], "spikes", ".1f"), f"{facts['events'] / 1e6:.2f}"]
        cpu = engine["cpu"] if engine else float("nan")
        steps = (settings["hidden"] + OUTPUTS) * settings["steps"]
        reads, arithmetic = limits.event_seconds(facts["events"], steps)
        cells += [f"{1e9 * cpu / facts['events']:.2f}"]
        cells += [f"{tables.digits(1e3 * reads)}, {tables.digits(1e3 * arithmetic)}"]
        cells += [f"{100 * max(reads, arithmetic) / cpu:.0f} %"]
        rows.append(cells)
    return tables.table([*keys, *COLUMNS], rows)


def main() -> None:
    """Print the tables that are asked for."""
    if sys.argv[1:2] == ["--side"]:
        serve(lambda: PREPARE[sys.argv[2]](json.loads(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"some of {', '.join(TABLES)}; all if none")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write them into a page as well")
    chosen = parser.parse_args()
    if unknown := set(chosen.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    limits = measure_limits()
    tables.show("engine_cost.py machine", describe(limits), chosen.into)
    for name in chosen.tables or TABLES:
        tables.show(f"engine_cost.py {name}", table(name, limits), chosen.into)


if __name__ == "__main__":
    main()
