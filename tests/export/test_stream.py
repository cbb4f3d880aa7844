"""Streams: windows as soon as they are complete, and lines that cannot be."""

import io
import os
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.inputs import Item, Reader
from mlgenn_delays.export.stream import cut, windows
from tests.export.readers import analogue, reader, recording

LONG = 60.0  # s, before a test that waits for what never comes fails


class Dripping(io.RawIOBase):
    """A stream that gives a few bytes at a time, and nothing at all in between."""

    def __init__(self, content: bytes, sizes: list[int], *, idle: bool = False) -> None:
        self.content, self.sizes, self.idle, self.n = content, sizes, idle, 0

    def read(self, size: int = -1) -> bytes | None:
        self.n += 1
        if self.idle and self.n % 2:
            return None
        size = self.sizes[self.n % len(self.sizes)]
        part, self.content = self.content[:size], self.content[size:]
        return part


def voices(steps: int = 20) -> Reader:
    """Return the reader of a model of recordings; a window of 20 steps is 160 samples."""
    return reader("fsdd", steps=steps, duration=float(steps))


def text(rows: np.ndarray) -> bytes:
    return "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()


def all_of(content: bytes | str, one: Reader, **options: Any) -> list[Item]:
    stream: Any = io.BytesIO(content) if isinstance(content, bytes) else io.StringIO(content)
    return list(windows(stream, one, **options))


# Windows


@given(st.integers(0, 70), st.integers(1, 12), st.integers(1, 12), st.lists(st.integers(0, 30)))
def test_windows_are_the_frames(n: int, length: int, hop: int, breaks: list[int]) -> None:
    hop = min(hop, length)
    frames = np.arange(2 * n).reshape(n, 2)
    found = list(cut(np.split(frames, sorted(min(each, n) for each in breaks)), length, hop))
    for begin, window in found:
        np.testing.assert_array_equal(window, frames[begin : begin + length])
    assert [begin for begin, _ in found] == [hop * number for number in range(len(found))]
    assert all(len(window) == length for _, window in found[:-1])
    # Every frame is in some window, and the last window has one that none before it had.
    ends = [begin + len(window) for begin, window in found]
    assert (ends[-1] if ends else 0) == n
    assert all(before < after for before, after in pairwise(ends))


@given(st.data())
def test_forms_agree_however_the_bytes_come(draw: st.DataObject) -> None:
    n = draw.draw(st.integers(1, 50))
    rows = np.random.default_rng(n).normal(0, 1, (n, 6)).astype(np.float32)
    hop = draw.draw(st.sampled_from([None, 1.0, 7.0, 20.0]))
    sizes = draw.draw(st.lists(st.integers(1, 300), min_size=1, max_size=5))
    found = {
        form: list(windows(Dripping(content, sizes), analogue(), form=form, hop_ms=hop))
        for form, content in (("steps", text(rows)), ("f32", rows.tobytes()))
    }
    begin = 0
    for one, other in zip(found["steps"], found["f32"], strict=True):
        assert one.name == other.name == f"{begin}-{min(begin + 20, n)} ms"
        np.testing.assert_array_equal(one.raw, other.raw)
        np.testing.assert_array_equal(one.raw, rows[begin : begin + 20])
        begin += int(hop or 20)
    batch = analogue().as_batch(found["f32"])
    last = rows[begin - int(hop or 20) :][:20]
    np.testing.assert_array_equal(batch.values[-1, : len(last)], last)
    assert not batch.values[-1, len(last) :].any()


def test_a_stream_that_does_not_block() -> None:
    rows = np.eye(6, dtype="<f4")
    (item,) = windows(Dripping(rows.tobytes(), [50], idle=True), reader(), form="f32")
    np.testing.assert_array_equal(item.raw, rows)


@pytest.mark.parametrize("hop", [None, 5.0, 20.0])
def test_samples(hop: float | None) -> None:
    samples = recording(0.05)
    found = all_of(samples.astype("<i2").tobytes(), voices(), hop_ms=hop)
    step = 40 if hop == 5.0 else 160
    assert len(found) == (7 if hop == 5.0 else 3)
    for number, item in enumerate(found):
        part = samples[number * step : number * step + 160]
        assert item.kind == "recording"
        np.testing.assert_array_equal(item.raw, part / np.float32(2**15))
        expected = voices().as_batch(voices().of(part))
        got = voices().as_batch([item])
        np.testing.assert_array_equal(got.time, expected.time)
    begin, end = (len(found) - 1) * step / 8, min((len(found) - 1) * step + 160, 400) / 8
    assert found[-1].name == f"{begin:g}-{end:g} ms"


