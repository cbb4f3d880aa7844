"""The headers of a WAV: where its samples begin, and whether it is whole."""

from pathlib import Path
from typing import Literal, NamedTuple

from mlgenn_delays.errors import DamagedError

# From here on a length of data [bytes] is no length: writers to a pipe, which cannot go back to
# the header, put a number there that no recording reaches, and each its own. Recordings that
# long, 90 minutes of stereo sound at 48 kHz and more, are no examples.
NO_LENGTH = 2**30


class Chunk(NamedTuple):
    """The data chunk of a WAV.

    Its header promises `size` bytes of samples from `begin` on; the first header of the file says
    that this ends at `riff`.
    """

    order: Literal["little", "big"]
    begin: int
    size: int
    riff: int


def find_data(content: bytes) -> Chunk | None:
    """Return the data chunk in the beginning of a WAV (`is_wave`), None if that ends before one."""
    order: Literal["little", "big"] = "big" if content[:4] == b"RIFX" else "little"
    riff, position = 8 + int.from_bytes(content[4:8], order), 12
    while position + 8 <= len(content):
        size = int.from_bytes(content[position + 4 : position + 8], order)
        if content[position : position + 4] == b"data":
            return Chunk(order, position + 8, size, riff)
        position += 8 + size + size % 2
    return None


def is_wave(content: bytes) -> bool:
    """Return whether a content begins as a WAV does; FLAC, RF64 and such do not."""
    return content[:4] in (b"RIFF", b"RIFX") and content[8:12] == b"WAVE"


def check_complete(content: bytes, path: Path | str) -> None:
    """Require that the data chunk holds what its header promises; libsndfile gives less silently.

    A file is truncated if both of its lengths, that of the samples and that of the whole file,
    are lengths at all (see `NO_LENGTH`), go together, and promise more than there is. Everything
    else comes from writers that did not know: the samples are all there is. So they are where
    the length of the samples is in truth that of this file, with its headers counted in. Other
    containers are left to libsndfile.
    """
    if not content:
        raise DamagedError(f"{path} is empty (0 bytes); replace or remove it")
    if not is_wave(content):
        return
    chunk = find_data(content)
    if chunk is None:
        raise DamagedError(
            f"{path} is truncated: it ends after {len(content)} bytes, before any samples; "
            "copy the file again or remove it"
        )
    found = len(content) - chunk.begin
    together = chunk.begin + chunk.size <= chunk.riff < NO_LENGTH
    # The second is how RIFF itself counts: without its first 8 bytes.
    of_file = chunk.size in (len(content), len(content) - 8)
    if together and not of_file and chunk.size > found:
        raise DamagedError(
            f"{path} is truncated: its header promises {chunk.size} bytes of samples, "
            f"got {found}; copy the file again or remove it"
        )


def with_lengths(content: bytes, path: Path | str) -> bytes:
    """Return the content of a WAV with the lengths in its headers made those that it has."""
    check_complete(content, path)
    chunk = find_data(content) if is_wave(content) else None
    if chunk is None:
        return content
    found = len(content) - chunk.begin
    fits = 0 < chunk.size <= found or (not chunk.size and _are_chunks(content, chunk))
    if fits or len(content) >= 2**32:  # which the lengths of a WAV cannot say
        return content
    mended = bytearray(content)
    mended[4:8] = (len(content) - 8).to_bytes(4, chunk.order)
    mended[chunk.begin - 4 : chunk.begin] = found.to_bytes(4, chunk.order)
    return bytes(mended)


def _are_chunks(content: bytes, chunk: Chunk) -> bool:
    """Return whether only chunks follow the data chunk, not samples: names and fitting lengths."""
    position = chunk.begin
    while position + 8 <= len(content):
        name = content[position : position + 4]
        if not (name.isascii() and name.decode("ascii").isprintable()):
            return False
        size = int.from_bytes(content[position + 4 : position + 8], chunk.order)
        position += 8 + size + size % 2
    return position in (len(content), len(content) + 1)
