"""Files that hold an artifact, told apart by what they begin with."""

from pathlib import Path

from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import Artifact

_HDF5 = b"\x89HDF\r\n\x1a\n"


def read_artifact(path: Path) -> Artifact:
    """Read a bundle or a NIR file, whatever its name.

    Raises:
        InputError: It is neither, damaged, or from another version.
    """
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
    from mlgenn_delays.export.bundle import read_bundle

    return read_bundle(path)
