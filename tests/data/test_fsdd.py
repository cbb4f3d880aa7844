"""FSDD: splits, order, coding, and folders that cannot be used."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mlgenn_delays.data.encode.audio import read_recording
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.data.encode.recordings import encode_recordings
from mlgenn_delays.data.sets.fsdd import (
    DATASET,
    FsddOptions,
    list_fsdd,
    load_fsdd,
    load_fsdd_frames,
)
from mlgenn_delays.errors import InputError

MakeWavs = Callable[..., Path]
SHORT = {"duration": 150.0, "encoder": LevelEncoder(levels=(0.4, 0.7))}
NAMES = ("1_bo_10.wav", "1_al_49.wav", "0_al_9.wav", "0_al_5.wav", "2_al_0.wav", "2_al_4.wav")


def test_splits_by_take_in_fixed_order(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES, "1_al_100.wav")
    (folder / "README.md").write_text("no recording")
    (folder / "._1_al_7.wav").write_text("what macOS leaves behind")
    data = load_fsdd(folder, **SHORT)
    assert {split: each.names for split, each in data.items()} == {
        "train": ("1_al_49.wav", "1_al_100.wav", "1_bo_10.wav"),
        "validation": ("0_al_5.wav", "0_al_9.wav"),
        "test": ("2_al_0.wav", "2_al_4.wav"),
    }
    assert data["train"].labels.tolist() == [1, 1, 1]
    assert data["test"].label_names == tuple("0123456789")
    for split in data.values():
        assert split.n_steps == 150 and split.dt == 1.0 and split.n_channels == 160
        assert (split.start[:, -1] > split.start[:, 0]).all()


def test_a_speaker_is_held_out(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES, "3_bo_1.wav", "3_bo_6.wav")
    options = FsddOptions(hold_out="bo", duration=150.0)
    expected = {
        "train": ["1_al_49.wav"],
        "validation": ["0_al_5.wav", "0_al_9.wav"],
        "test": ["1_bo_10.wav", "3_bo_1.wav", "3_bo_6.wav"],
    }
    for data in (
        load_fsdd(folder, **SHORT, hold_out="bo"),
        load_fsdd_frames(folder, hold_out="bo"),
    ):
        assert {split: list(each.names) for split, each in data.items()} == expected
    assert DATASET.items is not None and DATASET.recordings is not None
    checked: dict[str, list[str]] = {split: [] for split in expected}
    for item in DATASET.items(folder, options, 1.0):
        checked[item.split].append(item.name)
    assert checked == expected
    found = DATASET.recordings(folder, options, 1.0)
    listed = {split: [found.names[row] for row in rows] for split, rows in found.rows.items()}
    assert listed == expected
    assert found.groups == [name.split("_")[1] for name in found.names]


def test_speakers_that_cannot_be_held_out(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES)
    with pytest.raises(InputError, match="must be one of several speakers, al, bo, got 'eve'"):
        load_fsdd(folder, **SHORT, hold_out="eve")
    (folder / "1_bo_10.wav").unlink()
    with pytest.raises(InputError, match="must be one of several speakers, al, got 'al'"):
        load_fsdd(folder, **SHORT, hold_out="al")


def test_only_the_splits_there_are(make_wavs: MakeWavs) -> None:
    assert list(load_fsdd(make_wavs("2_al_0.wav"), **SHORT)) == ["test"]


def test_a_recording_does_not_depend_on_the_others(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES)
    test = load_fsdd(folder, **SHORT)["test"]
    wavs = [read_recording(folder / name, 8000) for name in test.names]
    batch = encode_recordings(FsddOptions(encoder=SHORT["encoder"]), wavs, 1.0, 150)
    np.testing.assert_array_equal(batch.start, test.start)
    np.testing.assert_array_equal(batch.time, test.time)
    assert batch.labels.tolist() == [-1, -1] and batch.n_steps == 150


def test_cut_and_padded(make_wavs: MakeWavs) -> None:
    folder = make_wavs("2_al_0.wav")
    short, whole = (
        load_fsdd(folder, duration=d, encoder=SHORT["encoder"])["test"] for d in (60.0, 400.0)
    )
    assert short.n_steps == 60 and short.time.max() < 60
    assert whole.n_steps == 400 and whole.time.max() < 200
    assert 0 < len(short.time) == np.count_nonzero(whole.time < 60)


def test_frames(make_wavs: MakeWavs) -> None:
    data = load_fsdd_frames(make_wavs(*NAMES), duration=300.0)
    train = data["train"]
    assert train.values.shape == (2, 30, 40) and train.values.dtype == np.float32
    assert train.dt == 10.0 and train.n_steps == 30 and train.n_channels == 40
    assert train.values.max() == 1.0 and not train.values[:, 14:].any()
    finer = load_fsdd_frames(make_wavs(), duration=300.0, dt=5.0)["train"]
    assert finer.n_steps == 60
    np.testing.assert_allclose(finer.values[:, ::2], train.values, atol=1e-6)


@pytest.mark.parametrize("dt", [1.0, 2.5, 10.0, 20.0])
def test_frames_at_any_step_lie_on_lines_between_frames(make_wavs: MakeWavs, dt: float) -> None:
    folder = make_wavs("1_bo_10.wav", "0_al_5.wav")
    frames = load_fsdd_frames(folder, duration=220.0)["train"].values[0]
    data = load_fsdd_frames(folder, duration=200.0, dt=dt)["train"]
    assert data.n_steps == round(200 / dt) and data.dt == dt and data.values.flags.c_contiguous
    at = np.arange(data.n_steps) * dt
    for band in range(40):
        expected = np.interp(at, np.arange(22) * 10.0, frames[:, band])
        np.testing.assert_allclose(data.values[0, :, band], expected, atol=1e-6)


def test_many_recordings_at_fine_steps_are_as_one_by_one(make_wavs: MakeWavs) -> None:
    # Over 4 MiB of values, so more than one go.
    folder = make_wavs(*(f"{digit}_al_{take}.wav" for digit in range(4) for take in range(10, 20)))
    data = load_fsdd_frames(folder, duration=200.0, dt=0.1)["train"]
    coarse = load_fsdd_frames(folder, duration=200.0)["train"]
    assert data.values.shape == (40, 2000, 40)
    np.testing.assert_allclose(data.values[:, ::100], coarse.values, atol=1e-6)
    halfway = (coarse.values[:, 1:] + coarse.values[:, :-1]) / 2
    np.testing.assert_allclose(data.values[:, 50:1950:100], halfway, atol=1e-6)


def test_frames_times_scale(make_wavs: MakeWavs) -> None:
    folder = make_wavs("1_bo_10.wav")
    plain, scaled = (load_fsdd_frames(folder, duration=99.0, dt=3.0, scale=s) for s in (1.0, 20.0))
    np.testing.assert_array_equal(scaled["train"].values, plain["train"].values * np.float32(20.0))
    assert scaled["train"].values.dtype == np.float32


def test_no_wavs(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("")
    message = r"must have recordings named \{digit\}.*, in it or in a folder recordings, got none$"
    with pytest.raises(InputError, match=message):
        load_fsdd(tmp_path)
    (tmp_path / "recordings").mkdir()
    with pytest.raises(InputError, match=message):
        load_fsdd(tmp_path)


def test_wavs_in_the_folder_recordings(tmp_path: Path) -> None:
    """DIR of `data prepare fsdd DIR` is the DIR of `train fsdd --data DIR`."""
    inner = tmp_path / "recordings"
    inner.mkdir()
    soundfile.write(inner / "1_al_1.wav", np.zeros(900), 8000)
    assert load_fsdd(tmp_path)["test"].names == ("1_al_1.wav",)
    assert [each.path for each in list_fsdd(tmp_path)] == [inner / "1_al_1.wav"]
    soundfile.write(tmp_path / "2_al_1.wav", np.zeros(900), 8000)  # what lies in it comes first
    assert load_fsdd(tmp_path)["test"].names == ("2_al_1.wav",)


def test_names_that_do_not_fit(make_wavs: MakeWavs) -> None:
    folder = make_wavs("1_al_1.wav", "1_al.wav", "2_b.wav", "3.wav", "4_al_x.wav")
    message = (
        r"must be named \{digit\}_\{speaker\}_\{take\}\.wav .* "
        r"got 1_al\.wav, 2_b\.wav, 3\.wav and 1 more; rename"
    )
    with pytest.raises(InputError, match=message):
        load_fsdd(folder)


def test_label_out_of_range(make_wavs: MakeWavs) -> None:
    folder = make_wavs("1_al_1.wav", "10_al_1.wav")
    with pytest.raises(InputError, match=r"must have a digit 0-9 in front, got 10_al_1\.wav"):
        load_fsdd(folder)


@pytest.mark.parametrize("other", ["00_bob_1.wav", "0_bob_01.wav", "0_bob_1.WAV"])
def test_one_recording_twice(make_wavs: MakeWavs, other: str) -> None:
    folder = make_wavs("0_al_1.wav", "0_bob_1.wav", "0_bob_2.wav", "1_bob_1.wav")
    assert len(load_fsdd(folder, **SHORT)["test"]) == 4
    shutil.copy(folder / "0_bob_1.wav", folder / other)
    with pytest.raises(InputError, match="a digit, speaker and take of their own, got") as caught:
        load_fsdd(folder, **SHORT)
    assert "0_bob_1.wav" in str(caught.value).replace(other, "") and other in str(caught.value)


def test_bad_recording_is_named(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES)
    path = folder / NAMES[2]
    path.write_bytes(path.read_bytes()[:300])
    for load in (load_fsdd, load_fsdd_frames):
        with pytest.raises(InputError, match=r"0_al_9\.wav is truncated"):
            load(folder)
    path.unlink()
    path.symlink_to("nothing")
    with pytest.raises(InputError, match=r"cannot read .*0_al_9\.wav"):
        load_fsdd(folder)


@pytest.mark.parametrize("encoding", ["spikes", "currents"])
def test_cores_change_nothing(
    make_wavs: MakeWavs, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    folder = make_wavs(*(f"{digit}_al_{take}.wav" for digit in range(4) for take in range(3, 12)))
    options = FsddOptions(encoding=encoding, duration=250.0)
    monkeypatch.setattr("mlgenn_delays.data.encode.base._RASTER_BYTES", 2 * 200 * 250)
    loaded, looked = [], []
    for cores in (1, 3):
        monkeypatch.setattr("mlgenn_delays.machine.available_cores", lambda cores=cores: cores)
        data = DATASET.splits(folder, options, 1.0, False)
        loaded.append([(split, each.names, *arrays(each)) for split, each in data.items()])
        items = DATASET.examples("fsdd", folder, options, 1.0)
        looked.append([(each.split, each.name, *arrays(each.batch)) for each in items])
    assert loaded[0] == loaded[1] and len(loaded[0]) == 3
    assert looked[0] == looked[1] and len(looked[0]) == 36


def arrays(data: object) -> list[bytes]:
    """Return what examples are made of, byte for byte."""
    names = [name for name in ("start", "time", "values") if hasattr(data, name)]
    return [getattr(data, name).tobytes() for name in names]


def test_other_formats_than_wav(make_wavs: MakeWavs) -> None:
    folder = make_wavs(*NAMES)
    before = load_fsdd(folder, **SHORT)
    for path in sorted(folder.glob("*.wav"))[::2]:
        samples, rate = soundfile.read(path, dtype="int16")
        soundfile.write(path.with_suffix(".flac"), samples, rate)
        path.unlink()
    after = load_fsdd(folder, **SHORT)
    for split, data in after.items():
        assert [Path(name).stem for name in data.names] == [
            Path(name).stem for name in before[split].names
        ]
        np.testing.assert_array_equal(data.time, before[split].time)
    assert {Path(name).suffix for each in after.values() for name in each.names} == {
        ".wav", ".flac",
    }  # fmt: skip
