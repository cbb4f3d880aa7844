"""Optimiser steps: L1, clipping, Adam, and the bounds of weights and delays.

A parameter's n-th update by Adam, with the gradient g and both moments 0 before the first:

    m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
    value -= rate (m / (1 - beta1^n)) / (sqrt(v / (1 - beta2^n)) + epsilon)

n counts the updates of that parameter, which is younger than the training where a synapse grew.

Kernels work on ranges of parameters so that threads share the work. Every parameter is updated
from its own gradient, summed over the chunks of a batch in their order: the result does not
depend on how the ranges are cut.
"""

from dataclasses import replace

import numpy as np

from mlgenn_delays.engines.shared.neuron_parameters import Learned
from mlgenn_delays.engines.shared.numerics import kernel
from mlgenn_delays.engines.shared.parameters import Norm, Parameters
from mlgenn_delays.engines.shared.simulation import SimulationContext
from mlgenn_delays.errors import DivergedError
from mlgenn_delays.learning import Adam

FIRST_CORRECTIONS = 1024  # of Adam's moments that are worked out at once


@kernel
def l2_norm(gradient):
    """Return the L2 norm of a gradient (S,), in float64; NaN or infinite if any of it is."""
    total = 0.0
    for s in range(len(gradient)):
        total += np.float64(gradient[s]) * np.float64(gradient[s])
    return np.sqrt(total)


@kernel
def corrections(beta, low, high, out):
    """Write 1 / (1 - beta^n) of steps n = low + 1 .. high to out[low:high], float32."""
    for n in range(low, high):
        out[n] = 1.0 / (1.0 - beta ** (n + 1))


@kernel
def update_adam(
    value, gradient, first, second, steps, scale, rate, beta1, beta2, epsilon, fix1, fix2, low, high
):  # fmt: skip
    """Update parameters low..high-1 by Adam; `scale` multiplies the gradient.

    ``steps`` counts each parameter's own updates. ``fix1`` and ``fix2`` are the `corrections`,
    their last entry that of all steps from there on.
    """
    b1, b2, eps = np.float32(beta1), np.float32(beta2), np.float32(epsilon)
    one, by, eta = np.float32(1.0), np.float32(scale), np.float32(rate)
    last1, last2 = len(fix1) - 1, len(fix2) - 1
    for s in range(low, high):
        n = steps[s]
        g = gradient[s] * by
        m = b1 * first[s] + (one - b1) * g
        v = b2 * second[s] + (one - b2) * g * g
        first[s] = m
        second[s] = v
        steps[s] = n + 1
        value[s] -= eta * (m * fix1[min(n, last1)]) / (np.sqrt(v * fix2[min(n, last2)]) + eps)


@kernel
def keep_signs(weight, sign, low, high):
    """Make 0 of weights low..high-1 that crossed to the wrong side of their sign, if they have one.

    A weight never acts with the sign it may not have.
    """
    for s in range(low, high):
        if weight[s] * sign[s] < 0.0:
            weight[s] = 0.0


@kernel
def add_l1(gradient, weight, sign, strength, low, high):
    """Add the gradient of strength times the sum of magnitudes to a gradient (S,)."""
    for s in range(low, high):
        towards = np.float32(sign[s]) if sign[s] != 0 else np.sign(weight[s])
        gradient[s] += strength * towards


class Move:
    """A learned parameter as Adam sees it: its value is the step to go."""

    def __init__(self, learned: Learned) -> None:
        self.value = np.zeros_like(learned.value)
        self.value_first, self.value_second = learned.value_first, learned.value_second


class Optimiser:
    """Updates the parameters of a context as its rule says; `total_steps` is for the schedules."""

    def __init__(self, context: SimulationContext, total_steps: int) -> None:
        self.context = context
        self.rule = context.rule
        self.total_steps = total_steps
        self._corrected: dict[float, np.ndarray] = {}

    def update(self, by_weight: np.ndarray, by_delay: np.ndarray, size: int) -> None:
        """Make one optimiser step from dL/dw and dL/dd [1/step], (S,) float32 each.

        They are sums over a batch of `size` examples; L1 is added to dL/dw in place.
        """
        p, spread = self.context.parameters, self.context.spread
        if self.rule.weights is not None:
            strength = np.float32(self.rule.l1 * size)
            if strength:
                spread(
                    len(p.weight),
                    lambda low, high: add_l1(by_weight, p.weight, p.sign, strength, low, high),
                )
            gradient = self.weight_gradient(by_weight)
            self._adam(self.rule.weights, p, "weight", gradient, p.weight_steps, size)
            spread(len(p.weight), lambda low, high: keep_signs(p.weight, p.sign, low, high))
            self._update_norms(self.rule.weights, size)
        if self.rule.delays is not None and p.learnable.any():
            gradient = self.delay_gradient(by_delay)
            self._adam(self.rule.delays, p, "delay", gradient, p.delay_steps, size)
            np.clip(p.delay, 0, p.highest, out=p.delay)
        self._update_neurons(size)
        p.step += 1

    def _update_norms(self, settings: Adam, size: int) -> None:
        settings = replace(settings, clip=None)
        for norm in self.context.parameters.norms.values():
            steps = np.full(len(norm.gain), self.context.parameters.step, np.int32)
            for key in ("gain", "offset"):
                self._adam(settings, norm, key, getattr(norm, f"by_{key}"), steps.copy(), size)
            np.maximum(norm.gain, 0, out=norm.gain)

    def _update_neurons(self, size: int) -> None:
        """Update the parameters of neurons, and the constants that kernels read of them."""
        if self.rule.neurons is None:
            return
        p = self.context.parameters
        for _, each in p.learned():
            move = Move(each)
            steps = np.full(len(each.value), p.step, np.int32)
            gradient = (each.by_value * each.slope()).astype(np.float32)
            self._adam(self.rule.neurons, move, "value", gradient, steps, size)
            each.move(move.value)
        self.context.renew_constants()

    def weight_gradient(self, by_weight: np.ndarray) -> np.ndarray:
        """Return dL/dw (S,) without that of frozen projections, which becomes 0 in place."""
        for own in self.context.parameters.frozen:
            by_weight[own] = 0.0
        return by_weight

    def delay_gradient(self, by_delay: np.ndarray) -> np.ndarray:
        """Return the gradient of the delay parameters, (D,) float32, from that of synapses."""
        p = self.context.parameters
        if p.per_synapse:
            return by_delay
        gradient = np.bincount(self.context.layout.delay_of, by_delay, len(p.delay))
        return (gradient * p.learnable).astype(np.float32)

    def _adam(
        self, settings: Adam, owner: Parameters | Norm | Move, field: str, gradient: np.ndarray,
        steps: np.ndarray, size: int,
    ) -> None:  # fmt: skip
        """Update a field of the parameters from its gradient summed over `size` examples."""
        value = getattr(owner, field)
        first, second = getattr(owner, f"{field}_first"), getattr(owner, f"{field}_second")
        norm = l2_norm(gradient) / size
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
            lambda low, high: update_adam(
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
            corrections(beta, len(known), len(more), more)
            self._corrected[beta] = known = more
        return known
