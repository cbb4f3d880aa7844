"""A stream of frames or of sound, one example per window, as soon as the window is complete.

A window lasts as long as a trial and begins a hop after the one before. Frames at the end that no
window held yet are one more, which is padded with silence.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO
from typing import IO, Annotated, Any

import numpy as np
from pydantic import Field

from mlgenn_delays.data.encode.audio import MOST_SAMPLES
from mlgenn_delays.data.encode.wav import NO_LENGTH, find_data, is_wave
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs import Item, Reader
from mlgenn_delays.export.inputs.items import recording_item, row_items
from mlgenn_delays.settings import Integer, Number, Unit, check

_HEADER = 2**16  # bytes in which the samples of a WAV must begin
_FULL = np.float32(2**15)
_PACKED = {b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3"}  # how they begin


def sound(chunks: Iterator[bytes], rate: int | None, target: int) -> Iterator[np.ndarray]:
    """Yield samples (n,), mono: int16 as they come, or float32 with full scale at 1.

    Arguments:
        chunks: 16-bit samples, little-endian, mono; or a WAV of such, of any number of channels,
            which are averaged. Half a sample at the end is left out.
        rate: Rate of bare samples [Hz], which a WAV says itself; the target if None.
        target: Rate wanted [Hz]; others are resampled as they come.
    """
    content = b""
    for chunk in chunks:
        content += chunk
        if len(content) >= 12:  # else nothing of a WAV would be known to be none
            break
    _refuse_packed(content)
    channels, left, given = 1, None, rate or target
    if is_wave(content):
        header, content = _header(content, chunks)
        channels, given, left = _format(header, rate)
    found = _frames(content, chunks, channels, left)
    yield from found if given == target else _resampled(found, given, target)


def _refuse_packed(content: bytes) -> None:
    """Reject a stream of compressed sound, which would be heard as noise."""
    kind = next((name for mark, name in _PACKED.items() if content.startswith(mark)), None)
    if kind is not None:
        raise InputError(
            f"the stream must be a WAV of 16-bit PCM, or bare samples, got {kind}; unpack it "
            "(ffmpeg -i - -f wav -), or give it as a file"
        )


def _header(content: bytes, chunks: Iterator[bytes]) -> tuple[bytes, bytes]:
    """The header of a WAV up to its samples, and what of these was read with it."""
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
    """Channels and rate of a WAV, and the bytes of its samples, None for all there are."""
    import soundfile

    try:
        info = soundfile.info(BytesIO(header))
        kind = info.subtype if header[:4] == b"RIFF" else f"big-endian {info.subtype}"
    except (soundfile.SoundFileError, RuntimeError, TypeError):
        kind = "unknown format"
    if kind != "PCM_16":
        raise InputError(
            f"the stream must be a WAV of 16-bit PCM, or bare samples, got a WAV of {kind}; "
            "convert it (sox - -b 16 -t wav -), or give the WAV as a file"
        )
    if rate not in (None, info.samplerate):
        raise InputError(
            f"rate must be that of the stream, a WAV of {info.samplerate} Hz, got {rate}; "
            "leave --rate out"
        )
    data = find_data(header)
    known = data is not None and 0 < data.size < NO_LENGTH
    return info.channels, info.samplerate, data.size if data is not None and known else None


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

    # That of `read_recording`, so that a stream is heard as a file is.
    stream = soxr.ResampleStream(given, target, 1, dtype="float32", quality="HQ")
    for samples in found:
        if samples.dtype.kind == "i":
            samples = samples / _FULL
        yield stream.resample_chunk(np.ascontiguousarray(samples, np.float32))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


FORMS = ("pcm", "steps", "f32")

_CHUNK = 2**16
_PAUSE = 0.01  # s, before a stream that had nothing is read again
_WIDEST = 64  # bytes of text per number


def windows(
    stream: IO[Any] | None,
    reader: Reader,
    *,
    form: str | None = None,
    hop_ms: float | None = None,
    rate: int | None = None,
) -> Iterator[Item]:
    """Iterate over the windows of a stream; their names are their times [ms].

    Arguments:
        stream: What to read, such as ``sys.stdin`` (None if that is closed). No more is waited
            for than completes a window.
        reader: Of the model.
        form: "pcm": 16-bit samples, little-endian, mono (``arecord -t raw -f S16_LE -r 8000``), or
            a WAV of 16-bit samples, for models trained on recordings and there the default; half
            a sample at the end is left out. "steps", the default elsewhere: text, a
            line per step with a number for each channel between blanks or commas; empty lines and
            what follows a ``#`` are left out. "f32": the same numbers as float32, little-endian.
            What the numbers are says `Reader`: 0 and 1, currents or frames.
        hop_ms: From the beginning of a window to that of the next [ms], at most a window and
            rounded to whole frames; a window by default.
        rate: Rate of bare samples [Hz]; that of the model's data by default. A WAV says its own.
            Other rates than that of the model's data are resampled.

    Raises:
        InputError: At once for an unknown form, a bad hop or rate; from the iterator for a stream
            that cannot be read, holds no frame, or has a frame that cannot be: the line is named.
    """
    chosen = _form(reader, form)
    if stream is None:
        raise InputError("the stream cannot be read: it is closed; send it data through a pipe")
    samples = chosen == "pcm"
    if rate is not None:
        check("rate", rate, Annotated[Integer, Field(ge=1, le=1_000_000), Unit("Hz")])
        if not samples:
            raise InputError(f"rate must come with form 'pcm', got form {chosen!r}; leave it out")
    frame = 1000.0 / (reader.sample_rate or 1) if samples else reader.dt  # ms
    span = reader.n_steps * reader.dt
    length = max(1, _whole(span / frame)) if samples else reader.n_steps
    if samples and length > MOST_SAMPLES:
        raise InputError(
            f"a window must have at most {MOST_SAMPLES} samples, got {length}; "
            "the trials of this model are too long to stream"
        )
    hop = length
    if hop_ms is not None:
        check("hop", hop_ms, Annotated[Number, Field(gt=0, le=span), Unit("ms")])
        hop = min(length, max(1, _whole(hop_ms / frame)))
    chunks = _chunks(stream)
    frames: Iterator[np.ndarray]
    if samples:
        frames = sound(chunks, rate, reader.sample_rate or 1)
    else:
        frames = {"steps": _steps, "f32": _f32}[chosen](chunks, reader)
    return _items(reader, cut(frames, length, hop), samples, frame)


def cut(chunks: Iterable[np.ndarray], length: int, hop: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield windows of frames, once complete, each with the number of its first frame.

    Arguments:
        chunks: Frames, along the first axis, any number at a time.
        length: Of a window [frames]; the last may be shorter, if it has frames that are new.
        hop: From a window to the next [frames], 1..length.
    """
    held: np.ndarray | None = None
    begin = n = seen = 0  # first frame and frames held; how many of them some window had
    for frames in chunks:
        while len(frames):
            if held is None:
                held = np.empty((length, *frames.shape[1:]), frames.dtype)
            part, frames = frames[: length - n], frames[length - n :]
            held[n : n + len(part)] = part
            n += len(part)
            if n == length:
                yield begin, held.copy()
                begin, n = begin + hop, length - hop
                held[:n] = held[hop:].copy()
                seen = n
    if held is not None and n > seen:
        yield begin, held[:n].copy()


