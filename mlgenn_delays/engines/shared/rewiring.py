"""Rewiring during training: averages candidate gradients, makes passes, replaces the arrays."""

import numpy as np

from mlgenn_delays.data.types import Batch
from mlgenn_delays.engines.shared.candidate_gradients import candidate_gradients, delay_stride
from mlgenn_delays.engines.shared.parameters import FIELDS, MOMENTS
from mlgenn_delays.engines.shared.plan import pair_shape
from mlgenn_delays.engines.shared.simulation import Simulation, SimulationContext, replan
from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Projection
from mlgenn_delays.network.delays import longest_steps, to_ms
from mlgenn_delays.network.initialise import pair_signs
from mlgenn_delays.rewiring import Pairs, Rewiring, Synapses, growth_score, redraw, rewire
from mlgenn_delays.rng import generator


class StructureLearner:
    """Learns the structure of every projection that has absent pairs and is not frozen.

    Passes replace the context's plan, layout and parameters. `total_steps` are the optimiser steps
    of the whole training, `epoch_steps` those of an epoch, None if not known.
    """

    def __init__(
        self, context: SimulationContext, rule: Rewiring, total_steps: int, seed: int,
        epoch_steps: int | None = None,
    ) -> None:  # fmt: skip
        self.context = context
        self.rule = rule
        self.total_steps = total_steps
        self.seed = seed
        self.epoch_steps = epoch_steps
        self.grown = 0  # synapses since the start
        self.pairs: dict[str, Pairs] = {}
        self.average: dict[str, np.ndarray] = {}
        for name, projection in context.network.projections.items():
            n_pre, n_post = pair_shape(context.network, projection)
            if projection.n_synapses < n_pre * n_post and not projection.frozen:
                self._check(projection)
                self.pairs[name] = self._make_pairs(projection)
        if not self.pairs:
            raise InputError(
                f"{type(rule).__name__} must have a projection with absent synapses, got dense "
                "or frozen ones alone; give a density below 1 (network.sparsity), or leave "
                "rewiring out"
            )

    # Set-up

    def _check(self, projection: Projection) -> None:
        where, kind = f"projection {projection.name!r}", type(self.rule).__name__
        if self.rule.grow_delay == "gradient" and projection.granularity != "synapse":
            raise InputError(
                f"grow_delay 'gradient' must have one delay per synapse, got granularity "
                f"{projection.granularity!r} for {where}; take grow_delay 'kept'"
            )
        if (self.rule.signs == "free") != (projection.sign is None):
            has = "no signs" if projection.sign is None else "signs"
            raise InputError(
                f"{kind} with signs {self.rule.signs!r} must have projections made with "
                f"signs={self.rule.signs!r}, got {has} for {where}"
            )
        if self.rule.signs == "dale" and projection.sign is not None:
            total = np.zeros(len(projection.indptr) - 1)
            np.add.at(total, projection.pre(), projection.sign)
            if (np.abs(total) != np.diff(projection.indptr)).any():
                raise InputError(
                    f"Dale's law must have one sign per presynaptic neuron, got both for {where}; "
                    "make the projection with signs='dale'"
                )

    def _make_pairs(self, projection: Projection) -> Pairs:
        """Return sign and delay of synapses that may grow; present synapses give theirs."""
        name, network = projection.name, self.context.network
        n_pre, n_post = pair_shape(network, projection)
        sign = pair_signs(self.rule.signs, network.seed, name, n_pre, n_post)
        delay = self._draw(name, n_pre * n_post, generator(self.seed, "pair delay", name))
        delay = delay.reshape(n_pre, n_post)
        pre, post = projection.pre(), projection.post
        delay[pre, post] = projection.delay_per_synapse() / network.dt
        self._put_signs(projection, sign)
        return Pairs(sign, delay)

    def _put_signs(self, projection: Projection, sign: np.ndarray | None) -> None:
        if sign is None or projection.sign is None:
            return
        pre = projection.pre()
        if self.rule.signs == "dale":
            sign[pre] = projection.sign[:, None]
        sign[pre, projection.post] = projection.sign

    def take_signs(self) -> None:
        """Read the signs of synapses that were loaded; reject those that the rule cannot keep."""
        for name, pairs in self.pairs.items():
            projection = self.context.network.projections[name]
            self._check(projection)
            self._put_signs(projection, pairs.sign)

    def _draw(self, name: str, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return n delays for synapses that may grow [steps], (n,) float32."""
        network = self.context.network
        longest = network.projections[name].max_delay
        if self.rule.longest is not None:
            longest = min(longest, self.rule.longest)
        return (rng.random(n) * (longest / network.dt)).astype(np.float32)

    # Candidate gradients

    def needs_candidates(self, step: int) -> bool:
        """Return whether this step's batch contributes to the next rewiring pass."""
        if not self.rule.needs_gradient or not self.pairs:
            return False
        window = max(1, round(1.0 / (1.0 - self.rule.averaging)))
        if self.rule.every == 0:
            left = 0 if self.epoch_steps is None else -(step + 1) % self.epoch_steps
            return left < window and self.rule.due(step + 1 + left, self.total_steps, True)
        ahead = range(step + 1, min(step + window, self.total_steps) + 1)
        return any(self.rule.due(k, self.total_steps, False) for k in ahead)

    def blocks_pipelining(self, step: int) -> bool:
        """Return whether this step's batch must be learned from before the next one runs: its
        candidate gradients are needed, or a pass follows.
        """
        return self.needs_candidates(step) or self._is_due(step + 1, False)

    def _is_due(self, step: int, last_of_epoch: bool) -> bool:
        by_epoch = self.rule.every == 0
        return by_epoch == last_of_epoch and self.rule.due(step, self.total_steps, last_of_epoch)

    def accumulate(
        self, simulation: Simulation, batch: Batch, spike_scale: np.ndarray, width: float
    ) -> None:
        """Add the candidate gradients of the last batch to their running average."""
        keep = np.float32(self.rule.averaging)
        for name in self.pairs:
            seen = candidate_gradients(
                self.context, simulation, batch, spike_scale, name, width,
                None if self.rule.grow_delay == "gradient" else self._pair_delay(name),
            )  # fmt: skip
            seen /= np.float32(len(batch))
            if name in self.average:
                self.average[name] *= keep
                self.average[name] += (np.float32(1.0) - keep) * seen
            else:
                self.average[name] = seen

    def _pair_delay(self, name: str) -> np.ndarray:
        """Return the delay that a synapse grown at each pair would have [steps]."""
        projection = self.context.network.projections[name]
        if projection.granularity == "synapse":
            return self.pairs[name].delay
        own = self.context.parameters.take("delay", name)
        return np.broadcast_to(own[:, None], pair_shape(self.context.network, projection))

    # Rewiring

    def rewire_if_due(self, simulation: Simulation, step: int, last_of_epoch: bool) -> None:
        """Make a pass if one is due after so many optimiser steps, or after an epoch."""
        if not self._is_due(step, last_of_epoch):
            return
        take = self.context.parameters.take
        arrays = {
            name: {field: take(field, name) for field in FIELDS}
            for name in self.context.layout.projections
        }
        moved = sum([self._rewire(name, step, arrays[name]) for name in self.pairs])
        self.grown += moved
        if not moved:
            return
        replan(self.context)
        for name, fields in arrays.items():
            for field, values in fields.items():
                self.context.parameters.put(field, name, values)
        self.context.renew(simulation)

    def _rewire(self, name: str, step: int, own: dict[str, np.ndarray]) -> int:
        """Rewire one projection, of the learned arrays `own`; return how many synapses are new."""
        projection = self.context.network.projections[name]
        n_pre, n_post = pair_shape(self.context.network, projection)
        free = projection.granularity == "synapse"
        pre = projection.pre()
        delay = own["delay"] if free else self._pair_delay(name)[pre, projection.post]
        moments = {key: own[key] for key in MOMENTS if free or key.startswith("weight")}
        synapses = Synapses(
            n_pre, n_post, pre, projection.post, own["weight"], delay, projection.sign, moments
        )
        gradient, best_delay = self._scored(name)
        rng = generator(self.seed, "rewiring", name, step)
        done = rewire(
            self.rule, synapses, self.pairs[name], gradient=gradient, best_delay=best_delay,
            step=step, total_steps=self.total_steps, rng=rng, checked=False,
        )  # fmt: skip
        self.pairs[name] = done.pairs
        if self.rule.grow_delay == "random":
            self.pairs[name] = redraw(done.pairs, rng, lambda rng, n: self._draw(name, n, rng))
        if not done.moved:
            return 0
        new = done.synapses
        own |= {"weight": new.weight, **new.moments}
        if free:
            own["delay"] = new.delay
        projection.indptr = np.searchsorted(new.pre, np.arange(n_pre + 1)).astype(np.int64)
        projection.post = new.post
        projection.weight = new.weight
        projection.sign = new.sign
        if free:
            projection.delay = to_ms(new.delay, self.context.network.dt, projection.max_delay)
        return done.moved

    def _scored(self, name: str) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return the candidate gradient of each pair, and its delay where that is chosen."""
        if not self.rule.needs_gradient:
            return None, None
        if name not in self.average:
            raise InputError(
                f"epoch_steps must be the number of batches of an epoch, got {self.epoch_steps}: "
                f"no candidate gradients of {name!r} were taken in this one"
            )
        table = self.average[name]
        if table.ndim == 2:
            return table, None
        sign = self.pairs[name].sign
        score = growth_score(table, None if sign is None else sign[:, :, None])
        best = score.argmax(2)
        network = self.context.network
        max_delay = network.projections[name].max_delay
        stride = delay_stride(self.context, name, longest_steps(max_delay, network.dt) + 1)
        delay = best * stride + (stride - 1) / 2.0
        gradient = np.take_along_axis(table, best[:, :, None], 2)[:, :, 0]
        return gradient, np.minimum(delay, max_delay / network.dt).astype(np.float32)

    # State

    def state(self) -> dict[str, np.ndarray]:
        """Return the arrays a resumed training needs besides parameters and synapses."""
        arrays = {f"{name}/pairs/delay": p.delay.copy() for name, p in self.pairs.items()}
        arrays |= {f"{name}/pairs/average": table.copy() for name, table in self.average.items()}
        arrays["rewiring/grown"] = np.array([self.grown], np.int64)
        return arrays

    def load_state(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state` returned; reject that of another network or rule."""
        grown = state.get("rewiring/grown")
        if grown is None:
            raise InputError("the training state must be of a training with rewiring")
        self.take_signs()
        for name, pairs in self.pairs.items():
            got = state.get(f"{name}/pairs/delay")
            if got is None or got.shape != pairs.delay.shape:
                raise InputError(f"the training state must have the pairs of {name!r}")
            self.pairs[name] = Pairs(pairs.sign, got.astype(np.float32))
        self.average = {
            name: state[f"{name}/pairs/average"].astype(np.float32)
            for name in self.pairs
            if f"{name}/pairs/average" in state
        }
        self.grown = int(grown[0])
        for name, average in self.average.items():
            projection, wanted = (
                self.context.network.projections[name],
                self.pairs[name].delay.shape,
            )
            if self.rule.grow_delay == "gradient":
                delays = longest_steps(projection.max_delay, self.context.network.dt) + 1
                wanted = (*wanted, -(-delays // delay_stride(self.context, name, delays)))
            if average.shape != wanted:
                raise InputError(
                    f"the training state must have averages of {name!r} of shape {wanted}, got "
                    f"{average.shape}; it is of another network"
                )
