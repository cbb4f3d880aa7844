"""Examples for the test program: random inputs, and the CPU engine's outputs for them."""

from dataclasses import dataclass, field, replace

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentData, SpikeData
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.model import CPURunner
from mlgenn_delays.network import Network
from mlgenn_delays.network.models import CurrentInput
from mlgenn_delays.rng import generator

EXAMPLES = 6
_EVENTS = 3000  # of an example, at most
_PLACES = 2**24  # neurons, steps and examples that the CPU engine is asked to run at once
_SPIKES = (0.02, 0.1, 0.3)  # per channel and step
_CURRENTS = (0.5, 2.0, 8.0)
_NUDGE = 1e-6


@dataclass(frozen=True)
class TestVector:
    """An input and the expected output."""

    step: np.ndarray  # (E,) ascending
    channel: np.ndarray  # (E,)
    value: np.ndarray | None  # (E,) float32 of sampled currents, or None for spikes
    label: int = -1  # class, -1 if not known
    # (K,) float32, empty if not known.
    logits: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))

    def text(self) -> str:
        """It as the test program reads it."""
        lines = [f"example {len(self.step)}"]
        if self.value is None:
            lines += [f"{t} {c}" for t, c in zip(self.step, self.channel, strict=True)]
        else:
            events = zip(self.step, self.channel, self.value, strict=True)
            lines += [f"{t} {c} {float(x):.9g}" for t, c, x in events]
        if self.label >= 0:
            logits = " ".join(f"{float(y):.9g}" for y in self.logits)
            lines.append(f"expect {self.label} {logits}")
        return "\n".join(lines) + "\n"


def examples_of(batch: Batch) -> list[TestVector]:
    """The examples of a batch, without expected outputs."""
    found = []
    for e in range(len(batch)):
        if hasattr(batch, "values"):
            step, channel = np.nonzero(batch.values[e])
            found.append(TestVector(step, channel, batch.values[e][step, channel]))
            continue
        start = batch.start[e]
        step = batch.time[start[0] : start[-1]]
        channel = np.repeat(np.arange(batch.n_channels), np.diff(start))
        order = np.lexsort((channel, step))
        found.append(TestVector(step[order], channel[order], None))
    return found


def random_examples(artifact: Artifact) -> list[TestVector]:
    """Random examples with the CPU engine's outputs; none of a network too large to run now.

    Only those are kept in which rounding cannot decide: weights a millionth larger or smaller
    change no spike. The input is as strong as it takes for hidden neurons to spike.
    """
    network = artifact.network
    neurons = sum(p.n for p in network.populations.values())
    if neurons * artifact.about.n_steps * EXAMPLES > _PLACES:
        return []
    engines = [
        CPURunner(replace(artifact, network=_nudged(network, by), quantised=None), threads=1)
        for by in (0, _NUDGE, -_NUDGE)
    ]
    hidden = sum(p.n for p in network.spiking())
    currents = isinstance(network.input().model, CurrentInput)
    for strength in _CURRENTS if currents else _SPIKES:
        batch = _batch(artifact, strength, currents)
        recording = engines[0].run(batch)
        if sum(len(time) for time in recording.time.values()) >= EXAMPLES * hidden:
            break
    others = [engine.run(batch) for engine in engines[1:]]
    found = []
    for e, example in enumerate(examples_of(batch)):
        if all(_same(recording, other, e) for other in others):
            logits = recording.logits[e]
            found.append(replace(example, label=int(logits.argmax()), logits=logits))
    return found


def _nudged(network: Network, by: float) -> Network:
    other = network.copy()
    for p in other.projections.values():
        p.weight = p.weight * np.float32(1 + by)
    return other


def _batch(artifact: Artifact, strength: float, currents: bool) -> Batch:
    """Random examples, whose input ends early where a trial is long."""
    channels, steps = artifact.network.input().n, artifact.about.n_steps
    rng = generator(0, "export-c", channels, steps)
    labels = np.zeros(EXAMPLES, np.int64)
    names, dt = artifact.about.labels, artifact.network.dt
    density = 1.0 if currents else strength
    active = int(min(steps, max(1, _EVENTS // max(1, round(channels * density)))))
    shape = (EXAMPLES, active, channels)
    if currents:
        values = np.zeros((EXAMPLES, steps, channels), np.float32)
        values[:, :active] = np.round(64 * strength * rng.uniform(0, 2, shape)) / 64
        return CurrentData(values, labels, dt, names).batch(np.arange(EXAMPLES))
    fired = rng.random(shape) < strength
    events = [(channel, step) for step, channel in (np.nonzero(each) for each in fired)]
    data = SpikeData.from_events(
        events, labels, n_channels=channels, n_steps=steps, dt=dt, label_names=names
    )
    return data.batch(np.arange(EXAMPLES))


def _same(one: Recording, other: Recording, e: int) -> bool:
    for name, start in one.start.items():
        a = one.time[name][start[e, 0] : start[e, -1]]
        b = other.time[name][other.start[name][e, 0] : other.start[name][e, -1]]
        counts = np.diff(start[e]), np.diff(other.start[name][e])
        if not (np.array_equal(a, b) and np.array_equal(*counts)):
            return False
    return bool(one.logits[e].argmax() == other.logits[e].argmax())
