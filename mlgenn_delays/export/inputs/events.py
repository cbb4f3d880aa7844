"""Events, a channel and a time each, as examples; `event_steps` says which step is whose."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.data.arrays import check_start
from mlgenn_delays.data.events import event_columns, event_losses, event_spikes, event_steps
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs.arrays import check_number_of_examples
from mlgenn_delays.export.inputs.item import Item
from mlgenn_delays.export.inputs.spec import InputSpec

_SECOND = 1000.0  # ms


def event_item(
    spec: InputSpec, where: str, channels: Any, times: Any, unit: float = 1.0, width: int = 1
) -> Item:
    """Return one example from its events.

    Arguments:
        spec: What the network takes.
        where: What the events are called.
        channels: (E,) whole numbers in ``0..C-1``.
        times: (E,) real numbers >= 0, in any order; those after the trial are cut.
        unit: What a time of 1 is [ms].
        width: How many neighbouring channels of the events are one of the network.

    Raises:
        InputError: The network takes currents, or the events cannot be.
    """
    if spec.currents and not spec.counts:
        raise InputError(
            f"{where} has events, but the model takes currents; give an array of {spec.arrays}"
        )
    # Of files with more channels than the network, neighbours are one.
    channel, time = event_columns(where, channels, times, n_channels=spec.n_inputs * width)
    channel = channel // width
    shape = {"n_channels": spec.n_inputs, "n_steps": spec.n_steps}
    if spec.counts:
        steps = event_steps(where, time, dt=spec.dt, n_steps=spec.n_steps, unit=unit)
        kept = steps < spec.n_steps
        counts = np.zeros((spec.n_steps, spec.n_inputs), np.float32)
        np.add.at(counts, (steps[kept].astype(np.int64), channel[kept]), 1.0)
        losses = event_losses(time, steps, spec.n_steps, unit)
        return Item(where, "currents", counts, losses)
    start, step, losses = event_spikes(where, channel, time, dt=spec.dt, unit=unit, **shape)
    channel = np.repeat(np.arange(spec.n_inputs), np.diff(start))
    return Item(where, "events", (channel, step.astype(np.int64)), losses)


def npz_events(spec: InputSpec, path: Path, arrays: dict[str, np.ndarray]) -> list[Item]:
    """Return the examples of events in a .npz.

    Arguments:
        spec: What the network takes.
        path: Name of the file for messages.
        arrays: ``times`` (E,) [ms, or ``data.time_unit`` of the training], ``channels`` (E,) and,
            for several examples, ``start`` (N+1,): example i has the events
            ``start[i]:start[i+1]``.

    Raises:
        InputError: They are not that.
    """
    channels, times = arrays["channels"], arrays["times"]
    if "start" not in arrays:
        return [event_item(spec, str(path), channels, times, spec.time_unit)]
    if times.ndim != 1 or times.shape != channels.shape:
        raise InputError(
            f"{path} must have times and channels of one shape (events,), got {times.shape} and "
            f"{channels.shape}; give one of each an event"
        )
    start = arrays["start"]
    check_start(str(path), start, len(times))
    check_number_of_examples(str(path), len(start) - 1)
    return [
        event_item(spec, f"{path}[{row}]", channels[first:end], times[first:end], spec.time_unit)
        for row, (first, end) in enumerate(zip(start[:-1], start[1:], strict=True))
    ]


def hdf5_events(spec: InputSpec, path: Path) -> list[Item]:
    """Return the examples of an HDF5 file in the layout of SHD and SSC.

    Arguments:
        spec: What the network takes.
        path: File with ``/spikes/times`` [s] and ``/spikes/units``, an array an example each. Units
            are grouped as they were for training.

    Raises:
        InputError: It cannot be read or has another layout.
    """
    from mlgenn_delays.hdf5 import read_hdf5

    spikes = read_hdf5(path, only=("spikes",)).get("spikes")
    found = spikes if isinstance(spikes, dict) else {}
    times, units = (_examples(path, found, name) for name in ("times", "units"))
    if len(times) != len(units) or not len(times):
        raise InputError(
            f"{path} must have times and units of the same examples, at least one, got "
            f"{len(times)} and {len(units)}; copy it again"
        )
    check_number_of_examples(str(path), len(times))
    return [
        event_item(spec, f"{path}[{row}]", unit, time, _SECOND, spec.unit_width)
        for row, (time, unit) in enumerate(zip(times, units, strict=True))
    ]


def _examples(path: Path, spikes: dict[str, Any], name: str) -> Sequence[np.ndarray]:
    """Return one array an example from ``/spikes``."""
    found = spikes.get(name)
    arrays = list(found) if isinstance(found, (list, tuple, np.ndarray)) else None
    if arrays is None or not all(isinstance(each, np.ndarray) for each in arrays):
        got = "none" if found is None else "something else"
        raise InputError(
            f"{path} must have /spikes/times and /spikes/units with one array an example, as SHD "
            f"and SSC have, got {got} at /spikes/{name}; give events as .npz with times [ms] and "
            "channels"
        )
    return arrays
