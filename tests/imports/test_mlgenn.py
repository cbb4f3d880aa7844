"""Checkpoints of mlGeNN."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays import import_network
from mlgenn_delays.errors import InputError
from tests.imports import helpers
from tests.needs import GENN, needs

SIZES = (6, 5, 3)
STEPS, DT = 60, 1.0
TAU_MEM, TAU_SYN = 15.0, 4.0


def arrays(seed: int) -> dict[str, np.ndarray]:
    """Return what a checkpoint of epoch 4 has: delays, a recurrent connection, a sparse one."""
    rng = np.random.default_rng(seed)
    pairs = np.sort(rng.choice(15, 9, replace=False))
    return {
        "4-Conn_Pop0_Pop1-g": rng.normal(1.2, 1.0, 30).astype(np.float32),
        "4-Conn_Pop0_Pop1-d": rng.uniform(0.0, 9.0, 30).astype(np.float32),
        "4-Conn_Pop1_Pop1-g": rng.normal(0.0, 0.6, 25).astype(np.float32),
        "4-Conn_Pop1_Pop2-g": rng.normal(0.5, 1.0, 9).astype(np.float32),
        "4-Conn_Pop1_Pop2-pre_ind": (pairs // 3).astype(np.uint32),
        "4-Conn_Pop1_Pop2-post_ind": (pairs % 3).astype(np.uint32),
    }


def write(folder: Path, found: dict[str, np.ndarray]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, array in found.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def simulate(given: np.ndarray, found: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return hidden spikes and output V, (T, n), as GeNN steps mlGeNN's neurons."""
    first, delay = (found[f"4-Conn_Pop0_Pop1-{key}"].reshape(6, 5) for key in "gd")
    own, last = found["4-Conn_Pop1_Pop1-g"].reshape(5, 5), np.zeros((5, 3))
    last[found["4-Conn_Pop1_Pop2-pre_ind"], found["4-Conn_Pop1_Pop2-post_ind"]] = found[
        "4-Conn_Pop1_Pop2-g"
    ]
    alpha, decay = np.exp(-DT / TAU_MEM), np.exp(-DT / TAU_SYN)
    scale = TAU_SYN / DT * (1 - decay)
    arriving = np.zeros((STEPS + 20, 5))
    for t, pre in np.argwhere(given):
        for post in range(5):
            arriving[t + int(np.floor(delay[pre, post] + 0.5)) + 1, post] += first[pre, post]
    i, v, s = np.zeros((3, 5))
    j, u = np.zeros((2, 3))
    spikes, voltage = [], []
    for t in range(len(given)):
        i, j = i + arriving[t] + s @ own, j + s @ last  # of the step before
        v, u = alpha * v + (1 - alpha) * scale * i, alpha * u + (1 - alpha) * scale * j
        i, j = decay * i, decay * j
        s = (v >= 1.0) * 1.0
        v = v * (1 - s)
        spikes.append(s)
        voltage.append(u)
    return np.array(spikes), np.array(voltage)


def test_spikes_and_voltages_are_those_of_the_original(tmp_path: Path) -> None:
    found = arrays(3)
    network = import_network(
        write(tmp_path / "run", found), "mlgenn", dt=DT, sizes=[6, 5, 3], checkpoint="4",
        tau_mem=TAU_MEM, tau_syn=TAU_SYN, readout="max", max_delay=12.0,
    )  # fmt: skip
    given = helpers.spikes(2, STEPS, 6)
    spikes, voltage = simulate(given, found)
    assert spikes.sum() > 30
    recording = helpers.run(network, given, 0)
    np.testing.assert_array_equal(helpers.fired(recording, "hidden1", STEPS), spikes)
    np.testing.assert_allclose(recording.voltage[0].T, voltage, rtol=0, atol=1e-5)
    p = network.projections["input->hidden1"]
    assert p.max_delay == 12.0
    np.testing.assert_allclose(p.delay, found["4-Conn_Pop0_Pop1-d"] * DT)
    assert network.projections["hidden1->output"].n_synapses == 9


def less(key: str) -> Callable[[dict], dict]:
    return lambda found: {name: array for name, array in found.items() if name != key}


