"""State dicts of snnTorch."""

from typing import Any

import numpy as np
import pytest

from mlgenn_delays import EulerLI, import_network
from mlgenn_delays.errors import InputError
from tests.imports import helpers
from tests.needs import need

SIZES = (9, 8, 6)
STEPS = 60
SUBTRACT, ZERO, NONE = 0, 1, 2


def state(seed: int, *, reset: int = ZERO, alpha: float = 0.0, last: int | None = None) -> dict:
    """Return a state dict of two layers."""
    rng, found = np.random.default_rng(seed), {}
    for k, (n_pre, n) in enumerate(zip(SIZES[:-1], SIZES[1:], strict=True)):
        found[f"fc{k}.weight"] = rng.normal(0.15, 0.35, (n, n_pre))
        found[f"fc{k}.bias"] = rng.normal(0.03, 0.03, n)
        found[f"lif{k}.threshold"] = rng.uniform(0.8, 1.2, n)
        found[f"lif{k}.graded_spikes_factor"] = np.array(1.0)
        mechanism = reset if k == 0 or last is None else last
        found[f"lif{k}.reset_mechanism_val"] = np.array(mechanism)
        found[f"lif{k}.beta"] = np.array(0.9) if k == 0 else rng.uniform(0.7, 0.95, n)
        if alpha:
            found[f"lif{k}.alpha"] = np.array(alpha)
    integers = ("reset_mechanism_val",)
    return {k: v if k.endswith(integers) else np.asarray(v, np.float32) for k, v in found.items()}


def neurons(found: dict, k: int, reset_delay: bool) -> helpers.Step:
    """Return the neurons of a layer, as snnTorch 1.0 steps them."""
    own = {key[5:]: value for key, value in found.items() if key.startswith(f"lif{k}.")}
    beta, threshold = (own[key].astype(float) for key in ("beta", "threshold"))
    alpha, reset = own.get("alpha"), int(own["reset_mechanism_val"])
    n = SIZES[k + 1]
    v, i, sent = np.zeros((3, n))

    def step(x: np.ndarray) -> np.ndarray:
        nonlocal v, i, sent
        if "recurrent.weight" in own:
            x = x + own["recurrent.weight"] @ sent + own["recurrent.bias"]
        late = (v > threshold) * 1.0
        i = float(alpha) * i + x if alpha is not None else x
        if reset == ZERO:
            v = v * (1 - late)
        v = beta * v + i - (late * threshold if reset == SUBTRACT else 0.0)
        s = (v > threshold) * 1.0
        if not reset_delay:
            v = v - (s - late) * {SUBTRACT: threshold, ZERO: v, NONE: 0.0}[reset]
        sent = s
        return s if reset != NONE else v

    return step


def simulate(found: dict, given: np.ndarray, reset_delay: bool) -> list[np.ndarray]:
    layers = [
        (found[f"fc{k}.weight"], found[f"fc{k}.bias"], neurons(found, k, reset_delay))
        for k in range(2)
    ]
    return helpers.chain(given, layers)


CASES: list[tuple[dict, bool]] = [
    ({}, True),
    ({}, False),
    ({"reset": SUBTRACT}, True),
    ({"reset": SUBTRACT}, False),
    ({"alpha": 0.6}, False),
]


@pytest.mark.parametrize(("options", "reset_delay"), CASES)
@pytest.mark.parametrize("recurrent", [False, True])
def test_spikes_are_those_of_the_original(
    options: dict, reset_delay: bool, recurrent: bool
) -> None:
    found = state(1, **options)
    if recurrent and (options or not reset_delay):
        rng = np.random.default_rng(5)
        found["lif0.recurrent.weight"] = rng.normal(0.0, 0.2, (8, 8)).astype(np.float32)
        found["lif0.recurrent.bias"] = rng.normal(0.0, 0.02, 8).astype(np.float32)
    if options.get("reset") == SUBTRACT and not reset_delay:
        # Above twice the threshold, snnTorch takes back what it subtracted.
        found["fc0.weight"] *= 0.7
        found["fc1.weight"] *= 0.8
    given = helpers.spikes(2, STEPS, SIZES[0])
    wanted = simulate(found, given, reset_delay)
    network = import_network(found, "snntorch", dt=1.0, reset_delay=reset_delay)
    recording = helpers.run(network, given, 3)
    for k, own in enumerate(wanted, 1):
        assert own.sum() > 20
        got = helpers.fired(recording, f"hidden{k}", STEPS + 3)
        np.testing.assert_array_equal(got[k : k + STEPS], own)
    counts = helpers.fired(recording, "hidden2", STEPS + 3)[:-1].sum(0)
    np.testing.assert_array_equal(recording.logits[0], counts)


def test_the_voltage_of_neurons_that_do_not_reset_is_read() -> None:
    for options in ({}, {"alpha": 0.6}):
        found = state(2, last=NONE, **options)
        given = helpers.spikes(3, STEPS, SIZES[0])
        wanted = simulate(found, given, reset_delay=False)[1]
        network = import_network(
            found, "snntorch", dt=2.0, readout="max", reset_delay=False, currents=True
        )
        got = helpers.run(network, given, 2).voltage[0].T
        np.testing.assert_allclose(got[2:], wanted, rtol=0, atol=2e-5)
        assert not got[:2].any()
    tau_syn = network.projections["hidden1->output"].synapse.tau_syn
    assert tau_syn == pytest.approx(-2.0 / np.log(0.6))
    assert isinstance(
        import_network(state(2, last=NONE), "snntorch", dt=2.0, readout="max").output().model,
        EulerLI,
    )


