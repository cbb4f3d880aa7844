"""What benchmarks have in common: what they ran on; beside PyTorch, network, data and rules."""

import platform
from contextlib import suppress
from importlib import metadata

from roofline import Limits

DROPOUT = 0.4


def make_network(settings: dict, sizes: tuple = (40, 256, 10), *, normalise: bool = True) -> object:
    """Return the network of a row, with `sizes` neurons per population."""
    from mlgenn_delays import CurrentInput, Delta, EulerLI, EulerLIF, Network, Uniform
    from mlgenn_delays.network.initialise import kaiming

    n_input, n_hidden, n_output = sizes
    density = 1.0 - settings["sparsity"]
    longest = (settings["taps"] - 1) * settings["dt"]
    common = {
        "delay": Uniform(0.0, longest), "max_delay": longest, "density": density,
        "signs": "synapse" if settings["rewiring"] else "free",
    }  # fmt: skip
    net = Network(dt=settings["dt"], seed=0)
    net.add("input", CurrentInput(n_input))
    net.add("hidden", EulerLIF(n_hidden, tau_mem=100.5), normalise=normalise)
    net.add("output", EulerLI(n_output, 100.5, "softmax-sum"))
    net.connect("input", "hidden", Delta(), weight=kaiming(density * n_input), **common)
    net.connect("hidden", "output", Delta(), weight=kaiming(density * n_hidden), **common)
    return net


def make_data(settings: dict, channels: int = 40, classes: int = 10) -> object:
    """Return random frames of 10 ms, each held for as many steps as it has."""
    import numpy as np

    from mlgenn_delays import CurrentData

    rng = np.random.default_rng(0)
    held = round(10.0 / settings["dt"])
    n, frames = settings["examples"], settings["steps"] // held
    values = np.repeat(rng.random((n, frames, channels), np.float32), held, axis=1)
    labels = rng.integers(0, classes, n)
    return CurrentData(values, labels, settings["dt"], tuple(map(str, range(classes))))


def make_kernel(settings: dict) -> object:
    """Return the delay kernels of both sides, of a sigma that stays or, in a schedule, falls."""
    from mlgenn_delays import Gaussian

    start = settings.get("sigma_start", settings["sigma"])
    return Gaussian(start, settings["sigma"], epochs=settings.get("annealed", 0.0))


def make_rule(settings: dict, dropout: float = DROPOUT) -> object:
    """Return what our side learns by."""
    from mlgenn_delays import Adam, SurrogateBPTT

    return SurrogateBPTT(
        weights=Adam(1e-3), delays=Adam(0.1), kernel=make_kernel(settings),
        dropout={"hidden": dropout}, l1=settings["l1"] if settings["rewiring"] == "signed" else 0.0,
    )  # fmt: skip


def make_rewiring(settings: dict) -> object:
    """Return how our side learns structure, or None."""
    from mlgenn_delays.rewiring import RigL

    forms = {
        "signed": {"every": 1, "averaging": 0.0},
        "magnitude": {"every": 20, "averaging": 0.9},
    }
    form = settings["rewiring"]
    if form is None:
        return None
    return RigL(form=form, signs="synapse", grow_delay="kept", **forms[form])


def describe(limits: Limits, *more: str) -> str:
    """Return the versions, of more packages too, the processor and its limits."""
    from mlgenn_delays import __version__

    found = [f"Python {platform.python_version()}", f"delaysnn {__version__}"]
    for name in ("numpy", "numba", *more):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"{name} missing")
    model = platform.processor() or platform.machine()
    with suppress(OSError), open("/proc/cpuinfo") as file:
        lines = (line.split(":") for line in file)
        model = next((line[1].strip() for line in lines if line[0].strip() == "model name"), model)
    return (
        f"{', '.join(found)}; {model}, one core: {limits.flops / 1e9:.0f} GFLOP/s, "
        f"{limits.bytes / 1e9:.1f} GB/s, an L2 read in {1e9 * limits.l2_read:.2f} ns."
    )
