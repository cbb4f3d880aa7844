"""Sound as it comes from a stream: bare samples or a WAV, at any rate."""

from collections.abc import Iterator

import numpy as np

from mlgenn_delays.data.encode.wav import NO_LENGTH, find_data, is_wave
from mlgenn_delays.errors import InputError

_HEADER = 2**16  # bytes in which the samples of a WAV must begin
_PCM, _EXTENSIBLE = 1, 0xFFFE  # format tags
_FULL = np.float32(2**15)


def sound(chunks: Iterator[bytes], rate: int | None, target: int) -> Iterator[np.ndarray]:
    """Yield samples (n,), mono: int16 as they come, or float32 with full scale at 1.

    Arguments:
        chunks: 16-bit samples, little-endian, mono; or a WAV of such, of any number of channels,
            which are averaged. Half a sample at the end is left out.
        rate: Rate of bare samples [Hz], which a WAV says itself; the target if None.
        target: Rate wanted [Hz]; others are resampled as they come.

    Raises:
        InputError: It is another WAV, or one of another rate than the one given.
    """
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) >= 12:  # else nothing of a WAV would be known to be none
            break
    channels, left, given = 1, None, rate or target
    if is_wave(content):
        header, content = _header(content, chunks)
        channels, given, left = _format(header, rate)
    found = _frames(content, chunks, channels, left)
    yield from found if given == target else _resampled(found, given, target)


def _header(content: bytes, chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return the header of a WAV up to its samples, and what of these was read with it."""
    while (data := find_data(content)) is None or data.begin > len(content):
        chunk = next(chunks, b"")
        if not chunk or len(content) > _HEADER:
            raise InputError(
                "the stream must have samples within the first 65536 bytes of a WAV, got none; "
                "send bare samples, or give the WAV as a file"
            )
        content += chunk
    return content[: data.begin], content[data.begin :]


def _format(header: bytes, rate: int | None) -> tuple[int, int, int | None]:
    """Return channels and rate of a WAV, and the bytes of its samples, None for all there are."""
    position = 12
    while header[position : position + 4] not in (b"fmt ", b"data"):
        size = int.from_bytes(header[position + 4 : position + 8], "little")
        position += 8 + size + size % 2
    fields = header[position + 8 : position + 24]
    tag, channels = (int.from_bytes(fields[k : k + 2], "little") for k in (0, 2))
    own, bits = int.from_bytes(fields[4:8], "little"), int.from_bytes(fields[14:16], "little")
    fine = header[:4] == b"RIFF" and header[position : position + 4] == b"fmt "
    if not fine or tag not in (_PCM, _EXTENSIBLE) or bits != 16 or not channels or not own:
        raise InputError(
            f"the stream must be a WAV of 16-bit PCM, or bare samples, got a WAV of format {tag} "
            f"with {bits} bits; convert it (sox - -b 16 -t wav -), or give the WAV as a file"
        )
    if rate not in (None, own):
        raise InputError(
            f"rate must be that of the stream, a WAV of {own} Hz, got {rate}; leave --rate out"
        )
    data = find_data(header)
    known = data is not None and 0 < data.size < NO_LENGTH
    return channels, own, data.size if data is not None and known else None


def _frames(
    content: bytes, chunks: Iterator[bytes], channels: int, left: int | None
) -> Iterator[np.ndarray]:
    """Yield samples, channels averaged, up to so many bytes if that is known."""
    width = 2 * channels
    while True:
        part = content if left is None else content[:left]
        whole = len(part) // width * width
        samples = np.frombuffer(part[:whole], "<i2")
        if channels > 1:
            samples = samples.reshape(-1, channels).mean(axis=1, dtype=np.float32) / _FULL
        yield samples
        if left is not None:
            left -= whole
            if left < width:
                return
        content = content[whole:]
        chunk = next(chunks, b"")
        if not chunk:
            return
        content += chunk


def _resampled(found: Iterator[np.ndarray], given: int, target: int) -> Iterator[np.ndarray]:
    """Yield samples at the target rate, each as soon as the filter has what it needs."""
    import soxr

    # That of `read_wav`, so that a stream is heard as a file is.
    stream = soxr.ResampleStream(given, target, 1, dtype="float32", quality="HQ")
    for samples in found:
        if samples.dtype.kind == "i":
            samples = samples / _FULL
        yield stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)
