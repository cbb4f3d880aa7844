"""What a run keeps of its sessions."""

import pytest

from mlgenn_delays.errors import DivergedError, WorkError
from mlgenn_delays.runs.sessions import read_sessions, session


def told(run):
    return [(each.after, each.end, each.reason) for each in read_sessions(run.path)]


def test_a_training_that_is_interrupted_and_resumed(fake, make, tmp_path):
    run = make.interrupted_run(tmp_path / "run")
    assert told(run) == [(0, "interrupted", "")]
    make.trainer(run).fit(make.data(), make.data(4), resume=True)
    assert told(run) == [(0, "interrupted", ""), (2, "finished", "")]
    make.trainer(run).fit(make.data(), make.data(4), resume=True)  # nothing is left to do
    assert len(told(run)) == 2


def test_a_training_that_diverges(fake, make, tmp_path):
    fake.script = {"loss": {2: float("nan")}}
    run = make.run(tmp_path / "run")
    with pytest.raises(DivergedError):
        make.trainer(run).fit(make.data(), make.data(4))
    ((after, end, reason),) = told(run)
    assert (after, end) == (0, "failed")
    assert reason.startswith("training diverged in epoch 2: ") and ";" not in reason


def test_a_process_that_is_killed_tells_no_end(tmp_path):
    with pytest.raises(GeneratorExit), session(tmp_path, 0, "cpu"):
        raise GeneratorExit  # which no handler takes for an end
    assert read_sessions(tmp_path)[0].end is None


def test_a_full_disk_at_the_end_hides_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise WorkError("the disk is full")

    with pytest.raises(ValueError, match="^the cause$"), session(tmp_path, 0, "cpu"):
        monkeypatch.setattr("mlgenn_delays.runs.sessions.write_atomic", full)
        raise ValueError("the cause")
    with pytest.raises(WorkError, match="full"), session(tmp_path, 0, "cpu"):
        pass


@pytest.mark.parametrize("content", ["", "{}", "[1]", '[{"after": -1}]', "[" * 100_000])
def test_a_damaged_file_begins_anew(tmp_path, content):
    (tmp_path / "sessions.json").write_text(content)
    assert read_sessions(tmp_path) == []
    with session(tmp_path, 3, "genn"):
        pass
    (only,) = read_sessions(tmp_path)
    assert (only.after, only.engine, only.end) == (3, "genn", "finished")
