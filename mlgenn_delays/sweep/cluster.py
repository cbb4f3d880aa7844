"""Points on a Dask cluster: each is a task that trains in a process of its own on a worker.

What a worker makes is small and comes back as bytes, so client and workers share no folder. A
worker that is lost loses only its points, which Dask gives to another.
"""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.files import temporary_folder, write_atomic
from mlgenn_delays.recipe import dump
from mlgenn_delays.runs.files import (
    CHECKPOINT_FOLDER,
    ENVIRONMENT,
    METRICS,
    NETWORK,
    RECIPE,
    SESSIONS,
)
from mlgenn_delays.sweep.child import Child, Ending, Task
from mlgenn_delays.sweep.executor import RETRIES, Executor
from mlgenn_delays.sweep.folder import SweepFolder, uncommit
from mlgenn_delays.sweep.plan import Planned

_ADDRESS = re.compile(r"([a-z]+://)?\S+:\d+")
_TIMEOUT = 10  # seconds to connect
_POLL = 0.1
_LOGGERS = ("distributed", "tornado", "asyncio")
# What comes back of a run, the network twice: `delaysnn evaluate` reads that of the checkpoint.
_FILES = (RECIPE, ENVIRONMENT, SESSIONS, METRICS, NETWORK)
_BEST = Path(CHECKPOINT_FOLDER, "best", NETWORK)


class Died(Exception):
    """A training died on a worker, which may try it again."""


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of the Dask scheduler at an address; rejects one that does not answer."""
    try:
        from dask.distributed import Client
    except ImportError as error:
        raise InputError(
            'a cluster needs dask.distributed, which is missing: pip install "delaysnn[cluster]"'
        ) from error
    if not _ADDRESS.fullmatch(address):
        raise InputError(
            f"the scheduler must be HOST:PORT, such as tcp://192.168.1.5:8786, got {address!r}"
        )
    with _quiet():
        try:
            client = Client(address, timeout=_TIMEOUT, set_as_default=False)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise InputError(
                f"the scheduler must answer within {_TIMEOUT} s, got nothing from {address!r} "
                f"({' '.join(str(error).split()) or type(error).__name__}); start one with "
                "'dask scheduler' and give its address, such as tcp://192.168.1.5:8786"
            ) from error
        try:
            yield client
        finally:
            client.close(timeout=_TIMEOUT)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask's own log off the terminal: what matters of it comes as an exception as well."""

    def nothing(_: logging.LogRecord) -> bool:
        return False

    names = [name for name in logging.root.manager.loggerDict if name.startswith(_LOGGERS)]
    filtered: list[logging.Filterer] = [*map(logging.getLogger, names)]
    filtered += [handler for name in names for handler in logging.getLogger(name).handlers]
    for each in filtered:
        each.addFilter(nothing)
    try:
        yield
    finally:
        for each in filtered:
            each.removeFilter(nothing)


class ClusterExecutor(Executor):
    """Trains points on the workers of a cluster; those an interruption stops are begun again."""

    def __init__(self, folder: SweepFolder, data: str | None, client: Any) -> None:
        super().__init__(folder, data)
        self.client = client

    def _train(self, points: Sequence[Planned]) -> None:
        from dask.distributed import as_completed

        if points and not self.client.scheduler_info()["workers"]:
            self.say("the cluster has no workers yet: waiting (dask worker ADDRESS --nthreads N)")
        call = uuid4().hex[:8]
        tasks = {
            self.client.submit(
                train_on_worker,
                each.point.name,
                dump(each.recipe),
                self.data,
                key=f"{each.point.name}-{call}",
                pure=False,
                retries=RETRIES,
            ): each
            for each in points
        }
        try:
            for future in as_completed(tasks, loop=self.client.loop):
                self._collect(tasks.pop(future), future)
                future.release()
        finally:
            if self.client.status == "running":
                self.client.cancel(list(tasks))

    def _collect(self, planned: Planned, future: Any) -> None:
        """Write what came back of a point, its result last."""
        try:
            trained = future.result() if future.status == "finished" else None
            fault = future.exception() if future.status == "error" else None
        except Exception as error:  # whatever Dask raises where it cannot hand over a result
            raise _gone(error) from error
        if trained is None and fault is None:
            raise _gone(None)
        ending, files, log = trained or (ending_of(fault), {}, None)
        name = planned.point.name
        folder = self.folder.point(name)
        if self.folder.prepare(name, planned.recipe):
            uncommit(folder)  # a part of what has now been trained as a whole
        for file, content in files.items():
            write_atomic(folder / file, content)
        if log is not None:
            write_atomic(self.folder.log(name), log)
        self.record(planned, ending)


def ending_of(fault: Any) -> Ending:
    """How a point ended that no worker could train; a `WorkError` if the cluster is at fault."""
    kind = type(fault).__name__
    if isinstance(fault, Died):
        return Ending(-1, None, str(fault), None)
    if kind == "KilledWorker":
        return Ending(1, None, "its workers died, one after the other", None)
    raise WorkError(
        f"a worker cannot train: {kind}: {' '.join(str(fault).split())}; every worker must have "
        "the same delaysnn and Python installed; the same command resumes the sweep"
    )


def _gone(error: Exception | None) -> WorkError:
    why = f" ({type(error).__name__})" if error is not None else ""
    return WorkError(
        f"the scheduler is gone{why}; start it again: the same command resumes the sweep"
    )


def train_on_worker(
    name: str, recipe: str, data: str | None
) -> tuple[Ending, dict[str, bytes], bytes]:
    """Train a point on a worker: its ending, the files to keep of the run, and the log.

    Raises `Died` if the process died without a result.
    """
    with temporary_folder() as folder:
        task = Task(folder / "run" / name, recipe, data, False, folder, folder / "log")
        child = Child(task)
        try:
            while child.poll() is None:
                if not _still_wanted():
                    raise Died("given up")
                time.sleep(_POLL)
        finally:
            child.kill()
        ending = child.ending
        assert ending is not None
        if ending.died:
            raise Died(ending.reason)
        found = {file: task.out / file for file in _FILES}
        files = {file: path.read_bytes() for file, path in found.items() if path.is_file()}
        if _FILES[-1] in files:
            files[str(_BEST)] = files[_FILES[-1]]
        return ending, files, task.log.read_bytes()


def _still_wanted() -> bool:
    """Whether the task was not cancelled: Dask does not stop its thread."""
    from dask.distributed import get_worker

    try:
        worker = get_worker()
        return bool(worker.state.tasks[worker.get_current_task()].state != "cancelled")
    except (AttributeError, KeyError, ValueError):  # no worker, or one of another version
        return True
