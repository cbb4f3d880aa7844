import json
import subprocess
import sys

import numpy as np
import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.checkpoint import Checkpoint
from mlgenn_delays.runs.history import History
from mlgenn_delays.tensors import canonical, checksum, pack, read


def row(epoch, accuracy=0.5, loss=1.0):
    return {
        "epoch": epoch, "train_loss": 0.1 + 0.2, "train_accuracy": 1 / 3,
        "validation_loss": loss, "validation_accuracy": accuracy,
        "spikes_hidden": 2.0, "silent_hidden": 1, "seconds": 0.25,
    }  # fmt: skip


def checkpoint():
    state = {
        "step": np.array(7),
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "delay/äö": np.array([1.5, 1e300]),
        "empty": np.zeros((0, 4), np.int32),
    }
    history = History([row(1, 0.5), row(2, 0.75), row(3, 0.25)])
    return Checkpoint({"epochs": 5, "rule": "x", "patience": None}, history, state, b"network")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "state.safetensors"
    path.write_bytes(checkpoint().to_bytes())
    return path


def test_a_checkpoint_reads_back_exactly(path):
    before, after = checkpoint(), Checkpoint.load(path)
    assert after.settings == before.settings
    assert after.history.rows == before.history.rows
    assert after.history.best_epoch == 2 and after.epoch == 3
    assert after.best_network == b"network"
    assert set(after.state) == set(before.state)
    for name, array in before.state.items():
        assert after.state[name].dtype == array.dtype
        assert after.state[name].shape == array.shape
        assert np.array_equal(after.state[name], array)
    assert after.to_bytes() == before.to_bytes()


def test_equal_checkpoints_have_equal_bytes_in_every_process(path):
    code = (
        "import sys; from mlgenn_delays.runs.checkpoint import Checkpoint;"
        "sys.stdout.buffer.write(Checkpoint.load(sys.argv[1]).to_bytes())"
    )
    for _ in range(3):
        other = subprocess.run([sys.executable, "-c", code, path], capture_output=True, check=True)
        assert other.stdout == path.read_bytes()


def test_metadata_is_readable_json(path):
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    assert (metadata["format"], metadata["version"]) == ("delaysnn-checkpoint", "1")
    training = json.loads(metadata["training"])
    assert training["epoch"] == 3 and training["best_epoch"] == 2
    assert training["epochs_without_better"] == 1
    assert training["best_validation_accuracy"] == 0.75
    assert training["library_version"]


def test_canonical_only_orders_the_header():
    from safetensors.numpy import load, save

    arrays = {"b": np.arange(3), "a": np.ones(2, np.float32)}
    metadata = {"z": "é", "y": "2", "x": "3"}
    contents = {canonical(save(arrays, metadata=metadata)) for _ in range(20)}
    assert len(contents) == 1
    whole = {**metadata, "checksum": str(checksum(arrays, metadata))}
    assert pack(arrays, metadata) == canonical(save(arrays, metadata=whole))
    back = load(contents.pop())
    assert all(np.array_equal(back[name], array) for name, array in arrays.items())


@pytest.mark.parametrize("length", range(8))
def test_tensors_lie_at_multiples_of_eight_bytes(length):
    content = pack({"a": np.ones(2)}, {"x": "é" * length})
    assert int.from_bytes(content[:8], "little") % 8 == 0


def edit(path, change):
    """Change the metadata of a file, whose checksum fits again."""
    tensors, metadata = read(path)
    change(metadata)
    path.write_bytes(pack(tensors, metadata))


def edit_training(path, change):
    """Change the part of the metadata that tells of the training."""

    def inner(metadata):
        training = json.loads(metadata["training"])
        change(training)
        metadata["training"] = json.dumps(training)

    edit(path, inner)


def test_editing_alone_does_no_harm(path):
    edit_training(path, lambda t: None)
    assert Checkpoint.load(path).epoch == 3


@pytest.mark.parametrize("version", ["2", "", "x", "9" * 9999])
def test_a_newer_version_is_refused(path, version):
    edit(path, lambda m: m.update(version=version))
    with pytest.raises(InputError, match="version <= 1.*upgrade"):
        Checkpoint.load(path)


