"""Folders are listed sorted, through links, and never in a circle."""

import ast
from pathlib import Path

import pytest

from mlgenn_delays.errors import InputError
from mlgenn_delays.files import list_each, list_files, list_folders
from tests.data.backwards import backwards
from tests.needs import needs
from tests.test_house import ROOT, sources


def make(folder: Path, *names: str) -> Path:
    """Make empty files."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def found(folder: Path, **how: bool) -> list[str]:
    """Return what is listed, within the folder."""
    return [each.relative_to(folder).as_posix() for each in list_files(folder, **how)]


def test_sorted_whatever_the_system_answers(tmp_path: Path, monkeypatch) -> None:
    make(tmp_path, "b/2", "b/1", "a/3", "a-b", "c/d/e", ".hidden", ".git/x")
    expected = ["a-b", "a/3", "b/1", "b/2", "c/d/e"]
    assert found(tmp_path) == expected
    with backwards(monkeypatch):
        assert found(tmp_path) == expected
        assert [each.name for each in list_folders(tmp_path)] == ["a", "b", "c"]
    assert found(tmp_path, deep=False) == ["a-b"]
    assert list_files(tmp_path, lambda name: name == "e") == [tmp_path / "c/d/e"]


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    elsewhere = make(tmp_path / "elsewhere", "deep/1", "2")
    home = make(tmp_path / "home", "own/3")
    (home / "linked").symlink_to(elsewhere)
    (home / "own" / "file").symlink_to(elsewhere / "2")
    assert found(home) == ["linked/2", "linked/deep/1", "own/3", "own/file"]
    assert [each.name for each in list_folders(home)] == ["linked", "own"]
    (tmp_path / "whole").symlink_to(home)
    assert len(list_files(tmp_path / "whole")) == 4


def test_loops_end_and_are_named(tmp_path: Path) -> None:
    home = make(tmp_path / "home", "a/1", "b/2")
    (home / "a" / "up").symlink_to(home)
    (home / "a" / "self").symlink_to(home / "a")
    (home / "b" / "to_a").symlink_to(home / "a")
    (home / "broken").symlink_to("nowhere")
    (home / "circle").symlink_to("circle")
    with pytest.warns(UserWarning, match="is left out: it leads to") as told:
        assert found(home) == ["a/1", "b/2", "broken", "circle"]
    assert len(told) == 3


def test_a_link_out_of_a_class_does_not_bring_in_the_others(tmp_path: Path) -> None:
    home = make(tmp_path / "home", "no/1", "yes/2")
    (home / "no" / "all").symlink_to(home)
    (home / "no" / "other").symlink_to(home / "yes")
    with pytest.warns(UserWarning, match="is left out"):
        each = list_each([home / "no", home / "yes"])
    assert each == {home / "no": [home / "no/1"], home / "yes": [home / "yes/2"]}


def test_linked_folders_that_are_listed_together(tmp_path: Path) -> None:
    store = make(tmp_path / "store", "x/1", "y/2")
    home = tmp_path / "home"
    home.mkdir()
    for name in "xy":
        (home / name).symlink_to(store / name)
    each = list_each([home / "y", home / "x"])
    assert each == {home / "y": [home / "y/2"], home / "x": [home / "x/1"]}


@needs("no root")
def test_a_folder_that_cannot_be_listed(tmp_path: Path) -> None:
    make(tmp_path, "a/1")
    (tmp_path / "a").chmod(0)
    try:
        with pytest.raises(InputError, match="cannot list .*a: Permission denied"):
            list_files(tmp_path)
    finally:
        (tmp_path / "a").chmod(0o755)


def test_what_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot list .*gone: No such file.*; check permissions"):
        list_files(tmp_path / "gone")


def test_data_are_listed_in_no_other_way() -> None:
    """A listing whose order the file system chooses is sorted in the same expression or unused."""
    unordered = {"iterdir", "glob", "rglob", "walk", "scandir", "listdir"}
    for file in sources():
        place = file.relative_to(ROOT).as_posix().removeprefix("mlgenn_delays/")
        if not place.startswith(("data/", "export/inputs/")):
            continue
        tree = ast.parse(file.read_text())
        allowed = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "id", "") in ("sorted", "any", "next")
            for inner in ast.walk(node)
        }
        removal = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.For) and "unlink" in ast.unparse(node.body[0])
            for inner in ast.walk(node.iter)
        }
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "attr", "")
            fine = id(node) in allowed | removal
            assert name not in unordered or fine, f"{file}:{node.lineno} lists unsorted"
