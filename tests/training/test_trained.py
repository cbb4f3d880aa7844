"""What a trainer has trained is saved, opened and asked; who takes the start for it is told."""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import mlgenn_delays
from mlgenn_delays import (
    LIF,
    CurrentData,
    EventProp,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    RunDirectory,
    SpikeData,
    SpikeInput,
    SurrogateBPTT,
    Trainer,
    Uniform,
)
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, write_bundle
from mlgenn_delays.learning import Rule

LABELS = ("up", "down")


def network(**connection: object) -> Network:
    """Return three populations, two projections with delays."""
    net = Network(dt=1.0, seed=1)
    net.add("input", SpikeInput(3))
    net.add("hidden", LIF(12))
    net.add("output", LeakyIntegrator(2))
    settings = {"delay": Uniform(0, 8), "max_delay": 20.0} | connection
    net.connect("input", "hidden", Exponential(), weight=Normal(0.8, 0.4), **settings)
    net.connect("hidden", "output", Exponential(), weight=Normal(0.0, 0.5), **settings)
    return net


def data(n: int = 24, seed: int = 0) -> SpikeData:
    """Return trials of two classes."""
    raster = np.random.default_rng(seed).random((n, 40, 3)) < 0.1
    return SpikeData.from_raster(raster, np.arange(n) % 2, dt=1.0, label_names=LABELS)


def trainer(net: Network | None = None, **settings: object) -> Trainer:
    """Return a trainer of a few epochs."""
    given = {"epochs": 2, "batch_size": 8, "progress": "none"} | settings
    return Trainer(net or network(), EventProp(), **given)


def test_a_saved_network_predicts_as_the_trainer(tmp_path: Path) -> None:
    trained = trainer()
    trained.fit(data(), data(8, seed=1))
    path = tmp_path / "net.safetensors"
    trained.save(path)
    model = mlgenn_delays.load(path)
    test = data(10, seed=2)
    assert model.labels == LABELS and model.about.n_steps == 40
    np.testing.assert_array_equal(model.logits(test), trained.evaluate(test).logits)
    expected = [LABELS[each] for each in trained.predict(test)]
    assert [each.label for each in model.predict(test)] == expected
    assert len(set(expected)) == 2
    again = Network.load(path)
    for name, projection in trained.network.projections.items():
        assert np.array_equal(again.projections[name].weight, projection.weight)
        assert np.array_equal(again.projections[name].delay, projection.delay)


def test_the_last_network_is_saved_where_it_is_wanted(tmp_path: Path) -> None:
    trained = trainer(epochs=4)
    trained.fit(data(), data(8, seed=1))
    for checkpoint, found in (("best", trained.network), ("last", trained.last_network)):
        trained.save(tmp_path / checkpoint, checkpoint)
        weight = Network.load(tmp_path / checkpoint).projections["input->hidden"].weight
        assert np.array_equal(weight, found.projections["input->hidden"].weight)
    with pytest.raises(InputError, match="checkpoint must be one of last, best, got 'first'"):
        trained.save(tmp_path / "x", "first")


def test_nothing_trained_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must have trained an epoch to save it, got none; call f"):
        trainer().save(tmp_path / "net")
    assert not list(tmp_path.iterdir())


def test_series_are_predicted() -> None:
    raster = np.random.default_rng(0).random((6, 40, 3)) < 0.1
    targets = np.zeros((6, 2, 40))
    series = SpikeData.from_raster(raster, np.zeros(6), dt=1.0, label_names=LABELS, targets=targets)
    trained = trainer(loss="mean-squared-error")
    trained.fit(series)
    found = trained.predict(series)
    assert found.shape == (6, 2, 40) and found.dtype == np.float32
    error = np.square(found).mean()
    assert trained.evaluate(series).loss == pytest.approx(error, rel=1e-5)


def test_a_network_without_a_trial_is_opened_with_its_steps(tmp_path: Path) -> None:
    path, net = tmp_path / "net.safetensors", network()
    net.save(path)
    with pytest.raises(InputError, match=r"how long a trial is, .*give load\(..., n_steps"):
        mlgenn_delays.load(path)
    model = mlgenn_delays.load(path, n_steps=40)
    assert model.labels == ("0", "1")
    expected = mlgenn_delays.Trainer(net, EventProp(), progress="none").evaluate(data()).logits
    np.testing.assert_array_equal(model.logits(data()), expected)
    assert repr(model) == "Model(3 channels of spikes, 40 steps of 1 ms, 2 classes)"


def test_steps_are_given_for_networks_alone(tmp_path: Path) -> None:
    path = tmp_path / "bundle.safetensors"
    write_bundle(Artifact.of(network(), About(n_steps=40, labels=LABELS)), path)
    for known in (path, "digits-demo"):
        with pytest.raises(InputError, match="n_steps must be left out .* got 40"):
            mlgenn_delays.load(known, n_steps=40)
    net = tmp_path / "net.safetensors"
    network().save(net)
    for wrong in (0, 1.5):
        with pytest.raises(InputError, match="n_steps must be a whole number >= 1"):
            mlgenn_delays.load(net, n_steps=wrong)


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    trained, path = trainer(), tmp_path / "net.safetensors"
    trained.fit(data())
    trained.save(path)
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"n_steps\\": 40', b'\\"n_steps\\": 41'))
    assert path.read_bytes() != content
    with pytest.raises(InputError, match="is damaged: its content differs from its checksum"):
        mlgenn_delays.load(path)
    with pytest.raises(InputError, match="path must be text or a Path, got Network"):
        mlgenn_delays.load(trained.network)


