"""Points on the workers of a Dask cluster, and workers that are lost."""

import logging
import os
import re
import signal
import subprocess
import sys
import threading

import distributed
import pytest

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.sweep import Sweep, read_results
from tests.cli.helpers import call, refused, start
from tests.needs import needs
from tests.processes import wait_for
from tests.sweep.helpers import SET, SMALL, share_kernels


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Return two workers, each a process of its own that does one task at a time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        share_kernels(monkeypatch)
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address=None,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as made:
            yield made


def children(pid: int) -> list[int]:
    """Return the processes that a process started and that train."""
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/stat") as stat, open(f"/proc/{entry}/cmdline") as command:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
                if parent == pid and "mlgenn_delays.sweep.child" in command.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found


def pids(cluster) -> list[int]:
    return [worker.pid for worker in cluster.workers.values()]


@pytest.mark.slow
def test_points_are_trained_on_workers(cluster, tmp_path):
    out = tmp_path / "dir"
    command = ["sweep", "digits", *SET, "--epochs", 1, "--out", out, "--json"]
    command += [
        "--grid",
        "learning.learning_rate=1e30,5e-3",
        "--scheduler",
        cluster.scheduler_address,
    ]
    result = call(*command)
    assert result.exit_code == 1  # one diverges
    failed, done = read_results(out)
    assert failed["reason"].startswith("training diverged")
    assert done["status"] == "done"
    assert done["peak_memory_mb"] > 50
    names = {path.name for path in (out / done["point"]).iterdir()}
    assert names > {"recipe.toml", "metrics.csv", "environment.json", "network.safetensors"}
    assert call("evaluate", out / done["point"]).exit_code == 0
    here = Sweep("digits", tmp_path / "here", overrides=SMALL, epochs=1)
    (row,) = here.run(progress="none")
    assert row["validation_loss"] == done["validation_loss"]
    assert row["test_accuracy"] == done["test_accuracy"]
    before = (out / done["point"] / "result.json").stat().st_mtime_ns
    assert call(*command).exit_code == 1
    assert (out / done["point"] / "result.json").stat().st_mtime_ns == before


@pytest.mark.slow
@needs("/proc")
def test_a_lost_worker_and_a_dead_training_lose_only_their_point(cluster, tmp_path):
    lost: list[int] = []

    def strike():
        workers = pids(cluster)
        wait_for(lambda: all(children(pid) for pid in workers))
        (training,) = children(workers[0])
        (other,) = children(workers[1])
        os.kill(workers[0], signal.SIGKILL)
        os.kill(other, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{training}"))
        lost.append(training)

    striking = threading.Thread(target=strike)
    striking.start()
    sweep = Sweep("digits", tmp_path, overrides=SMALL, epochs=20, seeds=3)
    rows = sweep.run(scheduler=cluster.scheduler_address, progress="none")
    striking.join()
    assert lost
    assert [row["status"] for row in rows] == ["done"] * 3
    assert [row["epochs"] for row in rows] == [20] * 3


@pytest.mark.slow
@needs("/proc")
def test_interrupted_trainings_stop_on_the_workers(cluster, tmp_path):
    def interrupt():
        wait_for(lambda: any(children(pid) for pid in pids(cluster)))
        os.kill(os.getpid(), signal.SIGINT)

    striking = threading.Thread(target=interrupt)
    striking.start()
    sweep = Sweep("digits", tmp_path, overrides=SMALL, epochs=5000)
    with pytest.raises(KeyboardInterrupt):
        sweep.run(scheduler=cluster.scheduler_address, progress="none")
    striking.join()
    wait_for(lambda: not any(children(pid) for pid in pids(cluster)))
    assert [row["status"] for row in read_results(tmp_path)] == ["waiting"]


def test_dasks_own_log_stays_off_the_terminal(capfd):
    """Its tracebacks of a lost scheduler, 35 lines, came before the one line of ours."""
    from mlgenn_delays.sweep.cluster import _quiet

    loggers = [logging.getLogger(name) for name in ("distributed.client", "tornado.application")]
    with _quiet():
        for logger in loggers:
            logger.error("lost")
    assert capfd.readouterr().err == ""
    assert not any(each.filters for each in loggers)
    assert not any(handler.filters for each in loggers for handler in each.handlers)


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line(tmp_path):
    words = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0"]
    words += ["--host", "127.0.0.1", "--no-dashboard"]
    scheduler = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    try:
        said = iter(scheduler.stderr.readline, "")
        address = next(re.search(r"tcp://\S+:\d+", line)[0] for line in said if "tcp://" in line)
        process = start("sweep", "digits", *SET, "--out", tmp_path / "dir", "--scheduler", address)
        first = process.stderr.readline()
        assert "no workers yet" in first
    finally:
        scheduler.kill()
        scheduler.communicate()
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 1
    assert rest.startswith("error: the scheduler is gone") and rest.count("\n") == 1


def test_no_scheduler(tmp_path, monkeypatch):
    from mlgenn_delays.sweep import cluster

    monkeypatch.setattr(cluster, "_TIMEOUT", 1)
    out = tmp_path / "dir"
    text = refused("sweep", "digits", "--out", out, "--scheduler", "127.0.0.1:1")
    assert "127.0.0.1:1" in text
    assert "dask scheduler" in text
    assert "HOST:PORT" in refused("sweep", "digits", "--out", out, "--scheduler", "nowhere")
    assert not out.exists()


def test_distributed_is_missing(tmp_path, monkeypatch):
    for name in ("distributed", "dask.distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    text = refused("sweep", "digits", "--out", tmp_path / "dir", "--scheduler", "127.0.0.1:1")
    assert 'pip install "delaysnn[cluster]"' in text
    with pytest.raises(InputError, match="workers must be left out"):
        Sweep("digits", tmp_path / "dir").run(workers=1, scheduler="127.0.0.1:1")


def test_workers_without_the_package_are_no_fault_of_a_point():
    from mlgenn_delays.sweep.cluster import Died, ending_of

    with pytest.raises(WorkError, match="must have the same delaysnn"):
        ending_of(ModuleNotFoundError("No module named 'mlgenn_delays'"))
    assert ending_of(Died("its process was ended")).died
