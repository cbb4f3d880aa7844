"""FSDD made ready: the recordings of its release, checked against the published ones.

``fsdd.sha256`` has a checksum for each digit and speaker over takes 5-49. Of takes 0-4, the test
split, nothing is known in advance: they must be there and readable.
"""

import hashlib
import re
from importlib import resources
from pathlib import Path

from mlgenn_delays.data.download.prepare import Prepared, download, open_zip, read_member
from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.errors import InputError, WorkError
from mlgenn_delays.files import open_atomic, unfinished
from mlgenn_delays.progress import Meter, note

URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.zip"
# As browsers call that file.
ARCHIVE = "free-spoken-digit-dataset-1.0.10.zip"
TEST, CHECKED = range(5), range(5, 50)

_RECORDING = re.compile(r"(?:[^/]+/)?recordings/([0-9]_[A-Za-z0-9-]+_[0-9]+\.wav)", re.ASCII)
_HALF = unfinished(r"[0-9]_[A-Za-z0-9-]+_[0-9]+\.wav")
_LARGEST = 2**23  # bytes of a recording; the longest of the published ones has 40,000
_RATE = 8000


def published() -> dict[tuple[int, str], str]:
    """Return the checksum of each digit and speaker."""
    text = resources.files("mlgenn_delays.data.download").joinpath("fsdd.sha256").read_text("ascii")
    rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {(int(digit), speaker): checksum for digit, speaker, checksum in rows}


def group_checksum(folder: Path, digit: int, speaker: str) -> str | None:
    """Return the checksum of a digit and speaker, None if a recording is missing.

    It is the first 16 digits of SHA-256 over takes 5-49 in their order: of each its name, a line
    feed, its size in decimal, a line feed, and its content.
    """
    total = hashlib.sha256()
    for take in CHECKED:
        path = folder / _name(digit, speaker, take)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InputError(
                f"cannot read {path}: {error.strerror}; check its permissions"
            ) from error
        total.update(f"{path.name}\n{len(content)}\n".encode() + content)
    return total.hexdigest()[:16]


def prepare_fsdd(folder: Path) -> Prepared:
    """Make FSDD ready, see `prepare_data`."""
    place = _place(folder)
    faults = _faults(place)
    if not faults:
        return Prepared(place, (f"{place}: was there; {_sound()}",))
    if place.is_dir():
        note(f"{place} is not complete: {_in_words(faults)}")
    archive, fetched = folder / ARCHIVE, False
    if not archive.is_file():
        by_hand = (
            f"fetch it by hand into {folder} as {ARCHIVE} and run the same command again, which "
            "unpacks it"
        )
        download(URL, archive, remedy=by_hand)
        fetched = True
    written = _unpack(archive, place)
    faults = _faults(place)
    if faults:
        raise WorkError(
            f"the recordings in {place} are not those that are expected, though {archive} was "
            f"unpacked: {_in_words(faults)}; they stay as they are, and so does the archive: "
            "remove it and run the same command again to download another"
        )
    if fetched:
        archive.unlink()
    how = "downloaded" if fetched else f"unpacked from {ARCHIVE}"
    return Prepared(place, (f"{place}: {written:,} recordings {how}; {_sound()}",))


def _name(digit: int, speaker: str, take: int) -> str:
    return f"{digit}_{speaker}_{take}.wav"


def _place(folder: Path) -> Path:
    """Return the folder of the recordings: the given one if they lie there, else one within."""
    inner = [folder / "recordings", *sorted(folder.glob("free-spoken-digit-dataset*/recordings"))]
    for place in (folder, *inner):
        if next(place.glob("*_*_*.wav"), None) is not None:
            return place
    return inner[0]


def _faults(place: Path) -> list[str]:
    groups = published()
    faults = []
    with Meter("checking recordings", len(groups), "groups") as meter:
        for (digit, speaker), expected in groups.items():
            names = [_name(digit, speaker, take) for take in (*TEST, *CHECKED)]
            missing = [name for name in names if not (place / name).is_file()]
            who = f"digit {digit} of {speaker}"
            if missing:
                faults.append(f"{who}: {len(missing)} of {len(names)} missing")
            elif group_checksum(place, digit, speaker) != expected:
                faults.append(f"{who}: a recording of takes 5-49 is damaged or another")
            faults += _unreadable(place, [name for name in names[:5] if name not in missing])
            meter.advance()
    return faults


def _unreadable(place: Path, names: list[str]) -> list[str]:
    faults = []
    for name in names:
        try:
            read_recording(place / name, _RATE)
        except InputError as error:
            faults.append(str(error))
    return faults


def _in_words(faults: list[str]) -> str:
    more = f", and {len(faults) - 5} more" if len(faults) > 5 else ""
    return ", ".join(faults[:5]) + more


def _sound() -> str:
    n = len(published()) * (len(TEST) + len(CHECKED))
    return f"all {n:,} are there, takes 5-49 are the published ones, takes 0-4 can be read"


def _unpack(archive: Path, place: Path) -> int:
    """Write the recordings of the archive that are not there, or are others; return how many.

    Nothing but the last part of a member's name is used, so none can lead out of the folder.
    """
    written = 0
    for half in place.glob(".*.wav.*"):  # what a call that was killed left
        if _HALF.fullmatch(half.name):
            half.unlink(missing_ok=True)
    with open_zip(archive) as packed:
        members = [(each, _RECORDING.fullmatch(each.filename)) for each in packed.infolist()]
        found = [(each, match[1]) for each, match in members if match]
        if not found:
            raise InputError(
                f"{archive} must have recordings/*.wav in it; remove it, and run the same command "
                "again to download it"
            )
        with Meter(f"unpacking {archive.name}", len(found), "recordings") as meter:
            for member, name in found:
                content = read_member(packed, member, _LARGEST)
                written += _write(place / name, content)
                meter.advance()
    return written


def _write(path: Path, content: bytes) -> bool:
    """Write a recording unless it is there; return whether it was not."""
    if path.is_file() and path.read_bytes() == content:
        return False
    # Forcing 3,000 files to disk takes minutes; a checksum follows, and a next call mends.
    with open_atomic(path, sync=False, remedy="give another DIR") as file:
        file.write(content)
    return True
