"""A sweep: what `delaysnn sweep` does, for the command line and for notebooks."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlgenn_delays.engines.metrics import metric_of_kind
from mlgenn_delays.errors import InputError
from mlgenn_delays.files import write_atomic
from mlgenn_delays.progress import Progress, check_progress
from mlgenn_delays.sweep.executor import Executor, LocalExecutor, Room
from mlgenn_delays.sweep.folder import PointStatus, SweepFolder
from mlgenn_delays.sweep.grid import Excluded, Grid, Variants, check_excluded, make_axes
from mlgenn_delays.sweep.plan import (
    Planned,
    Point,
    check_data,
    check_overrides,
    make_points,
    resolve,
)
from mlgenn_delays.sweep.results import Record, Row, describe, duration, make_row, to_csv


class PointProgress(Progress):
    """Progress of a sweep: a line per point that ended, above one bar; `done` ended before."""

    def __init__(self, kind: str, total: int, done: int) -> None:
        super().__init__(kind, ("name", "bar", "count", "elapsed"))
        self.total = total
        self.done = self._before = done
        self._began = time.monotonic()
        self._bar = self.add("points", total, done)

    def ended(self, point: Point, record: Record) -> None:
        """Show how a point ended, and about how long the others will take."""
        self.done += 1
        left, estimate = self.total - self.done, ""
        if left:
            seconds = left * (time.monotonic() - self._began) / (self.done - self._before)
            estimate = f"  about {duration(seconds)} left"
        self.message(f"[{self.done}/{self.total}] {point.text}: {describe(record)}{estimate}")
        self.advance(self._bar)


class Sweep:
    """A recipe over a grid of settings and seeds: points, each one training.

    Making one checks everything and writes nothing.

    Arguments:
        recipe: A name or the path of a TOML file.
        out: The folder of the sweep: new or empty, or one to resume.
        grid: Dotted key of the recipe -> its values.
        variants: Name -> settings that belong together; the names are one more axis, "variant".
        exclude: Each axis -> value; a point that has all of them is left out.
        seeds: Number of seeds, 0..seeds-1.
        overrides: What all points change, each ``"key=value"``.
        epochs: Short for learning.epochs, or None for the recipe's.
        data: Folder of the data, where the data set needs one.

    Attributes:
        axes: What varies.
        points: All points with their recipes, in the order of the results.
        folder: The folder of the sweep.

    Raises:
        InputError: Something asked for cannot be; the text says which point.

    Example:
        >>> from mlgenn_delays.sweep import Sweep
        >>> sweep = Sweep("digits", "sizes", grid={"network.layers.0.size": [8, 16]}, seeds=3)
        >>> len(sweep.points)
        6
    """

    def __init__(
        self,
        recipe: str | Path,
        out: str | Path,
        *,
        grid: Grid | None = None,
        variants: Variants | None = None,
        exclude: Sequence[Excluded] = (),
        seeds: int = 1,
        overrides: Sequence[str] = (),
        epochs: int | None = None,
        data: str | Path | None = None,
    ) -> None:
        if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
            raise InputError(f"seeds must be a whole number >= 1, got {seeds!r}")
        self.recipe = str(recipe)
        self.folder = SweepFolder(out)
        # Absolute: a resumed training and workers elsewhere may have another current folder.
        self.data = None if data is None else str(Path(data).absolute())
        self.axes = make_axes(grid or {}, variants or {})
        check_excluded(self.axes, exclude)
        changes = list(overrides)
        if epochs is not None:
            changes.append(f"learning.epochs={epochs}")
        check_overrides(changes, self.axes)
        points = make_points(self.axes, exclude, seeds)
        if not points:
            raise InputError("a sweep must have a point, got none: everything is excluded")
        self.points = resolve(self.recipe, changes, points)
        self._notes: dict[str, Any] = {
            "recipe": self.recipe,
            "grid": {key: list(values) for key, values in (grid or {}).items()},
            "variants": {name: dict(settings) for name, settings in (variants or {}).items()},
            "exclude": [dict(pairs) for pairs in exclude],
            "seeds": seeds,
            "overrides": changes,
            "data": self.data,
        }
        self._records: dict[str, Record] = {}

    @property
    def rows(self) -> list[Row]:
        """The results so far, one row per point, as `read_results` gives them."""
        records = self._records
        metric = metric_of_kind(self.points[0].recipe.loss.kind)
        return [make_row(e.point, records.get(e.point.name), metric) for e in self.points]

    def run(
        self,
        *,
        workers: int | None = None,
        scheduler: str | None = None,
        progress: str = "auto",
        command: str = "",
    ) -> list[Row]:
        """Train every point that is not finished.

        Arguments:
            workers: Trainings at once; as many as cores and memory fit if None. On a cluster, the
                workers there decide.
            scheduler: Address of a Dask scheduler, whose workers train; None for this machine.
            progress: ``"bar"``, ``"plain"``, ``"none"``, or ``"auto"``: a bar on a terminal.
            command: What was typed, for the notes.

        Returns:
            The results, one row per point; those with the status "failed" say why.

        Raises:
            InputError: The folder holds something else or points with other settings, another
                sweep runs in it, the data or the scheduler are not there; nothing was started.
            WorkError: The folder cannot be written, or the cluster is gone.
            KeyboardInterrupt: The user interrupted; the same call resumes.
        """
        check_progress(progress)
        if workers is not None and (isinstance(workers, bool) or workers < 1):
            raise InputError(f"workers must be a whole number >= 1, got {workers!r}")
        if workers is not None and scheduler is not None:
            raise InputError(
                "workers must be left out with a scheduler: each of its workers has its own number"
            )
        check_data(self.points, self.data, here=scheduler is None)
        self.folder.check()
        self._look()
        if scheduler is None:
            room = Room(workers, [record.peak or 0 for record in self._records.values()])
            return self._run(LocalExecutor(self.folder, self.data, room), progress, command)
        from mlgenn_delays.sweep.cluster import ClusterExecutor, connected

        with connected(scheduler) as client:
            executor = ClusterExecutor(self.folder, self.data, client)
            return self._run(executor, progress, command)

    def _look(self) -> list[Planned]:
        """Find out what is finished; the rest is returned."""
        left = []
        self._records = {}
        for each in self.points:
            status, record = self.folder.status(each.point.name, each.recipe)
            if status is PointStatus.FINISHED and record is not None:
                self._records[each.point.name] = record
            else:
                left.append(each)
        return left

    def _run(self, executor: Executor, progress: str, command: str) -> list[Row]:
        before = self.folder.notes()
        with self.folder.opened({"command": command} | self._notes):
            left = self._look()  # another sweep may have ended since
            self._write()
            with PointProgress(progress, len(self.points), len(self.points) - len(left)) as shows:
                self._say_what_is_there(shows, before, len(left))

                def ended(planned: Planned, record: Record) -> None:
                    self._records[planned.point.name] = record
                    self._write()
                    shows.ended(planned.point, record)

                executor.run(left, ended, shows.message)
        return self.rows

    def _say_what_is_there(self, shows: PointProgress, before: dict[str, Any], left: int) -> None:
        there = len(self.points) - left
        if there:
            shows.message(f"{there} of {len(self.points)} points are finished, {left} to train")
        others = self.folder.others({each.point.name for each in self.points})
        if others:
            shows.message(
                f"{len(others)} points in {self.folder.path} are not in this grid: they are kept, "
                "and not in the results"
            )
        if there and before.get("data") != self.data:
            shows.message(
                f"warning: the finished points had --data {before.get('data')}, now {self.data}"
            )

    def _write(self) -> None:
        text = to_csv([axis.key for axis in self.axes], self.rows)
        write_atomic(self.folder.results, text)
