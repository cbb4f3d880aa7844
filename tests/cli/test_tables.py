"""Tables on terminals of different widths."""

from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays.cli.tables import show, show_evaluation, table

WORDS = (
    "backward bed bird cat dog down eight five follow forward four go happy house learn left "
    "marvin nine no off on one right seven sheila six stop three tree two up visual wow yes zero"
).split()


def shown(monkeypatch, capsys, width: int, confusion: np.ndarray, names=WORDS) -> list[str]:
    monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", width)
    result = {
        "checkpoint": "best", "splits": {"test": {"accuracy": 0.5, "loss": 1.0, "n": 9}},
        "split": "test", "confusion": confusion.tolist(), "baseline": None,
    }  # fmt: skip
    show_evaluation(result, tuple(names[: len(confusion)]), Path("run"))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in "".join(lines)
    return [line.rstrip() for line in lines]


def counts(classes: int, diagonal: int) -> np.ndarray:
    """Each class has as many examples as its number and the diagonal, 2 taken for the next."""
    found = np.diag(diagonal + np.arange(classes))
    found[np.arange(classes - 1), np.arange(1, classes)] = 2
    return found


def test_a_wide_table_moves_together(monkeypatch, capsys):
    for width in (40, 20):
        monkeypatch.setattr("mlgenn_delays.cli.tables.FILE_WIDTH", width)
        made = table(*"abcde")
        made.add_row(*["123"] * 5)
        show(made)
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= width
        assert any(line.split() == ["123"] * 5 for line in lines)


@pytest.mark.parametrize(
    ("width", "classes", "diagonal"),
    [(80, 10, 40), (120, 10, 40), (80, 20, 40), (120, 20, 400), (120, 35, 40)],
)
def test_a_matrix_that_fits_is_whole(monkeypatch, capsys, width, classes, diagonal):
    matrix = counts(classes, diagonal)
    lines = shown(monkeypatch, capsys, width, matrix)
    for k, row in enumerate(matrix):
        cells = [str(count) if count else "." for count in row]
        found = [line.split() for line in lines if line.split()[-classes:] == cells]
        assert len(found) == 1 and found[0][-classes - 1] == WORDS[k]


def test_the_columns_of_a_numbered_matrix_are_equally_wide(monkeypatch, capsys):
    matrix = counts(35, 5)
    matrix[7, 7] = 1234
    lines = shown(monkeypatch, capsys, 200, matrix)
    (head,) = (line for line in lines if line.split()[:1] == ["label"] and "34" in line.split())
    ends = [head.index(f" {k}") + 1 + len(str(k)) for k in range(10, 35)]
    assert {*np.diff(ends)} == {5}  # four digits and a space


def test_names_above_the_columns_where_there_is_room(monkeypatch, capsys):
    matrix = counts(10, 40)
    wide = shown(monkeypatch, capsys, 120, matrix)
    assert any(line.split()[-10:] == WORDS[:10] for line in wide)
    narrow = shown(monkeypatch, capsys, 80, matrix)
    assert any(line.split() == ["label", *map(str, range(10))] for line in narrow)
    assert "label (row) and prediction (column)" in shown(monkeypatch, capsys, 80, counts(10, 1))


def test_the_most_frequent_mistakes_where_there_is_none(monkeypatch, capsys):
    matrix = counts(35, 40)
    matrix[3, 30], matrix[20, 1] = 7, 9
    lines = shown(monkeypatch, capsys, 80, matrix)
    assert "confusion matrix of 35 classes: in a wider terminal, or with --json" in lines
    rows = [line.split() for line in lines if line.endswith("%")]
    total = [matrix[k].sum() for k in (20, 3)]
    assert rows[0] == ["on", "bed", "9", f"{900 / total[0]:.1f}", "%"]
    assert rows[1] == ["cat", "up", "7", f"{700 / total[1]:.1f}", "%"]
    assert len(rows) == 10


def test_nothing_is_mistaken(monkeypatch, capsys):
    lines = shown(monkeypatch, capsys, 80, np.diag(np.full(35, 40)))
    assert lines[-1].startswith("confusion matrix of 35 classes")
