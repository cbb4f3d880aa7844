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
    """A part of the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class FileFacts(_Part):
    """A file that must be as it was written.

    Attributes:
        bytes: Its size.
        sha256: Of its content.
    """

    bytes: Annotated[int, Field(ge=1, le=2**48)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Built(_Part):
    """A library that was compiled at the export.

    Attributes:
        system: Where it runs, as `platform.system` has it.
        machine: Where it runs, as `platform.machine` has it.
        library: The file.
    """

    system: _Text
    machine: _Text
    library: FileFacts


class Facts(_Part):
    """What the network is made of.

    Attributes:
        dt: Length of a step [ms].
        inputs: Channels of the input.
        currents: Whether the input is sampled currents; else it is spikes.
        outputs: Classes.
        synapses: Their number.
        longest: Longest delay [steps].
        batch_size: Examples that run side by side.
        kept: By population that spikes, in the order of the library, which neurons of the trained
            network it has.
    """

    dt: Annotated[float, Field(gt=0, le=1e9)]
    inputs: _Size
    currents: bool
    outputs: _Size
    synapses: Annotated[int, Field(ge=0, le=2**48)]
    longest: Annotated[int, Field(ge=0, le=65535)]
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    kept: Annotated[
        dict[_Text, Annotated[tuple[_Index, ...], Field(min_length=1)]], Field(max_length=10_000)
    ]


class Manifest(_Part):
    """All that a folder says of itself.

    Attributes:
        format: Of the folder.
        version: Of the format.
        backend: Of GeNN.
        genn: Version of pygenn that generated the code.
        about: What must be known to use the network.
        network: What it is made of.
        weights: The file of weights.
        built: The library; None where ``make`` builds it, which notes its digest beside it.
    """

    format: Literal["delaysnn-genn"] = "delaysnn-genn"
    version: Literal[1] = 1
    backend: Literal["single_threaded_cpu", "cuda"]
    genn: _Text
    about: About
    network: Facts
    weights: FileFacts
    built: Built | None

    @model_validator(mode="after")
    def _agrees(self) -> "Manifest":
        """Reject parts that do not fit each other."""
        if len(self.about.labels) != self.network.outputs:
            raise ValueError("there must be a label for each output")
        if (self.built is None) != (self.backend == "cuda"):
            raise ValueError("built must be there, unless the backend is cuda")
        return self


def read_manifest(folder: Path | str) -> Manifest:
    """Return the manifest of a folder; none of its other files are looked at.

    Raises:
        InputError: It is missing, damaged, or of another version.
    """
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
    """Reject a library that was compiled for another kind of machine.

    Raises:
        InputError: As said.
    """
    here, there = (platform.system(), platform.machine()), (built.system, built.machine)
    if here != there:
        raise InputError(
            f"{folder} must be opened on {' '.join(there)}, for which its library was compiled, "
            f"got {' '.join(here)}; export the run on this machine"
        )


def read_checked(path: Path, facts: FileFacts) -> bytes:
    """Return the content of a file that is as the manifest says.

    Raises:
        InputError: It is missing or another.
    """
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
    """Return the library that ``make`` built in a folder.

    Raises:
        InputError: It was not built, or changed since.
    """
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
