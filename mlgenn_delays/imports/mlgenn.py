"""Checkpoints of mlGeNN: .npy files as its serialiser `Numpy` names them.

A file is called after the keys of the checkpoint (the epoch), the connection and its variable:
``5-Conn_Pop0_Pop1-g.npy`` has the weights of a connection in row-major order of (pre, post), ``-d``
the delays [steps], ``-pre_ind`` and ``-post_ind`` the ends of the synapses of a sparse one. What
`EventPropCompiler` trains is computed as here, with its ``default_params``.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.imports.chain import OUTPUTS, SPIKES, Layer, Pairs, network_of
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network
from mlgenn_delays.neurons.declare import TauRefrac
from mlgenn_delays.npy import map_npy
from mlgenn_delays.settings import Count, Positive, PositiveTime, Whole, one_of, says, settings

_DENSE, _SPARSE = ("g",), ("g", "pre_ind", "post_ind")


@settings(kw_only=True)
class MlGeNN:
    """What a checkpoint of mlGeNN does not say: the network, a chain of populations.

    Example:
        >>> from mlgenn_delays.imports import MlGeNN
        >>> MlGeNN(sizes=(700, 256, 20)).tau_mem
        20.0
    """

    sizes: Annotated[tuple[Count, ...], says("Neurons of each population, the input's first.")]
    names: Annotated[
        tuple[str, ...], says("Their names; Pop0, Pop1 and so on if none are given.")
    ] = ()
    checkpoint: Annotated[
        Whole | str, says("What the names of the files begin with: the epoch.")
    ] = ""
    tau_mem: Annotated[PositiveTime, says("Membrane time constant of all.")] = 20.0
    tau_syn: Annotated[PositiveTime, says("Synaptic time constant of all.")] = 5.0
    v_thresh: Annotated[Positive, says("Threshold.")] = 1.0
    tau_refrac: TauRefrac = 0.0
    max_delay: Annotated[
        PositiveTime | None, says("Longest delay; the longest there is if None.")
    ] = None
    readout: Annotated[str, one_of(*OUTPUTS), says("Of the last population.")] = "mean"

    def network(self, source: Any, dt: float) -> Network:
        """The network of a folder of checkpoints, for steps of dt [ms]."""
        folder = Path(source) if isinstance(source, str | Path) else None
        if folder is None or not folder.is_dir():
            raise InputError(f"a checkpoint of mlGeNN must be in a folder, got {source}")
        if len(self.sizes) < 2:
            raise InputError(f"sizes must have two populations or more, got {list(self.sizes)}")
        names = self.names or tuple(f"Pop{k}" for k in range(len(self.sizes)))
        if len(names) != len(self.sizes):
            raise InputError(
                f"names must have one of each population, {len(self.sizes)}, got {len(names)}"
            )
        found, layers = self._files(folder), []
        for k in range(1, len(names)):
            pairs = self._pairs(found, names[k - 1], names[k], self.sizes[k - 1 : k + 1], dt)
            if pairs is None:
                raise InputError(
                    f"{folder} must have the weights of Conn_{names[k - 1]}_{names[k]}, got those "
                    f"of {', '.join(found) or 'none'}; give names of the populations"
                    + (", or checkpoint, one of the epochs" if not found else "")
                )
            own = self._pairs(found, names[k], names[k], (self.sizes[k],) * 2, dt)
            voltage = k == len(names) - 1 and self.readout != SPIKES
            n, model = self.sizes[k], None
            if voltage:
                model = LeakyIntegrator(n, self.tau_mem, self.readout)
            neurons: Any = model or LIF(n, self.tau_mem, self.v_thresh, self.tau_refrac)
            recurrent = [own] if own is not None else []
            layers.append(Layer(neurons, [pairs], Exponential(self.tau_syn), recurrent=recurrent))
        if found:
            raise InputError(
                f"{folder} must have the connections of a chain of {', '.join(names)}, got also "
                f"{', '.join(found)}"
            )
        return network_of(layers, dt, currents=False)

    def _files(self, folder: Path) -> dict[str, dict[str, Path]]:
        """The files of each connection, by variable."""
        prefix = f"{self.checkpoint}-" if self.checkpoint != "" else ""
        found: dict[str, dict[str, Path]] = {}
        for path in sorted(folder.glob("*.npy")):
            connection, _, variable = path.stem.removeprefix(prefix).rpartition("-")
            if path.stem.startswith(prefix) and connection and "-" not in connection:
                found.setdefault(connection, {})[variable] = path
        return found

    def _pairs(
        self, found: dict[str, dict[str, Path]], source: str, target: str, shape: tuple[int, ...],
        dt: float,
    ) -> Pairs | None:  # fmt: skip
        name = f"Conn_{source}_{target}"
        if name not in found:
            return None
        files = found.pop(name)
        if set(files) - {"d"} not in (set(_DENSE), set(_SPARSE)):
            raise InputError(
                f"{name} must have files g, and d, pre_ind and post_ind where it has them, got "
                f"{', '.join(files)}"
            )
        values = {key: np.array(map_npy(path)).ravel() for key, path in files.items()}
        sparse = "pre_ind" in values
        count = len(values["pre_ind"]) if sparse else shape[0] * shape[1]
        if any(len(each) != count for each in values.values()):
            counts = ", ".join(f"{key} {len(each)}" for key, each in values.items())
            raise InputError(
                f"{name} must have {count} values per file for {shape[0]} x {shape[1]} neurons, "
                f"got {counts}; give the right sizes"
            )
        pre, post = (
            (values[key].astype(np.int64) for key in _SPARSE[1:])
            if sparse
            else np.divmod(np.arange(count), shape[1])
        )
        if not all(np.isfinite(each).all() for each in values.values()):
            raise InputError(f"values of {name} must be finite, got NaN or infinity")
        for each, n in zip((pre, post), shape, strict=True):
            if len(each) and not 0 <= each.min() <= each.max() < n:
                raise InputError(f"indices of {name} must be in 0..{n - 1}; give the right sizes")
        if len(np.unique(pre * shape[1] + post)) < len(pre):
            raise InputError(f"{name} must have each pair once")
        weight, delay = np.zeros((shape[1], shape[0])), None
        weight[post, pre] = values["g"]
        if "d" not in values:
            return Pairs(weight)
        delay = np.zeros_like(weight)
        delay[post, pre] = values["d"]
        longest = delay.max() if self.max_delay is None else self.max_delay / dt
        return Pairs(weight, np.clip(delay, 0.0, longest), float(longest))
