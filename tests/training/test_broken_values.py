"""A training never leaves behind what nothing can read: values are checked as they are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlgenn_delays.data.types import CurrentData, SpikeData
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.errors import DivergedError, InputError
from mlgenn_delays.learning import Adam, EventProp, SurrogateBPTT, Triangle
from mlgenn_delays.network import (
    LIF,
    CurrentInput,
    Delta,
    Exponential,
    LeakyIntegrator,
    Network,
    Normal,
    SpikeInput,
)
from mlgenn_delays.network.storage import to_bytes
from mlgenn_delays.runs.checkpoint import Checkpoint
from mlgenn_delays.training import RunDirectory, Trainer
from mlgenn_delays.training.callbacks import CallbackList

RULE = SurrogateBPTT(weights=Adam(1e-3), delays=None, surrogate=Triangle())


def normalised(scale: float = 1.0) -> Network:
    """Return a network of currents whose hidden layer is normalised."""
    net = Network(seed=1)
    net.add("input", CurrentInput(3))
    net.add("hidden", LIF(4), normalise=True)
    net.add("output", LeakyIntegrator(2))
    net.connect("input", "hidden", Delta(), weight=Normal(0.0, scale))
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0.0, 1.0))
    return net


def currents(most: float = 1.0) -> CurrentData:
    """Return 8 examples of currents, one value of which is `most`, past the checks of data."""
    values = np.random.default_rng(3).random((8, 20, 3)).astype(np.float32)
    data = CurrentData(values, np.arange(8) % 2, 1.0, ("a", "b"))
    data.values[2, 5, 1] = most
    return data


def trainer(net: Network, rule: Any = RULE, run: Path | None = None, **more: Any) -> Trainer:
    folder = None if run is None else RunDirectory.create(run, "", {})
    options = {"epochs": 2, "batch_size": 4, "progress": "none"} | more
    return Trainer(net, rule, run=folder, **options)


CASES = {
    "a fill value in the data": (normalised(), RULE, currents(1e21)),
    "weights that start huge": (normalised(1e30), RULE, currents()),
    "a huge learning rate": (
        normalised(),
        SurrogateBPTT(weights=Adam(1e30), delays=None, surrogate=Triangle()),
        currents(),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_training_that_nothing_could_read_diverges(case: str, tmp_path: Path) -> None:
    net, rule, data = CASES[case]
    with pytest.raises(DivergedError, match="diverged in epoch 1: .*finite.* no epoch was finish"):
        trainer(net, rule, tmp_path / "run").fit(data, data)
    assert not RunDirectory(tmp_path / "run").has_checkpoint


def test_the_running_variance_is_named(tmp_path: Path) -> None:
    net, rule, data = CASES["a fill value in the data"]
    with pytest.raises(DivergedError, match="hidden/normalisation/variance is not finite"):
        trainer(net, rule, tmp_path / "run").fit(data)


def test_the_last_good_checkpoint_stays(tmp_path: Path) -> None:
    """The second epoch's network would be damaged, so it does not take the first one's place."""
    built = trainer(normalised(), run=tmp_path / "run", epochs=1)
    built.fit(currents(), currents())
    run = RunDirectory(tmp_path / "run")
    before = {p: p.read_bytes() for p in run.path.rglob("*.safetensors")}
    assert before
    built.epochs = 2
    built._compiled.parameters.norms["hidden"].variance[1] = np.inf  # type: ignore[union-attr]
    settings = built._settings(currents(), currents())
    with pytest.raises(DivergedError, match="epoch 2: .*variance is not finite; the last good"):
        built._epoch(currents(), currents(), settings, CallbackList([], built))
    assert {p: p.read_bytes() for p in run.path.rglob("*.safetensors")} == before
    assert np.isfinite(built.network.populations["hidden"].normalisation.variance).all()


@pytest.mark.parametrize("spoil", ["weight", "delay", "bias", "variance", "folded"])
def test_a_network_is_checked_as_it_is_read(spoil: str, tmp_path: Path) -> None:
    net = normalised()
    p = net.projections["input->hidden"]
    if spoil == "weight":
        p.weight[0] = np.nan
    elif spoil == "delay":
        p.delay[0] = -1.0
    elif spoil == "bias":
        net.populations["output"].bias[0] = np.inf
    else:
        norm = net.populations["hidden"].normalisation
        assert norm is not None
        norm.variance[0] = np.inf if spoil == "variance" else 0.0
        p.weight[:] = 3e38 if spoil == "folded" else 1.0
    path = tmp_path / "n.safetensors"
    with pytest.raises(InputError):
        net.save(path)
    assert not path.exists()


def test_a_state_is_checked_as_it_is_read(tmp_path: Path) -> None:
    built = trainer(normalised(), run=tmp_path / "run", epochs=1)
    built.fit(currents())
    checkpoint = RunDirectory(tmp_path / "run").load_checkpoint()
    assert checkpoint is not None
    checkpoint.state["hidden->output/weight_second"][2] = np.inf
    with pytest.raises(DivergedError, match="'hidden->output/weight_second' of the training state"):
        checkpoint.to_bytes()
    assert isinstance(checkpoint, Checkpoint)


def test_gradients_too_large_to_square_diverge() -> None:
    """Adam's second moment would be infinite, and nothing would ever move again."""
    net = normalised()
    net.populations["hidden"].normalisation = None
    data = currents()
    data.values[:] *= 1e25
    with pytest.raises(DivergedError, match="finite"):
        trainer(net, SurrogateBPTT(delays=None, surrogate=Triangle(1e30))).fit(data)


