"""What imported networks compute, and plain neurons of other tools, step by step in float64."""

from collections.abc import Callable

import numpy as np

from mlgenn_delays import CurrentData, Network, SpikeData
from mlgenn_delays.engines.checks import inference_rule
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Recording
from tests.engines.helpers import raster

Step = Callable[[np.ndarray], np.ndarray]  # from the input of a step (n,) to spikes or V (n,)


def spikes(seed: int, steps: int, channels: int, *, until: int | None = None) -> np.ndarray:
    """Return input spikes (T, C), none from step `until` on."""
    given = np.random.default_rng((seed, 7)).random((steps, channels)) < 0.25
    given[until or steps :] = False
    return given.astype(np.float64)


def run(network: Network, given: np.ndarray, later: int) -> Recording:
    """Record an example (T, C) in a trial of so many steps more."""
    whole = np.pad(given, ((0, later), (0, 0)))
    n_classes = network.output().n
    names = [str(k) for k in range(n_classes)]
    data: SpikeData | CurrentData
    if network.input().model.spiking:
        steps, channels = np.nonzero(whole)
        data = SpikeData.from_events(
            [(channels, steps)], np.array([0]), n_channels=whole.shape[1],
            n_steps=len(whole), dt=network.dt, label_names=names,
        )  # fmt: skip
    else:
        data = CurrentData(whole[None].astype(np.float32), np.array([0]), network.dt, names)
    compiled = compile_network(
        network, inference_rule(network), total_steps=1, threads=1, learns=False
    )
    return compiled.record(data.batch(np.arange(1)))


def fired(recording: Recording, name: str, steps: int) -> np.ndarray:
    """Return the spikes (T, n) of a population."""
    return raster(recording, name, 0, steps)


def chain(given: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray, Step]]) -> list[np.ndarray]:
    """Return what each layer (weight, bias, neurons) gives, (T, n), spikes handed on at once."""
    found: list[list[np.ndarray]] = [[] for _ in layers]
    for now in given:
        for k, (weight, bias, step) in enumerate(layers):
            now = step(weight @ now + bias)
            found[k].append(now)
    return [np.array(each) for each in found]
