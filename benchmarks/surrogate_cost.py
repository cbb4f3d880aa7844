"""What an epoch of surrogate-gradient training costs, beside PyTorch with the `dcls` package.

    python benchmarks/surrogate_cost.py              every table
    python benchmarks/surrogate_cost.py dense taps   some: dense, sparse, fine, taps, wide
    python benchmarks/surrogate_cost.py --check      whether both compute the same, at small size
    python benchmarks/surrogate_cost.py --quick ...  128 examples once, scaled up: to try it out

The network is that of Mészáros, Knight and Nowotny (2024) on 40 mel bands and ten classes: 40
currents, 256 EulerLIF of normalised current and dropout 0.4, 10 EulerLI; a learned Gaussian delay a
synapse of 25 taps; 100 frames of 10 ms, batches of 128, an epoch of 2,400 examples of random data,
one core. `fine` has each frame as ten steps of 1 ms, and 251 taps. Weights, gains and delays are
learned by Adam on both sides (`seed_torch` is the other side).

Each number is from a process of its own. Ours: an epoch to warm up, then the best of REPEATS.
PyTorch: 8 examples to warm up, then the best of two epochs; in `fine`, two batches once, scaled up.
Peak memory includes the interpreter, its libraries and the data set, the same on both sides.
`pip install "delaysnn[bench]"` gets PyTorch and dcls; without them there is only our side.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib import metadata, util

from common import make_data, make_network, make_rewiring, make_rule

REPEATS = 5
EPOCH = 2400
BASE = {
    "steps": 100, "dt": 10.0, "taps": 25, "sigma": 0.23, "sparsity": 0.0, "rewiring": None,
    "l1": 0.01, "examples": EPOCH, "batch": 128,
}  # fmt: skip
FINE = {"steps": 1000, "dt": 1.0, "taps": 251}
TABLES = {
    "dense": {"dense, sigma 0.23": {}},
    "sparse": {
        "sparsity 0.9, structure kept": {"sparsity": 0.9},
        "sparsity 0.9, signed RigL every batch": {"sparsity": 0.9, "rewiring": "signed"},
        "sparsity 0.9, magnitude RigL every 20 (dcls: signed)": {
            "sparsity": 0.9, "rewiring": "magnitude",
        },
    },
    "fine": {
        "1 ms, 251 taps, dense": FINE,
        "1 ms, 251 taps, sparsity 0.9": FINE | {"sparsity": 0.9},
    },
    "taps": {f"{n} taps": {"taps": n} for n in (25, 33, 65, 129)},
    "wide": {f"sigma {sigma}": {"sigma": float(sigma)} for sigma in (12, 6, 3, 1)},
}  # fmt: skip
INSTALL = 'PyTorch or dcls is missing, so this is our side alone: pip install "delaysnn[bench]"'
# Of PyTorch a hidden neuron, step and example, measured, rounded up: what `fine` must fit in.
TORCH_BYTES = 64


def measure_ours(settings: dict) -> dict:
    """Return the seconds that all examples take, and spikes a hidden neuron."""
    from mlgenn_delays import compile_network
    from mlgenn_delays.data import epoch_batches

    data = make_data(settings)
    compiled = compile_network(
        make_network(settings), make_rule(settings), rewiring=make_rewiring(settings),
        total_steps=30 * -(-len(data) // settings["batch"]), threads=1,
    )  # fmt: skip
    seconds = []
    for epoch in range(1, 2 + settings["repeats"]):
        begin = time.perf_counter()
        result = compiled.train_epoch(
            epoch_batches(data, settings["batch"], seed=0, epoch=epoch), epoch=epoch
        )
        seconds.append(time.perf_counter() - begin)
    return {
        "seconds": min(seconds[1:]), "spikes": result.spikes["hidden"], "measured": len(data),
    }  # fmt: skip


def measure_torch(settings: dict) -> dict:
    """Return the same of PyTorch and dcls."""
    from seed_torch import measure

    fine = settings["steps"] > 100
    return measure(
        make_network(settings), make_data(settings), settings,
        batches=2 if fine else None, repeats=1 if fine else min(2, settings["repeats"]),
    )  # fmt: skip


def run_row(side: str, settings: dict) -> dict | None:
    """Return what a row's process measured, or None if it failed."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    done = subprocess.run(
        [sys.executable, __file__, "--row", side, json.dumps(settings)],
        capture_output=True, text=True, env=os.environ | one,
    )  # fmt: skip
    if done.returncode:
        sys.stderr.write(f"{done.stderr}{side} failed ({done.returncode}) with {settings}\n")
        return None
    return json.loads(done.stdout.splitlines()[-1])


