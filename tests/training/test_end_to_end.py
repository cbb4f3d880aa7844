"""Training with the CPU engine: killed in the middle of an epoch, resumed, compared."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from tests.processes import ENOUGH, caught, epochs, wait_for

# Run with: folder, threads, epochs, "resume" or "start". A task in which the order of two
# channels' spikes, and nothing else, tells the class: delays must move to solve it.
SCRIPT = """
import sys
import numpy as np
from mlgenn_delays import LIF, Adam, EventProp, Exponential, LeakyIntegrator, Network, Normal
from mlgenn_delays import SpikeData, SpikeInput, Trainer, Uniform
from mlgenn_delays.data.augment.augment import Augment
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
                   augment=Augment(jitter=0.5, blend=0.5), progress="none")

if __name__ == "__main__":
    path, threads, epochs, how = sys.argv[1:]
    t = trainer(path, int(threads), int(epochs), how == "resume")
    t.fit(data(200, 1), data(50, 2), resume=how == "resume")
"""

# The same with all that keeps a state of its own: running statistics of normalisation, a kernel
# that narrows, dropout, and structure learned from averaged gradients. Run with the rule besides.
REWIRING_SCRIPT = """
import sys
import numpy as np
from mlgenn_delays import Adam, Cosine, CurrentData, CurrentInput, DeepR, Delta, Gaussian, Network
from mlgenn_delays import Normal, RigL, SeedLI, SeedLIF, SET, SurrogateBPTT, Trainer, Uniform
from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.training import RunDirectory

RULES = {
    "rigl": RigL(signs="dale", averaging=0.5, longest=8.0),
    "rigl-gradient": RigL(form="magnitude", signs="free", every=3, grow_delay="gradient"),
    "deep_r": DeepR(signs="synapse", grow_delay="random"),
    "set": SET(signs="free", every=0, decay="constant", until=1.0),
}

def data(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    values = 0.1 * rng.random((n, 30, 4))
    for row, label in enumerate(labels):
        first = rng.integers(2, 10)
        values[row, first:first + 3, 2 * label] += 1.0
        values[row, first + 6:first + 9, 2 - 2 * label] += 1.0
    return CurrentData(values, labels, 1.0, ("up", "down"))

def trainer(path, threads, epochs, resume, rule):
    rewiring = RULES[rule]
    net = Network(dt=1.0, seed=1)
    net.add("input", CurrentInput(4))
    net.add("hidden", SeedLIF(24, tau_mem=10.0), normalise=True)
    net.add("output", SeedLI(2, tau_mem=10.0))
    for source, target, synapses in (("input", "hidden", 32), ("hidden", "output", 12)):
        net.connect(source, target, Delta(), weight=Normal(0.0, 1.0), delay=Uniform(0, 8),
                    max_delay=8.0, synapses=synapses, signs=rewiring.signs)
    rule = SurrogateBPTT(weights=Adam(0.05), delays=Adam(0.1, schedule=Cosine()), l1=0.02,
                         kernel=Gaussian(4.0, 0.23, epochs / 2), dropout={"hidden": 0.1})
    run = None
    if path:
        run = RunDirectory.open(path) if resume else RunDirectory.create(path, "x = 1", {})
    return Trainer(net, rule, rewiring=rewiring, epochs=epochs, batch_size=16, seed=5,
                   threads=threads, run=run, augment=Augment(noise=0.05), progress="none")

if __name__ == "__main__":
    path, threads, epochs, how, rule = sys.argv[1:]
    t = trainer(path, int(threads), int(epochs), how == "resume", rule)
    t.fit(data(80, 1), data(20, 2), resume=how == "resume")
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("end") / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.fixture(scope="module")
def rewiring_script(tmp_path_factory):
    path = tmp_path_factory.mktemp("end") / "rewiring_script.py"
    path.write_text(REWIRING_SCRIPT)
    return path


def start(script, path, threads, epochs, how, *more):
    return subprocess.Popen(
        [sys.executable, script, path, str(threads), str(epochs), how, *more],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)},
    )


@pytest.mark.slow
def test_a_killed_run_ends_like_an_uninterrupted_one(script, make, tmp_path):
    kill_and_compare(script, make, tmp_path)