def test_another_safetensors_file_is_refused(path):
    path.write_bytes(pack({"a": np.ones(2)}, {"format": "delaysnn-network", "version": "1"}))
    with pytest.raises(InputError, match="must be a delaysnn checkpoint"):
        Checkpoint.load(path)
    with pytest.raises(InputError, match="no delaysnn checkpoint file .*nowhere"):
        Checkpoint.load(path.with_name("nowhere"))


def test_other_bytes_are_refused(path):
    whole = path.read_bytes()
    assert whole.count(b"rule") == whole.count(b'"checksum"') == 1
    flipped = bytearray(whole)
    flipped[-3] ^= 4
    foreign = (b"PK\x03\x04" + bytes(99), b"\x80\x04cos\nsystem\n", b"\xff" * 64)
    for content, why in (
        *((whole[:kept], "damaged") for kept in (0, 7, 8, 100, -1)),
        *((content, "damaged") for content in foreign),
        (bytes(flipped), "damaged.*checksum"),
        (whole.replace(b"rule", b"rulf"), "damaged.*checksum"),
        (whole.replace(b'"checksum"', b'"checksun"'), "damaged.*checksum"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=why):
            Checkpoint.load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.update(history=[]),
        lambda t: t.update(history=7),
        lambda t: t["history"].pop(1),
        lambda t: t["history"][0].update(epoch=2),
        lambda t: t["history"][0].pop("train_loss"),
        lambda t: t["history"][0].update(spikes_hidden=[1]),
        lambda t: t.update(best_epoch=1),
        lambda t: t.update(epoch=2),
        lambda t: t.update(epochs_without_better=0),
        lambda t: t.pop("settings"),
        lambda t: t.update(settings=3),
    ],
)
def test_metadata_that_make_no_sense_are_refused(path, change):
    edit_training(path, change)
    with pytest.raises(InputError, match="damaged: (?!.*checksum)"):
        Checkpoint.load(path)


def test_metadata_that_are_no_json_object_are_refused(path):
    for text in ("", "[1", "[" * 100000, "null", "[]"):
        edit(path, lambda m, text=text: m.update(training=text))
        with pytest.raises(InputError, match="damaged: (?!.*checksum)"):
            Checkpoint.load(path)


def test_a_history_knows_its_best():
    history = History()
    assert history.best_epoch == 0 and len(history) == 0 and history.to_csv() == ""
    assert "no epoch" in repr(history)
    with pytest.raises(IndexError):
        _ = history.best
    assert [history.add(row(e, a)) for e, a in ((1, 0.5), (2, 0.5), (3, 0.75), (4, 0.6))] == [
        True, False, True, False,
    ]  # fmt: skip
    assert history.best is history.rows[2]
    assert history.epochs_without_better == 1
    assert "4 epochs, best 3" in repr(history)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2**63 - 1, -(2**63)])
def test_numbers_that_no_state_has_are_refused(path, value):
    tensors, metadata = read(path)
    if isinstance(value, int):
        tensors["state/step"] = np.array(value)
    else:
        tensors["state/weight"][0, 0] = value
    path.write_bytes(pack(tensors, metadata))
    with pytest.raises(InputError, match="is damaged: '(step|weight)' of the training state"):
        Checkpoint.load(path)


@pytest.mark.parametrize(
    "change",
    [
        {"epoch": 10**30}, {"train_loss": "0.1"}, {"train_accuracy": 7.5}, {"seconds": -1.0},
        {"validation_accuracy": None}, {"spikes_hidden": "many"}, {"odd": 1}, {"train_loss": []},
        {"grown": 0.5}, {"silent_hidden": 10**40},
    ],
)  # fmt: skip
def test_rows_that_no_training_makes_are_refused(path, change):
    edit_training(path, lambda t: t["history"][1].update(change))
    with pytest.raises(InputError, match="is damaged: ") as caught:
        Checkpoint.load(path)
    assert len(str(caught.value)) < 800
