"""What the tests of rewiring in the engine share: networks, data, and the laws of a state."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.engines.base import CompiledNetwork
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.engines.shared import rewiring as structure
from mlgenn_delays.errors import InputError
from mlgenn_delays.hardware import Hardware
from mlgenn_delays.learning import Adam, EventProp, Gaussian, SurrogateBPTT, Triangle
from mlgenn_delays.network import Network
from mlgenn_delays.rewiring import Pairs, Rewired, Rewiring, Synapses
from tests.reference import nets
from tests.reference.nets import StepRecipe

TOTAL = 24
FAST = {"weights": Adam(0.05), "delays": Adam(1.0), "l1": 0.02}


def event(**options: Any) -> EventProp:
    """Return a rule with which weights reach zero soon."""
    return EventProp(**(FAST | options))


def surrogate(**options: Any) -> SurrogateBPTT:
    """Return the same with surrogate gradients."""
    return SurrogateBPTT(**(FAST | {"surrogate": Triangle()} | options))


def gaussian(**options: Any) -> SurrogateBPTT:
    """Return the same with wide delay kernels."""
    return surrogate(kernel=Gaussian(3.0, 0.23, epochs=4), **options)


def recipe(seed: int, **options: Any) -> StepRecipe:
    """Return the recipe of a network of which every projection has absent pairs."""
    return StepRecipe(seed, density=0.4, **({"signs": "synapse", "recurrent": True} | options))


def engine(
    net: Network, rule: Any, rewiring: Rewiring | None, *, seed: int = 0, threads: int = 1,
    total: int = TOTAL,
) -> CompiledNetwork:  # fmt: skip
    return compile_network(
        net, rule, rewiring=rewiring, total_steps=total, seed=seed, threads=threads
    )


def tight(of: StepRecipe) -> tuple[Network, Hardware]:
    """Return a network with limits that leave hardly any room, which it keeps."""
    network = nets.step_network(of)
    incoming = max(
        -(-sum(p.n_synapses for p in network.incoming(name)) // population.n)
        for name, population in network.populations.items()
    )
    outgoing = max(
        -(-sum(p.n_synapses for p in network.projections.values() if p.source == name) // q.n)
        for name, q in network.populations.items()
    )
    hardware = Hardware(
        fan_in=incoming, fan_out=outgoing, neurons_per_core=3, synapses_per_core=3 * incoming
    )
    with pytest.raises(InputError):
        hardware.check(network)
    network.limit(hardware)
    return network, hardware


def batches(of: StepRecipe, epoch: int = 1, n: int = 3, size: int = 5) -> list[Any]:
    """Return n batches, each epoch's in another order."""
    data = nets.step_data(of, n * size)
    order = np.random.default_rng((epoch, 9)).permutation(n * size)
    return [data.batch(part) for part in order.reshape(n, size)]


def train(built: CompiledNetwork, of: StepRecipe, epochs: range) -> int:
    """Train some epochs; return how many synapses grew."""
    return sum(built.train_epoch(batches(of, e), epoch=e).grown or 0 for e in epochs)


def sizes(net: Network, name: str) -> tuple[int, int]:
    """Return the numbers of neurons that a projection goes from and to."""
    p = net.projections[name]
    return net.populations[p.source].n, net.populations[p.target].n


def pair_delays(net: Network, name: str) -> np.ndarray:
    """Return a delay for each pair [ms]: the axon's or the fixed one, or drawn at random."""
    p, shape = net.projections[name], sizes(net, name)
    if p.granularity != "synapse":
        return np.broadcast_to(p.delay[:, None], shape).copy()
    delay = np.random.default_rng((0, 5)).uniform(0, p.max_delay, shape)
    delay[0], delay[1] = 0.0, p.max_delay
    return delay


