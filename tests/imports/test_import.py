"""The door to all kinds, the files of state dicts, and what can be done with what came in."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from mlgenn_delays import Adam, CurrentData, SurrogateBPTT, Trainer, import_network
from mlgenn_delays.cli.import_ import KINDS as CHOICES
from mlgenn_delays.errors import InputError
from mlgenn_delays.imports import KINDS
from mlgenn_delays.imports.state import read_modules
from tests.imports.test_norse import state as norse_state
from tests.imports.test_snn_delays import DT, SIZES, K, T, state
from tests.needs import lack, need


def test_the_command_line_has_all_kinds() -> None:
    assert list(CHOICES) == sorted(KINDS)


def test_kind_and_step_are_checked() -> None:
    with pytest.raises(InputError, match="kind must be one of mlgenn, .*did you mean 'norse'"):
        import_network({}, "Norse", dt=1.0)
    for dt in (0.0, "1"):
        with pytest.raises(InputError, match="dt must be a number >= 1e-06 ms"):
            import_network({}, "norse", dt=dt)


def test_a_safetensors_file_is_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    found = {f"net.{k}.weight": np.full((2, 2), k, np.float32) for k in (0, 2, 10, 4)}
    save_file(found, tmp_path / "net.safetensors")
    modules = read_modules(tmp_path / "net.safetensors")
    assert [each.name for each in modules] == ["net.0", "net.2", "net.4", "net.10"]
    assert [each.name for each in read_modules(found)][2:] == ["net.10", "net.4"]


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no state dict"):
        read_modules(tmp_path / "none.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ..")
    with pytest.raises(InputError, match="cut.safetensors is damaged"):
        read_modules(tmp_path / "cut.safetensors")
    (tmp_path / "some.pt").write_bytes(b"something else altogether")
    words = "needs PyTorch" if lack("torch") else "must be a state dict that torch.save wrote"
    with pytest.raises(InputError, match=words):
        read_modules(tmp_path / "some.pt")


@pytest.mark.parametrize("wrong", [[[1], [1, 2]], {"a": 1}, None, "text"])
def test_what_is_no_array(wrong: object) -> None:
    with pytest.raises(InputError, match="0.weight of a state dict must be numbers, got "):
        read_modules({"0.weight": wrong})


def test_what_torch_saves(tmp_path: Path) -> None:
    need("torch")
    import torch

    net = torch.nn.Linear(3, 2).to(torch.bfloat16)
    torch.save({"state_dict": net.state_dict()}, tmp_path / "net.pt")
    (module,) = read_modules(tmp_path / "net.pt")
    np.testing.assert_array_equal(module.arrays["weight"], net.weight.detach().float().numpy())
    for wrong, words in ((net, "weights_only=True. rejects"), ([1], "state dict, got list")):
        torch.save(wrong, tmp_path / "net.pt")
        with pytest.raises(InputError, match=words):
            read_modules(tmp_path / "net.pt")


@pytest.mark.parametrize("normalise", [False, True])
def test_training_goes_on(normalise: bool) -> None:
    network = import_network(
        state(3), "snn-delays", dt=DT, kernel_size=K, tau_mem=25.0, readout="max", currents=True,
        normalise=normalise,
    )  # fmt: skip
    rng = np.random.default_rng(1)
    values = rng.random((24, T, SIZES[0])) < 0.1
    labels = np.arange(24) % 3
    values[np.arange(24), 10:20, labels] = 1
    data = CurrentData(values.astype(np.float32), labels, DT, ("a", "b", "c"))
    rule = SurrogateBPTT(weights=Adam(0.01), delays=Adam(0.1))
    trainer = Trainer(network, rule, epochs=3, batch_size=8, seed=1, progress="none")
    before = trainer.evaluate(data).loss
    delay = network.projections["input->hidden1"].delay.copy()
    trainer.fit(data)
    assert trainer.evaluate(data).loss < before
    assert np.abs(trainer.network.projections["input->hidden1"].delay - delay).max() > 0.1


def test_eventprop_goes_on_from_networks_of_norse() -> None:
    from mlgenn_delays import EventProp, SpikeData

    network = import_network(norse_state(3), "norse", dt=1.0)
    rng = np.random.default_rng(2)
    events = [(rng.integers(0, 9, 60), np.sort(rng.integers(0, 30, 60))) for _ in range(12)]
    data = SpikeData.from_events(
        events, np.arange(12) % 6, n_channels=9, n_steps=40, dt=1.0, label_names=list("abcdef")
    )
    before = network.projections["bias->hidden1"].weight.copy()
    rule = EventProp(weights=Adam(0.01), delays=None)
    trainer = Trainer(network, rule, epochs=3, batch_size=6, seed=1, progress="none")
    first = trainer.evaluate(data).loss
    trainer.fit(data)
    assert trainer.evaluate(data).loss < first
    assert (trainer.network.projections["bias->hidden1"].weight != before).any()