def _form(reader: Reader, form: str | None) -> str:
    known = FORMS if reader.sample_rate is not None else FORMS[1:]
    if form is None:
        return known[0]
    if form not in known:
        why = " (pcm is for models trained on recordings)" if form == "pcm" else ""
        raise InputError(f"form must be one of {', '.join(known)}, got {form!r}{why}")
    return form


def _whole(number: float) -> int:
    """A number >= 0 rounded, the half up."""
    return int(number + 0.5)


def _items(
    reader: Reader, found: Iterator[tuple[int, np.ndarray]], samples: bool, frame: float
) -> Iterator[Item]:
    any_found = False
    for begin, window in found:
        any_found = True
        name = f"{begin * frame:.10g}-{(begin + len(window)) * frame:.10g} ms"
        where = f"the window {name}"
        if samples:
            item = recording_item(reader, where, window)
        else:
            (item,) = row_items(reader, where, window)
        yield replace(item, name=name)
    if not any_found:
        raise InputError("the stream must have at least one frame, got none; send it data")


def _chunks(stream: IO[Any]) -> Iterator[bytes]:
    """Yield what a stream has to give, without waiting for more than it has."""
    binary = getattr(stream, "buffer", stream)
    read = getattr(binary, "read1", binary.read)
    while True:
        try:
            chunk = read(_CHUNK)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"the stream cannot be read: {reason}; send it data through a pipe"
            ) from error
        if chunk is None:  # it does not block and has nothing yet
            time.sleep(_PAUSE)
        elif chunk:
            yield chunk.encode() if isinstance(chunk, str) else chunk
        else:
            return


def _f32(chunks: Iterator[bytes], reader: Reader) -> Iterator[np.ndarray]:
    """Yield rows (n, C) float32."""
    rest, size = b"", 4 * reader.n_inputs
    for chunk in chunks:
        rest += chunk
        end = len(rest) // size * size
        yield np.frombuffer(rest[:end], "<f4").reshape(-1, reader.n_inputs)
        rest = rest[end:]
    if rest:
        raise InputError(
            f"the stream must have whole rows of {reader.n_inputs} float32 ({size} bytes), got "
            f"{len(rest)} bytes more at its end; send one float32 per channel and step"
        )


def _steps(chunks: Iterator[bytes], reader: Reader) -> Iterator[np.ndarray]:
    """Yield rows (1, C) float32."""
    for number, line in enumerate(_lines(chunks, _WIDEST * (reader.n_inputs + 1)), 1):
        words = line.split(b"#")[0].replace(b",", b" ").split()
        if words:
            yield _row(number, words, reader)


def _lines(chunks: Iterator[bytes], widest: int) -> Iterator[bytes]:
    """Yield lines, each as soon as it is complete."""
    rest, n = b"", 0
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
        n += len(lines)
        if len(rest) > widest:
            raise InputError(
                f"line {n + 1} of the stream must have at most {widest} bytes, got more; "
                "send a line per step"
            )
    if rest:
        yield rest


def _row(number: int, words: list[bytes], reader: Reader) -> np.ndarray:
    """The values of a line as (1, C) float32."""
    where = f"line {number} of the stream"
    if len(words) != reader.n_inputs:
        raise InputError(
            f"{where} must have {reader.n_inputs} numbers, got {len(words)}; "
            "send one for each channel, between blanks or commas"
        )
    values = []
    for word in words:
        try:
            if b"_" in word:  # Python would take 1_000
                raise ValueError
            values.append(float(word))
        except ValueError:
            text = word[:40].decode("ascii", "backslashreplace")
            raise InputError(
                f"{where} must be numbers, got {text!r}; send {reader.rows} between blanks or "
                "commas"
            ) from None
    row = np.array(values)[None]
    row_items(reader, where, row)
    return row.astype(np.float32)
