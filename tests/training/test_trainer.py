from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from mlgenn_delays.data.augment.augment import Augment
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import CrossEntropy, EventProp, SurrogateBPTT
from mlgenn_delays.network import Exponential
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.rewiring import RigL
from mlgenn_delays.tensors import canonical
from mlgenn_delays.training.callbacks import EarlyStopping
from mlgenn_delays.training.trainer import Trainer


def weights(network):
    return {name: p.weight.tobytes() for name, p in network.projections.items()}


def after_epochs(fake, make, count, **arguments):
    """Return the weights after so many epochs of a longer training."""

    fake.script = {}
    trainer = make.trainer(**arguments)
    with make.interrupted_in(count + 1) if count < trainer.epochs else nullcontext():
        trainer.fit(make.data())
    assert len(trainer.history) == count
    return weights(trainer.network)


def test_rows_hold_the_metrics_of_every_epoch(fake, make):
    history = make.trainer(epochs=3).fit(make.data(), make.data(4, seed=9))
    assert history.column("epoch") == [1, 2, 3]
    assert list(history.rows[0]) == [
        "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "spikes_hidden", "silent_hidden", "seconds",
    ]  # fmt: skip
    assert history.column("spikes_hidden") == [2.0] * 3
    assert history.column("silent_hidden") == [1] * 3
    assert all(s > 0 for s in history.column("seconds"))


def test_seconds_are_those_of_the_epoch(fake, make, monkeypatch):
    clock = [0.0]

    def later(epoch, batch):
        clock[0] += epoch

    monkeypatch.setattr("mlgenn_delays.training.trainer.perf_counter", lambda: clock[0])
    fake.after_batch = staticmethod(later)
    history = make.trainer(epochs=2).fit(make.data(8))  # two batches an epoch
    assert history.column("seconds") == [2.0, 4.0]


def test_every_epoch_sees_every_example_in_another_order(fake, make):
    make.trainer(epochs=2).fit(make.data(10), make.data(5))
    orders = fake.made[0].train_orders
    assert [sorted(order) for order in orders] == [list(range(10))] * 2
    assert orders[0] != orders[1]
    assert fake.made[0].total_steps == 2 * 3  # the last batch of an epoch is smaller
    start, *answered = fake.made[0].evaluated
    assert start == list(range(4))  # the loss at the start, of the first batch
    assert answered == [list(range(5))] * 2


def test_augmentation_touches_training_only(fake, make, monkeypatch):
    seen = []
    from mlgenn_delays.training import trainer as module

    real = module.epoch_batches

    def spy(data, batch_size, **settings):
        seen.append((len(data), settings.get("augment"), settings.get("shuffle", True)))
        return real(data, batch_size, **settings)

    monkeypatch.setattr(module, "epoch_batches", spy)
    settings = Augment(jitter=1.0)
    trainer = make.trainer(epochs=1, augment=settings)
    trainer.fit(make.data(10), make.data(5))
    trainer.evaluate(make.data(3))
    start = (10, None, False)  # the loss at the start
    assert seen == [start, (10, settings, True), (5, None, False), (3, None, False)]


def test_equal_arguments_give_equal_networks_and_seeds_matter(fake, make):
    networks = []
    for seed in (3, 3, 4):
        trainer = make.trainer(seed=seed)
        trainer.fit(make.data())
        networks.append(weights(trainer.network))
    assert networks[0] == networks[1] != networks[2]


def test_fit_leaves_the_given_network_and_starts_anew(fake, make):
    network = make.network()
    before = weights(network)
    trainer = make.trainer(network=network)
    trainer.fit(make.data())
    first = weights(trainer.network)
    assert weights(network) == before != first
    network.projections["hidden->output"].weight[:] = 7.0  # later changes do not matter
    assert len(trainer.fit(make.data())) == 4
    assert weights(trainer.network) == first


