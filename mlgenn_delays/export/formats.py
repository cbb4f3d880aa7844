"""Exporting a run, or another model, in a chosen format; its accuracy on the data of the run."""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.bits import FLOAT
from mlgenn_delays.data.types import Data
from mlgenn_delays.engines.metrics import ACCURACY
from mlgenn_delays.errors import DelaysnnError, InputError, WorkError
from mlgenn_delays.export.artifact import (
    Artifact,
    Measured,
    artifact_of_run,
    write_bundle,
)
from mlgenn_delays.export.demos import demo_or_path
from mlgenn_delays.export.model import AT_ONCE, CPURunner, read_artifact
from mlgenn_delays.files import check_writable, open_folder_atomic
from mlgenn_delays.runs.files import FULL
from mlgenn_delays.runs.run import Run, check_labels

SPLIT = "validation"


def validation_split(artifact: Artifact, source: Path, data: str | None) -> tuple[Data | None, str]:
    """The validation split of a network's data, or None and the reason why there is none.

    Only with a folder of data given, data that cannot be used are an InputError.
    """
    try:
        split = _split(artifact, source, data)
    except InputError as error:
        if data is not None:
            raise
        return None, str(error)
    return split, "" if split is not None else f"the data have no {SPLIT} split"


def accuracy(artifact: Artifact, split: Data) -> Measured:
    """The accuracy on the validation split, on the CPU engine."""
    runner, hits = CPURunner(artifact), 0
    for first in range(0, len(split), AT_ONCE):
        batch = split.batch(np.arange(first, min(first + AT_ONCE, len(split))))
        hits += int((runner.logits(batch).argmax(1) == batch.labels).sum())
    return Measured(split=SPLIT, accuracy=hits / len(split), n=len(split))


def _split(artifact: Artifact, source: Path, data: str | None) -> Data | None:
    from mlgenn_delays.data import load_dataset

    table = dict(artifact.about.data)
    if not table:
        raise InputError("the model does not say on what data it was trained")
    if data is None and source.is_dir():
        data = Run(source).folder(None)
    name = table.pop("dataset")
    splits = load_dataset(name, data, table, dt=artifact.network.dt)
    split = splits.get(SPLIT)
    if split is not None:
        check_labels(artifact.about.labels, split)
    return split


BACKEND = "single_threaded_cpu"
_OF = {
    "backend": "genn", "weights": "c", "per": "c", "ram": "c", "flash": "c", "edges": "nir",
    "euler": "nir",
}  # fmt: skip


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        form: ``"bundle"``, ``"genn"``, ``"nir"``, ``"c"`` or ``"torch"``.
        path: File or folder to make; it must be new, or an empty folder.
        checkpoint: Of a run, ``"best"`` (as None) or ``"last"``.
        backend: Of genn.
        weights: Of c, ``"float32"`` (as None), ``"int8"``, ``"int4"`` or ``"ternary"``.
        per: Of such weights, ``"neuron"`` (as None) or ``"projection"``: what has a scale.
        ram: Of c, bytes of RAM that the program must fit.
        flash: Of c, bytes of flash memory that it must fit.
        edges: Of nir, see `write_nir`.
        euler: Of nir, see `write_nir`.

    Raises:
        InputError: A setting is of another format, or the path is taken.
    """

    form: str
    path: Path
    checkpoint: str | None = None
    backend: str | None = None
    weights: str | None = None
    per: str | None = None
    ram: int | None = None
    flash: int | None = None
    edges: str | None = None
    euler: bool = False

    def __post_init__(self) -> None:
        for name, form in _OF.items():
            if getattr(self, name) and self.form != form:
                raise InputError(
                    f"--{name} must come with --format {form}, got --format {self.form}; "
                    f"leave --{name} out"
                )
        if self.per and self.weights in (None, FLOAT):
            raise InputError(
                f"--per must come with --weights of integers, got --per {self.per}; leave it out"
            )
        check_new(self.path, folder=self.form in ("genn", "c", "torch"))


def check_new(path: Path, *, folder: bool = False) -> None:
    """Reject a path to write to that is taken, but by an empty folder where one is to be made."""
    taken = os.path.lexists(path)
    if taken and path.is_dir() and folder:
        taken = any(path.iterdir())
    if taken:
        raise InputError(f"--out must be new, got {path}, which exists; remove it first")


Wanted = ExportOptions  # its name in version 0.1.0


@dataclass(frozen=True)
class Exported:
    """What was exported.

    Attributes:
        form: The format.
        path: Where it is.
        bytes: Size of the file, or of all files of the folder.
        neurons: Name, neurons left and neurons before of each population that spikes.
        synapses: Synapses left.
        measured: Split, accuracy and n of what was measured.
        notes: Further lines.
        next: A command that uses it, or nothing.
    """

    form: str
    path: str
    bytes: int
    neurons: list[tuple[str, int, int]]
    synapses: int
    measured: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)
    next: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The same, ready for JSON."""
        return asdict(self)


def artifact_of(path: Path, checkpoint: str | None = None, data: str | None = None) -> Artifact:
    """The network of a run, a bundle, a NIR file or a demo; InputError if it is none of these."""
    path = demo_or_path(path)
    if path.is_file():
        if checkpoint is not None:
            raise InputError(
                f"--checkpoint must come with a run, got the file {path}; leave it out"
            )
        return read_artifact(path)
    return artifact_of_run(path, checkpoint=checkpoint or "best", data=data)


