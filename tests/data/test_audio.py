"""Reading recordings: what is accepted, and that everything else says what is wrong."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mlgenn_delays.data.encode.audio import (
    MOST_SAMPLES,
    is_recording,
    read_recording,
    recording_length,
    suffixes,
)
from mlgenn_delays.errors import InputError

SAMPLES = np.linspace(-0.5, 0.5, 800, dtype=np.float32)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_formats(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 8000, subtype=subtype)
    samples = read_recording(path, 8000)
    assert samples.dtype == np.float32 and samples.shape == SAMPLES.shape
    np.testing.assert_allclose(samples, SAMPLES, atol=0.01)


def test_stereo_is_averaged(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([SAMPLES, 0 * SAMPLES], 1), 8000, subtype="FLOAT")
    np.testing.assert_allclose(read_recording(path, 8000), SAMPLES / 2)


@pytest.mark.parametrize("rate", [4000, 16000, 44100])
def test_other_rates_are_resampled(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    time = np.arange(rate) / rate
    soundfile.write(path, np.sin(2 * np.pi * 440 * time), rate, subtype="FLOAT")
    samples = read_recording(path, 8000)
    expected = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    assert len(samples) == 8000
    np.testing.assert_allclose(samples[500:-500], expected[500:-500], atol=0.01)


def test_one_sample_resampled_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES[:1], 48000)
    assert len(read_recording(path, 8000)) >= 1


@pytest.mark.parametrize("kept", [20, 43, 44, 45, 500, 1643])
def test_truncated(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 8000, subtype="PCM_16")
    content = path.read_bytes()
    assert len(content) == 1644
    path.write_bytes(content[:kept])
    with pytest.raises(InputError, match=r"a\.wav is truncated.*(copy|remove)"):
        read_recording(path, 8000)


def with_sizes(path: Path, riff: int, data: int, more: bytes = b"") -> Path:
    """Write 800 samples, 1644 bytes, with other lengths in the headers."""
    soundfile.write(path, SAMPLES, 8000, subtype="PCM_16")
    content = bytearray(path.read_bytes() + more)
    content[4:8], content[40:44] = riff.to_bytes(4, "little"), data.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("riff", "data"),
    [
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0x7FFFF024, 0x7FFFF000),  # espeak-ng, whose lengths go together
        (0x80000024, 0x80000000),
        (2_000_000_036, 2_000_000_000),
        (0x7FFFFFFF, 0x7FFFFFDB),
        (36, 0),
        (0, 0),
        (0xFFFFFFFF, 0),
        (1636, 0x40000000),  # a whole file, as RIFF says
        (0, 4000),
        (1636, 4000),
        (1680, 1644),  # the length of the file for that of the samples
        (1636, 1644),
        (1672, 1636),
        (1644, 1600),  # the length of the file for what RIFF counts
    ],
)
def test_lengths_in_the_header_that_nobody_knew(tmp_path: Path, riff: int, data: int) -> None:
    path = with_sizes(tmp_path / "a.wav", riff, data)
    samples = read_recording(path, 8000)
    np.testing.assert_allclose(samples, SAMPLES, atol=1e-4)
    assert len(samples) == 800


@pytest.mark.parametrize("promised", [1602, 2000, 100_000, 2**30 - 100])
def test_lengths_that_go_together_and_promise_more(tmp_path: Path, promised: int) -> None:
    path = with_sizes(tmp_path / "a.wav", promised + 36, promised)
    with pytest.raises(InputError, match=f"truncated: .* {promised} bytes of samples, got 1600"):
        read_recording(path, 8000)


def test_chunks_after_no_samples_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES[:0], 8000, subtype="PCM_16")
    content = bytearray(path.read_bytes()) + b"LIST\x04\x00\x00\x00INFO"
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(InputError, match="has a WAV header but 0 samples"):
        read_recording(path, 8000)


def test_chunks_after_samples_of_a_known_length(tmp_path: Path) -> None:
    path = with_sizes(tmp_path / "a.wav", 1648, 1600, b"LIST\x04\x00\x00\x00INFO")
    assert len(read_recording(path, 8000)) == 800


def test_samples_that_are_no_sound(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", SAMPLES * 1e30, 8000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav must have finite samples below 1e\+15 in size"):
        read_recording(tmp_path / "a.wav", 8000)


def test_chunks_before_the_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 8000, subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[:36] + b"note\x03\x00\x00\x00abc\x00" + content[36:])
    assert len(read_recording(path, 8000)) == 800


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with pytest.raises(InputError, match=r"cannot read .*a\.wav: No such file.*check"):
        read_recording(path, 8000)
    with pytest.raises(InputError, match="cannot read .*directory"):
        read_recording(tmp_path, 8000)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"a\.wav is empty \(0 bytes\); replace"):
        read_recording(path, 8000)
    path.write_bytes(b"this is no sound at all" * 10)
    with pytest.raises(InputError, match=r"a\.wav is no readable recording \(230 bytes.*convert"):
        read_recording(path, 8000)
    with pytest.raises(InputError, match=r"230 bytes: Format not recognised\); convert"):
        read_recording(path, 8000)
    soundfile.write(path, SAMPLES[:0], 8000)
    with pytest.raises(InputError, match=r"a\.wav has a WAV header but 0 samples; replace"):
        read_recording(path, 8000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    samples = SAMPLES.copy()
    samples[5] = bad
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav must have finite samples, got 1 NaN"):
        read_recording(tmp_path / "a.wav", 8000)


@pytest.mark.parametrize("rate", [0, -1, 8000.5, "8000", True])
def test_bad_rate(tmp_path: Path, rate: object) -> None:
    with pytest.raises(InputError, match="sample_rate must be"):
        read_recording(tmp_path / "a.wav", rate)  # type: ignore[arg-type]


COMPRESSED = ["flac", "ogg", "mp3"]


def write_tone(path: Path, rate: int = 16000, seconds: float = 0.5, channels: int = 1) -> Path:
    time = np.arange(round(rate * seconds)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([tone] * channels, 1), rate)
    return path


@pytest.mark.parametrize("kind", [*COMPRESSED, "aiff", "W64"])
@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_formats_are_heard_as_a_wav_is(
    tmp_path: Path, kind: str, rate: int, channels: int
) -> None:
    wav = read_recording(write_tone(tmp_path / "a.wav", rate), 8000)
    path = write_tone(tmp_path / f"a.{kind}", rate, channels=channels)
    samples = read_recording(path, 8000)
    assert is_recording(path.name) and len(samples) == len(wav) == 4000
    # What lossy formats change of a tone; the ends are where they smear.
    np.testing.assert_allclose(samples[400:-400], wav[400:-400], atol=0.05)
    assert recording_length(path) == pytest.approx(500, abs=0.1)


def test_opus(tmp_path: Path) -> None:
    path = tmp_path / "a.opus"
    soundfile.write(path, np.zeros(24000), 48000, format="OGG", subtype="OPUS")
    assert is_recording(path.name) and len(read_recording(path, 8000)) == 4000


def test_what_is_a_recording() -> None:
    assert suffixes()[:4] == (".wav", ".flac", ".ogg", ".mp3")
    for name in ("a.WAV", "a.b.Flac", "a.aif"):
        assert is_recording(name), name
    for name in ("a.raw", "a.mat5", "a.txt", "wav", "a.wav.part", "a.m4a"):
        assert not is_recording(name), name


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("share", [0.05, 0.5])
def test_truncated_or_broken_compressed_files(tmp_path: Path, kind: str, share: float) -> None:
    path = write_tone(tmp_path / f"a.{kind}")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=rf"a\.{kind} is (truncated|no readable).* remove"):
        read_recording(path, 8000)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"is empty \(0 bytes\); replace"):
        read_recording(path, 8000)


def test_length_without_samples_and_of_what_is_no_sound(tmp_path: Path) -> None:
    path = with_sizes(tmp_path / "a.wav", 0xFFFFFFFF, 0xFFFFFFFF)
    assert recording_length(path) == 100
    path.write_bytes(b"no sound")
    with pytest.raises(InputError, match="no readable recording"):
        recording_length(path)


def test_more_samples_than_memory_holds(tmp_path: Path) -> None:
    """A header may promise anything, and a low rate makes few samples many."""
    path = tmp_path / "a.wav"
    soundfile.write(path, SAMPLES, 1)
    with pytest.raises(InputError, match=f"at most {MOST_SAMPLES} samples at 48000 Hz, got 800"):
        read_recording(path, 48000)
    assert len(read_recording(path, 2)) == 1600
