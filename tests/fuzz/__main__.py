"""`python -m tests.fuzz --cases 20000 --seed 1`: mutate files and read them; 1 if one fails."""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import mlgenn_delays.kernels  # noqa: F401 - before the cases say where caches are
from tests.fuzz.base import make_base
from tests.fuzz.engine import Outcome, attempt, plan, run, summary, warm
from tests.fuzz.targets import targets


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--targets", nargs="*", help="only these")
    parser.add_argument("--without", nargs="*", default=[], help="all but these")
    parser.add_argument("--one", type=int, help="only this case of the target, in this process")
    parser.add_argument("--base", type=Path, help="whole files, kept for the next time")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        base = chosen.base or work / "base"
        if not (base / "sweep" / "results.csv").exists():
            make_base(base)
        known = targets(work / "scratch")
        names = chosen.targets or [name for name in known if known[name].share]
        known = {name: known[name] for name in names if name not in chosen.without}
        if chosen.one is not None:
            (name,) = known
            (work / "one").mkdir()
            print(attempt(known[name], name, chosen.one, base, work / "one", chosen.seed))
            return 0
        warm(known, base, work)
        began, outcomes = time.monotonic(), []
        for outcome in run(known, plan(known, chosen.cases), base, work, chosen.seed, chosen.jobs):
            outcomes.append(outcome)
            if not outcome.good:
                _tell(outcome)
            if len(outcomes) % 1000 == 0:
                print(f"{len(outcomes)} cases, {time.monotonic() - began:.0f} s", flush=True)
    print(summary(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _tell(outcome: Outcome) -> None:
    print(f"{outcome.target} {outcome.case} {outcome.kind}: {outcome.said[:400]!r}", flush=True)


sys.exit(main())