SAME = dict
REFUSED: dict[str, tuple[Callable[[dict], dict], dict]] = {
    "must have the weights of Conn_Pop0_Pop1, got those of none.*or checkpoint": (
        SAME, {"checkpoint": "5"}
    ),
    "must have the weights of Conn_in_mid, got those of Conn_Pop0_Pop1, ": (
        SAME, {"names": ["in", "mid", "out"]}
    ),
    "names must have one of each population, 3, got 1": (SAME, {"names": ["in"]}),
    "sizes must have two populations or more": (SAME, {"sizes": [3]}),
    "MlGeNN.sizes must be a list, each a whole number": (SAME, {"sizes": [6, 5.5, 3]}),
    "Conn_Pop0_Pop1 must have 35 values per file for 7 x 5 neurons, got d 30, g 30": (
        SAME, {"sizes": [7, 5, 3]}
    ),
    "indices of Conn_Pop1_Pop2 must be in 0..1; give the right sizes": (
        SAME, {"sizes": [6, 5, 2]}
    ),
    "Conn_Pop1_Pop2 must have files g, and d, pre_ind and post_ind.*got g, pre_ind": (
        less("4-Conn_Pop1_Pop2-post_ind"), {}
    ),
    "values of Conn_Pop1_Pop1 must be finite": (
        lambda s: s | {"4-Conn_Pop1_Pop1-g": np.full(25, np.inf)}, {}
    ),
    "chain of Pop0, Pop1, Pop2, got also Conn_Pop0_Pop2": (
        lambda s: s | {"4-Conn_Pop0_Pop2-g": np.ones(18)}, {}
    ),
    "Conn_Pop1_Pop2 must have each pair once": (
        lambda s: s | {"4-Conn_Pop1_Pop2-pre_ind": np.zeros(9, int)}, {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_bad_checkpoints_are_named(words: str, tmp_path: Path) -> None:
    change, given = REFUSED[words]
    folder = write(tmp_path / "run", change(arrays(1)))
    settings = {"sizes": [6, 5, 3], "checkpoint": "4", **given}
    with pytest.raises(InputError, match=words):
        import_network(folder, "mlgenn", dt=DT, **settings)


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a checkpoint of mlGeNN must be in a folder, got .*none"):
        import_network(tmp_path / "none", "mlgenn", dt=DT, sizes=[6, 5, 3])


@pytest.mark.slow
@needs(*GENN)
def test_what_mlgenn_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ml_genn import Connection, Network, Population
    from ml_genn.callbacks import Checkpoint
    from ml_genn.compilers import EventPropCompiler
    from ml_genn.compilers.event_prop_compiler import default_params
    from ml_genn.connectivity import Dense
    from ml_genn.initializers import Normal, Uniform
    from ml_genn.neurons import LeakyIntegrate, LeakyIntegrateFire, SpikeInput
    from ml_genn.serialisers import Numpy
    from ml_genn.synapses import Exponential
    from ml_genn.utils.data import preprocess_spikes

    monkeypatch.chdir(tmp_path)
    given = helpers.spikes(2, STEPS, 6)
    times, channels = np.nonzero(given)
    example = preprocess_spikes(times.astype(float), channels, 6)
    net = Network(default_params)
    with net:
        first = Population(SpikeInput(max_spikes=len(times)), 6, name="in")
        hidden = Population(LeakyIntegrateFire(tau_mem=TAU_MEM), 5, name="mid")
        output = Population(LeakyIntegrate(tau_mem=TAU_MEM, readout="max_var"), 3, name="out")
        dense = Dense(Normal(1.2, 1.0), Uniform(0, 9))
        delayed = Connection(first, hidden, dense, Exponential(TAU_SYN), max_delay_steps=20)
        Connection(hidden, output, Dense(Normal(0.5, 1.0)), Exponential(TAU_SYN))
    compiler = EventPropCompiler(
        example_timesteps=STEPS, losses="sparse_categorical_crossentropy", batch_size=1, dt=DT,
        delay_learn_conns=[delayed], kernel_profiling=False, rng_seed=3,
    )  # fmt: skip
    compiled = compiler.compile(net)
    with compiled:
        checkpoint = Checkpoint(Numpy(str(tmp_path / "run")))
        compiled.train({first: [example]}, {output: [1]}, num_epochs=1, callbacks=[checkpoint])
    network = import_network(
        tmp_path / "run", "mlgenn", dt=DT, sizes=SIZES, names=["in", "mid", "out"], checkpoint=0,
        tau_mem=TAU_MEM, tau_syn=TAU_SYN, readout="max",
    )  # fmt: skip
    for name, own in (("in_mid", "input->hidden1"), ("mid_out", "hidden1->output")):
        weights = np.load(tmp_path / "run" / f"0-Conn_{name}-g.npy")
        np.testing.assert_array_equal(network.projections[own].weight, weights.ravel())
    delays = np.load(tmp_path / "run" / "0-Conn_in_mid-d.npy").ravel()
    np.testing.assert_array_equal(network.projections["input->hidden1"].delay, delays)
    assert 5 < delays.max() < 9.1