def test_a_silent_population_is_told_once(fake, make, capsys):
    fake.silent = 4
    make.trainer(epochs=3, progress="plain").fit(make.data())
    assert capsys.readouterr().err.count("no neuron of 'hidden' spiked in epoch 1") == 1
    network = make.current_network()
    make.trainer(network=network, rule=SurrogateBPTT(), progress="plain").fit(make.currents())
    said = capsys.readouterr().err
    assert said.count("no neuron of 'hidden'") == 1
    _, *rows = (line for line in said.splitlines() if "seconds" in line or "/4 " in line)
    assert [row.split()[3:6] for row in rows] == [["%", "2.00", "4"]] * 4
    fake.silent = 3
    make.trainer(epochs=3, progress="plain").fit(make.data())
    assert "no neuron" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("accuracy", "loss", "best"),
    [
        ({1: 0.5, 2: 0.9, 3: 0.7}, {}, 2),
        ({1: 0.5, 2: 0.9, 3: 0.9}, {1: 0.0, 2: 0.5, 3: 0.4}, 3),
        ({1: 0.5, 2: 0.9, 3: 0.9}, {1: 0.0, 2: 0.4, 3: 0.4}, 2),
        ({1: 0.5, 2: 0.9, 3: 0.9}, {1: 0.0, 2: 0.4, 3: 0.5}, 2),
    ],
)
def test_best_is_by_validation_accuracy_then_loss_then_first(fake, make, accuracy, loss, best):
    fake.script = {"accuracy": accuracy, "validation_loss": loss}
    trainer = make.trainer(epochs=3)
    history = trainer.fit(make.data(), make.data(4))
    assert history.best_epoch == best

    assert weights(trainer.network) == after_epochs(fake, make, best, epochs=3)


def test_without_validation_the_last_epoch_is_best(fake, make):
    trainer = make.trainer(epochs=3)
    history = trainer.fit(make.data())
    assert history.best_epoch == 3
    assert weights(trainer.network) == weights(fake.made[0].network)
    assert history.column("validation_accuracy") == [None] * 3


def test_evaluate_uses_the_best_network(fake, make):
    fake.script = {"accuracy": {1: 0.9, 2: 0.1, 3: 0.2}}
    trainer = make.trainer(epochs=3)
    trainer.fit(make.data(), make.data(4))
    fake.script = {}
    trainer.evaluate(make.data(4))
    pushed = {k: w.tobytes() for k, w in fake.made[0].weight.items()}
    assert pushed == weights(trainer.network)


def test_engine_and_backend_reach_the_engine(fake, make):
    where = {"engine": "genn", "backend": "cuda"}
    trainer = make.trainer(epochs=1, threads=2, **where)
    trainer.check(make.data())
    trainer.fit(make.data())
    for made in fake.made:
        assert made.options == where | {
            "threads": 2, "communicator": None, "batch_size": 4, "learns": True,
            "epoch_steps": 3, "loss": CrossEntropy(), "quantisation": None, "hardware": None,
        }  # fmt: skip


@pytest.mark.parametrize(("engine", "evaluated"), [("cpu", []), ("genn", [[0, 1, 2, 3]])])
def test_check_runs_an_engine_whose_code_may_fail_to_build(fake, make, engine, evaluated):
    make.trainer(engine=engine).check(make.data(), make.data(4))
    assert fake.made[0].evaluated == evaluated


def test_what_only_answers_is_compiled_so_and_once(fake, make):
    trainer = make.trainer(rewiring=RigL())
    assert trainer.evaluate(make.data(5)).n == 5
    trainer.evaluate(make.data(4))
    assert weights(trainer.network) == weights(make.network())
    (made,) = fake.made
    assert made.options["learns"] is False
    assert made.options["batch_size"] == 4
    assert made.rewiring is None
    assert made.evaluated == [list(range(5)), list(range(4))]
    trainer.fit(make.data())
    trainer.evaluate(make.data(4))
    assert len(fake.made) == 2
    assert fake.made[1].options["learns"] is True
    assert fake.made[1].evaluated == [list(range(4))] * 2  # the first is of the start


@pytest.mark.parametrize("folded", [True, False])
def test_what_answers_is_given_the_network_as_it_takes_it(fake, make, monkeypatch, folded):
    network = make.current_network()
    network.populations["hidden"].normalisation.gain[:] = 3.0
    before = fake.__init__

    def made(self, network, *arguments, **options):
        before(self, network.folded() if folded else network, *arguments, **options)

    monkeypatch.setattr(fake, "__init__", made)
    Trainer(network, SurrogateBPTT(), engine="genn", progress="none").evaluate(make.currents(4))
    expected = network.folded() if folded else network
    assert {k: w.tobytes() for k, w in fake.made[0].weight.items()} == weights(expected)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (3, 8), (9, 8)])
def test_patience_stops_after_so_many_epochs_without_better(fake, make, patience, epochs):
    accuracy = {1: 0.1, 2: 0.5, 3: 0.4, 4: 0.3, 5: 0.6, 6: 0.2, 7: 0.2, 8: 0.2}
    fake.script = {"accuracy": accuracy}
    trainer = make.trainer(epochs=8, callbacks=[EarlyStopping(patience)])
    history = trainer.fit(make.data(), make.data(4))
    assert len(history) == epochs
    assert history.stopped_early == (epochs < 8)


