"""A bundle: one safetensors file with a network, ready for inference, and all to use it.

Its metadata are JSON, its arrays of the smallest type that holds them; there is no pickle, and
reading it runs no code.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact
from mlgenn_delays.files import write_atomic
from mlgenn_delays.network import Network
from mlgenn_delays.network.delays import delay_steps
from mlgenn_delays.network.storage import REMEDY, describe, rebuild, tensors_of
from mlgenn_delays.tensors import FileFormat
from mlgenn_delays.untrusted import parse_json

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_artifact(path: Path) -> Artifact:
    """Read a bundle or a NIR file, whatever its name."""
    try:
        with path.open("rb") as file:
            begin = file.read(9)
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error
    if begin.startswith(_HDF5):
        from mlgenn_delays.export.nir import read_nir

        return read_nir(path)
    if begin[8:] != b"{":  # as every safetensors file has it
        raise InputError(
            f"{path} must be a bundle or a NIR file, got another or a damaged one; make one of a "
            "run with delaysnn export"
        )

    return read_bundle(path)


_MAKE = "; make one of a run with delaysnn export RUN --format bundle"
FORMAT = FileFormat("delaysnn-bundle", 1, "bundle", _MAKE, REMEDY, foreign=_MAKE)
_TYPES = {"indptr": np.int64, "post": np.int32}


def write_bundle(artifact: Artifact, path: Path | str) -> None:
    """Write a bundle, atomically."""
    write_atomic(path, to_bytes(artifact))


def to_bytes(artifact: Artifact) -> bytes:
    """The content of a bundle; equal artifacts give equal bytes."""
    network = artifact.network
    tensors = tensors_of(network)
    for name, projection in network.projections.items():
        base = f"projection/{name}"
        tensors[f"{base}/delay"] = delay_steps(projection, network.dt)
        for key in ("indptr", "post", "delay"):
            tensors[f"{base}/{key}"] = _smallest(tensors[f"{base}/{key}"])
    for name, index in artifact.kept.items():
        tensors[f"kept/{name}"] = _smallest(index)
    return FORMAT.pack(
        tensors,
        about=artifact.about.model_dump_json(),
        network=json.dumps(describe(network), sort_keys=True),
        sizes=json.dumps(artifact.sizes, sort_keys=True),
    )


def read_bundle(path: Path | str) -> Artifact:
    """Read a bundle; InputError says what is wrong with the file."""
    path = Path(path)
    tensors, metadata = FORMAT.read(path)
    with FORMAT.checked(path):
        return _artifact(tensors, metadata)


def _artifact(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> Artifact:
    description = parse_json(metadata["network"])
    for entry in description["projections"]:
        base = f"projection/{entry['name']}"
        for key, kind in _TYPES.items():
            tensors[f"{base}/{key}"] = _whole(tensors, f"{base}/{key}").astype(kind)
        steps = _whole(tensors, f"{base}/delay")
        with np.errstate(over="ignore"):  # what is not finite is refused
            tensors[f"{base}/delay"] = steps.astype(np.int64) * float(description["dt"])
    network = rebuild(Network, description, tensors)
    kept = {
        population.name: _whole(tensors, f"kept/{population.name}").astype(np.int64)
        for population in network.spiking()
    }
    about = About.of_json(metadata["about"])
    return Artifact(network, kept, parse_json(metadata["sizes"]), about)


def _whole(tensors: dict[str, np.ndarray], key: str) -> np.ndarray:
    if tensors[key].dtype.kind != "u":
        raise InputError(f"tensor {key} must have unsigned numbers, got {tensors[key].dtype}")
    return tensors[key]


def _smallest(array: np.ndarray) -> Any:
    """Whole numbers >= 0 in the smallest unsigned type that holds them."""
    return array.astype(np.min_scalar_type(int(array.max(initial=0))))
