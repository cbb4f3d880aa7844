"""Optimiser steps: L1, clipping, Adam, and the bounds of weights and delays."""

from dataclasses import replace

import numpy as np

from mlgenn_delays.engines.shared import adam
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import DivergedError
from mlgenn_delays.learning import Adam

FIRST_CORRECTIONS = 1024  # of Adam's moments that are worked out at once


class Optimiser:
    """Updates the parameters of a context as its rule says.

    Arguments:
        context: What is updated.
        total_steps: Optimiser steps of the whole training, for the schedules.
    """

    def __init__(self, context: SimulationContext, total_steps: int) -> None:
        self.context = context
        self.rule = context.rule
        self.total_steps = total_steps
        self._corrected: dict[float, np.ndarray] = {}

    def update(self, by_weight: np.ndarray, by_delay: np.ndarray, size: int) -> None:
        """Make one optimiser step.

        Arguments:
            by_weight: (S,) float32 dL/dw summed over a batch; L1 is added to it.
            by_delay: (S,) float32 dL/dd [1/step], likewise.
            size: Examples of the batch.

        Raises:
            DivergedError: A gradient is not finite.
        """
        p, spread = self.context.parameters, self.context.spread
        if self.rule.weights is not None:
            strength = np.float32(self.rule.l1 * size)
            if strength:
                spread(
                    len(p.weight),
                    lambda low, high: adam.add_l1(by_weight, p.weight, p.sign, strength, low, high),
                )
            self._adam(
                self.rule.weights, p.weight, by_weight, p.weight_first, p.weight_second,
                p.weight_steps, size,
            )  # fmt: skip
            spread(len(p.weight), lambda low, high: adam.keep_signs(p.weight, p.sign, low, high))
            self._update_norms(self.rule.weights, size)
        if self.rule.delays is not None and p.learnable.any():
            gradient = self.delay_gradient(by_delay)
            self._adam(
                self.rule.delays, p.delay, gradient, p.delay_first, p.delay_second, p.delay_steps,
                size,
            )  # fmt: skip
            spread(len(p.delay), lambda low, high: adam.clamp(p.delay, p.highest, low, high))
        p.step += 1

    def _update_norms(self, settings: Adam, size: int) -> None:
        for norm in self.context.parameters.norms.values():
            for key in ("gain", "offset"):
                value, gradient = getattr(norm, key), getattr(norm, f"by_{key}")
                first, second = getattr(norm, f"{key}_first"), getattr(norm, f"{key}_second")
                steps = np.full(len(value), self.context.parameters.step, np.int32)
                self._adam(
                    replace(settings, clip=None), value, gradient, first, second, steps, size
                )
            np.maximum(norm.gain, 0, out=norm.gain)

    def delay_gradient(self, by_delay: np.ndarray) -> np.ndarray:
        """Return the gradient of the delay parameters, (D,) float32, from that of synapses."""
        p = self.context.parameters
        if p.per_synapse:
            return by_delay
        gradient = np.bincount(self.context.layout.delay_of, by_delay, len(p.delay))
        return (gradient * p.learnable).astype(np.float32)

    def _adam(
        self,
        settings: Adam,
        value: np.ndarray,
        gradient: np.ndarray,
        first: np.ndarray,
        second: np.ndarray,
        steps: np.ndarray,
        size: int,
    ) -> None:
        """Update one kind of parameter from its gradient summed over `size` examples."""
        norm = adam.norm(gradient) / size
        if not np.isfinite(norm):
            raise DivergedError("the gradient is not finite")
        scale = 1.0 / size
        if settings.clip is not None and norm > settings.clip:
            scale *= settings.clip / norm
        step = self.context.parameters.step
        rate = settings.learning_rate * settings.schedule.factor(step, self.total_steps)
        fix1, fix2 = (self._corrections(b, step + 1) for b in (settings.beta1, settings.beta2))
        self.context.spread(
            len(value),
            lambda low, high: adam.adam(
                value, gradient, first, second, steps, scale, rate, settings.beta1, settings.beta2,
                settings.epsilon, fix1, fix2, low, high,
            ),
        )  # fmt: skip

    def _corrections(self, beta: float, n: int) -> np.ndarray:
        """Return 1 / (1 - beta^k) of k = 1, 2, ..., at least n of them unless the rest are 1."""
        known = self._corrected.get(beta, np.zeros(0, np.float32))
        if len(known) < n and not (len(known) and known[-1] == 1.0):
            more = np.empty(max(n, 2 * len(known), FIRST_CORRECTIONS), np.float32)
            more[: len(known)] = known
            adam.corrections(beta, len(known), len(more), more)
            self._corrected[beta] = known = more
        return known
