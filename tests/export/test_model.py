"""A loaded model answers as the trained network does."""

from pathlib import Path

import numpy as np
import pytest

import mlgenn_delays
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, write_bundle
from mlgenn_delays.learning import EventProp, SurrogateBPTT
from tests.export.test_prepare import record, spikes
from tests.reference import nets

EVENTS = nets.Recipe(seed=1, sizes=(12, 20, 3), density=0.3, bias=0.2)
STEPS = nets.StepRecipe(seed=2, seed_models=True, current=True)
ABOUT = About(n_steps=80, labels=("a", "b", "c"))


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(Artifact.of(nets.network(EVENTS), ABOUT), tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_spikes_are_answered_as_by_the_network(bundle: Path) -> None:
    net, data = nets.network(EVENTS), nets.data(EVENTS, 5)
    wanted = record(net, data, EventProp)
    model = mlgenn_delays.load(bundle, threads=1)
    np.testing.assert_array_equal(model.logits(data), wanted.logits)
    answers = model.predict(data)
    assert [each.index for each in answers] == wanted.logits.argmax(1).tolist()
    assert [each.label for each in answers] == ["abc"[k] for k in wanted.logits.argmax(1)]
    recorded = model.record(data)
    ((name, kept),) = Artifact.of(net, ABOUT).kept.items()
    whole = spikes(wanted, name, 20)
    assert spikes(recorded, name, len(kept)) == [[row[j] for j in kept] for row in whole]


def test_currents_are_answered_as_by_the_network(tmp_path: Path) -> None:
    net, data = nets.step_network(STEPS), nets.step_data(STEPS, 4)
    about = About(n_steps=STEPS.steps, labels=("a", "b", "c"))
    write_bundle(Artifact.of(net, about), tmp_path / "m")
    model = mlgenn_delays.load(tmp_path / "m", threads=1)
    wanted = record(net, data, SurrogateBPTT)
    answers = model.predict(data.values)
    np.testing.assert_array_equal([each.logits for each in answers], wanted.logits)


def test_how_sure_it_is(bundle: Path) -> None:
    answer = mlgenn_delays.load(bundle).predict(np.zeros((80, 12)))
    np.testing.assert_allclose(answer.probabilities.sum(), 1, rtol=1e-6)
    assert answer.confidence == answer.probabilities.max()
    assert answer.logits[answer.index] == answer.logits.max()


@pytest.mark.parametrize("n", [1, 3])
def test_several_give_a_list(bundle: Path, n: int) -> None:
    model = mlgenn_delays.load(bundle)
    for several in (np.zeros((n, 80, 12)), [np.zeros((80, 12))] * n, nets.data(EVENTS, n)):
        assert len(model.predict(several)) == n
    one = model.predict(np.zeros((80, 12)))
    assert isinstance(one, mlgenn_delays.Prediction)


def test_many_are_run_some_at_once(bundle: Path) -> None:
    data = nets.data(EVENTS, 70)
    model = mlgenn_delays.load(bundle)
    together = [each.logits for each in model.predict(data)]
    alone = [model.predict(data.batch(np.array([i])))[0].logits for i in range(0, 70, 23)]
    np.testing.assert_array_equal(together[::23], alone)


def test_what_is_no_model(tmp_path: Path) -> None:
    for path, says in ((tmp_path / "none", "delaysnn export"), (tmp_path, "manifest.json")):
        with pytest.raises(InputError, match=says):
            mlgenn_delays.load(path)


def test_input_of_another_size(bundle: Path) -> None:
    with pytest.raises(InputError, match="12"):
        mlgenn_delays.load(bundle).predict(np.zeros((80, 13)))
