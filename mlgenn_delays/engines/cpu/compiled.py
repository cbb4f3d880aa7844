"""The CPU engine's driver: allocates, cuts batches into chunks and has threads run the kernels.

A batch is cut into chunks by its size alone. Each chunk's examples are run in order and its
gradients summed in order, then the chunks' in order: so no result depends on the threads.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from queue import SimpleQueue
from typing import Any

import numpy as np

from mlgenn_delays.data.types import SpikeBatch
from mlgenn_delays.engines.base import BatchResult, EpochResult, Evaluation, Gradients, Recording
from mlgenn_delays.engines.cpu import eventprop, forward, optimise
from mlgenn_delays.engines.cpu.parameters import Parameters
from mlgenn_delays.engines.cpu.plan import SPIKING, make_plan
from mlgenn_delays.engines.cpu.store import (
    LANES,
    Recurrent,
    Store,
    Work,
    make_store,
    make_work,
)
from mlgenn_delays.engines.cpu.workers import Workers, chunks
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Adam, EventProp
from mlgenn_delays.network import Delta, Network
from mlgenn_delays.rng import generator

CHUNKS = 16  # of a batch: enough for 16 cores, few enough that their gradients fit in memory
FIRST_CAPACITY = 1024  # spikes an example; grows as needed


class CompiledCPU:
    """A network made ready for the CPU; see `engines.base.CompiledNetwork`.

    Arguments:
        network: The network.
        rule: What is learned and how.
        total_steps: Optimiser steps of the whole training, for the schedules.
        seed: Seed of dropout.
        threads: Threads, all cores if None.

    Raises:
        InputError: The engine or the rule cannot run this network.
    """

    def __init__(
        self,
        network: Network,
        rule: EventProp,
        *,
        total_steps: int,
        seed: int = 0,
        threads: int | None = None,
    ) -> None:
        self.network = network
        self.rule = rule
        self.total_steps = total_steps
        self.seed = seed
        self.plan, self.layout = make_plan(network)
        self.parameters = Parameters(network, self.layout)
        self._check_rule()
        self._workers = Workers(threads)
        self._offset = np.zeros(len(self.plan.pre), np.uint32)
        self._recurrent = Recurrent(np.zeros(0, np.float32), np.zeros(0, np.uint32))
        self._classes = network.output().n
        self._capacity = FIRST_CAPACITY
        self._store: Store | None = None
        self._work: SimpleQueue[Work] = SimpleQueue()
        self._grads = np.zeros((0, 2, len(self.plan.pre)), np.float32)
        self._sum = np.zeros((2, len(self.plan.pre)), np.float32)
        self._steps = 0
        self._quiet = np.ones((1, int(self.plan.first[-1])), np.float32)

    def _check_rule(self) -> None:
        """Refuse what EventProp cannot learn."""
        for projection in self.network.projections.values():
            if isinstance(projection.synapse, Delta) and (self.rule.weights or self.rule.delays):
                raise InputError(
                    f"EventProp must have Exponential synapses, got Delta on {projection.name!r}; "
                    "give it Exponential(tau_syn)"
                )
        for name in self.rule.dropout:
            if name not in self.layout.spiking:
                raise InputError(
                    f"dropout must name LIF populations ({', '.join(self.layout.spiking)}), "
                    f"got {name!r}"
                )

    # Memory

    def _fit(self, batch: SpikeBatch) -> Store:
        """Return memory that fits a batch; what depends on the trial's length is made anew."""
        if batch.n_channels != self.network.input().n:
            raise InputError(
                f"the data must have {self.network.input().n} channels, got {batch.n_channels}"
            )
        if not len(batch) or batch.labels.min() < 0 or batch.labels.max() >= self._classes:
            got = f"{batch.labels.min()}..{batch.labels.max()}" if len(batch) else "no example"
            raise InputError(f"labels must be in 0..{self._classes - 1}, got {got}")
        if batch.n_steps != self._steps:
            self._steps = batch.n_steps
            self._store = None
            self._round_delays()
        size = len(batch)
        if self._store is None or len(self._store.needed) < size:
            held = int(np.sum(np.where(self.plan.kind == SPIKING, self.plan.n + 1, 0)))
            self._store = make_store(size, held, self._capacity, self._classes, self._steps)
            self._make_work()
        return self._store

    def _make_work(self) -> None:
        """Give every thread its scratch memory."""
        plan = self.plan
        wide = [int(n) for n, r in zip(plan.n, plan.recurrent, strict=True) if r]
        reach = min(int(np.ceil(self.parameters.highest.max(initial=0))), self._steps) + 1
        groups = int(plan.groups.max())
        self._work = SimpleQueue()
        for _ in range(self._workers.threads):
            self._work.put(
                make_work(
                    groups, max([LANES, *wide]), self._steps, reach, self._classes, self._capacity
                )
            )

    def _round_delays(self) -> None:
        """Round the delays to whole steps for the kernels."""
        p = self.parameters
        self._spread(
            len(self._offset),
            lambda low, high: optimise.round_delays(
                p.delay, self.layout.delay_of, p.highest, self._steps, low, high, self._offset
            ),
        )
        order = self.plan.out_synapse
        self._recurrent = Recurrent(p.weight[order], self._offset[order])

    # Running

    def _spread(self, n: int, task: Callable[[int, int], None]) -> None:
        """Run task(low, high) over parts of range(n), whose cut does not matter."""
        parts = chunks(n, self._workers.threads)
        self._workers.run(lambda k: task(*parts[k]), len(parts))

    def _over_chunks(self, size: int, task: Callable[[int, int, int, Work], None]) -> int:
        """Run task(chunk, low, high, scratch) over the chunks of a batch; return their number."""
        parts = chunks(size, min(CHUNKS, (size + 1) // 2))

        def one(k: int) -> None:
            work = self._work.get()
            try:
                task(k, *parts[k], work)
            finally:
                self._work.put(work)

        self._workers.run(one, len(parts))
        return len(parts)

    def _forward(self, batch: SpikeBatch, gains: np.ndarray) -> Store:
        """Run a batch, with more memory if its spikes need it; no spike is ever left out."""
        starts, times = batch.start.view(np.uint64), batch.time.view(np.uint32)
        while True:
            store = self._fit(batch)

            def task(k: int, low: int, high: int, work: Work, store: Store = store) -> None:
                forward.run_chunk(
                    self.plan, self.parameters.weight, self._offset, self._recurrent, starts, times,
                    gains, batch.labels, store, low, high, self._steps, work,
                )  # fmt: skip

            self._over_chunks(len(batch), task)
            needed = int(store.needed[: len(batch)].max())
            if needed <= self._capacity:
                return store
            self._capacity = max(2 * self._capacity, needed + needed // 4)
            self._store = None

    def _backward(self, batch: SpikeBatch, gains: np.ndarray, store: Store) -> None:
        """Write the gradients summed over a batch to `_sum` (2, S)."""
        most = min(CHUNKS, (len(batch) + 1) // 2)
        if len(self._grads) < most:
            self._grads = np.empty((most, *self._sum.shape), np.float32)
        pull = self._pull(store, len(batch))
        starts, times = batch.start.view(np.uint64), batch.time.view(np.uint32)

        def task(k: int, low: int, high: int, work: Work) -> None:
            eventprop.back_chunk(
                self.plan, self.parameters.weight, self._offset, self._recurrent, starts, times,
                gains, batch.labels, pull, store, low, high, self._steps, self._grads[k], work,
            )  # fmt: skip

        n = self._over_chunks(len(batch), task)

        def add_up(low: int, high: int) -> None:
            for kind in range(2):
                optimise.sum_chunks(self._grads[:, kind], n, low, high, self._sum[kind])

        self._spread(self._sum.shape[1], add_up)
        self._sum[1] *= self.parameters.weight

    def _pull(self, store: Store, size: int) -> np.ndarray:
        """Return what the spike-count regularisation adds at each spike, (N,)."""
        settings = self.rule.spike_count
        mean = self._counts(store, size).sum(0) / size
        pull = settings.strength * (mean - settings.target)
        return pull.astype(np.float32)

    def _counts(self, store: Store, size: int) -> np.ndarray:
        """Return the spikes of every neuron, (size, N) int64; 0 for those that do not spike."""
        counts = np.zeros((size, int(self.plan.first[-1])), np.int64)
        for p in np.flatnonzero(self.plan.kind == SPIKING):
            start = store.start[:size, self.plan.held[p] : self.plan.held[p] + self.plan.n[p] + 1]
            counts[:, self.plan.first[p] : self.plan.first[p + 1]] = np.diff(start.astype(np.int64))
        return counts

    def _by_population(self, per_neuron: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parts of an array (N,) that belong to LIF populations."""
        index = {name: self.layout.names.index(name) for name in self.layout.spiking}
        first = self.plan.first
        return {name: per_neuron[first[p] : first[p + 1]] for name, p in index.items()}

    def _gains(self, batch: SpikeBatch, epoch: int) -> np.ndarray:
        """Return what the spikes of each neuron weigh: 1, or a dropout mask an example."""
        dropout = {name: p for name, p in self.rule.dropout.items() if p > 0}
        if not dropout:
            return self._quiet
        gains = np.ones((len(batch), self._quiet.shape[1]), np.float32)
        for row, index in zip(gains, batch.index, strict=True):
            rng = generator(self.seed, "dropout", epoch, int(index))
            for name, own in self._by_population(row).items():
                if name in dropout:
                    kept = rng.random(len(own)) >= dropout[name]
                    own[:] = kept / (1.0 - dropout[name])
        return gains

    # Learning

    def train_epoch(
        self,
        batches: Iterable[SpikeBatch],
        *,
        epoch: int,
        on_batch: Callable[[BatchResult], None] | None = None,
    ) -> EpochResult:
        """Learn from every batch in turn; see `engines.base.CompiledNetwork`."""
        total, correct, loss = 0, 0, 0.0
        counts = np.zeros(int(self.plan.first[-1]), np.int64)
        for batch in batches:
            gains = self._gains(batch, epoch)
            store = self._forward(batch, gains)
            size = len(batch)
            batch_loss = float(store.loss[:size].sum(dtype=np.float64))
            hits = int((store.logits[:size].argmax(1) == batch.labels).sum())
            batch_counts = self._counts(store, size).sum(0)
            if not np.isfinite(batch_loss):
                raise DivergedError("the loss is not finite")
            self._backward(batch, gains, store)
            self._update(size)
            total, correct, loss = total + size, correct + hits, loss + batch_loss
            counts += batch_counts
            if on_batch is not None:
                spikes = self._mean_spikes(batch_counts, size)
                on_batch(BatchResult(batch_loss / size, hits, size, spikes))
        if total:
            self._revive(counts)
        p = self.parameters
        if not (np.isfinite(p.weight).all() and np.isfinite(p.delay).all()):
            raise DivergedError("weights or delays are not finite")
        silent = {n: int((c == 0).sum()) for n, c in self._by_population(counts).items()}
        n = max(1, total)
        return EpochResult(loss / n, correct / n, total, self._mean_spikes(counts, n), silent)

    def _mean_spikes(self, counts: np.ndarray, examples: int) -> dict[str, float]:
        """Return mean spikes a neuron and example, by LIF population."""
        return {
            name: float(own.mean()) / examples for name, own in self._by_population(counts).items()
        }

    def _update(self, size: int) -> None:
        """Make one optimiser step from the gradients in `_sum`."""
        p = self.parameters
        if self.rule.weights is not None:
            self._adam(
                self.rule.weights, p.weight, self._sum[0], p.weight_first, p.weight_second, size
            )
        if self.rule.delays is not None and p.learnable.any():
            gradient = self._delay_gradient()
            self._adam(self.rule.delays, p.delay, gradient, p.delay_first, p.delay_second, size)
            self._spread(
                len(p.delay), lambda low, high: optimise.clamp(p.delay, p.highest, low, high)
            )
        p.step += 1
        self._round_delays()

    def _delay_gradient(self) -> np.ndarray:
        """Return the gradient of the delay parameters, (D,) float32, from that of synapses."""
        p = self.parameters
        if p.per_synapse:
            return self._sum[1]
        gradient = np.bincount(self.layout.delay_of, self._sum[1], len(p.delay))
        return (gradient * p.learnable).astype(np.float32)

    def _adam(
        self,
        settings: Adam,
        value: np.ndarray,
        gradient: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        size: int,
    ) -> None:
        """Update one kind of parameter from its gradient summed over `size` examples."""
        norm = optimise.norm(gradient) / size
        if not np.isfinite(norm):
            raise DivergedError("the gradient is not finite")
        scale = 1.0 / size
        if settings.clip is not None and norm > settings.clip:
            scale *= settings.clip / norm
        step = self.parameters.step
        rate = settings.learning_rate * settings.schedule.factor(step, self.total_steps)
        self._spread(
            len(value),
            lambda low, high: optimise.adam(
                value, gradient, first, second, scale, rate, settings.beta1, settings.beta2,
                settings.epsilon, step + 1, low, high,
            ),
        )  # fmt: skip

    def _revive(self, counts: np.ndarray) -> None:
        """Raise the feed-forward input weights of neurons that were silent all epoch."""
        if self.rule.revive == 0 or self.rule.weights is None:
            return
        silent = self._by_population(counts == 0)
        for name, projection in self.network.projections.items():
            if projection.target in silent and not projection.recurrent:
                weight = self.parameters.take("weight", name)
                weight[silent[projection.target][projection.post]] += np.float32(self.rule.revive)
                self.parameters.put("weight", name, weight)

    # Asking

    def evaluate(self, batches: Iterable[SpikeBatch]) -> Evaluation:
        """Answer every batch; see `engines.base.CompiledNetwork`."""
        counts = np.zeros(int(self.plan.first[-1]), np.int64)
        logits, labels, loss = [], [], 0.0
        for batch in batches:
            store = self._forward(batch, self._quiet)
            size = len(batch)
            loss += float(store.loss[:size].sum(dtype=np.float64))
            logits.append(store.logits[:size].copy())
            labels.append(batch.labels)
            counts += self._counts(store, size).sum(0)
        if not labels:
            raise InputError("there is no example to evaluate")
        answers, truth = np.concatenate(logits), np.concatenate(labels)
        predictions, n = answers.argmax(1), len(truth)
        return Evaluation(
            loss=loss / n,
            accuracy=float((predictions == truth).mean()),
            n=n,
            labels=truth,
            predictions=predictions,
            logits=answers,
            spikes=self._mean_spikes(counts, n),
            silent={k: int((c == 0).sum()) for k, c in self._by_population(counts).items()},
        )

    def gradients(self, batch: SpikeBatch) -> Gradients:
        """Return the gradients of one batch; see `engines.base.CompiledNetwork`."""
        store = self._forward(batch, self._quiet)
        self._backward(batch, self._quiet, store)
        mean = self._sum[0] / np.float32(len(batch))
        delay = self._delay_gradient() / np.float32(len(batch))
        mean *= self.rule.weights is not None
        delay *= self.rule.delays is not None
        names, take = self.layout.projections, self.parameters.take
        return Gradients(
            loss=float(store.loss[: len(batch)].mean()),
            weight={name: take("weight", name, mean) for name in names},
            delay={name: take("delay", name, delay) for name in names},
        )

    def record(self, batch: SpikeBatch) -> Recording:
        """Return all spikes and output voltages; see `engines.base.CompiledNetwork`."""
        unlabelled = replace(batch, labels=np.zeros(len(batch), np.int64))
        store, size = self._forward(unlabelled, self._quiet), len(batch)
        start, time = {}, {}
        for name in self.layout.spiking:
            p = self.layout.names.index(name)
            entries = slice(self.plan.held[p], self.plan.held[p] + self.plan.n[p] + 1)
            own = store.start[:size, entries].astype(np.int64)
            kept = [store.time[s[0] : s[-1]] for s in own]
            time[name] = np.concatenate(kept).astype(np.int32)
            sizes = own[:, -1] - own[:, 0]
            base = np.cumsum(sizes) - sizes
            start[name] = own - own[:, :1] + base[:, None]
        return Recording(start, time, store.voltage[:size].copy(), store.logits[:size].copy())

    # State

    def pull(self) -> Network:
        """Copy weights and delays into `network` and return it."""
        self.parameters.write(self.network)
        return self.network

    def push(self, network: Network) -> None:
        """Take weights and delays from a network of the same structure."""
        self.parameters.read(network)
        self._steps = 0

    def state(self) -> dict[str, Any]:
        """Return parameters, moments and step; see `engines.base.CompiledNetwork`."""
        return self.parameters.state()

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Take up a state; see `engines.base.CompiledNetwork`."""
        self.parameters.load_state(state)
        self._steps = 0