def test_answers_that_are_no_numbers_are_no_answers() -> None:
    net = normalised()
    net.projections["hidden->output"].weight[:] = 3e38
    with pytest.raises(DivergedError, match="logits are not finite"):
        compile_network(net, RULE, total_steps=1).evaluate([currents(1e30).batch(np.arange(8))])


def summed(scale: float) -> tuple[Network, SpikeData]:
    """Return a network whose logits are sums over the trial, and data for it."""
    net = Network(seed=2)
    net.add("input", SpikeInput(4))
    net.add("hidden", LIF(20))
    net.add("output", LeakyIntegrator(3, readout="sum"))
    net.connect("input", "hidden", Exponential(5.0), weight=1.0)
    net.connect("hidden", "output", Exponential(5.0), weight=Normal(0.0, scale))
    rng = np.random.default_rng(4)
    events = np.argwhere(rng.random((12, 4, 200)) < 0.1)
    example, channel, step = events.T
    starts = np.searchsorted(example * 4 + channel, np.arange(12 * 4 + 1))
    start = np.stack([starts[4 * b : 4 * b + 5] for b in range(12)]).astype(np.int64)
    labels = np.arange(12) % 3
    return net, SpikeData(start, step.astype(np.int32), labels, 200, 1.0, ("a", "b", "c"))


def test_a_sum_over_the_trial_may_start_with_a_large_loss(tmp_path: Path) -> None:
    """Its logits are large before anything is learned: that is no explosion."""
    net, data = summed(1.0)
    rule = EventProp(weights=Adam(1e-3), delays=None)
    at_start = trainer(net, rule).evaluate(data).loss
    assert at_start > 100 * np.log(3)
    built = trainer(net, rule, tmp_path / "run", epochs=3)
    history = built.fit(data)
    assert history.rows[0]["train_loss"] > 100 * np.log(3)
    # A resumed training has the same bound.
    again = Trainer(
        net, rule, epochs=3, batch_size=4, progress="none", run=RunDirectory(tmp_path / "run")
    )
    again.fit(data, resume=True)
    assert again._bound == built._bound > 100 * np.log(3)


def test_a_loss_far_above_that_of_the_start_still_diverges() -> None:
    net, data = summed(1e-3)
    with pytest.raises(DivergedError, match="the mean loss was .*, above"):
        trainer(net, EventProp(weights=Adam(1e4), delays=None)).fit(data)


def test_to_bytes_of_a_good_network_is_as_before() -> None:
    assert to_bytes(normalised()) == to_bytes(normalised())