@pytest.mark.slow
def test_a_killed_run_with_rewiring_ends_like_an_uninterrupted_one(rewiring_script, make, tmp_path):
    cut = kill_and_compare(rewiring_script, make, tmp_path, "rigl")
    with (cut / "metrics.csv").open(newline="") as text:
        assert sum(int(row["grown"]) for row in csv.DictReader(text)) > 0


def kill_and_compare(script, make, tmp_path, *more):
    """Kill a run twice and resume it; all its files must be those of an uninterrupted one."""
    n, whole = 12, tmp_path / "whole"
    assert start(script, whole, 2, n, "start", *more).wait(ENOUGH) == 0

    def attempt(cut):
        for kills in range(2):
            process = start(script, cut, 1 + kills, n, "resume" if kills else "start", *more)
            wait_for(lambda least=2 + 3 * kills: epochs(cut) >= least, process)
            time.sleep(0.01)  # into the next epoch
            process.send_signal(signal.SIGKILL)
            if process.wait(ENOUGH) != -signal.SIGKILL:
                return None
        assert start(script, cut, 2, n, "resume", *more).wait(ENOUGH) == 0
        return cut

    cut = caught(attempt, tmp_path)
    ended, expected = make.final_files(cut), make.final_files(whole)
    assert set(ended) == set(expected)
    for name in expected:
        assert ended[name] == expected[name], name
    return cut


def test_ctrl_c_leaves_a_run_that_resumes(script, tmp_path):
    path = tmp_path / "run"
    process = start(script, path, 1, 500, "start")
    # Metrics are written before the commit: with three rows two epochs are safe.
    wait_for(lambda: epochs(path) >= 3, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(ENOUGH) not in (0, None)
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


@pytest.fixture(scope="module")
def rewiring_namespace():
    found = {"__name__": "script"}
    exec(REWIRING_SCRIPT, found)
    return found


@pytest.mark.parametrize("rule", ["rigl", "rigl-gradient", "deep_r", "set"])
def test_every_rule_resumes_bit_for_bit(rewiring_namespace, make, tmp_path, rule):
    """Stopped after the second epoch of six."""
    data, trainer = rewiring_namespace["data"], rewiring_namespace["trainer"]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    history = trainer(whole, 2, 6, False, rule).fit(data(80, 1), data(20, 2))
    assert sum(history.column("grown")) > 0
    stopped = trainer(cut, 1, 6, False, rule)
    commit = stopped.run.commit

    def until_two(checkpoint, network):
        commit(checkpoint, network)
        if checkpoint.epoch == 2:
            raise KeyboardInterrupt

    stopped.run.commit = until_two
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(data(80, 1), data(20, 2))
    resumed = trainer(cut, 1, 6, True, rule)
    resumed.fit(data(80, 1), data(20, 2), resume=True)
    ended, expected = make.final_files(cut), make.final_files(whole)
    for name in expected:
        assert ended[name] == expected[name], name
    start, end = resumed._start, resumed.network
    for name, projection in end.projections.items():
        assert projection.n_synapses == start.projections[name].n_synapses
        assert (projection.sign is None) == (start.projections[name].sign is None)
        if projection.sign is not None:
            assert (projection.weight * projection.sign >= 0).all()


def test_a_rewired_network_answers_the_same_from_its_file(rewiring_namespace, tmp_path):
    from mlgenn_delays import Network, SurrogateBPTT, Trainer

    data, trainer = rewiring_namespace["data"], rewiring_namespace["trainer"]
    history = trainer(tmp_path / "run", 1, 8, False, "rigl").fit(data(80, 1), data(20, 2))
    network = Network.load(tmp_path / "run" / "network.safetensors")
    found = Trainer(network, SurrogateBPTT(), progress="none").evaluate(data(20, 2))
    assert found.loss == history.best["validation_loss"]
    assert found.accuracy == history.best["validation_accuracy"]
    folded = Trainer(network.folded(), SurrogateBPTT(), progress="none").evaluate(data(20, 2))
    assert folded.loss == pytest.approx(found.loss, rel=1e-4)


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
