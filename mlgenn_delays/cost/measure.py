"""Counting what a network costs by running it.

Shapes: B examples of a batch, T steps, n neurons of a population, D longest delay in steps.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlgenn_delays.cost.cost import Bytes, Cost, DelayMemory, Operations
from mlgenn_delays.cost.footprint import delay_buffers, footprint
from mlgenn_delays.data.batches import Batch, CurrentBatch
from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.data.types import Data
from mlgenn_delays.engines.checks import inference_rule
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.results import Evaluation, Recording
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.export.model import Model
from mlgenn_delays.network import CurrentInput, Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.neurons.declare import Neuron

AT_ONCE = 32  # examples
MOST = 2**24  # numbers of a table of arrivals, for which fewer examples run at once
VOLTAGE = "V"


def cost_of(network: Network, evaluation: Evaluation, about: About) -> Cost:
    """The cost by what an evaluation has counted, at no more expense.

    Membrane updates and events in flight are not in it: see `measure_cost`.

    Arguments:
        network: The network that was evaluated.
        evaluation: Of N examples.
        about: Length of a trial and names of the classes.

    Example:
        >>> from mlgenn_delays import EventProp, Trainer
        >>> from mlgenn_delays.cost import cost_of
        >>> from mlgenn_delays.cost.measure import about_of
        >>> from mlgenn_delays.recipe import build_network, load_data, load_recipe
        >>> recipe = load_recipe("digits")
        >>> data, network = load_data(recipe)["test"], build_network(recipe, 128, 10, seed=0)
        >>> evaluation = Trainer(network, EventProp(), epochs=1).evaluate(data)
        >>> cost = cost_of(network, evaluation, about_of(data))
        >>> cost.dense > cost.effective > 0
        True
    """
    sizes = _footprint(network.copy(), about)
    return _cost(network, about.n_steps, sizes, evaluation.events, evaluation.n)


def measure_cost(
    of: Model | Network | Artifact, data: Data, *, threads: int | None = None,
    about: About | None = None,
) -> Cost:  # fmt: skip
    """Run a network on data and count what it costs.

    It runs on the CPU engine, several times as long as an evaluation.

    Arguments:
        of: The network, or a model from `load`; neurons that reach no output count as long as the
            network has them.
        data: N examples.
        threads: Threads, all cores if None; counts do not depend on it.
        about: Of a network, what `about_of` gives with what else is known, such as
            ``quantised="int8"``.

    Raises:
        InputError: The data do not fit the network, have no example, or the model is of GeNN's
            code, of which the network is not known.

    Example:
        >>> from mlgenn_delays import Network, load_dataset
        >>> from mlgenn_delays.cost import measure_cost
        >>> data = load_dataset("digits", options={"both": True})["test"]
        >>> cost = measure_cost(Network.load("run/network.safetensors"), data)
        >>> cost.examples, sorted(cost.footprint)
        (360, ['bundle', 'c', 'c_int4', 'c_int8', 'c_ternary', 'genn'])
    """
    if not len(data):
        raise InputError("the data must have examples to count on, got none")
    network, sizes = _network_of(of, about or about_of(data))
    compiled = compile_network(
        network, inference_rule(network), total_steps=1, threads=threads, learns=False
    )
    flight = _InFlight(network)
    variables = _membranes(network)
    names = {name for own in variables.values() for name in own}
    events = {p.name: np.zeros(p.n, np.int64) for p in (network.input(), *network.spiking())}
    updates = dict.fromkeys(variables, 0)
    size = max(1, min(AT_ONCE, MOST // max(1, data.n_steps * flight.longest)))
    for batch in epoch_batches(data, size, seed=0, epoch=0, shuffle=False):
        recording = compiled.record(batch, names)
        rasters = _rasters(network, batch, recording)
        for name, raster in rasters.items():
            events[name] += np.count_nonzero(raster, axis=(0, 1))
        flight.add(rasters)
        for population, own in variables.items():
            traces = [recording.variables[population, name] for name in own]
            updates[population] += _changes(traces)
    n = len(data)
    return _cost(
        network, data.n_steps, sizes, events, n,
        {name: count / n for name, count in updates.items()},
        DelayMemory(flight.mean(n * data.n_steps), flight.most, *delay_buffers(network)),
    )  # fmt: skip


def about_of(data: Data, **known: Any) -> About:
    """What data say of a network that runs on them, and what else is known of it."""
    own = {"n_steps": data.n_steps, "labels": data.label_names, "series": data.targets is not None}
    return About(**own, **known)


def _network_of(of: Model | Network | Artifact, about: About) -> tuple[Network, dict[str, Bytes]]:
    """The network that runs, and its bytes by format."""
    if isinstance(of, Network):
        of.warn_of_trained_copy("measured")
        return of, _footprint(of.copy(), about)
    if isinstance(of, Model):
        if of.artifact is None:
            raise InputError(
                "a model must hold its network to count what it costs, got one of GeNN's code; "
                "load the run or the bundle that it was made of"
            )
        of = of.artifact
    return of.network, footprint(of)


def _footprint(network: Network, about: About) -> dict[str, Bytes]:
    """The bytes by format; none where nothing can be exported, as where no neuron is left."""
    try:
        return footprint(Artifact.of(network, about))
    except InputError:
        return {}


def _cost(
    network: Network, steps: int, sizes: dict[str, Bytes], events: Mapping[str, np.ndarray], n: int,
    updates: dict[str, float] | None = None, delays: DelayMemory | None = None,
) -> Cost:  # fmt: skip
    """The cost by what each neuron sent in n examples, (n,) by population."""
    kept, pairs, operations = 0, 0, {}
    for name, p in network.projections.items():
        source, target = network.populations[p.source], network.populations[p.target]
        fan_out = np.bincount(p.pre()[p.weight != 0], minlength=source.n)
        operations[name] = Operations(
            dense=float(source.n * target.n * steps),
            effective=float(events[p.source] @ fan_out) / n,
            multiplies=isinstance(source.model, CurrentInput),
        )
        kept, pairs = kept + int(fan_out.sum()), pairs + source.n * target.n
    populations = network.populations.items()
    return Cost(
        examples=n,
        steps=steps,
        neurons={k: p.n for k, p in populations if isinstance(p.model, Neuron)},
        connection_sparsity=1.0 - kept / pairs,
        operations=operations,
        spikes={p.name: float(events[p.name].sum()) / n for p in network.spiking()},
        footprint=sizes,
        membrane_updates=updates,
        delays=delays,
    )


def _membranes(network: Network) -> dict[str, list[str]]:
    """What is the voltage of each population: V, or all states of neurons that have no V."""
    found = {}
    for name, population in network.populations.items():
        if isinstance(population.model, Neuron):
            states = population.model.equations.states
            found[name] = [VOLTAGE] if VOLTAGE in states else list(states)
    return found


def _changes(traces: list[np.ndarray]) -> int:
    """In how many steps any of some traces (B, n, T) changes; the first step counts."""
    if not traces:  # these neurons keep nothing from step to step
        return 0
    changed = np.any([trace[:, :, 1:] != trace[:, :, :-1] for trace in traces], axis=0)
    return int(np.count_nonzero(changed)) + traces[0][:, :, 0].size


def _rasters(network: Network, batch: Batch, recording: Recording) -> dict[str, np.ndarray]:
    """What each neuron sent in each step, (B, T, n) float32 of 0 and 1 by population."""
    found = {}
    source = network.input()
    if isinstance(batch, CurrentBatch):
        found[source.name] = (batch.values != 0).astype(np.float32)
    else:
        found[source.name] = _raster(batch.start, batch.time, batch.n_steps)
    for name, start in recording.start.items():
        found[name] = _raster(start, recording.time[name], batch.n_steps)
    return found


def _raster(start: np.ndarray, time: np.ndarray, steps: int) -> np.ndarray:
    size, n = start.shape[0], start.shape[1] - 1
    raster = np.zeros((size, steps, n), np.float32)
    for example, ends in enumerate(start):
        own = time[ends[0] : ends[-1]]
        raster[example, own, np.repeat(np.arange(n), np.diff(ends))] = 1.0
    return raster


class _InFlight:
    """Counts events in flight: sent in step t over d steps, until step t + d + 1."""

    def __init__(self, network: Network) -> None:
        # By source: how many synapses of each neuron take d steps, (n, D + 1).
        self._tables: list[tuple[str, np.ndarray]] = []
        self.longest, self._total, self.most = 0, 0.0, 0
        for p in network.projections.values():
            kept = p.weight != 0
            delay = delay_steps(p, network.dt)[kept]
            shape = (network.populations[p.source].n, 1 + int(delay.max(initial=0)))
            table = np.zeros(shape, np.float32)
            np.add.at(table, (p.pre()[kept], delay), 1.0)
            self._tables.append((p.source, table))
            self.longest = max(self.longest, shape[1])

    def add(self, rasters: Mapping[str, np.ndarray]) -> None:
        """Count those of a batch."""
        size, steps, _ = next(iter(rasters.values())).shape
        change = np.zeros((size, steps))  # of the events in flight, in each step
        for source, table in self._tables:
            sent = rasters[source] @ table  # (B, T, D + 1) by delay
            change += sent.sum(axis=2, dtype=np.float64)
            for delay in range(min(table.shape[1], steps - 1)):
                change[:, delay + 1 :] -= sent[:, : steps - delay - 1, delay]
        flying = np.rint(change.cumsum(axis=1))
        self._total += float(flying.sum())
        self.most = max(self.most, int(flying.max(initial=0)))

    def mean(self, steps: int) -> float:
        """The mean over so many steps of all examples."""
        return self._total / steps