@pytest.mark.parametrize(
    "script",
    [{"loss": {3: np.nan}}, {"loss": {3: 100.1 * np.log(2)}}, {"validation_loss": {3: np.nan}}],
)
@pytest.mark.parametrize("kept", ["memory", "run"])
def test_divergence_keeps_the_last_good_network(fake, make, tmp_path, script, kept):
    fake.script = {"accuracy": {1: 0.9, 2: 0.1, 3: 0.1}, **script}
    run = make.run(tmp_path / "run") if kept == "run" else None
    trainer = make.trainer(run=run)
    with pytest.raises(DivergedError) as caught:
        trainer.fit(make.data(), make.data(4))
    text = str(caught.value)
    assert "epoch 3" in text and "epoch 2" in text
    assert "learning.learning_rate" in text and "learning.clip" in text
    assert caught.value.exit_code == 1
    assert len(trainer.history) == 2
    assert weights(trainer.network) == after_epochs(fake, make, 2)
    if run is not None:
        assert str(tmp_path / "run" / "checkpoints" / "last") in text
        stored = run.network_path("last").read_bytes()
        assert stored == canonical(to_bytes(trainer.network))
        assert run.load_checkpoint().epoch == 2
        assert run.network_path("best").read_bytes() != stored
    assert trainer.evaluate(make.data(4)).n == 4


def test_a_large_loss_that_has_not_exploded_goes_on(fake, make):
    fake.script = {"loss": {2: 99.9 * np.log(2)}}
    assert len(make.trainer().fit(make.data())) == 4


def test_divergence_in_the_first_epoch_says_that_nothing_was_finished(fake, make, tmp_path):
    fake.script = {"loss": {1: np.inf}}
    trainer = make.trainer(run=make.run(tmp_path / "run"))
    with pytest.raises(DivergedError, match="no epoch was finished"):
        trainer.fit(make.data())
    assert weights(trainer.network) == weights(make.network())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"epochs": 0}, "epochs must be .* got 0"),
        ({"epochs": True}, "epochs must be .* got True"),
        ({"batch_size": 0}, "batch_size must be .* got 0"),
        ({"seed": -1}, "seed must be .* got -1"),
        ({"threads": 0}, "threads must be .* got 0"),
        ({"callbacks": [EarlyStopping]}, "list of Callback, got .*EarlyStopping.*an instance"),
        ({"callbacks": print}, "callbacks must be a list of Callback, got .*print.*derive"),
        ({"engine": "cpo"}, "engine must be one of cpu, genn, got 'cpo'; did you mean 'cpu'"),
        ({"progress": "bars"}, "progress must be .* got 'bars'; did you mean 'bar'"),
        ({"augment": "jitter"}, "augment .* of type .*Augment.* got 'jitter'"),
        ({"run": "runs/x"}, "run .* of type .*RunDirectory.* got 'runs/x'"),
        ({"rewiring": "rigl"}, "rewiring .* of type Rewiring or None, got 'rigl'"),
        ({"network": "net"}, "network .* of type Network, got 'net'"),
        ({"rule": "eventprop"}, "rule .* of type EventProp or SurrogateBPTT, got 'eventprop'"),
        (
            {"backend": "cuda"},
            "engine must be 'genn' with backend 'cuda', got 'cpu'",
        ),
    ],
)
def test_arguments_check_themselves(make, arguments, text):
    with pytest.raises(InputError, match=text):
        make.trainer(**arguments)


