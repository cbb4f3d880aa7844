"""The doors for text from outside: bounds, one short sentence, and nothing else."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays import npy
from mlgenn_delays.errors import InputError, one_line, printable, shorten
from mlgenn_delays.recipe import load_recipe
from mlgenn_delays.tensors import pack, read
from mlgenn_delays.untrusted import (
    check_plain,
    decode,
    parse_json,
    parse_toml,
    read_csv,
    read_json,
    read_text,
    shown,
)
from tests.needs import needs

DIGITS = "9" * 5000
DEEP = "[" * 5000
HEX = "0x" + "f" * 400
LONG_KEY = "a." * 30_000 + "a = 1"  # `tomllib` takes minutes, and gigabytes


@pytest.mark.parametrize(
    "text",
    [f"a = {DIGITS}", f"a = {DEEP}", f"a = {HEX}", LONG_KEY, "a = 1\n" * 100_000,
     "a = " + "{a=" * 3000, "a = " + "[" * 200 + "]" * 200, 'a = "\\U00110000"',
     "a = 9223372036854775808000"],
)  # fmt: skip
def test_toml_beyond_all_bounds_is_refused_at_once(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_toml(text)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()
    with pytest.raises(InputError, match="must be TOML"):
        from mlgenn_delays.recipe import parse_recipe

        parse_recipe(text, "x.toml")


@pytest.mark.parametrize(
    "text",
    [DIGITS, f'{{"a": {DIGITS}}}', "[" * 100_000, '{"a":' * 100_000, "[" * 100 + "]" * 100,
     '"\\U00110000"', "{", "", "1" * 30],
)  # fmt: skip
def test_json_beyond_all_bounds_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_json(text)
    assert len(str(caught.value)) < 400 and str(caught.value).isprintable()


@pytest.mark.parametrize("value", [DIGITS, DEEP, HEX, "-" + DIGITS, "[" * 100 + "]" * 100])
def test_set_beyond_all_bounds(value: str) -> None:
    with pytest.raises(InputError, match="--set learning.learning_rate must be .* got") as caught:
        load_recipe("digits", [f"learning.learning_rate={value}"])
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("key", ["a." * 5000 + "a", "network.layers." + DIGITS, "network.layers.²"])
def test_set_with_keys_that_no_recipe_has(key: str) -> None:
    with pytest.raises(InputError) as caught:
        load_recipe("digits", [f"{key}=1"])
    assert len(str(caught.value)) < 700


def test_messages_cut_what_they_repeat(tmp_path: Path) -> None:
    path = tmp_path / "long.toml"
    path.write_text(f'name = "{"x" * 100_000}\\u001b["\n{"k" * 100_000} = 1\n')
    with pytest.raises(InputError) as caught:
        load_recipe(path)
    assert len(str(caught.value)) <= 2000 and str(caught.value).isprintable()
    assert len(str(InputError("x" * 100_000))) == 2000
    assert str(InputError("short")) == "short"
    assert shorten("a" * 50 + "b" * 50, 30) == "a" * 15 + " ... " + "b" * 10
    assert shown("\x1b" * 100_000, 20).startswith("'\\x1b") and len(shown("x" * 999, 20)) == 20
    assert shown(json.loads("[" * 900 + "]" * 900)).startswith("[[")


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    from importlib import resources

    content = resources.files("mlgenn_delays.models").joinpath("digits.toml").read_text("utf-8")
    path = tmp_path / "digits.toml"
    path.write_text(content, encoding="utf-8-sig")
    assert load_recipe(path) == load_recipe("digits")
    for encoding in ("utf-16", "utf-16-be", "utf-16-le", "utf-32", "latin-1"):
        path.write_bytes((content + "# é").encode(encoding))
        with pytest.raises(InputError, match="digits.toml"):
            load_recipe(path)
    path.write_text(content, encoding="utf-16")
    with pytest.raises(InputError, match="it is UTF-16 text; save it as UTF-8"):
        load_recipe(path)
    path.write_text('{"a": 1}', encoding="utf-8-sig")
    assert read_json(path) == {"a": 1} == parse_json(path.read_bytes())
    path.write_text('a,b\n1,"x\n2"\n', encoding="utf-8-sig")
    assert read_csv(path) == (["a", "b"], [["1", "x\n2"]])
    assert decode(b"\xef\xbb\xbfa") == "a"


@pytest.mark.parametrize(
    "content", [b'a\n"' + b"x" * 200_000, b"a,b\n1", b"a,a\n1,2", b"\xff\xfea", b"a\n\xff"]
)
def test_csv_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_csv(tmp_path / "a.csv")
    assert str(caught.value).isprintable()


@needs("posix")
def test_what_is_no_file_does_not_stop_the_program(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="no regular file"):
        read_text(tmp_path / "pipe")
    if Path("/dev/zero").exists():
        with pytest.raises(ValueError, match="no regular file"):
            read_text("/dev/zero")


def test_plain_data_have_bounds() -> None:
    check_plain({"a": [1, 2.5, "x", None, True, {"b": 2**64 - 1}]})
    deep: object = 1
    for _ in range(100_000):
        deep = [deep]
    for value in (deep, {"a": 2**64}, [-(2**63) - 1]):
        with pytest.raises(ValueError):
            check_plain(value)


def test_names_are_printed_as_escapes() -> None:
    assert printable("a\x1b[31m\udcff\u202eé\x9b\n") == "a\\x1b[31m\\udcff\\u202eé\\x9b\\n"
    assert one_line(" a \n b\x07") == "a b\\x07"


def write_npz(path: Path, **members: object) -> Path:
    """Write arrays, and bytes as they are, as members of an archive."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, member in members.items():
            if isinstance(member, np.ndarray):
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array(file, member)
            else:
                archive.writestr(name, member)
    return path


