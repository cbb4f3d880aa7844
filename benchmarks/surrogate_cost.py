"""What an epoch of surrogate-gradient training costs, beside PyTorch with the `dcls` package.

    python benchmarks/surrogate_cost.py                 every table
    python benchmarks/surrogate_cost.py dense taps      some: dense, sparse, fine, wide, schedule,
                                                        examples, steps, taps, density, fan-out
    python benchmarks/surrogate_cost.py --into docs/benchmarks.md ...   written into a page as well
    python benchmarks/surrogate_cost.py --check         whether both compute the same, at small size
    python benchmarks/surrogate_cost.py --quick ...     one batch once, scaled up: to try it out

The network is that of Mészáros, Knight and Nowotny (2024) on 40 mel bands and ten classes: 40
currents, 256 EulerLIF of normalised current and dropout 0.4, 10 EulerLI; a learned Gaussian delay a
synapse of 25 taps; 100 frames of 10 ms, batches of 128, an epoch of 2,400 examples of random data,
one core. `fine` has each frame as ten steps of 1 ms, and 251 taps. Weights, gains and delays are
learned by Adam on both sides (`seed_torch` is the other side).

Each side of a row has a process of its own; they take turns (`in_turn`). A round is five batches
(20 where rewiring passes are that far apart, one in `fine`, whole epochs in `examples`), scaled to
an epoch; there are three rounds, then more until SECONDS are over or there were nine. Peak memory
includes the interpreter, its libraries and the data set, the same on both sides. `schedule` is a
training of 150 epochs, from epochs measured at a few widths of the kernels (`schedule`). What a row
needs at least is in `roofline`. `pip install "delaysnn[bench]"` gets PyTorch and dcls; without them
there is only our side.
"""

import argparse
import json
import sys
from importlib import util
from itertools import islice
from pathlib import Path

import tables
from common import DROPOUT, describe, make_data, make_kernel, make_network, make_rewiring, make_rule
from in_turn import MOST, serve, summarise, take_turns
from roofline import Limits, Work, candidate_share, measure_limits, surrogate_work
from schedule import ANNEALED, EPOCHS, every_epoch, measured_epochs

SECONDS = 40.0  # a row
EPOCH = 2400
BASE = {
    "steps": 100, "dt": 10.0, "taps": 25, "sigma": 0.23, "sparsity": 0.0, "rewiring": None,
    "l1": 0.01, "examples": EPOCH, "batch": 128, "hidden": 256, "batches": 5,
}  # fmt: skip
FINE = {"steps": 1000, "dt": 1.0, "taps": 251, "batches of torch": 1}  # a batch takes it a minute
SCHEDULE = {"sigma_start": 12.0, "annealed": ANNEALED, "batches": 3}
SIGNED = {"rewiring": "signed"}
TABLES = {
    "dense": {"dense, sigma 0.23": {}},
    "sparse": {
        "sparsity 0.9, structure kept": {"sparsity": 0.9},
        "sparsity 0.9, signed RigL every batch": {"sparsity": 0.9} | SIGNED,
        "sparsity 0.9, magnitude RigL every 20 (dcls: signed)": {
            "sparsity": 0.9, "rewiring": "magnitude", "batches": 20,
        },
    },
    "fine": {
        "1 ms, 251 taps, dense": FINE,
        "1 ms, 251 taps, sparsity 0.9": FINE | {"sparsity": 0.9},
    },
    "wide": {f"sigma {sigma}": {"sigma": float(sigma)} for sigma in (12, 6, 3, 1)},
    "schedule": {
        "dense": SCHEDULE,
        "sparsity 0.984375, signed RigL every batch": SCHEDULE | {"sparsity": 0.984375} | SIGNED,
    },
    "examples": {f"{n} examples": {"examples": n, "batches": None} for n in (600, 1200, 2400)},
    "steps": {f"{n} steps": {"steps": n} for n in (50, 100, 200, 400)},
    "taps": {f"{n} taps": {"taps": n} for n in (25, 33, 65, 129)},
    "density": {f"density {1 - s:g}": {"sparsity": s} for s in (0.0, 0.7, 0.9, 0.97, 0.99)},
    "fan-out": {f"{n} hidden neurons": {"hidden": n} for n in (64, 128, 256, 512, 1024)},
}  # fmt: skip
# Epochs of the schedule that are measured: PyTorch costs the same at every width.
WIDTHS = {"ours": 9, "torch": 3}
INSTALL = 'PyTorch or dcls is missing, so this is our side alone: pip install "delaysnn[bench]"'
# Of PyTorch a hidden neuron, step and example, measured, rounded up: what `fine` must fit in.
TORCH_BYTES = 64


