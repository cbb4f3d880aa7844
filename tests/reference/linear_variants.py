"""Errors of EventProp on the grid for neurons linear between spikes, against the exact gradients.

Run it to print the tables: ``python -m tests.reference.linear_variants``. The first has the median
over seeds of the relative L2 error, by neuron, kind of gradient and step; the second by how much
that changes, in the geometric mean over seeds and kinds of gradient of the hidden layer, with
other forms of the state at a spike.
"""

import argparse
from functools import lru_cache

import numpy as np

from mlgenn_delays.network import Network
from tests.reference import circuits, exact, forward, linear, linear_steps, nets
from tests.reference.circuits import Circuit, kind
from tests.reference.exact import Gradients
from tests.reference.variants import TOTAL, as_batch, relative

STEPS = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02)
FORMS = ("line", "project", "end")
SEEDS = 20


def spread(seed: int, low: float, high: float) -> np.ndarray:
    """Return a constant for each of the four hidden neurons."""
    return np.random.default_rng((seed, 344)).uniform(low, high, 4)


# Hidden neurons, no constant the same in two of them.
KINDS = {
    "LIF": lambda s: kind(circuits.lif, 4, tau_mem=spread(s, 15, 25), theta=1.0),
    "LIF, refractory": lambda s: kind(
        circuits.lif, 4, tau_mem=spread(s, 15, 25), theta=1.0, held=(True,), tau_refrac=2.3
    ),
    "subtracting LIF": lambda s: kind(
        circuits.subtracting, 4, tau_mem=spread(s, 15, 25), theta=1.0
    ),
    "adaptive LIF": lambda s: kind(
        circuits.adaptive, 4, tau_mem=20.0, tau_w=spread(s, 30, 90), a=0.3, beta=0.5, theta=1.0
    ),
    "adaptive LIF, refractory": lambda s: kind(
        circuits.adaptive, 4, tau_mem=20.0, tau_w=spread(s, 30, 90), a=0.3, beta=0.5, theta=1.0,
        held=(True, False), tau_refrac=2.3,
    ),
    "adaptive threshold": lambda s: kind(
        circuits.adaptive_threshold, 4, tau_mem=20.0, tau_w=spread(s, 30, 90), beta=0.5, theta=1.0
    ),
    "resonator": lambda s: kind(
        circuits.resonator, 4, tau_mem=spread(s, 15, 25), omega=0.1, theta=0.9
    ),
}  # fmt: skip


def circuit(name: str, seed: int, dt: float) -> Circuit:
    """Return the recurrent 3-4-2 net of `nets.small_net` with such hidden neurons."""
    network: Network = nets.small_net(dt, recurrent=True, seed=seed)
    network.projections["input->hidden"].weight *= 1.5  # some two spikes a neuron
    return Circuit(network, {"hidden": KINDS[name](seed)})


def events(seed: int) -> exact.Events:
    return nets.small_events(seed, TOTAL)


@lru_cache
def wanted(name: str, seed: int) -> tuple[Gradients, list[int]]:
    """Return the exact gradients and spike counts."""
    net = circuit(name, seed, 1.0)
    counts = exact.run(net, events(seed), TOTAL).counts()
    return linear.gradients(net, events(seed), TOTAL, 0, parameters=True), counts


def errors(given: Gradients, right: Gradients, dt: float) -> dict[str, float]:
    """Return the relative error by kind of gradient; given ones of delays are per step."""
    out = {}
    for name in right.weight:
        out[f"W {name}"] = relative(given.weight[name], right.weight[name])
        out[f"D {name}"] = relative(given.delay[name] / dt, right.delay[name])
    for (name, key), value in right.parameter.items():
        out[f"{name} {key}"] = relative(given.parameter[name, key], value)
    return out


def measured(
    name: str, seed: int, dt: float, forms: tuple[str, ...] = FORMS[:1]
) -> list[dict[str, float]] | None:
    """Return the errors by form, None if the grid has other spike counts than the exact trial."""
    right, counts = wanted(name, seed)
    net = circuit(name, seed, dt)
    trace = linear_steps.run(net, forward.stimulus(as_batch(events(seed), dt, 0), 0))
    if list(trace.layers["hidden"].fired.sum(axis=0)) != counts:
        return None
    return [errors(linear_steps.backward(net, trace, 0, form), right, dt) for form in forms]


def medians(name: str, dt: float, seeds: int, forms: tuple[str, ...] = FORMS[:1]) -> tuple:
    """Return the median errors of the first form, ratios of the others to it, number of seeds."""
    found = [each for s in range(seeds) if (each := measured(name, s, dt, forms)) is not None]
    assert found, f"every seed has other spike counts on the grid of {dt} ms"
    kinds = list(found[0][0])
    first = {k: float(np.nanmedian([each[0][k] for each in found])) for k in kinds}
    hidden = [k for k in kinds if "output" not in k]
    ratios = []
    for i in range(1, len(forms)):
        logs = [np.log(each[i][k] / each[0][k]) for each in found for k in hidden if each[0][k] > 0]
        ratios.append(float(np.exp(np.mean(logs))))
    return first, ratios, len(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    seeds = parser.parse_args().seeds
    ratios: dict[str, list[list[float]]] = {}
    for name in KINDS:
        columns = []
        for dt in STEPS:
            first, others, n = medians(name, dt, seeds, FORMS)
            columns.append((first, n))
            ratios.setdefault(name, []).append(others)
        print(f"\n{name:30}" + "".join(f"{f'dt {dt:g}':>10}" for dt in STEPS))
        print(f"{'seeds with equal counts':30}" + "".join(f"{n:10}" for _, n in columns))
        for key in columns[0][0]:
            print(f"{key:30}" + "".join(f"{first[key]:10.1e}" for first, _ in columns), flush=True)
    for i, form in enumerate(FORMS[1:]):
        print(f"\n{f'{form} / {FORMS[0]}':30}" + "".join(f"{f'dt {dt:g}':>10}" for dt in STEPS))
        for name, rows in ratios.items():
            print(f"{name:30}" + "".join(f"{row[i]:10.3f}" for row in rows))


if __name__ == "__main__":
    main()
