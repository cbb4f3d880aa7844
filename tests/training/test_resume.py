"""Runs that are killed, at any moment, and resumed."""

import os
import re
from dataclasses import replace

import pytest

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.learning import Adam, Cosine, EaseIn, EventProp, OneCycle
from mlgenn_delays.rewiring import SET, DeepR, RigL
from mlgenn_delays.runs import directory as run_module
from mlgenn_delays.runs.checkpoint import Checkpoint, kept
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.files import STATE
from mlgenn_delays.training.callbacks import EarlyStopping
from mlgenn_delays.training.checks import length_followers

# The best epoch is neither first nor last, and one that a kill may take back.
ACCURACY = {1: 0.2, 2: 0.5, 3: 0.9, 4: 0.4}


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the package runs on it."""


@pytest.fixture
def whole(fake, make, tmp_path):
    """The files of an uninterrupted run, with and without validation."""

    def train(validation):
        fake.script = {"accuracy": ACCURACY}
        run = make.run(tmp_path / "whole")
        make.trainer(run).fit(make.data(), make.data(4) if validation else None)
        return make.final_files(run.path)

    return train


def killed_run(fake, make, path, monkeypatch, at, when, validation):
    """Train until write number `at`, killed before, in the middle of, or after it."""
    real, count = run_module.write_atomic, 0

    def write(file, content):
        nonlocal count
        count += 1
        if count == at:
            if when == "middle":
                (file.parent).mkdir(parents=True, exist_ok=True)
                (file.parent / f".{file.name}.abcd1234.delaysnn-part").write_bytes(b"half")
            if when == "after":
                real(file, content)
            raise Killed
        real(file, content)

    run = make.run(path)
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_atomic", write)
        try:
            make.trainer(run).fit(make.data(), make.data(4) if validation else None)
        except Killed:
            return run, True
    return run, False


@pytest.mark.parametrize("validation", [True, False])
@pytest.mark.parametrize("when", ["before", "middle", "after"])
def test_a_kill_at_any_write_changes_nothing(
    fake, make, tmp_path, monkeypatch, whole, when, validation
):
    expected = whole(validation)
    at, killed = 0, True
    while killed:
        at += 1
        run, killed = killed_run(
            fake, make, tmp_path / f"run{at}", monkeypatch, at, when, validation
        )
        committed, trained = run.load_checkpoint(), set()
        fake.after_batch = staticmethod(lambda epoch, batch, seen=trained: seen.add(epoch))
        trainer = make.trainer(RunDirectory.open(run.path), threads=1 + at % 2)
        history = trainer.fit(make.data(), make.data(4) if validation else None, resume=True)
        fake.after_batch = None
        assert trained == set(range(1 + (committed.epoch if committed else 0), 5))
        assert make.final_files(run.path) == expected, f"killed {when} write {at}"
        assert len(history) == 4
        assert history.best_epoch == (3 if validation else 4)
    assert at > 4 * 3  # so many writes there are at least


def test_best_is_taken_back_to_the_commit(fake, make, tmp_path, monkeypatch):
    """Epoch 3 wrote the best network and was killed; on resuming it answers worse.

    (An engine that is not deterministic can do that: the best network must be one of the history.)
    """
    fake.script = {"accuracy": ACCURACY}
    writes = 6 + 6 + 3  # of two epochs, and of the best of the third
    run, killed = killed_run(fake, make, tmp_path / "run", monkeypatch, writes, "after", True)
    committed = run.load_checkpoint()
    assert killed and committed.epoch == committed.history.best_epoch == 2
    assert run.network_path("best").read_bytes() != committed.best_network
    fake.script = {"accuracy": ACCURACY | {3: 0.1, 4: 0.1}}
    trainer = make.trainer(run)
    history = trainer.fit(make.data(), make.data(4), resume=True)
    assert history.best_epoch == 2
    best = run.load_checkpoint().best_network
    assert run.network_path("best").read_bytes() == best
    assert (run.path / "network.safetensors").read_bytes() == best


def test_resuming_mends_the_files_before_it_trains(fake, make, tmp_path, monkeypatch):
    run, _ = killed_run(fake, make, tmp_path / "run", monkeypatch, 6 + 5, "after", False)
    assert run.load_checkpoint().epoch == 1
    assert (run.path / "metrics.csv").read_text().count("\n") == 3
    with make.interrupted_in(2):
        make.trainer(run).fit(make.data(), resume=True)
    assert (run.path / "metrics.csv").read_text().count("\n") == 2
    best = run.load_checkpoint().best_network
    for path in (run.network_path("best"), run.network_path("last")):
        assert path.read_bytes() == best
    assert (run.path / "network.safetensors").read_bytes() == best


def test_the_best_before_a_resume_stays_the_best(fake, make, tmp_path):
    fake.script = {"accuracy": {1: 0.9, 2: 0.5, 3: 0.5, 4: 0.5}}
    run = make.interrupted_run(tmp_path / "run")
    best = run.network_path("best").read_bytes()
    make.trainer(run).fit(make.data(), make.data(4), resume=True)
    assert run.network_path("best").read_bytes() == best
    assert run.network_path("best").read_bytes() != run.network_path("last").read_bytes()


def test_the_layout(fake, make, tmp_path):
    fake.script = {"accuracy": ACCURACY}
    run = make.run(tmp_path / "run")
    trainer = make.trainer(run)
    trainer.fit(make.data(), make.data(4))
    names = {str(p.relative_to(run.path)) for p in run.path.rglob("*") if p.is_file()}
    assert names == {
        ".lock", "recipe.toml", "environment.json", "data.safetensors", "metrics.csv",
        "network.safetensors", "sessions.json",
        "checkpoints/last/network.safetensors", "checkpoints/last/state.safetensors",
        "checkpoints/best/network.safetensors", "checkpoints/best/state.safetensors",
        *(f"snapshots/epoch-000{epoch}.safetensors" for epoch in range(5)),
    }  # fmt: skip
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.checkpoint import Checkpoint

    best = Network.load(run.path / "network.safetensors")
    for name, projection in trainer.network.projections.items():
        assert best.projections[name].weight.tobytes() == projection.weight.tobytes()
    assert run.network_path("best").read_bytes() != run.network_path("last").read_bytes()
    assert Checkpoint.load(run.checkpoint_path("best") / "state.safetensors").epoch == 3
    text = (run.path / "metrics.csv").read_text().splitlines()
    assert len(text) == 5
    row = trainer.history.rows[1]
    assert text[2] == ",".join(repr(value) for value in row.values())


def test_metrics_without_validation_have_empty_cells(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run, epochs=1).fit(make.data())
    header, row = (run.path / "metrics.csv").read_text().splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert cells["validation_loss"] == cells["validation_accuracy"] == ""
    assert float(cells["train_loss"]) > 0


def test_a_finished_training_is_left_alone(fake, make, tmp_path, capsys):
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data())
    times = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    trainer = make.trainer(run, progress="plain")
    history = trainer.fit(make.data(), resume=True)
    assert "nothing to do: the training finished after 4 epochs" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == times
    assert len(history) == 4 and not history.stopped_early
    assert fake.made[-1].train_orders == []
    last = fake.made[0].network.projections["hidden->output"].weight
    assert trainer.network.projections["hidden->output"].weight.tobytes() == last.tobytes()


def test_an_early_stop_is_final(fake, make, tmp_path, capsys):
    fake.script = {"accuracy": {1: 0.9, 2: 0.5}}
    run = make.run(tmp_path / "run")
    trainer = make.trainer(run, callbacks=[EarlyStopping(1)])
    assert trainer.fit(make.data(), make.data(4)).stopped_early
    again = make.trainer(run, callbacks=[EarlyStopping(1)], progress="plain")
    history = again.fit(make.data(), make.data(4), resume=True)
    assert len(history) == 2 and history.stopped_early
    assert "stopped early after 2 epochs" in capsys.readouterr().err


def test_patience_counts_over_a_resume(fake, make, tmp_path):
    fake.script = {"accuracy": {1: 0.9, 2: 0.5, 3: 0.5, 4: 0.5}}
    run = make.interrupted_run(tmp_path / "run", callbacks=[EarlyStopping(2)])
    again = make.trainer(run, callbacks=[EarlyStopping(2)])
    history = again.fit(make.data(), make.data(4), resume=True)
    assert len(history) == 3 and history.stopped_early


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"epochs": 3}, "epochs .*recorded 4, got 3"),
        ({"batch_size": 5}, "batch_size .*recorded 4, got 5"),
        ({"seed": 4}, "seed .*recorded 3, got 4"),
        ({"rewiring": RigL(signs="dale")}, "rewiring .*recorded None, got .RigL.*dale"),
    ],
)
def test_another_setting_is_refused_by_name(fake, make, tmp_path, changed, text):
    run = make.interrupted_run(tmp_path / "run")
    before = make.final_files(run.path)
    with pytest.raises(InputError, match=text):
        make.trainer(run, **changed).fit(make.data(), make.data(4), resume=True)
    assert make.final_files(run.path) == before


COSINE = Adam(schedule=Cosine())


@pytest.mark.parametrize(
    ("settings", "reasons"),
    [
        ({}, []),
        ({"rule": EventProp(weights=Adam(schedule=EaseIn())), "rewiring": DeepR()}, []),
        ({"rule": EventProp(weights=COSINE)}, ["the schedule Cosine of the weights"]),
        (
            {"rule": EventProp(weights=None, delays=Adam(schedule=OneCycle()))},
            ["the schedule OneCycle of the delays"],
        ),
        ({"rewiring": SET()}, ["rewiring by SET"]),
        ({"rewiring": RigL()}, ["rewiring by RigL"]),
    ],
)
def test_more_epochs_follow_where_nothing_depends_on_their_number(
    fake, make, tmp_path, settings, reasons
):
    run = make.run(tmp_path / "run")
    trainer = make.trainer(run, epochs=2, **settings)
    assert length_followers(trainer.rule, trainer.rewiring) == reasons
    trainer.fit(make.data())
    more = make.trainer(run, epochs=3, **settings)
    if reasons:
        with pytest.raises(InputError, match="epochs .*recorded 2, got 3"):
            more.fit(make.data(), resume=True)
        return
    assert len(more.fit(make.data(), resume=True)) == 3
    with pytest.raises(InputError, match="epochs .*recorded 3, got 2"):
        trainer.fit(make.data(), resume=True)


def test_more_epochs_thin_the_snapshots(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run, epochs=3).fit(make.data())
    space = 4.5e-6 * kept(run.path)[3].stat().st_size  # for four of them, one every other epoch
    make.trainer(run, epochs=8, snapshots=space).fit(make.data(), resume=True)
    assert list(kept(run.path)) == [0, 2, 4, 6, 8]


@pytest.mark.parametrize(
    "changed", [{"engine": "genn"}, {"engine": "genn", "backend": "cuda"}, {"threads": 3}]
)
def test_where_it_runs_may_change(fake, make, tmp_path, changed):
    fake.script = {"accuracy": ACCURACY}
    run = make.interrupted_run(tmp_path / "run")
    make.trainer(run, **changed).fit(make.data(), make.data(4), resume=True)
    whole = make.run(tmp_path / "whole")
    make.trainer(whole).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(whole.path)


def test_a_run_that_is_older_than_a_setting_resumes_at_its_default(fake, make, tmp_path):
    """`pipelined` came later; so may `averaging` and `every` of RigL have done."""
    run = make.run(tmp_path / "run")
    make.trainer(run, epochs=2, rewiring=RigL()).fit(make.data())
    for checkpoint in ("last", "best"):
        path = run.checkpoint_path(checkpoint) / STATE
        new = Checkpoint.load(path)
        texts = {
            "rule": new.settings["rule"].replace(", pipelined=False", ""),
            "rewiring": re.sub(", averaging=0.9|every=1, ", "", new.settings["rewiring"]),
        }
        assert all(text != new.settings[key] for key, text in texts.items())
        path.write_bytes(replace(new, settings={**new.settings, **texts}).to_bytes())
    late = make.trainer(run, rule=EventProp(pipelined=True), rewiring=RigL(), epochs=2)
    with pytest.raises(InputError, match="rule .*, got pipelined=True"):
        late.fit(make.data(), resume=True)
    with pytest.raises(InputError, match="rewiring .*, got averaging=0.5"):
        make.trainer(run, epochs=2, rewiring=RigL(averaging=0.5)).fit(make.data(), resume=True)
    assert len(make.trainer(run, epochs=2, rewiring=RigL()).fit(make.data(), resume=True)) == 2


@pytest.mark.parametrize("engine", ["cpu", "genn"])
def test_a_checkpoint_that_tells_of_its_engine(fake, make, tmp_path, engine):
    """Those of 0.1.0 and before do."""
    run = make.interrupted_run(tmp_path / "run")
    checkpoint = run.load_checkpoint()
    assert "engine" not in checkpoint.settings
    old = replace(checkpoint, settings={**checkpoint.settings, "engine": "cpu"})
    (run.checkpoint_path("last") / "state.safetensors").write_bytes(old.to_bytes())
    trainer = make.trainer(run, engine=engine)
    assert len(trainer.fit(make.data(), make.data(4), resume=True)) == 4


def test_other_data_rules_and_networks_are_refused(fake, make, tmp_path):
    run = make.interrupted_run(tmp_path / "run")
    started = make.network()
    started.populations["hidden"].bias[0] = 0.25
    for changed, train, validation, text in (
        ({}, make.data(11), make.data(4), "the training data .* got 1 new .10.;"),
        ({}, make.data(), make.data(5), "the validation data .* got 1 new .4.;"),
        ({}, make.data(), None, "validation examples.* 4, got 0"),
        ({}, make.data(n_steps=9), make.data(4), "steps of a trial.* 12, got 9"),
        (
            {"rule": EventProp(weights=Adam(0.5))},
            make.data(), make.data(4), "rule .*learning_rate=0.5",
        ),
        (
            {"network": make.network(hidden=5)},
            make.data(), make.data(4), "network .*recorded hidden: LIF.n=4.*, got hidden: LIF.n=5",
        ),
        ({"network": started}, make.data(), make.data(4), "starting values"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=text):
            make.trainer(run, **changed).fit(train, validation, resume=True)


def test_another_rewiring_is_refused_by_its_settings(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run, epochs=4, rewiring=RigL(averaging=0.5)).fit(make.data())
    with pytest.raises(InputError, match="rewiring .*averaging=0.5.*, got .*averaging=0.9"):
        make.trainer(run, rewiring=RigL()).fit(make.data(), resume=True)
    make.trainer(run, rewiring=RigL(averaging=0.5)).fit(make.data(), resume=True)


def test_a_history_of_another_training_is_refused(fake, make, tmp_path):
    run = make.interrupted_run(tmp_path / "run")
    for which in ("last", "best"):
        path = run.checkpoint_path(which) / STATE
        checkpoint = Checkpoint.load(path)
        for row in checkpoint.history.rows:
            row["grown"] = 3
        path.write_bytes(checkpoint.to_bytes())
    with pytest.raises(InputError, match="its history must be of a training without rewiring"):
        make.trainer(run).fit(make.data(), make.data(4), resume=True)


def test_a_trained_run_is_not_trained_over(fake, make, tmp_path):
    run = make.interrupted_run(tmp_path / "run")
    before = make.final_files(run.path)
    with pytest.raises(InputError, match="--resume"):
        make.trainer(run).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == before


def test_a_full_disk_leaves_the_last_commit_whole(fake, make, tmp_path, monkeypatch):
    real, count = os.fsync, 0

    def full(descriptor):
        nonlocal count
        count += 1
        if count > 30:
            raise OSError(28, "No space left on device")
        real(descriptor)

    fake.script = {"accuracy": ACCURACY}
    run = make.run(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("mlgenn_delays.files.os.fsync", full)
        with pytest.raises(WorkError, match="No space left"):
            make.trainer(run).fit(make.data(), make.data(4))
    assert run.load_checkpoint().epoch >= 1
    make.trainer(run).fit(make.data(), make.data(4), resume=True)
    other = make.run(tmp_path / "other")
    make.trainer(other).fit(make.data(), make.data(4))
    assert make.final_files(run.path) == make.final_files(other.path)


@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("accuracy", [ACCURACY, {1: 0.2, 2: 0.5, 3: 0.6, 4: 0.9}])
def test_a_damaged_commit_is_made_good_from_the_best(fake, make, tmp_path, gone, accuracy):
    """Also where all epochs are done, and the best is the last or another."""
    fake.script = {"accuracy": accuracy}
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data(), make.data(4))
    expected = make.final_files(run.path)
    path = run.checkpoint_path("last") / "state.safetensors"
    if gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-9])
    best = max(accuracy, key=accuracy.get)
    again = f"delaysnn train --resume --out {run.path} resumes from the best epoch, {best}"
    with pytest.raises(InputError, match=again):
        run.load_checkpoint()
    what = "is missing" if gone else "is damaged: .*"
    with pytest.warns(UserWarning, match=f"{what}; resuming from the best epoch, {best}$"):
        make.trainer(run).fit(make.data(), make.data(4), resume=True)
    assert make.final_files(run.path) == expected


def test_a_damaged_commit_without_a_best_is_refused(fake, make, tmp_path):
    run = make.interrupted_run(tmp_path / "run")
    path = run.checkpoint_path("last") / "state.safetensors"
    half = path.read_bytes()[:-9]
    path.write_bytes(half)
    (run.checkpoint_path("best") / "state.safetensors").write_bytes(half)
    with pytest.raises(InputError, match="last.* is damaged"):
        make.trainer(run).fit(make.data(), make.data(4), resume=True)
    assert path.read_bytes() == half


def test_resuming_a_run_without_commit_starts_it(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    assert len(make.trainer(run).fit(make.data(), resume=True)) == 4