def sizes_of(settings: dict) -> tuple[int, int, int]:
    """Return the neurons of each population."""
    return 40, settings["hidden"], 10


def prepare_ours(settings: dict) -> object:
    """Return a function that trains on some batches of an epoch, for examples and spikes."""
    from mlgenn_delays import compile_network
    from mlgenn_delays.data import epoch_batches

    data, net = make_data(settings), make_network(settings, sizes_of(settings))
    compiled = compile_network(
        net, make_rule(settings), rewiring=make_rewiring(settings), total_steps=1000, threads=1
    )

    def shuffled() -> object:
        for seed in range(1000):
            yield from epoch_batches(data, settings["batch"], seed=seed, epoch=1)

    stream = shuffled()

    def run(batches: int, epoch: int) -> dict:
        result = compiled.train_epoch(islice(stream, batches), epoch=epoch)
        return {"examples": result.n, "spikes": result.spikes["hidden"]}

    for epoch in (1, EPOCHS):  # what widest and final kernels need is compiled
        run(1, epoch)
    return run


def prepare_torch(settings: dict) -> object:
    """Return the same of PyTorch and dcls."""
    from seed_torch import prepare

    return prepare(make_network(settings, sizes_of(settings)), make_data(settings), settings)


def fit_batch(settings: dict) -> int:
    """Return the batch that PyTorch has memory for: the wanted one, or half of it and so on."""
    batch = settings["batch"]
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
    except OSError:
        return batch
    free = int(lines["MemAvailable"].split()[0]) * 1024 * 0.8
    while batch > 1 and batch * settings["steps"] * settings["hidden"] * TORCH_BYTES > free:
        batch //= 2
    return batch


def work_of(settings: dict, spikes: float, epoch: int) -> Work:
    """Return the least work of a row for all examples, in an epoch of its schedule."""
    from mlgenn_delays.engines.shared.taps import gaussian_size

    longest = settings["taps"] - 1
    return surrogate_work(
        sizes_of(settings), 1.0 - settings["sparsity"], steps=settings["steps"], longest=longest,
        taps=gaussian_size(make_kernel(settings).width(epoch), longest), spikes=spikes,
        candidates=candidate_share(make_rewiring(settings)), dropout=DROPOUT,
    ).times(settings["examples"])  # fmt: skip


