"""Results: the CSV holds what was measured, and means are over finished points."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlgenn_delays.errors import InputError
from mlgenn_delays.sweep import read_results, summarise
from mlgenn_delays.sweep.grid import make_axes
from mlgenn_delays.sweep.plan import make_points
from mlgenn_delays.sweep.results import COLUMNS, Record, make_record, make_row, to_csv

GRID = {"a.b": ["none", "tr,ue", True, 1, 0.5, [1, 0.5]], "c": ["1"]}
POINTS = make_points(make_axes(GRID, {"v12": {}, "rigl": {"d": 1}}), [], 2)
SHARE = st.floats(0, 1)
FAILED = Record(recipe="", status="failed", reason="x")


def made(epochs: tuple[int, int], **told) -> Record:
    return Record(recipe="", best_epoch=epochs[0], epochs=sum(epochs), **told)


RECORDS = st.builds(
    made,
    epochs=st.tuples(st.integers(1, 99), st.integers(0, 99)),
    status=st.sampled_from(["done", "failed"]),
    reason=st.sampled_from(["", 'it "said", so', "a; b"]),
    splits=st.dictionaries(
        st.sampled_from(["validation", "test"]),
        st.fixed_dictionaries({"accuracy": SHARE, "loss": st.floats(0, 1e9), "n": st.just(5)}),
    ),
    seconds=st.none() | st.floats(0, 1e9),
    peak=st.none() | st.integers(0, 10**12),
)


@settings(max_examples=30)
@given(records=st.lists(st.none() | RECORDS, min_size=len(POINTS), max_size=len(POINTS)))
def test_the_csv_gives_the_rows_back(tmp_path_factory, records):
    rows = [make_row(point, record) for point, record in zip(POINTS, records, strict=True)]
    folder = tmp_path_factory.mktemp("sweep")
    (folder / "results.csv").write_text(to_csv(["variant", "a.b", "c"], rows))
    found = read_results(folder)
    assert found == rows
    for a, b in zip(found, rows, strict=True):
        assert [type(value) for value in a.values()] == [type(value) for value in b.values()]


def done(accuracy):
    split = {"accuracy": accuracy, "loss": 1.0, "n": 10}
    return Record(recipe="", status="done", epochs=2, best_epoch=1, splits={"validation": split})


def test_means_over_seeds():
    points = make_points(make_axes({"a": [1, 2, 3, 4]}, {}), [], 3)
    records = [done(0.9722), done(0.975), done(0.975), done(0.5), None, FAILED]
    records += [None] * 6
    rows = [make_row(point, record) for point, record in zip(points, records, strict=True)]
    first, second, third, _ = summarise(rows)
    assert [row["a"] for row in summarise(rows)] == [1, 2, 3, 4]
    assert first["n"] == 3
    assert first["validation_accuracy_mean"] == pytest.approx(0.974067, abs=1e-6)
    assert first["validation_accuracy_sd"] == pytest.approx(0.001617, abs=1e-6)  # of a sample
    assert first["test_accuracy_mean"] is None
    assert (second["n"], second["failed"], second["waiting"]) == (1, 1, 1)
    assert second["validation_accuracy_mean"] == 0.5
    assert second["validation_accuracy_sd"] is None
    assert (third["n"], third["waiting"], third["validation_accuracy_mean"]) == (0, 3, None)


def test_results_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(InputError, match="there are no results"):
        read_results(tmp_path)
    for text in ("", "a,b\n1,2\n", ",".join(COLUMNS) + "\n1,2\n", "\x00"):
        (tmp_path / "results.csv").write_text(text)
        with pytest.raises(InputError, match="must be the results of a sweep"):
            read_results(tmp_path)


def test_records(tmp_path):
    assert Record.read(tmp_path) is None
    record = done(0.5)
    record.write(tmp_path)
    assert Record.read(tmp_path) == record
    whole = (tmp_path / "result.json").read_text()
    assert record.final
    assert not Record(recipe="", status="failed", reason="no data").final
    diverged = "training diverged in epoch 1: so"
    assert Record(recipe="", status="failed", reason=diverged).final
    for text in (
        "",
        "{",
        "[]",
        "{}",
        '{"recipe": "", "status": "odd"}',
        '{"recipe": 1, "status": "done"}',
        whole.replace('"best_epoch": 1', '"best_epoch": 3'),
        whole.replace('"accuracy": 0.5', '"accuracy": 7.5'),
        whole.replace('"accuracy": 0.5', '"accuracy": "much"'),
        whole.replace('"loss": 1.0', '"loss": NaN'),
        whole.replace('"n": 10', '"n": -10'),
        whole.replace('"peak": null', f'"peak": {"9" * 5000}'),
    ):
        assert text != whole
        (tmp_path / "result.json").write_text(text)
        assert Record.read(tmp_path) is None
    (tmp_path / "metrics.csv").write_text("epoch,seconds\n1,0.5\n2,0.25\n")
    answer = {"epochs": 2, "best_epoch": 1, "splits": {}}
    assert make_record("r", tmp_path, answer, "", 5).seconds == 0.75
    wrong = make_record("r", tmp_path, answer | {"best_epoch": 3}, "", 5)
    assert wrong.status == "failed" and "a result that cannot be" in wrong.reason
    failed = make_record("r", tmp_path, None, "why", None)
    assert (failed.status, failed.reason, failed.epochs) == ("failed", "why", 2)