def filled(net: Network, name: str, delay: np.ndarray | float) -> Network:
    """Return a copy in which every absent pair of a projection has a synapse of weight 0."""
    work, shape = net.copy(), sizes(net, name)
    p = work.projections[name]
    pre, post = p.pre(), p.post
    weight, delays = np.zeros(shape, np.float32), np.broadcast_to(delay, shape).copy()
    weight[pre, post] = p.weight
    if p.granularity == "synapse":
        delays[pre, post] = p.delay
        p.delay = delays.ravel()
    if p.sign is not None:
        sign = np.ones(shape, np.int8)
        sign[pre, post] = p.sign
        p.sign = sign.ravel()
    p.weight, p.indptr = weight.ravel(), np.arange(shape[0] + 1) * shape[1]
    p.post = np.tile(np.arange(shape[1], dtype=np.int32), shape[0])
    p.check(*shape)
    return work


@dataclass
class Pass:
    """What one pass was given, and what it gave."""

    synapses: Synapses
    pairs: Pairs
    gradient: np.ndarray | None
    best_delay: np.ndarray | None
    step: int
    done: Rewired


@dataclass
class Spy:
    """Notes every pass.

    Attributes:
        passes: Of all projections that are rewired, in order.
    """

    passes: list[Pass] = field(default_factory=list)

    @staticmethod
    def on(patch: pytest.MonkeyPatch) -> "Spy":
        """Return a spy on the passes to come."""
        spy, real = Spy(), structure.rewire

        def noted(rule: Rewiring, synapses: Synapses, pairs: Pairs, **given: Any) -> Rewired:
            kept = Pairs(None if pairs.sign is None else pairs.sign.copy(), pairs.delay.copy())
            done = real(rule, synapses, pairs, **given)
            asked = given["gradient"], given["best_delay"], given["step"]
            spy.passes.append(Pass(synapses, kept, *asked, done))
            return done

        patch.setattr(structure, "rewire", noted)
        return spy


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Reject states that differ in a bit."""
    assert set(one) == set(other)
    for key, array in one.items():
        np.testing.assert_array_equal(array, other[key], err_msg=key)
        assert array.dtype == other[key].dtype, key


def check_state(start: Network, rule: Rewiring, state: dict[str, np.ndarray]) -> None:
    """Reject a state that breaks a law of rewiring.

    Arguments:
        start: The network that training began with.
        rule: What is rewired, and how.
        state: What the engine says.
    """
    for name, before in start.projections.items():
        n_pre, n_post = (start.populations[p].n for p in (before.source, before.target))
        sign, weight = state.get(f"{name}/sign"), state[f"{name}/weight"]
        delay = state[f"{name}/delay"]
        after = replace(
            before, indptr=state[f"{name}/indptr"], post=state[f"{name}/post"], sign=sign,
            weight=weight, delay=np.clip(delay * start.dt, 0, before.max_delay),
        )  # fmt: skip
        after.check(n_pre, n_post)
        assert after.n_synapses == before.n_synapses
        assert delay.min() >= 0 and delay.max() <= np.float32(before.max_delay / start.dt)
        assert (sign is None) == (rule.signs == "free") == (before.sign is None)
        if before.n_synapses == n_pre * n_post:
            np.testing.assert_array_equal(after.post, before.post)
        if sign is not None:
            assert (sign * weight >= 0).all()
            check_signs(start, name, rule.signs, after.pre(), after.post, sign)


def check_signs(
    start: Network, name: str, kind: str, pre: np.ndarray, post: np.ndarray, sign: np.ndarray
) -> None:
    """Reject signs that a pair, or with Dale's law a neuron, did not have at the start."""
    p = start.projections[name]
    first = {
        (int(i), 0 if kind == "dale" else int(j)): int(s)
        for i, j, s in zip(p.pre(), p.post, p.sign, strict=True)
    }
    for i, j, s in zip(pre, post, sign, strict=True):
        assert first.setdefault((int(i), 0 if kind == "dale" else int(j)), int(s)) == s