def print_row(side: str, text: str) -> None:
    """Measure a row in this process and print it as JSON."""
    settings = json.loads(text)
    got = measure_ours(settings) if side == "ours" else measure_torch(settings)
    got["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    got["seconds"] *= EPOCH / settings["examples"]
    print(json.dumps(got))


def fit_batch(settings: dict) -> int:
    """Return the batch that PyTorch has memory for: the wanted one, or half of it and so on."""
    batch = settings["batch"]
    try:
        with open("/proc/meminfo") as file:
            lines = dict(line.split(":") for line in file)
    except OSError:
        return batch
    free = int(lines["MemAvailable"].split()[0]) * 1024 * 0.8
    while batch > 1 and batch * settings["steps"] * 256 * TORCH_BYTES > free:
        batch //= 2
    return batch


class Tables:
    """The tables; a row that two of them have is measured once.

    Arguments:
        both: Whether PyTorch and dcls are there.
        changes: What is other than in BASE.
    """

    def __init__(self, both: bool, changes: dict) -> None:
        self.both, self.changes = both, changes
        self.known: dict[str, dict | None] = {}
        self.notes: list[str] = []

    def row(self, side: str, settings: dict) -> dict | None:
        """Return what a row of one side measured, or None if it failed."""
        key = side + json.dumps(settings, sort_keys=True)
        if key not in self.known:
            self.known[key] = run_row(side, settings)
        return self.known[key]

    def torch_row(self, what: str, settings: dict) -> dict | None:
        """Return a row of PyTorch, which knows one form of RigL and may need smaller batches."""
        if settings["rewiring"]:
            settings = settings | {"rewiring": "signed"}
        batch = fit_batch(settings)
        got = self.row("torch", settings | {"batch": batch})
        if got and got["measured"] < settings["examples"]:
            self.notes.append(f"{what}: PyTorch timed on {got['measured']} examples, scaled up.")
        if batch < settings["batch"]:
            self.notes.append(f"{what}: PyTorch in batches of {batch}, as memory is short.")
        return got

    def show(self, name: str) -> None:
        """Print one table, as Markdown."""
        self.notes = []
        head = ["what", "ours, s per epoch", "dcls + PyTorch, s per epoch", "ratio"]
        head += ["ours, peak MB", "dcls + PyTorch, peak MB", "hidden spikes: ours, dcls"]
        print(f"\n### {name}\n\n| {' | '.join(head)} |\n{'|---' * len(head)}|")
        for what, row in TABLES[name].items():
            settings = BASE | row | self.changes
            rows = [self.row("ours", settings)]
            rows.append(self.torch_row(what, settings) if self.both else None)
            missing = ["failed", "failed" if self.both else "-"]
            seconds, peaks, spikes = (
                [format(r[key], form) if r else m for r, m in zip(rows, missing, strict=True)]
                for key, form in (("seconds", ".3g"), ("peak", ".0f"), ("spikes", ".1f"))
            )
            ratio = f"{rows[1]['seconds'] / rows[0]['seconds']:.1f}" if all(rows) else "-"
            cells = [what, *seconds, ratio, *peaks, ", ".join(spikes)]
            print(f"| {' | '.join(cells)} |", flush=True)
        for note in self.notes:
            print(f"\n{note}")


def describe() -> str:
    """Return the versions and the processor."""
    names = ("delaysnn", "numpy", "numba", "torch", "dcls")
    found = []
    for name in names:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} missing")
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":")[1].strip() for line in file if line.startswith("model name")]
            model = names[0] if names else model
    except OSError:
        pass
    return f"Python {platform.python_version()}, {', '.join(found)}; {model}, one core."


def main() -> None:
    """Print the tables that are asked for."""
    if sys.argv[1:2] == ["--row"]:
        print_row(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", help=f"some of {', '.join(TABLES)}; all if none")
    parser.add_argument("--check", action="store_true", help="compare both sides instead")
    parser.add_argument("--quick", action="store_true", help="128 examples, once")
    chosen = parser.parse_args()
    if unknown := set(chosen.tables) - set(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    both = util.find_spec("torch") is not None and util.find_spec("DCLS") is not None
    if chosen.check:
        if not both:
            raise SystemExit(INSTALL)
        from seed_torch import check

        raise SystemExit(check())
    print(describe())
    if not both:
        print(INSTALL)
    quick = {"examples": 128, "repeats": 1} if chosen.quick else {"repeats": REPEATS}
    tables = Tables(both, quick)
    for name in chosen.tables or TABLES:
        tables.show(name)
    if any(row is None for row in tables.known.values()):
        raise SystemExit("some rows failed, see above")


if __name__ == "__main__":
    main()
