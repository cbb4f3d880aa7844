"""State dicts of Norse."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays import Delta, import_network
from mlgenn_delays.errors import InputError
from tests.imports import helpers

SIZES = (9, 8, 6)
STEPS, DT = 60, 0.5
TAU_MEM, TAU_SYN = 8.0, 3.0


def state(seed: int, *, recurrent: bool = False) -> dict:
    rng = np.random.default_rng(seed)
    found = {
        "0.weight": rng.normal(0.7, 1.2, (8, 9)), "0.bias": rng.normal(0.1, 0.1, 8),
        "2.weight": rng.normal(0.8, 1.2, (6, 8)), "2.bias": rng.normal(0.1, 0.1, 6),
    }  # fmt: skip
    if recurrent:
        del found["0.bias"]
        found = {"0.input_weights": found.pop("0.weight"),
                 "0.recurrent_weights": rng.normal(0.0, 1.0, (8, 8)), **found}  # fmt: skip
    return {key: array.astype(np.float32) for key, array in found.items()}


def lif(n: int, recurrent: np.ndarray | None = None, *, fires: bool = True) -> helpers.Step:
    """Return neurons as lif_feed_forward_step, lif_step and li_feed_forward_step have them."""
    v, i, sent = np.zeros((3, n))

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal v, i, sent
        i = i + x + (0.0 if recurrent is None else recurrent @ sent)
        v = v + DT / TAU_MEM * (i - v)
        i = i - DT / TAU_SYN * i
        if not fires:
            return v
        sent = (v > 1.0) * 1.0
        v = v * (1 - sent)
        return sent

    return step


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("readout", ["spikes", "sum"])
def test_spikes_and_voltages_are_those_of_the_original(recurrent: bool, readout: str) -> None:
    found = state(3, recurrent=recurrent)
    first = found["0.input_weights" if recurrent else "0.weight"]
    given = helpers.spikes(2, STEPS, SIZES[0])
    wanted = helpers.chain(given, [
        (first, found.get("0.bias", np.zeros(8)), lif(8, found.get("0.recurrent_weights"))),
        (found["2.weight"], found["2.bias"], lif(6, fires=readout == "spikes")),
    ])  # fmt: skip
    network = import_network(
        found, "norse", dt=DT, tau_mem=TAU_MEM, tau_syn=TAU_SYN, readout=readout
    )
    recording = helpers.run(network, given, 3 if readout == "spikes" else 2)
    assert wanted[0].sum() > 30
    got = helpers.fired(recording, "hidden1", STEPS + 3)[1 : 1 + STEPS]
    np.testing.assert_array_equal(got, wanted[0])
    if readout == "spikes":
        np.testing.assert_array_equal(recording.logits[0], wanted[1].sum(0))
    else:
        np.testing.assert_allclose(recording.voltage[0].T[2:], wanted[1], rtol=0, atol=5e-5)
        np.testing.assert_allclose(recording.logits[0], wanted[1].sum(0), rtol=1e-4)
    assert not any(
        isinstance(p.synapse, Delta) for p in network.projections.values() if not p.frozen
    )


REFUSED: dict[str, tuple[Any, dict]] = {
    "module '1' must be Linear, or a LIFRecurrentCell.*got one with w": (
        lambda s: s | {"1.w": np.ones(3)}, {}
    ),
    "2.weight must take the 8 values of the layer before, got 4": (
        lambda s: s | {"2.weight": np.ones((6, 4))}, {}
    ),
    "0.recurrent_weights must take the 8 values of the layer before, got 7": (
        lambda s: {"0.input_weights": s["0.weight"], "0.recurrent_weights": np.ones((8, 7))}, {}
    ),
    "'0' must be Linear to be read as mean": (
        lambda s: {"0.input_weights": s["0.weight"], "0.recurrent_weights": np.ones((8, 8))}, {}
    ),
    "tau_mem must be > dt .0.5 ms. for Euler's method, got 0.5": (lambda s: s, {"tau_mem": 0.5}),
    "0.weight must be a matrix of a linear layer": (
        lambda s: s | {"0.weight": np.ones((8, 3, 3, 3))}, {}
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_no_network_here_has_is_named(words: str) -> None:
    change, given = REFUSED[words]
    with pytest.raises(InputError, match=words):
        import_network(change(state(1)), "norse", dt=DT, **given)
