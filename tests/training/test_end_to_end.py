"""Training with the CPU engine: killed in the middle of an epoch, resumed, compared."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("mlgenn_delays.engines.cpu.compiled")

# Run with: folder, threads, epochs, "resume" or "start". A task in which the order of two
# channels' spikes, and nothing else, tells the class: delays must move to solve it.
SCRIPT = """
import sys
import numpy as np
from mlgenn_delays import LIF, Adam, EventProp, Exponential, LeakyIntegrator, Network, Normal
from mlgenn_delays import SpikeData, SpikeInput, Trainer, Uniform
from mlgenn_delays.data.augment import Augment
from mlgenn_delays.training import RunDirectory

def data(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    events = []
    for label in labels:
        first = rng.integers(5, 20)
        steps = [first, first + 15] if label else [first + 15, first]
        events.append((np.repeat([0, 1], 5), np.ravel([[s + k for k in range(5)] for s in steps])))
    return SpikeData.from_events(events, labels, n_channels=2, n_steps=80, dt=1.0,
                                 label_names=("up", "down"))

def trainer(path, threads, epochs, resume):
    net = Network(dt=1.0, seed=1)
    net.add("input", SpikeInput(2))
    net.add("hidden", LIF(40))
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "hidden", Exponential(5.0), weight=Normal(1.0, 0.4),
                delay=Uniform(0, 20), max_delay=30)
    net.connect("hidden", "hidden", Exponential(5.0), weight=Normal(0.0, 0.02), density=0.5,
                delay=Uniform(0, 20), max_delay=30)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0.0, 0.3),
                delay=Uniform(0, 5), max_delay=30)
    rule = EventProp(weights=Adam(0.01), delays=Adam(0.1), dropout={"hidden": 0.1}, revive=0.01)
    run = None
    if path:
        run = RunDirectory.open(path) if resume else RunDirectory.create(path, "x = 1", {})
    return Trainer(net, rule, epochs=epochs, batch_size=16, seed=5, threads=threads, run=run,
                   augment=Augment(jitter=0.5), progress="none")

if __name__ == "__main__":
    path, threads, epochs, how = sys.argv[1:]
    t = trainer(path, int(threads), int(epochs), how == "resume")
    t.fit(data(200, 1), data(50, 2), resume=how == "resume")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("end") / "script.py"
    path.write_text(SCRIPT)
    return path


def start(script, path, threads, epochs, how):
    return subprocess.Popen(
        [sys.executable, script, path, str(threads), str(epochs), how],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)},
    )


def committed(path):
    """Return how many epochs a run has in its metrics."""
    with suppress(FileNotFoundError):
        return max(0, (path / "metrics.csv").read_text().count("\n") - 1)
    return 0


def test_a_killed_run_ends_like_an_uninterrupted_one(script, make, tmp_path):
    epochs = 12
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert start(script, whole, 2, epochs, "start").wait(300) == 0
    process = start(script, cut, 1, epochs, "start")
    kills = 0
    deadline = time.monotonic() + 300
    while process.poll() is None and time.monotonic() < deadline:
        if kills < 2 and committed(cut) >= 2 + 3 * kills:
            time.sleep(0.01)  # into the next epoch
            process.send_signal(signal.SIGKILL)
            assert process.wait(60) == -signal.SIGKILL
            assert committed(cut) < epochs
            kills += 1
            process = start(script, cut, 2, epochs, "resume")
        time.sleep(0.002)
    assert process.wait(60) == 0
    assert kills == 2
    ended, expected = make.final_files(cut), make.final_files(whole)
    assert set(ended) == set(expected)
    for name in expected:
        assert ended[name] == expected[name], name


def test_ctrl_c_leaves_a_run_that_resumes(script, tmp_path):
    path = tmp_path / "run"
    process = start(script, path, 1, 500, "start")
    deadline = time.monotonic() + 300
    # Metrics are written before the commit: with three rows two epochs are safe.
    while committed(path) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) not in (0, None)
    from mlgenn_delays.training import RunDirectory

    run = RunDirectory.open(path)
    assert run.load_checkpoint().epoch >= 2
    with run.lock():
        pass


@pytest.fixture(scope="module")
def namespace():
    found = {"__name__": "script"}
    exec(SCRIPT, found)
    return found


def test_the_best_network_answers_as_it_did_in_its_epoch(namespace):
    trainer = namespace["trainer"](None, 2, 15, False)
    validation = namespace["data"](50, 2)
    history = trainer.fit(namespace["data"](200, 1), validation)
    again = trainer.evaluate(validation)
    assert again.accuracy == history.best["validation_accuracy"]
    assert again.loss == history.best["validation_loss"]
    assert np.array_equal(again.labels, validation.labels)
    assert again.accuracy >= 0.9  # chance is 0.5
    chance = namespace["trainer"](None, 2, 15, False).evaluate(validation)
    assert again.accuracy > chance.accuracy + 0.2
    assert again.loss < 0.5 * chance.loss


def test_a_saved_best_network_answers_the_same(namespace, tmp_path):
    from mlgenn_delays import EventProp, Network, Trainer

    trainer = namespace["trainer"](tmp_path / "run", 1, 3, False)
    validation = namespace["data"](50, 2)
    history = trainer.fit(namespace["data"](64, 1), validation)
    network = Network.load(tmp_path / "run" / "network.safetensors")
    other = Trainer(network, EventProp(), progress="none").evaluate(validation)
    assert other.loss == history.best["validation_loss"]


def test_a_huge_learning_rate_diverges_or_is_survived_with_a_clear_word(namespace):
    """No NaN ends in the network that a trainer hands out."""
    from mlgenn_delays import Adam, EventProp, Trainer
    from mlgenn_delays.errors import DivergedError

    start = namespace["trainer"](None, 1, 2, False)
    rule = EventProp(weights=Adam(1e37), delays=None)
    trainer = Trainer(start.network, rule, epochs=3, progress="none")
    with pytest.raises(DivergedError, match="diverged in epoch 1"):
        trainer.fit(namespace["data"](64, 1))
    for projection in trainer.network.projections.values():
        assert np.isfinite(projection.weight).all()