class Bench:
    """Measures rows; one that two tables have is measured once.

    Arguments:
        both: Whether PyTorch and dcls are there.
        quick: Whether one batch of each row, once, is enough.
        seconds: How long a row's rounds go on.
        limits: Of this machine.
    """

    def __init__(self, both: bool, quick: bool, seconds: float, limits: Limits) -> None:
        self.names, self.limits = ["ours", "torch"] if both else ["ours"], limits
        self.changes = {"batches": 1} if quick else {}
        self.seconds, self.most = (0.0, 1) if quick else (seconds, MOST)
        self.known: dict[str, dict] = {}
        self.failed = False

    def row(self, settings: dict, epochs: dict[str, list[int]]) -> dict[str, list[dict] | None]:
        """Return the times of each side for all examples, by its epochs; None if it failed."""
        settings = settings | self.changes
        key = json.dumps([settings, epochs], sort_keys=True)
        if key in self.known:
            return self.known[key]
        batches = settings["batches"] or -(-settings["examples"] // settings["batch"])
        # dcls knows one form of RigL and may need smaller batches.
        form = SIGNED if settings["rewiring"] else {}
        given = {"ours": settings, "torch": settings | form | {"batch": fit_batch(settings)}}
        commands, questions = {}, {}
        for name in self.names:
            commands[name] = [__file__, "--side", name, json.dumps(given[name])]
            more = settings["batch"] // given[name]["batch"]
            own = settings.get(f"batches of {name}", batches)
            asked = [{"batches": own * more, "epoch": epoch} for epoch in epochs[name]]
            questions[name] = asked
        answers = take_turns(commands, questions, self.seconds, self.most)
        self.failed = self.failed or None in answers.values()
        self.known[key] = {
            name: each and [summarise(rounds, settings["examples"]) for rounds in each]
            for name, each in answers.items()
        } | {"batch": given["torch"]["batch"]}
        return self.known[key]

    def table(self, name: str) -> str:
        """Return a table as Markdown."""
        if name == "schedule":
            return self.schedule()
        rows, notes = [], []
        for what, row in TABLES[name].items():
            settings = BASE | row
            got = self.row(settings, {"ours": [1], "torch": [1]})
            ours, theirs = (got.get(side) and got[side][0] for side in ("ours", "torch"))
            work = work_of(settings, ours["spikes"], 1) if ours else None
            rows.append(tables.row(what, ours, theirs, work, self.limits))
            if theirs and got["batch"] < settings["batch"]:
                notes.append(f"{what}: PyTorch in batches of {got['batch']}, as memory is short.")
        return "\n\n".join([tables.table(tables.COLUMNS, rows), *notes])

    def schedule(self) -> str:
        """Return whole trainings, and below them the epochs that they are made of."""
        epochs = {side: measured_epochs(n) for side, n in WIDTHS.items()}
        rows, widths = [], []
        for what, row in TABLES["schedule"].items():
            settings = BASE | row
            got = self.row(settings, epochs)
            ours, theirs = (
                got.get(side) and whole(epochs[side], got[side]) for side in ("ours", "torch")
            )
            work = None
            if ours:
                each = [work_of(settings, ours["spikes"], k) for k in range(1, EPOCHS + 1)]
                work = Work(*map(sum, zip(*each, strict=True)))
            rows.append(tables.row(what, ours, theirs, work, self.limits))
            for side, name in (("ours", "ours"), ("torch", tables.PEER)):
                best = {
                    k: each["best"]
                    for k, each in zip(epochs[side], got.get(side) or [], strict=False)
                }
                cells = [tables.digits(best[k]) if k in best else "-" for k in epochs["ours"]]
                widths.append([f"{what}: {name}", *cells])
        head = [each.replace("epoch", "training") for each in tables.COLUMNS]
        sigmas = [f"{make_kernel(BASE | SCHEDULE).sigma(k):.3g}" for k in epochs["ours"]]
        below = tables.table(["best s per epoch at sigma", *sigmas], widths)
        return f"{tables.table(head, rows)}\n\n{below}"


def whole(epochs: list[int], measured: list[dict]) -> dict:
    """Return a whole training from the epochs that were measured."""
    total = {
        key: float(every_epoch(epochs, [each[key] for each in measured]).sum())
        for key in ("best", "median", "cpu")
    }
    return measured[-1] | total | {"peak": max(each["peak"] for each in measured)}


def main() -> None:
    """Print the tables that are asked for."""
    if sys.argv[1:2] == ["--side"]:
        prepare = {"ours": prepare_ours, "torch": prepare_torch}[sys.argv[2]]
        serve(lambda: prepare(json.loads(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"some of {', '.join(TABLES)}; all if none")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="write them into a page as well")
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="how long rounds of a row go on"
    )
    parser.add_argument("--check", action="store_true", help="compare both sides instead")
    parser.add_argument("--quick", action="store_true", help="one batch, once")
    chosen = parser.parse_args()
    if unknown := set(chosen.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    both = util.find_spec("torch") is not None and util.find_spec("DCLS") is not None
    if chosen.check:
        if not both:
            raise SystemExit(INSTALL)
        from seed_torch import check

        raise SystemExit(check())
    limits = measure_limits()
    machine = describe(limits, "torch", "dcls")
    tables.show("surrogate_cost.py machine", machine, chosen.into)
    if not both:
        print(INSTALL)
    bench = Bench(both, chosen.quick, chosen.seconds, limits)
    for name in chosen.tables or TABLES:
        tables.show(f"surrogate_cost.py {name}", bench.table(name), chosen.into)
    if bench.failed:
        raise SystemExit("some rows failed, see above")


if __name__ == "__main__":
    main()
