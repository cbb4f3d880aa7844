"""Runs a folder with GeNN's code: NumPy and the folder's own library are all it needs."""

import ctypes
import threading
import weakref
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.types import Batch, CurrentBatch, SpikeBatch, checked
from mlgenn_delays.engines.results import Recording
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.export.genn.manifest import (
    LIBRARY,
    WEIGHTS,
    Manifest,
    check_platform,
    read_checked,
    read_made,
    read_manifest,
)
from mlgenn_delays.files import temporary_folder

_SIZES = ("inputs", "currents", "outputs", "neurons", "populations", "steps", "batch")


class GeNNModel:
    """A network that runs as GeNN's code; see `open`.

    Attributes:
        about: Labels, length of a trial, how recordings become its input, accuracy.
        n_inputs: C, channels of the input.
        n_steps: T, length of a trial as trained.
        dt: Length of a step [ms].
        currents: Whether the input is sampled currents; else it is spikes.
        kept: By population that spikes, (n,) int64: which of its neurons are left.
    """

    def __init__(self, manifest: Manifest, library: "_Library", folder: Path) -> None:
        network = manifest.network
        self.about = manifest.about
        self.n_inputs, self.n_steps = network.inputs, manifest.about.n_steps
        self.dt, self.currents = network.dt, network.currents
        self.kept = {name: np.array(own, np.int64) for name, own in network.kept.items()}
        self._library, self._folder = library, folder
        self._outputs, self._side = network.outputs, network.batch_size

    @staticmethod
    def open(folder: Path | str) -> "GeNNModel":
        """Open a folder. Nothing of it runs before all is found to be as the manifest says.

        Raises:
            InputError: The folder is incomplete, damaged, of another machine, or not built yet.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        if manifest.built is None:
            content = read_made(folder)
        else:
            check_platform(folder, manifest.built)
            content = read_checked(folder / LIBRARY, manifest.built.library)
        weights = read_checked(folder / WEIGHTS, manifest.weights)
        library = _Library(content, folder)
        try:
            _check_sizes(manifest, library, folder)
            library.take(weights, folder)
        except BaseException:
            library.close()
            raise
        return GeNNModel(manifest, library, folder)

    def close(self) -> None:
        """Free what it holds; it cannot run any more."""
        self._library.close()

    def logits(self, batch: Batch) -> np.ndarray:
        """The logits of a batch, (B, K) float32, whatever its labels."""
        parts = [part for part, *_ in self._parts(batch, records=False)]
        return np.concatenate(parts) if parts else np.zeros((0, self._outputs), np.float32)

    def run(self, batch: Batch, variables: Collection[str] = ()) -> Recording:
        """The spikes and output voltages of a batch, whatever its labels.

        Raises:
            InputError: Variables are asked for: the exported code keeps none.
        """
        if variables:
            raise InputError(
                f"variables must be () for an exported GeNN model, got {tuple(variables)}; load "
                "the run or its bundle"
            )
        counts: dict[str, list[np.ndarray]] = {name: [] for name in self.kept}
        times: dict[str, list[np.ndarray]] = {name: [] for name in self.kept}
        voltages, logits = [], []
        for part, voltage, spikes in self._parts(batch, records=True):
            logits.append(part)
            voltages.append(voltage)
            first = 0
            for name, own in self.kept.items():
                fired = spikes[:, first : first + len(own)]
                first += len(own)
                counts[name].append(np.count_nonzero(fired, axis=2))
                times[name].append(np.nonzero(fired)[2].astype(np.int32))
        if not logits:
            raise InputError("a batch must have at least one example, got none")
        return Recording(
            start={name: _starts(np.concatenate(own)) for name, own in counts.items()},
            time={name: np.concatenate(own) for name, own in times.items()},
            voltage=np.concatenate(voltages),
            logits=np.concatenate(logits),
        )

    def _parts(self, batch: Batch, *, records: bool) -> Iterator[tuple[np.ndarray, Any, Any]]:
        """Run as many examples at once as the library takes.

        Yields logits (b, K), and where it records, voltages (b, K, T) and spikes (b, N, T) uint8.
        """
        batch = self._checked(batch)
        steps, neurons = batch.n_steps, sum(len(own) for own in self.kept.values())
        for first in range(0, len(batch), self._side):
            rows = slice(first, min(first + self._side, len(batch)))
            many = rows.stop - first
            logits = np.empty((many, self._outputs), np.float32)
            voltage = np.empty((many, self._outputs, steps), np.float32) if records else None
            spikes = np.zeros((many, neurons, steps), np.uint8) if records else None
            self._library.run(batch, rows, (logits, voltage, spikes))
            yield logits, voltage, spikes

    def _checked(self, batch: Batch) -> Batch:
        if isinstance(batch, CurrentBatch) != self.currents:
            kind = "currents" if self.currents else "spikes"
            raise InputError(
                f"{self._folder} must have {kind} as its input, got {type(batch).__name__}"
            )
        if batch.n_channels != self.n_inputs:
            raise InputError(
                f"{self._folder} must have {self.n_inputs} input channels, got {batch.n_channels}"
            )
        if not 1 <= batch.n_steps <= 2**31 - 1:
            raise InputError(f"steps of a trial must be in 1..{2**31 - 1}, got {batch.n_steps}")
        return checked(batch)


def _starts(counts: np.ndarray) -> np.ndarray:
    """Where the spikes of each neuron and example begin, (B, n+1), from their counts."""
    ends = counts.ravel().cumsum().reshape(counts.shape)
    return np.concatenate([ends[:, :1] - counts[:, :1], ends], axis=1).astype(np.int64)


def _check_sizes(manifest: Manifest, library: "_Library", folder: Path) -> None:
    network = manifest.network
    sizes = [len(own) for own in network.kept.values()]
    wanted = (
        network.inputs, int(network.currents), network.outputs, sum(sizes), len(sizes),
        manifest.about.n_steps, network.batch_size,
    )  # fmt: skip
    names = dict(zip(_SIZES, zip(wanted, library.sizes(), strict=True), strict=True))
    names |= {f"population {k}": (n, library.population(k)) for k, n in enumerate(sizes)}
    for name, (said, found) in names.items():
        if said != found:
            raise InputError(
                f"{folder} is damaged: the manifest says {said} for {name}, the library {found}; "
                "export the run again"
            )


class _Library:
    """A library with a network, with memory of its own.

    The system gives what is loaded from one file one memory, which several models of a folder
    would share; so each loads a copy, which need not stay.
    """

    def __init__(self, content: bytes, folder: Path) -> None:
        with temporary_folder() as own:
            path = own / LIBRARY
            path.write_bytes(content)
            try:
                handle = ctypes.CDLL(str(path))
                handle.dsnn_error.restype = ctypes.c_char_p
            except (OSError, AttributeError) as error:
                raise InputError(
                    f"the library of {folder} cannot be loaded: {error}; export the run again on "
                    "this machine. Is the temporary folder (TMPDIR) one to run programs from?"
                ) from error
        self._handle: Any = handle
        self._lock = threading.Lock()
        self._end = weakref.finalize(self, _unload, handle)

    def close(self) -> None:
        with self._lock:
            self._end()

    def sizes(self) -> list[int]:
        return [self._handle.dsnn_size(k) for k in range(len(_SIZES))]

    def population(self, number: int) -> int:
        return int(self._handle.dsnn_population(number))

    def take(self, weights: bytes, folder: Path) -> None:
        if self._handle.dsnn_open_bytes(weights, ctypes.c_size_t(len(weights))):
            raise WorkError(f"{folder} cannot be opened: {self._error()}")

    def run(
        self, batch: Batch, rows: slice, out: tuple[np.ndarray, np.ndarray | None, Any]
    ) -> None:
        steps, many = ctypes.c_uint32(batch.n_steps), ctypes.c_uint32(rows.stop - rows.start)
        places = [_place(each) for each in out]
        with self._lock:
            if not self._end.alive:
                raise InputError("the model was closed; open it again")
            if isinstance(batch, SpikeBatch):
                start = np.ascontiguousarray(batch.start[rows], np.int64)
                time = np.ascontiguousarray(batch.time, np.int32)
                failed = self._handle.dsnn_run_spikes(
                    many, _place(start), _place(time), steps, *places
                )
            else:
                values = np.ascontiguousarray(batch.values[rows], np.float32)
                failed = self._handle.dsnn_run_values(many, _place(values), steps, *places)
            if failed:
                raise InputError(f"the batch cannot be run: {self._error()}")

    def _error(self) -> str:
        return (self._handle.dsnn_error() or b"").decode(errors="replace")


def _place(array: np.ndarray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def _unload(handle: Any) -> None:
    import _ctypes

    handle.dsnn_close()
    _ctypes.dlclose(handle._handle)
