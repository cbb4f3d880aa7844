"""What a run keeps of its data, and resuming with others."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mlgenn_delays.data.types import StreamedSpikes
from mlgenn_delays.errors import InputError
from mlgenn_delays.learning import EventProp
from mlgenn_delays.runs.directory import RunDirectory
from mlgenn_delays.runs.record import (
    Fingerprint,
    compare,
    fingerprint,
    joined,
    keep_record,
    read_record,
)
from mlgenn_delays.tensors import pack, read
from mlgenn_delays.training.trainer import Trainer

NAMES = tuple(f"n{row}" for row in range(10))


def test_the_record_is_of_the_data(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data(), make.data(4, seed=1))
    record = read_record(run.path)
    assert list(record) == ["train", "validation"]
    for found, data in zip(record.values(), (make.data(), make.data(4, seed=1)), strict=True):
        assert found.digest == fingerprint(data).digest and len(found) == len(data)
    assert not compare(record["train"], fingerprint(make.data()))


def changed_data(make):
    """Data of equal size and shape that differ in one thing each, with what is said of it."""
    data = make.data()
    time = data.time.copy()
    first = data.start[2, 0]
    time[first] = data.time[first] + (1 if data.time[first] == 0 else -1)
    shifted = np.sort(time[data.start[2, 0] : data.start[2, 1]])
    order = np.arange(10)[::-1]
    yield replace(data, labels=np.roll(data.labels, 1)), "got 10 changed .0, 1, 2 and 7 more."
    if len(np.unique(shifted)) == len(shifted):
        yield replace(data, time=time), "got 1 changed .2."
    yield data.take(order), "got 10 changed"
    yield replace(data, names=NAMES).take(order), "got 10 new .n9, n8, n7 and 7 more., 10 gone"
    yield data.take(np.arange(9)), "got 1 gone .9."


def test_resuming_with_other_data_is_refused(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data(), make.data(4))
    before = make.final_files(run.path)
    cases = list(changed_data(make))
    assert len(cases) >= 4
    for data, text in cases:
        with pytest.raises(
            InputError, match=f"resuming needs the training data .*{text}.*; give the"
        ):
            make.trainer(run).fit(data, make.data(4), resume=True)
    with pytest.raises(InputError, match="resuming needs the validation data .* got 4 changed"):
        other = replace(make.data(4), labels=1 - make.data(4).labels)
        make.trainer(run).fit(make.data(), other, resume=True)
    assert make.final_files(run.path) == before
    make.trainer(run).fit(replace(make.data(), names=NAMES), make.data(4), resume=True)


def test_resuming_with_other_currents_is_refused(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    data = make.currents()
    train = Trainer(make.current_network(), EventProp(), epochs=2, run=run, progress="none")
    train.fit(data)
    values = data.values.copy()
    values[3, 0, 0] += 0.25
    with pytest.raises(InputError, match="training data .* got 1 changed .3.;"):
        train.fit(replace(data, values=values), resume=True)


def test_spikes_on_disk_have_the_fingerprint_of_those_in_memory(make):
    data = make.data(150)

    class Source:
        def read(self, rows):
            batch = data.batch(rows)
            parts = [batch.time[s[0] : s[-1]] for s in batch.start]
            ends = np.cumsum([0, *map(len, parts)])
            start = np.stack([s - s[0] + end for s, end in zip(batch.start, ends, strict=False)])
            return start, np.concatenate(parts)

    rows = np.arange(150)
    streamed = StreamedSpikes(Source(), rows, data.labels, 3, 12, 1.0, data.label_names)
    assert fingerprint(streamed).digest == fingerprint(data).digest
    assert len({*fingerprint(data).content.tolist()}) == 150


def test_a_record_that_is_gone_or_of_another_run(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data())
    (run.path / "data.safetensors").unlink()
    with pytest.raises(InputError, match="the training data .* got others; give the same data"):
        make.trainer(run).fit(make.data(seed=1), resume=True)
    keep_record(run.path, {"train": fingerprint(make.data(7))})
    with pytest.raises(InputError, match="the training data .* got others; give the same data"):
        make.trainer(run).fit(make.data(seed=1), resume=True)
    make.trainer(run).fit(make.data(), resume=True)


def test_checkpoints_of_older_versions_say_nothing_of_data(fake, make, tmp_path):
    run = make.run(tmp_path / "run")
    make.trainer(run).fit(make.data(), make.data(4))
    checkpoint = run.load_checkpoint()
    old = {k: v for k, v in checkpoint.settings.items() if not k.endswith(" data")}
    assert len(old) == len(checkpoint.settings) - 2
    state = run.checkpoint_path("last") / "state.safetensors"
    state.write_bytes(replace(checkpoint, settings=old).to_bytes())
    (run.path / "data.safetensors").unlink()
    with pytest.raises(InputError, match="training examples .*recorded 10, got 11"):
        make.trainer(run).fit(make.data(11), make.data(4), resume=True)
    make.trainer(run).fit(make.data(seed=5), make.data(4), resume=True)
    assert read_record(run.path) == {}


@pytest.mark.parametrize("damage", ["cut", "text", "flip", "names", "shape", "kind", "other"])
def test_a_damaged_record_is_named(make, tmp_path, damage):
    run = make.run(tmp_path / "run")
    keep_record(run.path, {"train": fingerprint(make.data())})
    path = run.path / "data.safetensors"
    content = bytearray(path.read_bytes())
    tensors, metadata = read(path)
    metadata.pop("checksum")
    if damage in ("cut", "text", "flip"):
        content[-3] ^= 255
        cases = {"cut": content[:-9], "text": b"hello", "flip": content}
        path.write_bytes(bytes(cases[damage]))
    else:
        others = {
            "names": {"train/names": np.frombuffer(json.dumps([1] * 10).encode(), np.uint8)},
            "shape": {"train/labels": np.zeros(9, np.int64)},
            "kind": {"train/content": np.zeros(10)},
            "other": {"more/content": np.zeros(10)},
        }
        path.write_bytes(pack({**tensors, **others[damage]}, metadata))
    with pytest.raises(InputError, match="data.safetensors is damaged: .*; remove it"):
        read_record(RunDirectory.open(run.path).path)


def test_splits_are_kept_beside_each_other(make, tmp_path):
    run = make.run(tmp_path / "run")
    odd = replace(make.data(2), names=("a\nb", "ü\udce4"))
    keep_record(run.path, {"test": fingerprint(odd)})
    keep_record(run.path, {"train": fingerprint(make.data())})
    found = read_record(run.path)
    assert found["test"].names == odd.names and len(found["train"]) == 10
    assert len(joined(list(found.values()))) == 12


def test_contents_are_compared_whatever_the_names(make):
    train, test = fingerprint(make.data(20)), fingerprint(make.data(4, seed=9))
    assert len(test.trained_on(train, [])) == 0
    mixed = joined([test, fingerprint(make.data(20).take(np.array([3, 5])))])
    assert mixed.trained_on(train, []).tolist() == [4, 5]
    assert mixed.trained_on(train, [mixed]).tolist() == []
    empty = Fingerprint(("a",), np.zeros(1, np.int64), np.zeros(1, np.uint64))
    assert len(empty.trained_on(empty, [])) == 0


def test_names_that_come_twice():
    def of(names, contents):
        return Fingerprint(tuple(names), np.zeros(len(names), np.int64), np.uint64(contents))

    changes = compare(of("aab", [1, 2, 3]), of("aabb", [1, 5, 3, 4]))
    assert (changes.new, changes.gone, changes.changed) == (("b",), (), ("a",))
    assert str(compare(of("ab", [1, 2]), of("ba", [2, 1]))) == "another order"
    assert not compare(of("ab", [1, 2]), of("ab", [1, 2]))
