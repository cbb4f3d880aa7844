"""SHD and SSC made ready. Where they lie on the web, and their checksums, is known to tonic."""

from pathlib import Path
from typing import Any

from mlgenn_delays.data.download.prepare import PACKED, Prepared, download, unpack
from mlgenn_delays.data.sets.shd import SHD_FILES
from mlgenn_delays.data.sets.shd_files import N_DIGITS, N_WORDS, PAGE, EventFile, locate
from mlgenn_delays.data.sets.ssc import SSC_FILES
from mlgenn_delays.errors import InputError

_TONIC = 'pip install "delaysnn[datasets]"'


def prepare_shd(folder: Path) -> Prepared:
    """Make SHD ready, see `prepare_data`."""
    return _prepare("SHD", folder, SHD_FILES, N_DIGITS)


def prepare_ssc(folder: Path) -> Prepared:
    """Make SSC ready, see `prepare_data`."""
    return _prepare("SSC", folder, SSC_FILES, N_WORDS)


def _prepare(kind: str, folder: Path, files: dict[str, str], n_classes: int) -> Prepared:
    names = tuple(files.values())
    found = dict(zip(names, locate(folder, names), strict=True))
    ready = {name: (path, "was there") for name, path in found.items() if path is not None}
    for name in [each for each in names if each not in ready]:
        packed = next(filter(None, locate(folder, tuple(name + end for end in PACKED))), None)
        if packed is not None:
            path = packed.with_suffix("")
            unpack(packed, path)
            ready[name] = path, f"unpacked from {packed.name}"
    absent = [each for each in names if each not in ready]
    for name, (url, md5) in _addresses(kind, folder, absent).items():
        _fetch(url, md5, folder / name)
        ready[name] = folder / name, "downloaded"
    lines = [_checked(path, how, n_classes) for path, how in (ready[name] for name in names)]
    return Prepared(folder, tuple(lines))


def _fetch(url: str, md5: str, path: Path) -> None:
    packed = path.with_name(url.rsplit("/", 1)[-1])
    by_hand = (
        f"fetch it by hand into {path.parent} and run the same command again, which unpacks it "
        f"({PAGE} has all files)"
    )
    download(url, packed, remedy=by_hand, md5=md5)
    unpack(packed, path)
    packed.unlink()


def _checked(path: Path, how: str, n_classes: int) -> str:
    try:
        n, size = len(EventFile(path, n_classes)), path.stat().st_size / 1e6
        return f"{path}: {how}, {n:,} examples, {size:,.1f} MB"
    except InputError as error:
        raise InputError(f"{error}: remove it, and run the same command again") from error


def _addresses(kind: str, folder: Path, names: list[str]) -> dict[str, tuple[str, str]]:
    """Return the address and the MD5 checksum of each file, as tonic knows them."""
    if not names:
        return {}
    packed = ", ".join(f"{PAGE}{name}.zip" for name in names)
    remedy = f"{_TONIC}, or fetch {packed} into {folder} by hand and run the same command again"
    try:
        from tonic import datasets
    except ImportError as error:
        raise InputError(
            f"downloading {kind} must have tonic 1.7 or later, which is not installed; {remedy}"
        ) from error
    known: Any = getattr(datasets, kind, None)
    found = {}
    for name in names:
        part = name.removesuffix(".h5").split("_")[1]
        base, file, md5 = (
            getattr(known, each, None) for each in ("base_url", f"{part}_zip", f"{part}_md5")
        )
        if not (base and file and md5):
            raise InputError(
                f"tonic must know the address and the checksum of {name}, as version 1.7 does; "
                f"{remedy}"
            )
        found[name] = f"{base}{file}", md5
    return found
