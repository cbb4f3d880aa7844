"""Every setting changes something, or is refused: whatever stands beside it."""

import zlib
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.batching import epoch_batches
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.recipe import (
    Recipe,
    build_augment,
    build_loss,
    build_network,
    build_quantisation,
    build_rewiring,
    build_rule,
    load_data,
    parse_recipe,
)
from mlgenn_delays.recipe.load import settings
from mlgenn_delays.training import initialise_weights

SMALL = """
name = "small"
data = { dataset = "sequence", train = 24, validation = 2, test = 2, window = 22.0, channels = 4 }
delays = { max = 6.0, initial = "uniform", initial_max = 5.0 }
learning = { epochs = 2, batch_size = 4, learning_rate = 0.05 }
[network]
layers = [{ size = 12, weight_mean = 1.0, weight_sd = 1.0 }]
"""
SURROGATE = ("learning.rule=surrogate", "learning.learning_rate=0.05")
SPARSE = ("network.sparsity=0.6",)
SIGNED = (
    *SPARSE, "regularisation.l1=0.02", "network.layers.0.weight_mean=6",
    "network.readout.weight_sd=0.03",
)  # fmt: skip
# What else there may be in a recipe: several of each kind of thing.
BESIDE: dict[str, tuple[str, ...]] = {
    "as it is": (),
    "recurrent": ("network.layers.0.recurrent=true",),
    "surrogate": SURROGATE,
    "gaussian": (*SURROGATE, "delays.kernel=gaussian", "network.layers.0.normalise=true"),
    "euler": (
        *SURROGATE, "network.layers.0.model=EulerLIF", "network.layers.0.synapse=Delta",
        "network.readout.model=EulerLI", "network.readout.synapse=Delta",
    ),
    "kaiming": ("network.layers.0.weight_init=kaiming", "network.layers.0.weight_scale=9"),
    "auto": ("network.layers.0.weight_init=auto", "network.layers.0.recurrent=true"),
    "weights kept": ("learning.learning_rate=0",),
    "delays kept": ("delays.learn=false",),
    "no delays": ("delays.initial_max=0", "delays.max=0"),
    "sparse": SPARSE,
    "set": (*SPARSE, "rewiring.rule=set", "rewiring.every=1", "rewiring.until=0.5"),
    "deep_r": (*SIGNED, "rewiring.rule=deep_r"),
    "rigl": (*SIGNED, "rewiring.rule=rigl"),
    "magnitude": (*SPARSE, "rewiring.rule=rigl", "rewiring.form=magnitude", "rewiring.every=1",
        "network.layers.0.weight_mean=6", "learning.epochs=4", "rewiring.until=0.5",
    ),
    "shifted": ("augmentation.shift=2",),
    "counted": (
        *SURROGATE, "network.layers.0.size=2", "network.readout.model=SpikeCounter",
        "network.readout.synapse=Delta", "network.readout.connection=one-to-one",
        "loss.kind=spike-count", "network.layers.0.weight_mean=6",
    ),
    "learned": ("network.layers.0.learn=['tau_mem']",),
    "quantised": ("quantisation.weights=int4", "quantisation.delay_step=2"),
}  # fmt: skip
# Another value of each key, one that the check of its range lets pass.
OTHER: dict[str, Any] = {
    "network.layers.0.learn": "['v_thresh']", "network.readout.learn": "['tau_mem']",
    "network.layers.0.size": 9, "network.layers.0.model": "EulerLIF",
    "network.layers.0.synapse": "Delta", "network.readout.model": "EulerLI",
    "network.readout.synapse": "Delta", "network.readout.kind": "max", "network.sparsity": 0.5,
    "network.allocation": "erdos-renyi", "network.synapses": "[20, 20]", "network.signs": "synapse",
    "network.layers.0.weight_init": "kaiming", "network.readout.weight_init": "normal",
    "delays.granularity": "axon", "delays.kernel": "gaussian", "delays.initial": "constant",
    "delays.recurrent_initial": "zero", "delays.schedule": "cosine", "delays.layers": "['output']",
    "delays.initial_max": 3.0, "delays.sigma_epochs": 1.5, "delays.clip": 1e-9,
    "learning.rule": "surrogate",
    "learning.surrogate": "boxcar", "learning.surrogate_options": "{slope=9}",
    "learning.schedule": "cosine", "learning.schedule_options": "{}",
    "loss.kind": "mean-squared-error", "network.readout.connection": "one-to-one",
    "neurons": "{Own = {step = 'V = V + I\\nspike = V > 1\\nif spike: V = 0'}}",
    "network.layers.0.parameters": "{tau_mem = 3}", "network.readout.parameters": "{tau_mem = 3}",
    "delays.schedule_options": "{}", "learning.clip": 1e-9, "regularisation.l1": 0.5,
    "augmentation.group": 2, "augmentation.time_shift": 5.0, "augmentation.mask_time": 8.0,
    "augmentation.mask_channels": 4,
    "augmentation.shift": 3, "augmentation.noise": 0, "augmentation.scale": 0,
    "rewiring.rule": "deep_r", "rewiring.gradient_averaging": 0.0,
    "rewiring.form": "magnitude", "rewiring.decay": "constant",
    "hardware.preset": "loihi2", "rewiring.every": 3, "rewiring.grow_delay": "random",
    "rewiring.dead_first": True, "data.encoding": "spikes",
    "data.gap_min": 3.0, "data.gap_max": 15.0, "data.jitter": 0.5, "data.window": 21.0,
    "data.channels": 3, "data.duration": 30.0, "data.train": 20, "data.seed": 4, "seed": 5,
    "quantisation.weights": "ternary", "quantisation.per": "projection",
    "quantisation.delay_step": 3.0, "quantisation.delay_values": "[0.0, 4.0]",
}  # fmt: skip
# What is about the course of a training, the other splits or the text, not about its steps; and
# what waits for neurons that are silent all epoch.
ELSEWHERE = (
    "name", "data.dataset", "data.validation", "data.test", "learning.epochs", "learning.patience",
    "learning.snapshots", "regularisation.revive",
)  # fmt: skip


