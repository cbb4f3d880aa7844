"""What a folder with GeNN's code says of itself, and the checks before anything of it is run."""

import platform
import re
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About

MANIFEST, LIBRARY, WEIGHTS = "manifest.json", "libdelaysnn.so", "weights.bin"
LARGEST = 2**26  # bytes of a manifest
_AGAIN = "export the run again with delaysnn export RUN --format genn"

_Size = Annotated[int, Field(ge=1, le=2**31 - 1)]
_Text = Annotated[str, Field(max_length=200)]
_Index = Annotated[int, Field(ge=0, le=2**31 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileFacts(_Part):
    """A file that must be as it was written."""

    bytes: Annotated[int, Field(ge=1, le=2**48)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Built(_Part):
    """A library that was compiled at the export."""

    system: _Text  # as `platform.system` has it
    machine: _Text  # as `platform.machine` has it
    library: FileFacts


class Facts(_Part):
    """What the network is made of."""

    dt: Annotated[float, Field(gt=0, le=1e9)]  # [ms]
    inputs: _Size  # channels
    currents: bool  # whether the input is sampled currents, not spikes
    outputs: _Size  # classes, or series
    synapses: Annotated[int, Field(ge=0, le=2**48)]
    longest: Annotated[int, Field(ge=0, le=65535)]  # delay [steps]
    batch_size: Annotated[int, Field(ge=1, le=4096)]  # examples that run side by side
    # By spiking population, in the order of the library: which trained neurons it has.
    kept: Annotated[
        dict[_Text, Annotated[tuple[_Index, ...], Field(min_length=1)]], Field(max_length=10_000)
    ]


class Manifest(_Part):
    """All that a folder says of itself."""

    format: Literal["delaysnn-genn"] = "delaysnn-genn"
    version: Literal[1] = 1  # of the format
    backend: Literal["single_threaded_cpu", "cuda"]
    genn: _Text  # version of pygenn that generated the code
    about: About
    network: Facts
    weights: FileFacts
    built: Built | None  # None where ``make`` builds it, which notes its digest beside it

    @model_validator(mode="after")
    def _agrees(self) -> "Manifest":
        if len(self.about.labels) != self.network.outputs:
            raise ValueError("there must be a label for each output")
        if (self.built is None) != (self.backend == "cuda"):
            raise ValueError("built must be there, unless the backend is cuda")
        return self


def read_manifest(folder: Path | str) -> Manifest:
    """Read the manifest of a folder; none of its other files are looked at."""
    path = Path(folder) / MANIFEST
    try:
        if not path.is_file():
            raise InputError(f"there is no {path}; {_AGAIN}")
        if path.stat().st_size > LARGEST:
            raise InputError(f"{path} must have at most {LARGEST} bytes; {_AGAIN}")
        content = path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; {_AGAIN}") from error
    try:
        return Manifest.model_validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "it"
        said = " ".join(f"{where[:100]}: {first['msg'][:300]}".split())
        raise InputError(f"{path} is damaged: {said}; {_AGAIN}") from error


def check_platform(folder: Path, built: Built) -> None:
    """Reject a library that was compiled for another kind of machine."""
    here, there = (platform.system(), platform.machine()), (built.system, built.machine)
    if here != there:
        raise InputError(
            f"{folder} must be opened on {' '.join(there)}, for which its library was compiled, "
            f"got {' '.join(here)}; export the run on this machine"
        )


def read_checked(path: Path, facts: FileFacts) -> bytes:
    """Read a file, which must be as the manifest says."""
    try:
        if not path.is_file():
            raise InputError(f"there is no {path}; {_AGAIN}")
        size = path.stat().st_size
        if size != facts.bytes:
            raise InputError(f"{path} must have {facts.bytes} bytes, got {size}; {_AGAIN}")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}; {_AGAIN}") from error
    if sha256(content).hexdigest() != facts.sha256:
        raise InputError(f"{path} must be as it was exported, got another content; {_AGAIN}")
    return content


def read_made(folder: Path) -> bytes:
    """Read the library that ``make`` built in a folder."""
    path, noted = folder / LIBRARY, folder / f"{LIBRARY}.sha256"
    if not path.is_file() or not noted.is_file():
        raise InputError(
            f"{folder} has no library yet: run make -C {folder} where nvcc is, then open it there"
        )
    try:
        with open(noted, "rb") as file:
            digest = file.read(64).decode("ascii", "replace")
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if not re.fullmatch("[0-9a-f]{64}", digest) or sha256(content).hexdigest() != digest:
        raise InputError(f"{path} must be as make built it; run make -C {folder} clean all")
    return content