def export_model(source: Path, wanted: ExportOptions, data: str | None = None) -> Exported:
    """Export a run, a bundle or a NIR file.

    Arguments:
        source: Its path.
        wanted: What to make of it.
        data: Folder of the data, where accuracy is to be measured; that of the training if None.

    Raises:
        InputError: The source cannot be used, or the format cannot be made of it.
        WorkError: The files cannot be written.

    Example:
        >>> from pathlib import Path
        >>> from mlgenn_delays.export.formats import ExportOptions, export_model
        >>> export_model(Path("run"), ExportOptions("bundle", Path("model.safetensors"))).synapses
        2208
    """
    artifact = artifact_of(source, wanted.checkpoint, data)
    if artifact.about.series and wanted.form == "c":
        raise InputError(
            "--format must be bundle, genn, nir or torch for a network whose output is a series, "
            "got c: its functions give logits and a class, no voltages; take --format genn for C++ "
            "code, or bundle to run it with delaysnn infer"
        )
    check_place(wanted.path)
    notes: list[str] = []
    if wanted.form == "bundle":
        write_bundle(artifact, wanted.path)
    elif wanted.form == "nir":
        from mlgenn_delays.export.nir import write_nir

        write_nir(artifact, wanted.path, edges=wanted.edges or "delay", euler=wanted.euler)
    elif wanted.form == "genn":
        from mlgenn_delays.export.genn import write_genn

        with _folder(wanted.path) as folder:
            write_genn(artifact, folder, backend=wanted.backend or BACKEND)
    elif wanted.form == "torch":
        from mlgenn_delays.export.torch import write_torch

        with _folder(wanted.path) as folder:
            write_torch(artifact, folder)
    else:
        artifact, notes = _write_c(artifact, source, wanted, data)
    network, path = artifact.network, wanted.path
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return Exported(
        form=wanted.form,
        path=str(wanted.path),
        bytes=sum(each.stat().st_size for each in files),
        neurons=[(p.name, p.n, artifact.sizes[p.name]) for p in network.spiking()],
        synapses=network.n_synapses(),
        measured=[each.model_dump() for each in artifact.about.measured],
        notes=notes,
        next=_next(wanted),
    )


def _write_c(
    artifact: Artifact, source: Path, wanted: ExportOptions, data: str | None
) -> tuple[Artifact, list[str]]:
    """Write C source; return the artifact as it is in there, and lines to print."""
    from mlgenn_delays.export.c import Limits, quantise, write_c
    from mlgenn_delays.export.c.fit import fitting

    notes: list[str] = []
    known = artifact.about.quantised
    kind = wanted.weights or known or FLOAT
    limits = Limits(wanted.ram, wanted.flash) if wanted.ram or wanted.flash else None
    if known is not None and kind not in (known, FLOAT):
        raise InputError(
            f"--weights must be {known} or {FLOAT} for {source}, whose weights are {known}, "
            f"got {kind}; leave --weights out"
        )
    if kind == FLOAT:
        artifact = replace(artifact, quantised=None)
    elif known is None:
        network, quantised = quantise(artifact.network, kind, wanted.per or "neuron")
        rounded = replace(
            artifact,
            network=network,
            quantised=quantised,
            about=artifact.about.model_copy(update={"quantised": kind, "measured": ()}),
        )
        if limits:
            fitting(rounded, quantised, limits)
        split, why = validation_split(artifact, source, data)
        if split is None:
            notes.append(f"{kind}: accuracy not measured, for {why}")
        else:
            before, after = accuracy(artifact, split), accuracy(rounded, split)
            notes.append(
                f"{kind}: {before.split} accuracy {ACCURACY.text(before.accuracy)} before, "
                f"{ACCURACY.text(after.accuracy)} after ({before.n} examples)"
            )
            about = rounded.about.model_copy(update={"measured": (after,)})
            rounded = replace(rounded, about=about)
        artifact = rounded
    with _folder(wanted.path) as folder:
        made = write_c(artifact, folder, quantised=artifact.quantised, limits=limits)
    return artifact, [*notes, *made.lines()]


def check_place(path: Path) -> None:
    """Reject a path where nothing can be written, before there is work to lose."""
    try:
        check_writable(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> DelaysnnError:
    """A full disk is no bad input."""
    kind = WorkError if error.errno in FULL else InputError
    return kind(f"cannot write {path}: {error.strerror or error}; choose another place with --out")


@contextmanager
def _folder(path: Path) -> Iterator[Path]:
    try:
        with open_folder_atomic(path) as temporary:
            yield temporary
    except OSError as error:
        raise _unwritable(path, error) from error


def _next(wanted: ExportOptions) -> str:
    path = shlex.quote(str(wanted.path))
    if wanted.form == "c":
        return f"make -C {path} test"
    if wanted.form == "torch":
        return ""  # Python's to say
    if wanted.form == "genn" and wanted.backend == "cuda":
        return f"make -C {path}"
    return f"delaysnn infer {path} INPUT..."
