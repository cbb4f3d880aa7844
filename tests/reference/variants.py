"""Errors of the forms of EventProp's terms on the grid, against the exact simulator.

Run it to print the table: ``python -m tests.reference.variants``. Rows: form of D and of the
current in slope and I_end; columns: median and largest relative L2 error over seeds, by kind of
gradient.
"""

import itertools

import numpy as np

from mlgenn_delays.data.types import SpikeBatch, SpikeData
from mlgenn_delays.network import Network
from tests.reference import eventprop, exact, forward, linear, nets

TOTAL = 60
FORMS = ("ap", "p", "central", "forward")


def as_batch(events: list[tuple[float, int]], dt: float, label: int) -> SpikeBatch:
    """Return the events as a batch of one example on the grid of dt ms."""
    data = SpikeData.from_events(
        [exact.as_steps(events, dt)], np.array([label]), n_channels=3,
        n_steps=round(TOTAL / dt), dt=dt, label_names=("a", "b"),
    )  # fmt: skip
    return data.batch(np.arange(1))


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Return the relative L2 error, NaN where there is no gradient to compare with."""
    scale = float(np.linalg.norm(wanted))
    return float(np.linalg.norm(got - wanted)) / scale if scale else float("nan")


def errors(
    network: Network,
    given: dict[str, np.ndarray],
    given_delay: dict[str, np.ndarray],
    weight: dict[str, np.ndarray],
    delay: dict[str, np.ndarray],
) -> dict[str, float]:
    """Return the relative error by kind of gradient: exact ones in 1/ms, given ones in 1/step."""
    out = {}
    for name in weight:
        out[f"W {name}"] = relative(given[name], weight[name])
        out[f"D {name}"] = relative(given_delay[name] / network.dt, delay[name])
    return out


def main(seeds: int = 12) -> None:
    for recurrent, tau_refrac in ((False, 0.0), (True, 0.0), (True, 2.3)):
        rows: dict[tuple, list[dict[str, float]]] = {}
        for seed in range(seeds):
            events = nets.small_events(seed, TOTAL)
            net = nets.small_net(1.0, recurrent=recurrent, tau_refrac=tau_refrac, seed=seed)
            wanted = linear.gradients(net, events, TOTAL, 0)
            counts = exact.run(net, events, TOTAL, 0).counts()
            for dt in (1.0, 0.1, 0.01):
                net.dt = dt
                batch = as_batch(events, dt, 0)
                trace = forward.run(net, forward.stimulus(batch, 0), 0)
                same = list(trace.spikes["hidden"].sum(axis=0)) == counts
                if not same:
                    continue
                for form, at_end in itertools.product(FORMS, (False, True)):
                    got = eventprop.backward(net, trace, 0, None, form, at_end)
                    each = errors(net, *got, wanted.weight, wanted.delay)
                    rows.setdefault((dt, form, at_end), []).append(each)
        print(f"\nrecurrent {recurrent}, refractory {tau_refrac:g} ms (seeds with equal counts)")
        for (dt, form, at_end), found in sorted(rows.items(), reverse=True):
            kinds = {k: [f[k] for f in found] for k in found[0]}
            cells = [f"{k} {np.nanmedian(v):.1e} {np.nanmax(v):.1e}" for k, v in kinds.items()]
            where = "end " if at_end else "mean"
            print(f"dt {dt:<5g} D {form:8} I {where} n {len(found):2} | " + " | ".join(cells))


if __name__ == "__main__":
    main()
