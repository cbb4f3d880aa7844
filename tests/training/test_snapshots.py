import pytest

from mlgenn_delays import Network
from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.checkpoint import interval, keep, kept


@pytest.mark.parametrize(
    ("space", "epochs", "n_bytes", "every"),
    [
        (16, 30, 160_000, 1),
        (1, 30, 160_000, 5),  # six fit
        (1, 31, 160_000, 6),  # 6, 12 .. 30 and the last: six as well
        (1, 30, 600_000, 30),
        (1, 30, 2_000_000, 0),
        (0, 30, 10, 0),
        (1, 1, 10, 1),
    ],
)
def test_as_many_are_kept_as_fit(space, epochs, n_bytes, every, tmp_path):
    assert interval(space, epochs, n_bytes) == every
    content = b"x" * min(n_bytes, 1000)
    scaled = space * len(content) / n_bytes
    for epoch in range(epochs + 1):
        keep(tmp_path, epoch, content, space=scaled, epochs=epochs)
    files = kept(tmp_path)
    assert list(files) == sorted({0, *(range(every, epochs + 1, every) if every else ())} | (
        {epochs} if every else set()
    ))  # fmt: skip
    assert (len(files) - 1) * n_bytes <= space * 1e6


def test_the_start_is_that_of_this_training(fake, make, tmp_path):
    """Not that of one before it that was stopped in its first epoch."""
    run = make.run(tmp_path / "run")
    keep(run.path, 0, b"of another", space=1, epochs=4)
    trainer = make.trainer(run)
    start = trainer.network.projections["hidden->output"].weight.copy()
    trainer.fit(make.data())
    kept_start = Network.load(kept(run.path)[0])
    assert (kept_start.projections["hidden->output"].weight == start).all()


def test_other_files_are_no_snapshots(tmp_path):
    keep(tmp_path, 12, b"x", space=1, epochs=12)
    (tmp_path / "snapshots" / "notes.txt").write_text("x")
    (tmp_path / "snapshots" / ".epoch-0003.safetensors.abcd").write_text("x")
    assert list(kept(tmp_path)) == [12]
    assert kept(tmp_path / "none") == {}


def test_a_run_keeps_its_course(fake, make, tmp_path):
    fake.script = {"accuracy": {1: 0.2, 2: 0.5, 3: 0.9, 4: 0.4}}
    run = make.run(tmp_path / "run")
    trainer = make.trainer(run)
    start = trainer.network.projections["hidden->output"].weight.copy()
    trainer.fit(make.data(), make.data(4))
    files = kept(run.path)
    assert list(files) == [0, 1, 2, 3, 4]
    weights = [Network.load(f).projections["hidden->output"].weight for f in files.values()]
    assert (weights[0] == start).all()
    assert len({w.tobytes() for w in weights}) == 5
    assert files[4].read_bytes() == run.network_path("last").read_bytes()


def test_without_space_the_start_alone_is_kept(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run, snapshots=0).fit(make.data())
    assert list(kept(run.path)) == [0]
    with pytest.raises(InputError, match="snapshots must be a number"):
        make.trainer(None, snapshots=-1)