def test_who_saves_the_start_is_told(tmp_path: Path) -> None:
    net, trained = network(), None
    net.save(tmp_path / "before")
    trained = trainer(net)
    trained.fit(data())
    with pytest.warns(
        UserWarning, match="saved is the one that a trainer started from.*er.network"
    ):
        net.save(tmp_path / "net")
    with pytest.warns(UserWarning, match="made an artifact of"):
        Artifact.of(net, About(n_steps=40, labels=LABELS))
    assert repr(net).startswith("Network(dt=1 ms, as before the training: see network of the train")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net.copy().save(tmp_path / "copy")
        trained.network.save(tmp_path / "trained")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "net").read_bytes()
    assert "before the training" not in repr(trained.network)


def test_who_fits_again_is_told_that_it_starts_again() -> None:
    trained = trainer()
    trained.fit(data())
    first = trained.network.projections["input->hidden"].weight.copy()
    with pytest.warns(UserWarning, match="fit starts again from the network.*Trainer.trainer.netw"):
        trained.fit(data())
    assert np.array_equal(trained.network.projections["input->hidden"].weight, first)


def test_delays_that_cannot_get_longer_are_told() -> None:
    says = (
        r"cannot get longer .*'input->hidden' [67][.\d]* ms, 'hidden->output' [67][.\d]* ms; give"
    )
    with pytest.warns(UserWarning, match=says):
        trainer(network(max_delay=None)).fit(data())
    with pytest.warns(UserWarning, match="'input->hidden' 0 ms"):
        trainer(network(max_delay=None, delay=0.0)).fit(data())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer(network()).fit(data())
        trainer(network(max_delay=None, delay=0.0, granularity="fixed")).fit(data())
        net = network(max_delay=None)
        Trainer(net, EventProp(delays=None), epochs=1, progress="none").fit(data())


def test_trainers_and_results_fit_a_line() -> None:
    trained = trainer()
    assert repr(trained) == "Trainer(EventProp, 0 of 2 epochs, batches of 8, cpu)"
    history = trained.fit(data(), data(8, seed=1))
    assert repr(trained) == (
        f"Trainer(EventProp, 2 of 2 epochs, best {history.best_epoch}, batches of 8, cpu)"
    )
    found = trained.evaluate(data())
    assert repr(found) == (
        f"Evaluation(accuracy {100 * found.accuracy:.2f} %, loss {found.loss:.4g}, 24 examples)"
    )


def test_data_of_the_other_kind_are_refused_by_predict() -> None:
    with pytest.raises(InputError, match="data must be SpikeData, which the SpikeInput 'input'"):
        trainer().predict(CurrentData(np.zeros((1, 40, 3)), [0], 1.0, LABELS))
    with pytest.raises(InputError, match="data must be SpikeData or CurrentData, got ndarray"):
        trainer().predict(np.zeros((1, 40, 3)))


@pytest.mark.parametrize("rule", [EventProp(), SurrogateBPTT()])
def test_an_output_that_nothing_reaches_is_refused(rule: Rule) -> None:
    """EventProp has crashed of it, the other learned nothing."""
    net = Network()
    net.add("input", SpikeInput(3))
    net.add("output", LeakyIntegrator(2))
    with pytest.raises(InputError, match="output 'output' must have a projection onto it.*'input'"):
        Trainer(net, rule, epochs=1, progress="none").fit(data())


def test_a_run_made_in_python_is_opened_with_its_steps(tmp_path: Path) -> None:
    trained = trainer(run=RunDirectory.create(tmp_path / "run"))
    trained.fit(data(), data(8, seed=1))
    with pytest.raises(InputError, match="how long a trial is"):
        mlgenn_delays.load(tmp_path / "run")
    model = mlgenn_delays.load(tmp_path / "run", n_steps=40)
    np.testing.assert_array_equal(model.logits(data()), trained.evaluate(data()).logits)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda t: t.save(None), "path must be text or a Path, got NoneType"),
        (lambda t: t.network.save(3), "path must be text or a Path, got int"),
        (lambda t: Network.load(None), "path must be text or a Path, got NoneType"),
        (lambda t: RunDirectory.create(None), "path must be text or a Path, got NoneType"),
        (lambda t: mlgenn_delays.load("digits-demo").logits([1]), "examples must be .* got list"),
        (lambda t: t.history.column("accuracy"), "'accuracy'; did you mean 'train_accuracy'"),
        (lambda t: network(reach_all="x"), "reach_all of 'input->hidden' must be true or false"),
        (lambda t: network(delay=None), "delay .* must be a number, an array .* got None"),
        (lambda t: t.network.weight_matrix(3), "a projection must be given by its name, got 3"),
        (
            lambda t: network().connect(network().input(), "hidden", Exponential(), weight=1.0),
            "a population must be given by its name, got Population",
        ),
    ],
)
def test_mistakes_are_one_clear_error(act: Callable, message: str) -> None:
    trained = trainer(epochs=1)
    trained.fit(data())
    with pytest.raises(InputError, match=message):
        act(trained)


def test_events_are_a_list() -> None:
    with pytest.raises(InputError, match="events must be a list .* got generator; list.events."):
        SpikeData.from_events(iter(x for x in ()), [], n_channels=1, n_steps=1, dt=1.0)