def test_half_a_sample_at_the_end_is_left_out() -> None:
    samples = recording(0.05).astype("<i2").tobytes()
    for n in (400, 401, 3, 2):
        found = all_of(samples[:n], voices())
        assert sum(len(item.raw) for item in found) == n // 2
    with pytest.raises(InputError, match="the stream must have at least one frame, got none"):
        all_of(samples[:1], voices())


def test_text() -> None:
    content = "1, 0,0 0\t0 1\r\n\n# a remark\n0 0 0 0 0 0  # silence\n1 1 1 1 1 1"
    for form in (content, content.encode()):
        (item,) = all_of(form, reader())
        assert item.kind == "raster" and item.name == "0-3 ms"
        np.testing.assert_array_equal(item.raw, [[1, 0, 0, 0, 0, 1], [0] * 6, [1] * 6])
    (frames,) = all_of("1 2 3 4 5 0.5", reader("rawhd", scale=2.0))
    assert frames.kind == "frames"
    batch = reader("rawhd", scale=2.0).as_batch([frames])
    np.testing.assert_array_equal(batch.values[0, 0], [2, 4, 6, 8, 10, 1])


@pytest.mark.parametrize("form", ["steps", "f32", "pcm"])
def test_a_window_is_there_as_soon_as_it_is_complete(form: str) -> None:
    one = voices() if form == "pcm" else reader()
    samples = recording(0.02).astype("<i2").tobytes()
    rows = np.eye(6, dtype=np.float32)[np.arange(20) % 6]
    content = {"steps": text(rows.astype(int)), "f32": rows.tobytes(), "pcm": samples}[form]
    out, into = os.pipe()
    answered = threading.Event()

    def send() -> None:
        """Send the second window only once the first was answered, and end after a third."""
        with os.fdopen(into, "wb", buffering=0) as pipe:
            pipe.write(content[:7])
            time.sleep(0.05)
            pipe.write(content[7:])
            if answered.wait(LONG):
                pipe.write(content)

    sender = threading.Thread(target=send)
    sender.start()
    with os.fdopen(out, "rb") as pipe:
        found = windows(io.TextIOWrapper(pipe) if form == "steps" else pipe, one, form=form)
        began = time.monotonic()
        assert next(found).name == "0-20 ms"
        assert time.monotonic() - began < LONG / 2
        answered.set()
        assert [item.name for item in found] == ["20-40 ms"]
    sender.join()


# What cannot be


