"""What a training batch costs on the CPU engine where several MPI ranks share it.

    python benchmarks/ranks_cost.py            both networks, with 1 and 2 ranks of one thread each
    python benchmarks/ranks_cost.py --ranks 1 2 4

EventProp on the network of `engine_cost.py` (batches of 64), and
SurrogateBPTT on that of `surrogate_cost.py` (batches of 128, normalised, dropout; also at sparsity
0.9 with signed RigL every batch). A row has, of the busiest rank, the CPU time per example outside
MPI, which the ranks divide; that within, most of it spent in waiting for the others, as MPI does
without sleeping; and what a rank sends and receives per batch. CPU times are the least of ROUNDS:
they hold on a busy machine, too, where the time on the clock says nothing.
"""

import argparse
import json
import subprocess
import sys
from time import thread_time
from typing import Any

ROUNDS = 7
ROWS = ("eventprop", "surrogate", "rigl")


class TimedWorld:
    """mpi4py's communicator, with the CPU time within it and the bytes of arrays."""

    def __init__(self, world: Any) -> None:
        self._world, self.seconds, self.bytes = world, 0.0, 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._world, name)

        def timed(*arguments: Any, **options: Any) -> Any:
            begin = thread_time()
            found = method(*arguments, **options)
            self.seconds += thread_time() - begin
            for each in arguments:
                array = each[0] if isinstance(each, list) else each
                self.bytes += getattr(array, "nbytes", 0)
            return found

        return timed


def make(row: str) -> tuple:
    """Return network, batch, rule and rewiring."""
    import numpy as np

    from mlgenn_delays import Adam, EventProp

    if row == "eventprop":
        import engine_cost

        net, batch = engine_cost.make(engine_cost.BASE)
        engine_cost.calibrate(net, batch)
        return net, batch, EventProp(weights=Adam(1e-9), delays=Adam(1e-9)), None
    import common
    import surrogate_cost

    more = {"sparsity": 0.9, "rewiring": "signed"} if row == "rigl" else {}
    settings = surrogate_cost.BASE | {"examples": 128} | more
    batch = common.make_data(settings).batch(np.arange(128))
    rewiring = common.make_rewiring(settings)
    return common.make_network(settings), batch, common.make_rule(settings), rewiring


def measure(row: str) -> None:
    """Print what this rank spends, as JSON."""
    from mlgenn_delays import compile_network
    from mlgenn_delays.engines import ranks

    world = TimedWorld(ranks._world("mpi"))
    ranks._world = lambda name: world
    net, batch, rule, rewiring = make(row)
    compiled = compile_network(
        net, rule, rewiring=rewiring, total_steps=1000, epoch_steps=1, threads=1, communicator="mpi"
    )
    compiled.train_epoch([batch], epoch=1)
    spent = []
    for _ in range(ROUNDS):
        world.seconds, world.bytes, begin = 0.0, 0, thread_time()
        compiled.train_epoch([batch], epoch=1)
        spent.append((thread_time() - begin - world.seconds, world.seconds))
    work, within = (min(each) / len(batch) * 1e3 for each in zip(*spent, strict=True))
    print(json.dumps({"work": work, "within": within, "mb": world.bytes / 1e6}), flush=True)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--row", choices=ROWS)
    options = parser.parse_args()
    if options.row:
        measure(options.row)
        return
    print("| network | ranks | CPU ms per example: outside MPI | of one rank's | within | MB |")
    print("|---" * 6 + "|")
    for row in ROWS:
        alone = None
        for number in options.ranks:
            command = ["mpiexec", "-n", str(number), sys.executable, __file__, "--row", row]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            lines = done.stdout.replace("}{", "}\n{").split("\n")  # ranks may print on one line
            found = [json.loads(each) for each in lines if each]
            most = {key: max(each[key] for each in found) for key in found[0]}
            alone = alone or most["work"]
            print(
                f"| {row} | {number} | {most['work']:.2f} | {most['work'] / alone:.2f} | "
                f"{most['within']:.2f} | {most['mb']:.1f} |", flush=True,
            )  # fmt: skip


if __name__ == "__main__":
    main()