def test_npz_members_that_are_no_arrays(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", times=b"none", labels=np.arange(3))
    assert list(npy.read_npz(path, ["times", "labels"])) == ["labels"]
    path = write_npz(tmp_path / "a.npz", **{"labels.npy": b"none"})
    with pytest.raises(InputError, match=r"a.npz \(labels\) must have an array"):
        npy.read_npz(path, ["labels"])


def test_npz_texts_with_numbers_that_are_no_characters(tmp_path: Path) -> None:
    texts = np.array(["ab", "c"])
    texts.view("u4")[1] = 0x110000
    path = write_npz(tmp_path / "a.npz", names=texts)
    with pytest.raises(InputError, match=r"a.npz \(names\) must have text, got the character num"):
        npy.read_npz(path, ["names"], kinds=npy.TEXTS)


def test_npz_that_promises_more_than_it_has(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", times=np.arange(1000.0))
    content = path.read_bytes()
    path.write_bytes(content.replace(b"'shape': (1000,)", b"'shape': (9**9,)"))
    with pytest.raises(InputError, match="a.npz"):
        npy.read_npz(path, ["times"])
    size = (8128).to_bytes(4, "little")  # of the member, at both places
    assert content.count(size) >= 2
    path.write_bytes(content.replace(size, (2**31 - 1).to_bytes(4, "little")))
    with pytest.raises(InputError, match="a.npz"):
        npy.read_npz(path, ["times"])


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    given = {
        "f": np.asfortranarray(rng.random((30, 40))), "big": rng.random(300_000).astype(">f4"),
        "text": np.array(["ä", "bc"]), "bytes": np.array([b"x", b"yz"]), "none": np.zeros((0, 3)),
        "one": np.array(5), "flag": rng.random(9) < 0.5, "empty": np.array([], dtype="U1"),
    }  # fmt: skip
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", **given)
        found = npy.read_npz(tmp_path / "a.npz", list(given), kinds=npy.NUMBERS + npy.TEXTS)
        assert set(found) == set(given)
        for name, array in given.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("version", ["²", "0", "9" * 5000, "x" * 100_000, "1.0", "-1", ""])
def test_versions_that_are_none(tmp_path: Path, version: str) -> None:
    from mlgenn_delays.export.artifact import read_bundle
    from mlgenn_delays.network import Network
    from mlgenn_delays.runs.checkpoint import Checkpoint

    path = tmp_path / "a.safetensors"
    for name, load in (
        ("network", Network.load), ("bundle", read_bundle), ("checkpoint", Checkpoint.load)
    ):  # fmt: skip
        path.write_bytes(pack({}, {"format": f"delaysnn-{name}", "version": version}))
        with pytest.raises(InputError, match="must be of format version <= ") as caught:
            load(path)
        assert len(str(caught.value)) < 700


def test_safetensors_of_types_that_numpy_lacks(tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(ValueError) as caught:
        read(path)
    assert len(str(caught.value)) < 400


def test_steps_of_a_trial_that_cannot_be_counted() -> None:
    from mlgenn_delays.data.fields import count_steps

    for dt in (1e-320, 1e-12):
        with pytest.raises(InputError, match="at most 2147483647 steps"):
            count_steps(100.0, dt)
    with pytest.raises(InputError, match="at least one step of dt = 1 ms, got 0.2"):
        count_steps(0.2, 1.0)
    for duration, dt, key in ((0.0, 1.0, "duration"), (9.0, 0.0, "dt"), (9.0, "1", "dt")):
        with pytest.raises(InputError, match=f"^{key} must be a number > 0 ms, got "):
            count_steps(duration, dt)  # type: ignore[arg-type]
