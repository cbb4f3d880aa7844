"""Networks come back from disk bit for bit, and nothing else gets in."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load

from mlgenn_delays.errors import InputError
from mlgenn_delays.network import Network
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.tensors import pack
from tests.reference import nets
from tests.reference.nets import Recipe

recipes = st.builds(
    Recipe,
    seed=st.integers(0, 1000),
    sizes=st.sampled_from([(3, 4, 2), (5, 4, 6, 2)]),
    density=st.sampled_from([0.5, 1.0]),
    recurrent=st.booleans(),
    granularity=st.sampled_from(["synapse", "axon", "fixed"]),
    bias=st.sampled_from([0.0, 1.0]),
    delta=st.booleans(),
    dt=st.sampled_from([0.1, 1.0]),
    readout=st.sampled_from(["mean", "max"]),
)


def assert_same(one: Network, two: Network) -> None:
    """Check that two networks are equal, bit for bit."""
    assert (one.dt, one.seed) == (two.dt, two.seed)
    assert list(one.populations) == list(two.populations)
    assert list(one.projections) == list(two.projections)
    for name, p in one.populations.items():
        assert p.model == two.populations[name].model
        np.testing.assert_array_equal(p.bias, two.populations[name].bias)
    for name, p in one.projections.items():
        q = two.projections[name]
        for key in ("source", "target", "synapse", "max_delay", "granularity", "frozen"):
            assert getattr(p, key) == getattr(q, key)
        for key in ("indptr", "post", "weight", "delay"):
            assert getattr(p, key).dtype == getattr(q, key).dtype
            np.testing.assert_array_equal(getattr(p, key), getattr(q, key))
        assert (p.sign is None) == (q.sign is None)
        if p.sign is not None:
            np.testing.assert_array_equal(p.sign, q.sign)


@given(recipe=recipes, signed=st.booleans())
@settings(max_examples=20, deadline=None)
def test_round_trip(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, signed: bool) -> None:
    network = nets.network(recipe)
    if signed:
        for p in network.projections.values():
            p.sign = np.where(p.weight < 0, -1, 1).astype(np.int8)
    path = tmp_path_factory.mktemp("net") / "n.safetensors"
    network.save(path)
    assert_same(network, Network.load(path))
    assert b"frozen" not in path.read_bytes()
    network.projections["input->hidden0"].frozen = True
    network.save(path)
    assert_same(network, Network.load(path))


@pytest.fixture
def whole() -> bytes:
    """Return the content of a good file."""
    return to_bytes(nets.network(Recipe(1, sizes=(3, 4, 2))))


def refused(path: Path, content: bytes, says: str) -> None:
    """Check that loading a content is refused with a text that names the file."""
    path.write_bytes(content)
    with pytest.raises(InputError, match=says) as caught:
        Network.load(path)
    assert str(path) in str(caught.value)


def rewritten(whole: bytes, **changes: str) -> bytes:
    """Return the content with other metadata and a checksum that fits."""
    return pack(load(whole), metadata(whole) | changes)


def metadata(whole: bytes) -> dict[str, str]:
    """Return the metadata of a file."""
    length = int.from_bytes(whole[:8], "little")
    return json.loads(whole[8 : 8 + length])["__metadata__"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no delaysnn network file"):
        Network.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="no delaysnn network file"):
        Network.load(tmp_path)


def test_truncated_files(tmp_path: Path, whole: bytes) -> None:
    for length in (0, 4, 8, 100, len(whole) // 2, len(whole) - 1):
        refused(tmp_path / "n", whole[:length], "damaged")


def test_files_of_another_kind(tmp_path: Path, whole: bytes) -> None:
    refused(tmp_path / "n", b"not a network at all, but long enough for a header", "damaged")
    refused(tmp_path / "n", pack({"a": np.zeros(3)}, {}), "must be a delaysnn network")
    refused(tmp_path / "n", rewritten(whole, format="other"), "must be a delaysnn network")
    refused(tmp_path / "n", b"\xff" * 64, "damaged")
    refused(tmp_path / "n", rewritten(whole, version="17"), "newer delaysnn")


class Trap:
    """Would leave a trace if it were ever unpickled."""

    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('unpickled')",))


def test_a_pickle_is_refused_unread(tmp_path: Path) -> None:
    refused(tmp_path / "n", pickle.dumps(Trap()), "damaged")


@pytest.mark.parametrize(
    "description",
    [
        "{}",
        "[]",
        "null",
        "{",
        '{"dt": 1.0, "seed": 0, "populations": [{"name": "a", "model": "Odd"}]}',
        '{"dt": "1", "seed": 0, "populations": [], "projections": []}',
        '{"dt": -1.0, "seed": 0, "populations": [], "projections": []}',
        '{"dt": 1.0, "seed": 0, "populations": [3], "projections": []}',
        "[" * 100000,
    ],
)
def test_damaged_descriptions(tmp_path: Path, whole: bytes, description: str) -> None:
    refused(tmp_path / "n", rewritten(whole, network=description), "damaged: (?!.*checksum)")


def test_descriptions_that_do_not_fit_the_arrays(tmp_path: Path, whole: bytes) -> None:
    for path, value in (
        (("populations", 0, "n"), 7),
        (("populations", 1, "tau_mem"), -2.0),
        (("populations", 1, "odd"), 1.0),
        (("projections", 0, "max_delay"), 0.0),
        (("projections", 0, "granularity"), "axon"),
        (("projections", 0, "granularity"), "odd"),
        (("projections", 0, "frozen"), "yes"),
        (("projections", 0, "target"), "nobody"),
        (("projections", 0, "synapse"), {"model": "Odd"}),
    ):
        text = json.loads(metadata(whole)["network"])
        text[path[0]][path[1]][path[2]] = value
        refused(
            tmp_path / "n", rewritten(whole, network=json.dumps(text)), "damaged: (?!.*checksum)"
        )


def test_populations_in_roles_that_they_cannot_take(tmp_path: Path, whole: bytes) -> None:
    for end, name, says in (
        ("source", "output", "damaged: .*that spikes, got 'output'"),
        ("target", "input", "damaged: .*must be a population of neurons, got the input"),
    ):
        text = json.loads(metadata(whole)["network"])
        text["projections"][0][end] = name
        refused(tmp_path / "n", rewritten(whole, network=json.dumps(text)), says)


def test_arrays_of_another_type_or_absent(tmp_path: Path, whole: bytes) -> None:
    key = "projection/input->hidden0/weight"
    for change, says in ((np.float64, "must be float32, got float64"), (None, "is missing")):
        tensors = load(whole)
        if change is None:
            del tensors[key]
        else:
            tensors[key] = tensors[key].astype(change)
        refused(tmp_path / "n", pack(tensors, metadata(whole)), says)
    tensors = load(whole)
    tensors[key] = np.full_like(tensors[key], np.nan)
    refused(tmp_path / "n", pack(tensors, metadata(whole)), "finite")


def test_changed_tensor_bytes_are_refused(tmp_path: Path, whole: bytes) -> None:
    first = 8 + int.from_bytes(whole[:8], "little")
    for place in range(first, len(whole), 3):
        content = bytearray(whole)
        content[place] ^= 1 << place % 8
        refused(tmp_path / "n", content, "damaged: .*checksum")


def test_changed_metadata_are_refused(tmp_path: Path, whole: bytes) -> None:
    changed = whole.replace(b'tau_mem\\": 20.0', b'tau_mem\\": 30.0')
    assert changed != whole
    refused(tmp_path / "n", changed, "damaged: .*checksum")
    refused(tmp_path / "n", whole.replace(b'"checksum"', b'"checksun"'), "damaged: .*checksum")


@given(place=st.integers(0, 10**6), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_changed_byte_is_refused_or_means_nothing(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int
) -> None:
    whole = nets.network(Recipe(1, sizes=(3, 4, 2)))
    content = bytearray(to_bytes(whole))
    content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(content)
    try:
        network = Network.load(path)
    except InputError:
        return
    assert_same(whole, network)


def test_saving_again_leaves_nothing_else_behind(tmp_path: Path) -> None:
    network = nets.network(Recipe(1, sizes=(3, 4, 2)))
    for _ in range(2):
        network.save(tmp_path / "n.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["n.safetensors"]
    assert_same(network, Network.load(tmp_path / "n.safetensors"))
