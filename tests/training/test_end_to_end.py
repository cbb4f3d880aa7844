"""Training with the CPU engine: interrupted, resumed, compared.

tests/kills ends trainings at every change of a file.
"""

import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from mlgenn_delays import Adam, EventProp, Network, SurrogateBPTT, Trainer
from mlgenn_delays.errors import DivergedError
from mlgenn_delays.training import RunDirectory
from tests.processes import ENOUGH, epochs, wait_for
from tests.training.tasks import RULES, current_trainer, currents, spike_trainer, spikes


def test_ctrl_c_leaves_a_run_that_resumes(tmp_path):
    path = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.tasks", path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in [os.getcwd(), *sys.path] if p)},
    )
    # Metrics are written before the commit: with three rows two epochs are safe.
    wait_for(lambda: epochs(path) >= 3, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(ENOUGH) not in (0, None)
    run = RunDirectory.open(path)
    assert run.load_checkpoint().epoch >= 2
    with run.lock():
        pass


@pytest.mark.parametrize("rule", [None, *RULES])
def test_every_rule_resumes_bit_for_bit(make, tmp_path, rule):
    """Stopped after the second epoch of six."""
    trainer, more, data = spike_trainer, {}, (spikes(64, 1), spikes(20, 2))
    if rule is not None:
        trainer, more, data = current_trainer, {"rule": rule}, (currents(80, 1), currents(20, 2))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    history = trainer(whole, 2, 6, **more).fit(*data)
    assert rule is None or sum(history.column("grown")) > 0
    stopped = trainer(cut, 1, 6, **more)
    commit = stopped.run.commit

    def until_two(checkpoint, network):
        commit(checkpoint, network)
        if checkpoint.epoch == 2:
            raise KeyboardInterrupt

    stopped.run.commit = until_two
    with pytest.raises(KeyboardInterrupt):
        stopped.fit(*data)
    resumed = trainer(cut, 1, 6, resume=True, **more)
    resumed.fit(*data, resume=True)
    ended, expected = make.final_files(cut), make.final_files(whole)
    for name in expected:
        assert ended[name] == expected[name], name
    start, end = resumed._start, resumed.network
    for name, projection in end.projections.items():
        assert projection.n_synapses == start.projections[name].n_synapses
        assert (projection.sign is None) == (start.projections[name].sign is None)
        if projection.sign is not None:
            assert (projection.weight * projection.sign >= 0).all()


def test_a_rewired_network_answers_the_same_from_its_file(tmp_path):
    validation = currents(20, 2)
    history = current_trainer(tmp_path / "run", 1, 8).fit(currents(80, 1), validation)
    network = Network.load(tmp_path / "run" / "network.safetensors")
    found = Trainer(network, SurrogateBPTT(), progress="none").evaluate(validation)
    assert found.loss == history.best["validation_loss"]
    assert found.accuracy == history.best["validation_accuracy"]
    folded = Trainer(network.folded(), SurrogateBPTT(), progress="none").evaluate(validation)
    assert folded.loss == pytest.approx(found.loss, rel=1e-4)


def test_the_best_network_answers_as_it_did_in_its_epoch(tmp_path):
    trainer, validation = spike_trainer(tmp_path / "run", 2, 15), spikes(50, 2)
    chance = trainer.evaluate(validation)
    history = trainer.fit(spikes(200, 1), validation)
    saved = Network.load(tmp_path / "run" / "network.safetensors")
    for each in (trainer, Trainer(saved, EventProp(), progress="none")):
        again = each.evaluate(validation)
        assert again.accuracy == history.best["validation_accuracy"]
        assert again.loss == history.best["validation_loss"]
        assert np.array_equal(again.labels, validation.labels)
    assert again.accuracy >= 0.9  # chance is 0.5
    assert again.accuracy > chance.accuracy + 0.2
    assert again.loss < 0.5 * chance.loss


def test_a_huge_learning_rate_diverges_or_is_survived_with_a_clear_word():
    """No NaN ends in the network that a trainer hands out."""
    rule = EventProp(weights=Adam(1e37), delays=None)
    trainer = Trainer(spike_trainer(None, 1, 2).network, rule, epochs=3, progress="none")
    with pytest.raises(DivergedError, match="diverged in epoch 1"):
        trainer.fit(spikes(64, 1))
    for projection in trainer.network.projections.values():
        assert np.isfinite(projection.weight).all()