@pytest.mark.parametrize("currents", [False, True])
@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"channels": 4}, "must have 3 channels.* got 4"),
        ({"classes": 3}, "at most 2 classes.* got 3"),
        ({"dt": 0.5}, "1 ms, got 0.5 ms"),
        ({"n": 0}, "at least one example"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_any_work(fake, make, currents, settings, text):
    data, network = make.data, make.network()
    if currents:
        data, network = make.currents, make.current_network()
    trainer = make.trainer(network=network, rule=SurrogateBPTT())
    wrong = data(**settings)
    for method in (trainer.check, trainer.fit):
        with pytest.raises(InputError, match=f"training data .*{text}"):
            method(wrong)
        with pytest.raises(InputError, match=f"validation data .*{text}"):
            method(data(), wrong)
    with pytest.raises(InputError, match=text):
        trainer.evaluate(wrong)
    assert not fake.made


def test_splits_have_the_same_classes_no_more_than_there_are_outputs(fake, make):
    assert len(make.trainer(network=make.network(classes=5)).fit(make.data())) == 4
    other = replace(make.data(), label_names=("b", "a"))
    with pytest.raises(InputError, match="classes of the training data, a, b, got b, a"):
        make.trainer().fit(make.data(), other)


def test_spikes_and_currents_are_not_taken_for_each_other(fake, make):
    spikes, currents = make.data(), make.currents()
    takes_spikes = make.trainer()
    takes_currents = Trainer(make.current_network(), SurrogateBPTT(), progress="none")
    text = "data must be SpikeData, which the SpikeInput 'input' takes, got CurrentData; .*Current"
    for method in (takes_spikes.check, takes_spikes.fit, takes_spikes.evaluate):
        with pytest.raises(InputError, match=text):
            method(currents)
    with pytest.raises(InputError, match=f"validation {text}"):
        takes_spikes.fit(spikes, currents)
    text = "data must be CurrentData, which the CurrentInput 'input' takes, got SpikeData; .*Spike"
    for method in (takes_currents.check, takes_currents.fit, takes_currents.evaluate):
        with pytest.raises(InputError, match=text):
            method(spikes)
    assert not fake.made


@pytest.mark.parametrize(("key", "of_currents"), [("jitter", True), ("noise", False)])
def test_augmentation_of_another_kind_of_data(fake, make, key, of_currents):
    augment = Augment(**{key: 0.5})
    network = make.current_network() if of_currents else make.network()
    trainer = Trainer(network, SurrogateBPTT(), augment=augment, progress="none")
    for method in (trainer.check, trainer.fit):
        with pytest.raises(InputError, match=f"augmentation.{key} must be 0 for"):
            method(make.currents() if of_currents else make.data())
    assert not fake.made


def test_rewiring_reaches_the_engine_and_the_rows(fake, make):
    fake.grown = 7
    rewiring = RigL(signs="dale")
    history = make.trainer(epochs=2, rewiring=rewiring).fit(make.data())
    assert fake.made[0].rewiring == rewiring
    assert history.column("grown") == [7, 7]
    assert list(history.rows[0])[-2:] == ["grown", "seconds"]
    assert history.to_csv().splitlines()[0].endswith("silent_hidden,grown,seconds")
    make.trainer(epochs=1).fit(make.data())
    assert fake.made[1].rewiring is None


def test_check_asks_the_engine(make):
    trainer = make.trainer(rule=EventProp(dropout={"nothing": 0.5}))
    with pytest.raises(InputError, match="dropout must name populations that spike"):
        trainer.check(make.data())
    trainer = make.trainer(rewiring=RigL(signs="dale"))
    with pytest.raises(InputError, match="projection with absent synapses, got dense or frozen"):
        trainer.check(make.data())
    network = make.network()
    network.connect(
        "input", "output", Exponential(), weight=1.0, synapses=2, granularity="fixed", name="short"
    )
    with pytest.raises(InputError, match="signs='dale'"):
        make.trainer(network=network, rewiring=RigL(signs="dale")).check(make.data())


def test_fit_refuses_no_data_and_resuming_without_a_run(fake, make):
    with pytest.raises(InputError, match="must be SpikeData or CurrentData, got dict"):
        make.trainer().fit({"train": make.data()})
    with pytest.raises(InputError, match="resume needs a run"):
        make.trainer().fit(make.data(), resume=True)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"callbacks": [EarlyStopping(2)]}, "patience needs validation data"),
        (
            {"augment": Augment(shift=1, group=2)},
            "augmentation.group must be a divisor of the 3 channels .*, or 0, got 2",
        ),
    ],
)
def test_check_refuses_what_fit_refuses(fake, make, arguments, text):
    trainer = make.trainer(**arguments)
    for method in (trainer.check, trainer.fit):
        with pytest.raises(InputError, match=text):
            method(make.data())
    assert fake.made == []


def test_check_changes_nothing(fake, make):
    trainer = make.trainer(augment=Augment(shift=1, group=3))
    trainer.check(make.data(), make.data(4))
    trainer.fit(make.data(), make.data(4))
    other = make.trainer(augment=Augment(shift=1, group=3))
    other.fit(make.data(), make.data(4))
    assert weights(trainer.network) == weights(other.network)
