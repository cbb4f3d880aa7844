"""State dicts of SNN-delays."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays import CurrentInput, EulerLI, SpikeCounter, import_network
from mlgenn_delays.errors import InputError
from mlgenn_delays.neurons.models.discrete_lif import DiscreteLIF
from tests.imports import helpers
from tests.needs import need

K, T, QUIET, DT = 9, 60, 24, 10.0  # taps, steps, those in which the input spikes; ms
SIZES = (12, 10, 8, 3)
RIGHT = (K - 1) // 2


def state(seed: int = 0, *, elements: int = 1, norm: bool = True, plif: bool = False) -> dict:
    """Return a state dict of three layers, its positions whole."""
    rng, found = np.random.default_rng(seed), {}
    place, half = 0, K // 2
    for k, (n_pre, n) in enumerate(zip(SIZES[:-1], SIZES[1:], strict=True)):
        name, last = f"model.{place}", k == len(SIZES) - 2
        shape = (n, n_pre, elements)
        found[f"{name}.weight"] = rng.normal(0.2, 0.7, shape)
        found[f"{name}.P"] = rng.integers(-half, half + 1, (1, *shape)).astype(float)
        found[f"{name}.SIG"] = np.zeros((1, *shape))
        place += 1
        if norm and not last:
            name = f"model.{place}"
            found[f"{name}.weight"] = rng.uniform(0.7, 1.3, n) * rng.choice([-1.0, 1.0], n)
            found[f"{name}.running_mean"] = rng.normal(0.0, 0.1, n)
            found[f"{name}.bias"] = rng.uniform(-0.4, 0.1, n)
            found[f"{name}.running_var"] = rng.uniform(0.4, 0.8, n)
            found[f"{name}.num_batches_tracked"] = np.array(100)
            place += 1
        if plif:
            found[f"model.{place}.w"] = np.array(3.0 + k)
        place += 2  # neurons and dropout
    return {key: np.asarray(value, np.float32) for key, value in found.items()}


def plain(given: np.ndarray, found: dict, tau: float, *, spikes: bool = False) -> list[np.ndarray]:
    """Return spikes of the hidden layers and V or spikes of the last, (T', n), in float64."""
    modules = sorted({key.rpartition(".")[0] for key in found}, key=lambda m: int(m[6:]))
    convs = [m for m in modules if f"{m}.P" in found]
    x, outputs = given, []
    for k, name in enumerate(convs):
        x = np.pad(x, ((K - 1, RIGHT), (0, 0)))
        weight, position = found[f"{name}.weight"], found[f"{name}.P"][0]
        kernel = np.zeros((K, *weight.shape[:2]))
        for element in range(weight.shape[2]):
            for post, pre in np.ndindex(weight.shape[:2]):
                tap = int(np.round(position[post, pre, element])) + K // 2
                kernel[tap, post, pre] += weight[post, pre, element]
        steps = len(x) - K + 1
        current = np.array([np.einsum("mji,mi->j", kernel, x[t : t + K]) for t in range(steps)])
        after = f"model.{int(name[6:]) + 1}"
        if f"{after}.running_mean" in found:
            g, b, m, v = (found[f"{after}.{key}"].astype(float)
                          for key in ("weight", "bias", "running_mean", "running_var"))  # fmt: skip
            current, after = (
                (current - m) / np.sqrt(v + 1e-5) * g + b,
                f"model.{int(after[6:]) + 1}",
            )
        elif f"{name}.bias" in found:
            current = current + found[f"{name}.bias"]
        if f"{after}.w" in found:
            tau = 1.0 + float(np.exp(-found[f"{after}.w"]))
        threshold = 1e9 if k == len(convs) - 1 else 1.0
        threshold = 2.0 if spikes and k == len(convs) - 1 else threshold
        x = neurons(current, tau, threshold)
        outputs.append(x)
    return outputs


def neurons(current: np.ndarray, tau: float, threshold: float) -> np.ndarray:
    """Return what SpikingJelly's LIFNode fires, or its V where it cannot."""
    v, found = np.zeros(current.shape[1]), []
    for now in current:
        v = v * (1.0 - 1.0 / tau) + now
        s = v >= threshold
        found.append(v if threshold > 1e6 else s.astype(float))
        v = np.where(s, 0.0, v)
    return np.array(found)


def logits(voltage: np.ndarray, readout: str) -> np.ndarray:
    """Return logits as SNN-delays' losses take them, for our trial: three steps of 0 before."""
    whole = np.concatenate([np.zeros((3, voltage.shape[1])), voltage])
    if readout == "softmax-sum":
        e = np.exp(whole - whole.max(1, keepdims=True))
        return (e / e.sum(1, keepdims=True)).sum(0)
    return {"mean": whole.mean(0), "max": whole.max(0)}[readout]


def check(network: Any, given: np.ndarray, wanted: list[np.ndarray], readout: str) -> None:
    """Compare spikes and logits of the whole trial, which are later by a step per layer."""
    later = 3 * RIGHT + 3
    recording = helpers.run(network, given, later)
    for k, own in enumerate(wanted[:-1], 1):
        got = helpers.fired(recording, f"hidden{k}", T + later)
        assert own.sum() > 10
        np.testing.assert_array_equal(got[k : k + len(own)], own)
        assert not got[:k].any()
    np.testing.assert_allclose(recording.voltage[0].T[3:], wanted[-1], rtol=0, atol=1e-5)
    np.testing.assert_allclose(recording.logits[0], logits(wanted[-1], readout), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("readout", "options"),
    [
        ("softmax-sum", {}),
        ("mean", {"elements": 2}),
        ("max", {"plif": True}),
        ("softmax-sum", {"norm": False}),
    ],
)
def test_it_computes_what_the_original_does(readout: str, options: dict) -> None:
    found = state(3, **options)
    given = helpers.spikes(1, T, SIZES[0], until=QUIET)
    network = import_network(
        found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0, readout=readout
    )
    check(network, given, plain(given, found, 2.5), readout)


def test_logits_equal_those_of_dcls(tmp_path: Path) -> None:
    need("dcls")
    import torch
    from DCLS.construct.modules import Dcls1d
    from torch.nn import BatchNorm1d, Identity, Sequential
    from torch.nn.functional import pad

    # As SNN-delays lays its modules out; neurons and dropout have nothing in a state dict.
    found, modules = state(3), []
    for n_pre, n in zip(SIZES[:-1], SIZES[1:], strict=True):
        conv = Dcls1d(n_pre, n, 1, dilated_kernel_size=K, bias=False, version="max")
        modules += [conv, BatchNorm1d(n), Identity(), Identity()]
    net = torch.nn.Module()
    net.model = Sequential(*modules[:-3], Identity())
    net.load_state_dict({key: torch.as_tensor(array) for key, array in found.items()})
    net.eval()
    torch.save(net.state_dict(), tmp_path / "net.pt")
    given = helpers.spikes(1, T, SIZES[0], until=QUIET)
    x, outputs = torch.tensor(given, dtype=torch.float32).T[None], []
    with torch.no_grad():
        for k in range(0, 9, 4):
            current = net.model[k](pad(x, (K - 1, RIGHT)))
            if k < 8:
                current = net.model[k + 1](current)
            values = neurons(current[0].T.double().numpy(), 2.5, 1e9 if k == 8 else 1.0)
            outputs.append(values)
            x = torch.tensor(values, dtype=torch.float32).T[None]
    network = import_network(tmp_path / "net.pt", "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0)
    check(network, given, outputs, "softmax-sum")


def test_counted_spikes_and_real_input() -> None:
    found = state(7)
    given = helpers.spikes(3, T, SIZES[0], until=QUIET) * np.linspace(0.5, 2.0, SIZES[0])
    network = import_network(
        found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0, readout="spikes", currents=True,
        output_v_thresh=1.5,
    )  # fmt: skip
    assert isinstance(network.input().model, CurrentInput)
    assert isinstance(network.output().model, SpikeCounter)
    assert network.populations["hidden3"].model == DiscreteLIF(3, 25.0, 1.5)
    recording = helpers.run(network, given, 3 * RIGHT + 4)
    first = plain(given, found, 2.5)[0]
    np.testing.assert_array_equal(
        helpers.fired(recording, "hidden1", T)[1:], first[: T - 1].astype(bool)
    )
    counts = helpers.fired(recording, "hidden3", T + 3 * RIGHT + 3).sum(0)
    np.testing.assert_array_equal(recording.logits[0], counts)


def test_delays_stay_real_for_training_and_pruned_pairs_have_no_synapse() -> None:
    found = state(9)
    found["model.0.P"] += 0.25
    found["model.0.P"] = np.clip(found["model.0.P"], -4, 4)
    found["model.0.weight"][:, 3] = 0
    network = import_network(
        found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0, normalise=True
    )
    p = network.projections["input->hidden1"]
    assert p.max_delay == (K - 1) * DT and p.n_synapses == 11 * 10
    wanted = (K - 1 - K // 2 - found["model.0.P"][0, :, :, 0].T) * DT
    np.testing.assert_allclose(p.delay, np.delete(wanted, 3, axis=0).ravel())
    assert network.populations["output"].model == EulerLI(3, 25.0)
    gain = network.populations["hidden1"].normalisation.gain
    np.testing.assert_array_equal(gain, np.abs(found["model.1.weight"]))
    folded = import_network(found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0)
    wanted = network.folded().projections["input->hidden1"].weight
    np.testing.assert_allclose(folded.projections["input->hidden1"].weight, wanted, rtol=1e-6)


def without(found: dict, key: str) -> dict:
    return {name: array for name, array in found.items() if name != key}


REFUSED: dict[str, Any] = {
    "module 'model.0' must be a Dcls1d, .*got one with weight, SIG": (
        lambda s: without(s, "model.0.P")
    ),
    "module 'model.1' must be a Dcls1d.*got one with weight, running_mean": (
        lambda s: without(s, "model.1.bias")
    ),
    "module 'fc' must be a Dcls1d": lambda s: {"fc.weight": np.ones((3, 4)), **s},
    "model.0 must be a Dcls1d: weight of shape": (
        lambda s: s | {"model.0.P": np.zeros((10, 12, 1))}
    ),
    "model.4 must be a Dcls1d: .*got .8, 10, 1., .1, 8, 10, 1. and .0,": (
        lambda s: s | {"model.4.SIG": np.zeros(0)}
    ),
    "model.4.weight must take the 10 values of the layer before, got 7": (
        lambda s: (
            s
            | {
                "model.4.weight": np.ones((8, 7, 1)),
                "model.4.P": np.zeros((1, 8, 7, 1)),
                "model.4.SIG": np.zeros((1, 8, 7, 1)),
            }
        )
    ),
    "kernel_size must be at least 14, for model.4.P reaches 6.5, got 9": (
        lambda s: s | {"model.4.P": np.full((1, 8, 10, 1), 6.5)}
    ),
    "running_var must be >= 0, got -1": lambda s: s | {"model.1.running_var": -np.ones(10)},
    "model.1.bias must have 1 or 10 values, got 9": lambda s: s | {"model.1.bias": np.ones(9)},
    "model.0.weight of a state dict must be finite": (
        lambda s: s | {"model.0.weight": np.full((10, 12, 1), np.nan)}
    ),
    "model.0.weight of a state dict must be numbers, got str": (
        lambda s: s | {"model.0.weight": "heavy"}
    ),
    "weights of 'input->hidden1' must not all be 0": (
        lambda s: s | {"model.0.weight": np.zeros((10, 12, 1))}
    ),
    "a state dict must have weights, got none": lambda s: {},
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_state_dicts_are_named(words: str) -> None:
    with pytest.raises(InputError, match=words):
        import_network(REFUSED[words](state()), "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0)


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("SNNDelays needs kernel_size", {"tau_mem": 25.0}),
        ("whose time constant no state dict has; give tau_mem", {"kernel_size": K}),
        ("tau_mem of DiscreteLIF 'hidden1' must be >= dt", {"kernel_size": K, "tau_mem": 5.0}),
        ("readout must be one of .*spikes, got 'best'", {"kernel_size": K, "readout": "best"}),
        ("SNNDelays takes .*got 'taumem'; did you mean", {"kernel_size": K, "taumem": 5.0}),
    ],
)
def test_bad_settings_are_named(words: str, given: dict) -> None:
    with pytest.raises(InputError, match=words):
        import_network(state(), "snn-delays", dt=DT, **given)


def test_kernels_that_are_wide_still_are_told() -> None:
    found = state()
    found["model.4.SIG"] += 3.5
    with pytest.warns(UserWarning, match="kernels of model.4 are wide still .SIG 3.5 steps"):
        import_network(found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0)
    found["model.4.SIG"] -= 3.27
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        import_network(found, "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0)
