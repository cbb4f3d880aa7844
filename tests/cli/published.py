"""Small data sets where the published ones would be downloaded from: a server of this machine."""

import hashlib
import io
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

from mlgenn_delays.data.download import fsdd
from mlgenn_delays.data.download.fsdd import group_checksum
from mlgenn_delays.data.sets.shd import SHD_FILES
from mlgenn_delays.data.sets.ssc import SSC_FILES
from tests.cli.helpers import write_words
from tests.data.shd_helpers import write_shd, write_ssc
from tests.web import Web


def point_at(given: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything be downloaded from a server of this machine."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(fsdd, "URL", f"{given.url}/v1.0.10.zip")
    if find_spec("tonic"):
        import tonic.datasets as tonic

        monkeypatch.setattr(tonic.SHD, "base_url", f"{given.url}/")
        monkeypatch.setattr(tonic.SSC, "base_url", f"{given.url}/")


def zipped(files: dict[str, bytes]) -> bytes:
    """Return a .zip file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, each in files.items():
            archive.writestr(name, each)
    return content.getvalue()


def write_of(kind: str, folder: Path) -> dict[str, Path]:
    """Write the files of SHD or SSC; return them by what tonic calls their part."""
    write = write_shd if kind == "shd" else write_ssc
    files = (SHD_FILES if kind == "shd" else SSC_FILES).values()
    return {name.removesuffix(".h5").split("_")[1]: write(folder) / name for name in files}


def serve(given: Web, kind: str, folder: Path, monkeypatch) -> dict[str, bytes]:
    """Serve the files of SHD or SSC as tonic expects them; return their content by name."""
    import tonic.datasets as tonic

    known, contents = getattr(tonic, kind.upper()), {}
    for part, path in write_of(kind, folder).items():
        packed = zipped({path.name: path.read_bytes()})
        contents[path.name] = path.read_bytes()
        given.files[f"/{path.name}.zip"] = packed
        monkeypatch.setattr(known, f"{part}_md5", hashlib.md5(packed).hexdigest())
    return contents


def make_release(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Return a release of two digits and one speaker, whose checksums are known."""
    source = write_words(folder, list(range(50)))
    known = {(digit, "ann"): group_checksum(source, digit, "ann") for digit in (0, 1)}
    monkeypatch.setattr(fsdd, "published", lambda: known)
    files = {
        f"free-1.0.10/recordings/{path.name}": path.read_bytes() for path in source.glob("*.wav")
    }
    return files | {"free-1.0.10/README.md": b"text", "free-1.0.10/recordings/": b""}