@cache
def outcome(overrides: tuple[str, ...]) -> int:
    """Return a checksum of a network after two epochs of three steps, and of its data."""
    recipe = parse_recipe(SMALL, "small", overrides)
    data = load_data(recipe)["train"]
    network = build_network(recipe, data.n_channels, data.n_classes, recipe.seed)
    if recipe.network.automatic():
        initialise_weights(network, data, recipe.network.automatic(), threads=1)
    engine = compile_network(
        network, build_rule(recipe), loss=build_loss(recipe), rewiring=build_rewiring(recipe),
        quantisation=build_quantisation(recipe), seed=recipe.seed, total_steps=8, epoch_steps=3,
        threads=1,
    )  # fmt: skip
    size, augment = recipe.learning.batch_size, build_augment(recipe)
    for epoch in (1, 2):
        batches = epoch_batches(data, size, seed=recipe.seed, epoch=epoch, augment=augment)
        engine.train_epoch(list(islice(batches, 3)), epoch=epoch)
    seen = zlib.crc32(np.ascontiguousarray(data.labels).tobytes(), len(data) + data.n_steps)
    return zlib.crc32(to_bytes(engine.pull()), seen)


def changed(key: str, now: str) -> str:
    """Return an override with another value of a key."""
    if key in OTHER:
        return f"{key}={OTHER[key]}"
    if now in ("true", "false"):
        return f"{key}={'false' if now == 'true' else 'true'}"
    number = float(now)
    return f"{key}={number / 2 if number else 0.5}"


def whole(override: str) -> str:
    """Return an override whose number is written as a whole one, where a key takes only those."""
    key, value = override.split("=", 1)
    return f"{key}={int(float(value))}" if value.replace(".", "").isdecimal() else override


def means_the_same(key: str, recipe: Recipe, others: tuple[str, ...]) -> bool:
    """Return whether a change says in other words what was so before, or a limit does not bind."""
    before = parse_recipe(SMALL, "small", others)
    return (
        (key == "network.signs" and recipe.signs() == before.signs())
        or (key in ("delays.learn", "delays.granularity") and recipe.delays.max == 0)
        # Fewer bits than the preset asks for are there already.
        or (key == "hardware.preset" and before.quantisation.weights == "int4")
    )


QUICK = ("as it is", "gaussian", "magnitude")
CASES = [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in BESIDE]


@pytest.mark.parametrize("beside", CASES)
def test_every_setting_has_an_effect_or_is_refused(beside: str) -> None:
    others = BESIDE[beside]
    base, start = settings(parse_recipe(SMALL, "small", others)), outcome(others)
    idle = []
    for key, now in base.items():
        if key.startswith(("expected.", *ELSEWHERE)):
            continue
        override = changed(key, now)
        try:
            recipe = parse_recipe(SMALL, "small", [*others, override])
        except InputError as error:
            if "must be a whole number" not in str(error):
                assert key.rsplit(".", 1)[-1] in str(error), f"{override}: {error}"
                continue
            override = whole(override).replace("=0", "=3")
            try:
                recipe = parse_recipe(SMALL, "small", [*others, override])
            except InputError as again:
                assert key.rsplit(".", 1)[-1] in str(again), f"{override}: {again}"
                continue
        if settings(recipe).get(key) == now or means_the_same(key, recipe, others):
            continue
        try:
            if outcome((*others, override)) == start:
                idle.append(override)
        except InputError:
            continue  # the data, the network or the engine refuses it
    assert not idle