def test_a_bias_is_a_neuron_whose_synapses_can_learn() -> None:
    network = import_network(state(1), "snntorch", dt=2.0)
    p = network.projections["bias->hidden2"]
    assert p.granularity == "fixed" and not p.frozen and p.delay.tolist() == [2.0]
    np.testing.assert_array_equal(p.weight, state(1)["fc1.bias"])
    found = {key: value for key, value in state(1).items() if not key.endswith("bias")}
    assert "bias" not in import_network(found, "snntorch", dt=2.0).populations


@pytest.mark.parametrize(
    ("reset", "recurrent", "late"),
    [("zero", False, True), ("zero", True, False), ("subtract", True, True)],
)
def test_networks_of_snntorch(reset: str, recurrent: bool, late: bool, tmp_path) -> None:
    need("snntorch")
    import snntorch
    import torch

    torch.manual_seed(3)
    kind = snntorch.RLeaky if recurrent else snntorch.Leaky
    others = {"linear_features": 8} if recurrent else {}
    lifs = [
        kind(beta=0.9, reset_mechanism=reset, init_hidden=True, reset_delay=late, **others),
        snntorch.Leaky(beta=0.8, reset_mechanism=reset, init_hidden=True, reset_delay=late),
    ]
    net = torch.nn.Sequential(torch.nn.Linear(9, 8), lifs[0], torch.nn.Linear(8, 6), lifs[1])
    for k in (0, 2):
        net[k].weight.data *= 4
    torch.save({"epoch": 3, "state_dict": net.state_dict()}, tmp_path / "net.pt")
    given = helpers.spikes(4, STEPS, 9)
    with torch.no_grad():
        wanted = [net(torch.tensor(now[None], dtype=torch.float32))[0].numpy() for now in given]
    network = import_network(tmp_path / "net.pt", "snntorch", dt=1.0, reset_delay=late)
    got = helpers.fired(helpers.run(network, given, 3), "hidden2", STEPS + 3)
    assert np.sum(wanted) > 20
    np.testing.assert_array_equal(got[2 : 2 + STEPS], wanted)


def changed(**others: Any) -> dict:
    """Return a state dict with other arrays; a key's _ is a point, None takes it out."""
    found = state(1) | {key.replace("__", "."): value for key, value in others.items()}
    return {key: value for key, value in found.items() if value is not None}


REFUSED: dict[str, tuple[dict, dict]] = {
    "module 'conv' must be Linear, Leaky": (changed(conv__weight=np.ones(3), conv__P=1.0), {}),
    "module 'lif0' must be Linear, Leaky.*got one with .*mem": (changed(lif0__mem=0.0), {}),
    "module 'lif0' must be Linear, Leaky.*got one with threshold": (changed(lif0__beta=None), {}),
    "fc0.weight must be a matrix of a linear layer, got shape .8, 3, 3, 3": (
        changed(fc0__weight=np.ones((8, 3, 3, 3))), {}
    ),
    "each Linear must have a Leaky or Synaptic after it, got 3 and 2": (
        changed(fc2__weight=np.ones((2, 6))), {}
    ),
    "fc1.weight must take the 8 values of the layer before, got 7": (
        changed(fc1__weight=np.ones((6, 7))), {}
    ),
    "lif0.threshold must have 1 or 8 values, got 3": (changed(lif0__threshold=np.ones(3)), {}),
    "'lif0' must have spikes of height 1": (changed(lif0__graded_spikes_factor=2.0), {}),
    "'lif0' must have a threshold > 0, got -1": (changed(lif0__threshold=-1.0), {}),
    "'lif1' must have reset_mechanism 'none' for readout 'mean'": (
        state(1), {"readout": "mean"}
    ),
    "'lif1' must have a reset where its spikes are sent on": (state(1, last=NONE), {}),
    "'lif0' must have reset_mechanism 'zero', as it is a Synaptic": (
        state(1, alpha=0.5, reset=SUBTRACT), {}
    ),
    "'lif0' must have reset_delay False, as it is no Leaky": (state(1, alpha=0.5), {}),
    "'lif0' must have reset_delay False, as it is no Leaky.*give reset_delay=False": (
        changed(lif0__recurrent__weight=np.ones((8, 8))), {}
    ),
    "'lif0' must have beta > 0 where the next step subtracts": (
        changed(lif0__beta=0.0, lif0__reset_mechanism_val=np.array(0)), {}
    ),
    "lif0.recurrent.weight must give 8 values, got 7": (
        changed(lif0__recurrent__weight=np.ones((7, 8))), {"reset_delay": False}
    ),
    "'lif1' must have reset_mechanism_val 0, 1 or 2, got 7": (
        changed(lif1__reset_mechanism_val=np.array(7)), {}
    ),
    "lif1.reset_mechanism_val must have 1 or 1 values": (
        changed(lif1__reset_mechanism_val=np.ones(2)), {}
    ),
    "lif0.alpha and beta must be in .0, 1.": (
        changed(lif0__alpha=1.0), {"reset_delay": False}
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", REFUSED)
def test_what_no_network_here_has_is_named(words: str) -> None:
    found, given = REFUSED[words]
    with pytest.raises(InputError, match=words):
        import_network(found, "snntorch", dt=1.0, **given)
