"""What a training batch costs on the CPU engine: against threads, delay range, density and steps.

    python benchmarks/engine_cost.py            every table, about three minutes
    python benchmarks/engine_cost.py speed      one table: speed, delays, density, steps, spikes

The network is that of the SHD experiments: 700 inputs, 256 hidden neurons, 20 outputs, trials of
1000 steps of 1 ms, 8,000 input spikes an example, a learned delay a synapse. Each row is timed in
a process of its own: one batch of 64 to warm up, then ROUNDS more; the median counts. Input
weights are scaled so that hidden neurons spike about 20 times a trial in every row.

Rows of `speed` and `density` also have a plain loop kernel (`plain_kernel.py`, always one thread)
run in turn with the engine, in the same process, after its gradients are found equal to the
engine's; the engine's time includes the optimiser's step. An event is a spike at a synapse, forward
or backward. The last column is how long they would take if each were one independent read of the
L2 cache, measured in the same process, as a share of the engine's time. All of these are CPU time.
"""

import json
import resource
import subprocess
import sys
import time

ROUNDS = 9
BESIDE = ("speed", "density")  # tables with the plain kernel
EQUAL = 1e-4  # relative
BASE = {
    "threads": 1, "max_delay": 64, "density": 1.0, "steps": 1000, "spikes": 8000,
    "recurrent": False, "beside": False,
}  # fmt: skip
TABLES = {
    "speed": [{"threads": 1}, {"threads": 2}, {"threads": 1, "recurrent": True}],
    "delays": [{"max_delay": d} for d in (16, 32, 64, 128, 256, 512, 1024)],
    "density": [{"density": d} for d in (1.0, 0.1, 0.01)],
    "steps": [{"steps": t} for t in (250, 500, 1000, 2000, 4000)],
    "spikes": [{"spikes": n} for n in (1000, 2000, 4000, 8000, 16000)],
}


def make(settings: dict) -> tuple:
    """Return the network and a batch of 64 random examples."""
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
    mean = steps / (spikes * density * 5.0)  # a mean current of 1, to be scaled by `calibrate`
    delay = Uniform(0.0, settings["max_delay"])
    net = Network(seed=0)
    net.add("input", SpikeInput(700))
    net.add("hidden", LIF(256))
    net.add("output", LeakyIntegrator(20, readout="expweighted"))
    common = {"delay": delay, "max_delay": settings["max_delay"], "density": density}
    net.connect("input", "hidden", Exponential(5.0), weight=Normal(mean, mean / 3), **common)
    if settings["recurrent"]:
        net.connect("hidden", "hidden", Exponential(5.0), weight=Normal(0, 0.02), **common)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0, 0.1), **common)
    events = [(rng.integers(0, 700, spikes), rng.integers(0, steps, spikes)) for _ in range(64)]
    data = SpikeData.from_events(
        events, rng.integers(0, 20, 64), n_channels=700, n_steps=steps, dt=1.0,
        label_names=tuple(map(str, range(20))),
    )  # fmt: skip
    return net, data.batch(np.arange(64))


def calibrate(net: object, batch: object, wanted: float = 20.0) -> None:
    """Scale the input weights until hidden neurons spike as often as wanted, by bisection."""
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


def measure(settings: dict) -> dict:
    """Return milliseconds an example and what else a row shows."""
    from statistics import median

    from mlgenn_delays import Adam, EventProp, compile_network

    net, batch = make(settings)
    calibrate(net, batch)
    rule = EventProp(weights=Adam(1e-9), delays=Adam(1e-9))
    compiled = compile_network(net, rule, total_steps=1000, threads=settings["threads"])
    spikes = compiled.train_epoch([batch], epoch=0).spikes["hidden"]
    seconds = []
    for epoch in range(ROUNDS):
        begin = time.perf_counter()
        compiled.train_epoch([batch], epoch=epoch)
        seconds.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "ms": median(seconds) / 64 * 1e3,
        "least": min(seconds) / 64 * 1e3,
        "peak": peak,
        "hidden": spikes,
    }
    return found | (beside(net, compiled, batch) if settings["beside"] else {})


def beside(net: object, compiled: object, batch: object) -> dict:
    """Return what the plain kernel takes, run in turn with the engine, and how far both can get."""
    from plain_kernel import PlainEventProp, l2_access, largest_difference

    compiled.push(net)  # what was learned meanwhile, little as it is, moves spikes
    worst, same = largest_difference(compiled, net, batch)
    if worst > EQUAL or 2 * same < len(batch):
        raise SystemExit(f"gradients differ by {worst:.1e}, spikes in {len(batch) - same} examples")
    kernel = PlainEventProp(net)
    _, fired = kernel.run(batch)
    seconds = {"engine": [], "plain": []}
    runs = {
        "engine": lambda: compiled.train_epoch([batch], epoch=0),
        "plain": lambda: kernel.run(batch),
    }
    for _ in range(ROUNDS):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            seconds[name].append((time.process_time() - begin) / 64)
    events, access = kernel.events(batch, fired), l2_access()
    engine, plain = min(seconds["engine"]), min(seconds["plain"])
    return {
        "cpu": engine * 1e3,
        "plain": plain * 1e3,
        "ratio": plain / engine,
        "events": events / 1e6,
        "ns": engine / events * 1e9,
        "access": access,
        "share": events * access * 1e-9 / engine,
        "worst": worst,
        "same": same,
    }


def main() -> None:
    """Print the tables that are asked for, as Markdown."""
    wanted = sys.argv[1:] or list(TABLES)
    if wanted[0] == "--row":
        print(json.dumps(measure(json.loads(wanted[1]))))
        return
    for name in wanted:
        table(name)


def table(name: str) -> None:
    """Print a table."""
    keys = list(dict.fromkeys(key for row in TABLES[name] for key in row))
    heads = [*keys, "ms per example: median", "least", "peak memory, MB", "hidden spikes"]
    if name in BESIDE:
        heads += ["CPU ms, least", "of the plain kernel", "ratio"]
        heads += ["million events", "CPU ns per event", "L2 read, ns", "share of L2 bound"]
    print(f"\n### {name}\n\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in TABLES[name]:
        settings = BASE | row | {"beside": name in BESIDE}
        done = subprocess.run(
            [sys.executable, __file__, "--row", json.dumps(settings)],
            stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
        got = json.loads(done.stdout.splitlines()[-1])
        cells = [str(settings[key]) for key in keys]
        cells += [f"{got['ms']:.2f}", f"{got['least']:.2f}", f"{got['peak']:.0f}"]
        cells += [format(got["hidden"], ".1f")]
        if name in BESIDE:
            cells += [f"{got[key]:.2f}" for key in ("cpu", "plain", "ratio", "events", "ns")]
            cells += [f"{got['access']:.2f}", f"{100 * got['share']:.0f} %"]
        print(f"| {' | '.join(cells)} |", flush=True)
        if name in BESIDE:
            note = f"gradients differ by {got['worst']:.0e}, over {got['same']} of 64 examples"
            print(note, file=sys.stderr)


if __name__ == "__main__":
    main()