@pytest.mark.parametrize(
    "content, message",
    [
        ("0 0 0 0 0 0\n0 0 0 0 0\n", "line 2 of the stream must have 6 numbers, got 5; send one"),
        ("\n\n0 0 0 0 0 0 0", "line 3 of the stream must have 6 numbers, got 7"),
        ("0 0 0 0 x1 0\n", "line 1 of the stream must be numbers, got 'x1'; send spikes as 0"),
        (b"0 0 0 0 \xff\x00 0\n", r"must be numbers, got '.*xff.*'; send spikes"),
        ("0 0 0 0 2 0\n", "line 1 of the stream must have spikes as 0 and 1, got 2.0 at step 0"),
        ("0 0 0 0 nan 0\n", "must have spikes as 0 and 1, got nan at step 0, channel 4"),
        ("0 0 0 0 0 0\n\n" + "0" * 99_999, "line 3 of the stream must have at most 448 bytes"),
        ("0" * 10_000, "line 1 of the stream must have at most 448 bytes, got more; send a line"),
        ("", "the stream must have at least one frame, got none; send it data"),
        ("\n# nothing\n", "at least one frame, got none"),
    ],
)
def test_lines_that_cannot_be(content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        all_of(content, reader())


def test_values_that_cannot_be() -> None:
    for word in ("inf", "1e39", "nan"):
        with pytest.raises(InputError, match="line 1 of the stream must be finite and below"):
            all_of(f"0 0 0 0 0 {word}\n", analogue())
    rows = np.zeros((30, 6), "<f4")
    rows[25, 2] = 0.5
    found = windows(io.BytesIO(rows.tobytes()), reader(), form="f32")
    assert next(found).name == "0-20 ms"
    with pytest.raises(InputError, match="window 20-30 ms must have spikes as 0 and 1, got 0.5"):
        next(found)
    with pytest.raises(InputError, match=r"rows of 6 float32 \(24 bytes\), got 3 bytes more"):
        all_of(rows.tobytes()[:483], reader(), form="f32")


@pytest.mark.parametrize(
    "one, options, message",
    [
        (reader(), {"form": "pcm"}, r"one of steps, f32, got 'pcm' \(pcm is for models trained"),
        (voices(), {"form": "wav"}, "one of pcm, steps, f32, got 'wav'"),
        (reader(), {"hop_ms": 21.0}, "hop must be .* got 21.0"),
        (reader(), {"hop_ms": 0.0}, "hop must be"),
        (reader(), {"hop_ms": float("nan")}, "hop must be"),
        (reader("fsdd", steps=10**8), {}, "window must have at most 16777216 samples, got 8000000"),
    ],
)
def test_settings_that_cannot_be(one: Reader, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        windows(io.BytesIO(b""), one, **options)


def wav(samples: np.ndarray, rate: int, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    return file.getvalue()


def tone(rate: int, seconds: float = 0.5) -> np.ndarray:
    return (9000 * np.sin(2 * np.pi * 700 * np.arange(int(rate * seconds)) / rate)).astype("<i2")


@pytest.mark.parametrize("rate", [16000, 44100, 4000])
@pytest.mark.parametrize("headed", [False, True])
def test_sound_of_another_rate_is_heard_as_a_file_is(
    tmp_path: Path, rate: int, headed: bool
) -> None:
    samples = tone(rate)
    (tmp_path / "a.wav").write_bytes(wav(samples, rate))
    expected = read_recording(tmp_path / "a.wav", 8000)
    content = wav(samples, rate) if headed else samples.tobytes()
    stream = Dripping(content, [7, 300, 1, 5000])
    found = list(windows(stream, voices(), rate=None if headed else rate))
    np.testing.assert_array_equal(np.concatenate([item.raw for item in found]), expected)


def test_a_wav_of_the_rate_of_the_model() -> None:
    samples = tone(8000)
    plain = all_of(samples.tobytes(), voices())
    for content in (wav(samples, 8000), wav(samples, 8000) + b"LIST\x04\x00\x00\x00INFO"):
        for sizes in ([3], [100_000]):
            found = list(windows(Dripping(content, sizes), voices()))
            assert [item.name for item in found] == [item.name for item in plain]
            for one, other in zip(found, plain, strict=True):
                np.testing.assert_array_equal(one.raw, other.raw)
    # A length that nobody knew: all there is.
    content = bytearray(wav(samples, 8000))
    content[4:8], content[40:44] = b"\x24\xf0\xff\x7f", b"\x00\xf0\xff\x7f"
    assert len(list(windows(Dripping(bytes(content), [999]), voices()))) == len(plain)


def test_channels_of_a_wav_are_averaged() -> None:
    samples = tone(8000)
    both = np.stack([samples, np.zeros_like(samples)], axis=1)
    found = np.concatenate([item.raw for item in all_of(wav(both, 8000), voices())])
    np.testing.assert_allclose(found, samples / np.float32(2**16))


@pytest.mark.parametrize(
    ("content", "rate", "message"),
    [
        (wav(tone(16000), 16000), 8000, "rate must be that of the stream, a WAV of 16000 Hz, got"),
        (wav(tone(8000), 8000, "PCM_24"), None, "WAV of PCM_24; convert it"),
        (wav(tone(8000), 8000, "FLOAT"), None, "WAV of FLOAT; convert it"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(1000), None, "within the first 65536 bytes of a WAV"),
    ],
    ids=["rate", "24 bits", "float", "no samples"],
)
def test_a_wav_that_cannot_be_streamed(content: bytes, rate: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(windows(Dripping(content, [5]), voices(), rate=rate))


def test_what_begins_as_a_wav_and_is_none() -> None:
    assert all_of(b"RIFF" + bytes(1000), voices())


@pytest.mark.parametrize(
    ("one", "rate", "message"),
    [
        (voices(), 0, "rate must be a whole number"),
        (voices(), 8000.5, "rate must be a whole number"),
        (reader(), 8000, "rate must come with form 'pcm', got form 'steps'"),
    ],
)
def test_rates_that_cannot_be(one: Reader, rate: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        windows(io.BytesIO(b""), one, rate=rate)


def test_a_stream_that_cannot_be_read() -> None:
    stream = io.BytesIO(b"")
    stream.close()
    with pytest.raises(InputError, match="the stream cannot be read: I/O operation on closed"):
        list(windows(stream, reader()))
    with pytest.raises(InputError, match="the stream cannot be read: it is closed"):
        windows(None, reader())


def test_rows_for_a_model_of_recordings() -> None:
    content = np.eye(200, dtype="<f4").tobytes()
    found = all_of(content, voices(), form="f32")
    assert len(found) == 10 and found[3].kind == "raster"
    assert voices().as_batch(found).time.tolist() == list(range(20)) * 10


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
def test_compressed_sound_is_no_stream(kind: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(8000), 8000, format=kind)
    # Of MP3 only what has tags in front is told from bare samples, as most files have.
    content = b"ID3\x04" * (kind == "MP3") + file.getvalue()
    with pytest.raises(InputError, match=f"bare samples, got {kind}; unpack it"):
        list(windows(Dripping(content, [5, 100]), voices()))
