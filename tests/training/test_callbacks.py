"""Callbacks: when they are called and with what, what they may do, and what an error leaves."""

import csv
import json
import struct

import pytest

from mlgenn_delays.engines.ranks import Ranks
from mlgenn_delays.errors import InputError
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.training import Callback, CSVLogger, EarlyStopping
from tests.fake_mpi import FakeWorld
from tests.needs import needs
from tests.training.tasks import spike_trainer, spikes

HOOKS = ("train_begin", "train_end", "epoch_begin", "epoch_end", "batch_begin", "batch_end")


class Recorder(Callback):
    """Notes all calls."""

    def __init__(self):
        self.calls = []
        for hook in HOOKS:
            setattr(self, f"on_{hook}", lambda *given, hook=hook: self.calls.append((hook, *given)))


class Failing(Callback):
    """Fails at the end of an epoch."""

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        if epoch == self.epoch:
            raise ZeroDivisionError("mine")


class StoppingAfter(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        self.trainer.stop_training = epoch == self.epoch


def test_all_is_called_in_keras_order(fake, make):
    recorder = Recorder()
    trainer = make.trainer(epochs=2, callbacks=[recorder])
    history = trainer.fit(make.data(10), make.data(4))  # three batches per epoch
    batches = [(kind, n) for n in (1, 2, 3) for kind in ("batch_begin", "batch_end")]
    epochs = [[("epoch_begin", n), *batches, ("epoch_end", n)] for n in (1, 2)]
    expected = [("train_begin",), *epochs[0], *epochs[1], ("train_end",)]
    assert [call[:-1] for call in recorder.calls] == expected
    logs = {call[:-1]: call[-1] for call in recorder.calls}
    assert logs["epoch_end", 2] == history.rows[1] == logs["train_end",]
    assert all(not logs[call] for call in expected if call[0].endswith("begin"))
    assert logs["batch_end", 3] == {
        "train_loss": pytest.approx((4 / 4 + 4 / 5 + 2 / 6) / 10), "train_accuracy": 0.5,
        "spikes_hidden": 2.0,
    }  # fmt: skip
    assert recorder.trainer is trainer


def test_what_one_adds_to_logs_others_find_and_history_does_not(fake, make):
    class Adds(Callback):
        def on_epoch_end(self, epoch, logs):
            logs["rate"] = epoch / 2

    recorder = Recorder()
    history = make.trainer(callbacks=[Adds(), recorder]).fit(make.data())
    found = [call[2]["rate"] for call in recorder.calls if call[0] == "epoch_end"]
    assert found == [0.5, 1.0, 1.5, 2.0]
    assert "rate" not in history.rows[0]


def test_a_callback_stops_the_training_and_a_resumed_one_goes_on(fake, make, tmp_path):
    run, recorder = make.run(tmp_path / "run"), Recorder()
    trainer = make.trainer(run, callbacks=[StoppingAfter(2), recorder])
    history = trainer.fit(make.data(), make.data(4))
    assert len(history) == 2 and history.stopped_early
    assert recorder.calls[-1][0] == "train_end"
    again = make.trainer(run, callbacks=[recorder])
    recorder.calls.clear()
    assert len(again.fit(make.data(), make.data(4), resume=True)) == 4
    epochs = [call[1] for call in recorder.calls if call[0] == "epoch_begin"]
    assert epochs == [3, 4] and not again.history.stopped_early
    whole = make.run(tmp_path / "whole")
    make.trainer(whole).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(whole.path)


@pytest.mark.parametrize("hook", ["on_train_begin", "on_epoch_begin", "on_batch_end"])
def test_stopping_anywhere_ends_after_the_epoch_under_way(fake, make, hook):
    callback = Callback()

    def stop(*given):
        callback.trainer.stop_training = True

    setattr(callback, hook, stop)
    history = make.trainer(callbacks=[callback]).fit(make.data())
    assert len(history) == (0 if hook == "on_train_begin" else 1)


def test_an_error_keeps_the_epoch_and_its_traceback(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    trainer = make.trainer(run, callbacks=[Failing(2)])
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        trainer.fit(make.data(), make.data(4))
    assert caught.traceback[-1].name == "on_epoch_end"
    assert run.load_checkpoint().epoch == 2 and len(trainer.history) == 2
    assert trainer.evaluate(make.data(4)).n == 4
    make.trainer(run).fit(make.data(), make.data(4), resume=True)
    whole = make.run(tmp_path / "whole")
    make.trainer(whole).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(whole.path)


def test_evaluating_along_the_way_changes_nothing(tmp_path):
    train, validation = spikes(48, 1), spikes(16, 2)

    class Measures(Callback):
        def on_train_begin(self, logs):
            self.found = {"best": [], "last": []}

        def on_batch_end(self, batch, logs):
            if batch == 2:
                self.trainer.evaluate(validation, "last")

        def on_epoch_end(self, epoch, logs):
            for name, found in self.found.items():
                found.append(self.trainer.evaluate(validation, name).accuracy)

    alone, watched, measures = (
        spike_trainer(None, 1, 4), spike_trainer(None, 1, 4), Measures()
    )  # fmt: skip
    watched.callbacks.append(measures)
    histories = [each.fit(train, validation) for each in (alone, watched)]
    assert to_bytes(watched.last_network) == to_bytes(alone.last_network)
    assert to_bytes(watched.network) == to_bytes(alone.network)
    accuracy = histories[0].column("validation_accuracy")
    assert accuracy == histories[1].column("validation_accuracy") == measures.found["last"]
    assert measures.found["best"] == [max(accuracy[: k + 1]) for k in range(4)]
    with pytest.raises(InputError, match="checkpoint must be one of last, best.* got 'first'"):
        watched.evaluate(validation, "first")


def test_one_of_several_processes_stops_all(fake, make, monkeypatch):
    monkeypatch.setattr("mlgenn_delays.engines.genn.checks.available_backends", list)
    world = FakeWorld(3)

    def train(rank):
        callbacks = [StoppingAfter(2)] if rank == 1 else []
        trainer = make.trainer(engine="genn", communicator="mpi", callbacks=callbacks)
        return len(trainer.fit(make.data()))

    assert world.on_all(train) == [2, 2, 2]
    assert Ranks(None).any(True) and not Ranks(None).any(False)


@pytest.mark.parametrize("patience", [0, 1.5, "3"])
def test_patience_checks_itself(patience):
    with pytest.raises(InputError, match="patience must be .* got"):
        EarlyStopping(patience)


def rows(path):
    with path.open(newline="") as text:
        return [{**row, "seconds": ""} for row in csv.DictReader(text)]


@pytest.mark.parametrize("kept", ["all", "none", "more"])
def test_a_csv_file_continues_with_its_run(fake, make, tmp_path, kept):
    """It has every epoch once, whatever of the file is there when the training resumes."""
    path, whole = tmp_path / "log.csv", tmp_path / "whole.csv"
    run = make.interrupted_run(tmp_path / "run", callbacks=[CSVLogger(path)])
    assert len(rows(path)) == 2
    if kept == "none":
        path.unlink()
    elif kept == "more":  # of epochs that are trained again
        last = path.read_text().splitlines()[-1]
        path.write_text(f"{path.read_text()}3{last[1:]}\n")
    make.trainer(run, callbacks=[CSVLogger(path)]).fit(make.data(), make.data(4), resume=True)
    make.trainer(callbacks=[CSVLogger(whole)]).fit(make.data(), make.data(4))
    assert rows(path) == rows(whole) and len(rows(path)) == 4
    assert path.read_text().splitlines()[0] == (run.path / "metrics.csv").read_text().split()[0]


def test_a_new_training_replaces_the_csv_file_and_another_file_is_refused(fake, make, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("what,ever\n1,2\n")
    run = make.interrupted_run(tmp_path / "run")
    with pytest.raises(InputError, match="log.csv must be the file of a CSVLogger.*delete it"):
        make.trainer(run, callbacks=[CSVLogger(path)]).fit(make.data(), make.data(4), resume=True)
    make.trainer(epochs=1, callbacks=[CSVLogger(path)]).fit(make.data())
    assert len(rows(path)) == 1


def events(folder):
    """Return what TensorBoard reads of a folder: (step, value) by tag."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(each.step, each.value) for each in found.Scalars(tag)]
        for tag in found.Tags()["scalars"]
    }


def test_tensorboard_reads_every_epoch_once(fake, make, tmp_path):
    from mlgenn_delays.training import TensorBoardLogger

    def board():
        return TensorBoardLogger(tmp_path / "events")

    run = make.run(tmp_path / "run")
    with pytest.raises(ZeroDivisionError):
        make.trainer(run, callbacks=[board(), Failing(2)]).fit(make.data(), make.data(4))
    assert [step for step, _ in events(tmp_path / "events" / "validation")["loss"]] == [1, 2]
    trainer = make.trainer(run, callbacks=[board()])
    history = trainer.fit(make.data(), make.data(4), resume=True)
    for part, names in {
        "validation": ["loss", "accuracy"],
        "train": ["loss", "accuracy", "spikes_hidden", "silent_hidden", "seconds"],
    }.items():
        found = events(tmp_path / "events" / part)
        assert sorted(found) == sorted(names)
        for name, points in found.items():
            column = f"{part}_{name}" if name in ("loss", "accuracy") else name
            assert [step for step, _ in points] == [1, 2, 3, 4]
            assert [value for _, value in points] == pytest.approx(history.column(column), rel=1e-6)
    make.trainer(epochs=2, callbacks=[board()]).fit(make.data(), make.data(4))  # a new training
    assert [step for step, _ in events(tmp_path / "events" / "train")["loss"]] == [1, 2]


def wandb_records(file):
    """Yield the records of an offline run: a log of LevelDB's behind a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    content, place, parts = file.read_bytes(), 7, b""
    while place < len(content):
        left = 32768 - place % 32768
        if left < 7:  # no record begins in the last bytes of a block
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # a whole one, or the last part of one
            yield wandb_internal_pb2.Record.FromString(parts)
            parts = b""


@needs("wandb")
def test_wandb_offline_has_every_epoch(fake, make, tmp_path, monkeypatch):
    from mlgenn_delays.training import WandbLogger

    monkeypatch.setenv("WANDB_SILENT", "true")
    logger = WandbLogger("delays", config={"mine": 7}, mode="offline", dir=str(tmp_path))
    with pytest.raises(ZeroDivisionError):
        make.trainer(callbacks=[logger, Failing(1)]).fit(make.data())
    failed = set(tmp_path.rglob("*.wandb"))
    history = make.trainer(epochs=2, callbacks=[logger]).fit(make.data(), make.data(4))
    (file,) = set(tmp_path.rglob("*.wandb")) - failed
    logged, config = [], {}
    for record in wandb_records(file):
        if record.HasField("history"):
            values = {
                each.key or each.nested_key[0]: each.value_json for each in record.history.item
            }
            logged.append({key: json.loads(value) for key, value in values.items()})
        for each in (*record.run.config.update, *record.config.update):
            config[each.key] = json.loads(each.value_json)
    assert [each["_step"] for each in logged] == [1, 2]
    for name in ("train_loss", "validation_accuracy", "seconds"):
        assert [each[name] for each in logged] == pytest.approx(history.column(name))
    assert config["mine"] == 7 and config["epochs"] == 2 and "EventProp" in config["rule"]


@pytest.mark.parametrize("name", ["TensorBoardLogger", "WandbLogger"])
def test_a_missing_package_is_named(monkeypatch, name):
    from mlgenn_delays.training import loggers

    monkeypatch.setattr(loggers, "find_spec", lambda package: None)
    with pytest.raises(InputError, match=rf"{name} needs the package .*delaysnn\["):
        getattr(loggers, name)("x")
