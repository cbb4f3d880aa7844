"""Networks that were trained with few bits: bundles, C, NIR and what is left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mlgenn_delays import EventProp, Quantisation, SurrogateBPTT, Trainer, load
from mlgenn_delays.errors import InputError
from mlgenn_delays.export.artifact import About, Artifact, read_bundle, to_bytes, write_bundle
from mlgenn_delays.export.c import write_c
from mlgenn_delays.export.c.examples import examples_of
from mlgenn_delays.export.model import CPURunner, read_artifact
from mlgenn_delays.export.nir import write_nir
from mlgenn_delays.learning import Adam
from mlgenn_delays.network import LIF, Exponential, LeakyIntegrator, Network, SpikeInput
from mlgenn_delays.quantisation import LARGEST, quantise
from tests.engines.helpers import raster
from tests.export.c.building import build, run
from tests.reference.nets import StepRecipe, step_data, step_network

LEARNS = {"weights": Adam(0.02), "delays": Adam(0.3)}
CASES = {
    "int8": (StepRecipe(920, recurrent=True), EventProp(**LEARNS), "neuron"),
    "int4": (StepRecipe(921, normalised="all"), SurrogateBPTT(**LEARNS), "neuron"),
    "ternary": (StepRecipe(922, normalised="hidden"), SurrogateBPTT(**LEARNS), "projection"),
}
every_kind = pytest.mark.parametrize("kind", CASES)


def trained(kind: str) -> tuple[Trainer, object]:
    recipe, rule, per = CASES[kind]
    quantisation = Quantisation(weights=kind, per=per, delay_step=2.0)
    trainer = Trainer(
        step_network(recipe), rule, quantisation=quantisation, epochs=2, batch_size=6, threads=1,
        progress="none",
    )  # fmt: skip
    data = step_data(recipe, 12)
    trainer.fit(data)
    return trainer, data


def saved(trainer: Trainer, folder: Path) -> Artifact:
    trainer.save(folder / "net.safetensors")
    return read_artifact(folder / "net.safetensors")


def check_integers(artifact: Artifact, kind: str) -> None:
    quantised = artifact.quantised
    assert quantised is not None and quantised.kind == kind == artifact.about.quantised
    for name, p in artifact.network.projections.items():
        q = quantised.values[name]
        assert 0 < np.abs(q).max() <= LARGEST[kind] and (q != 0).all()
        np.testing.assert_array_equal(p.weight, q * quantised.scales[name].astype(float)[p.post])
        assert set(p.delay % 2.0) == {0.0}


@every_kind
def test_a_trained_network_is_integers_everywhere(kind: str, tmp_path: Path) -> None:
    trainer, data = trained(kind)
    artifact = saved(trainer, tmp_path)
    check_integers(artifact, kind)
    batch = data.batch(np.arange(12))
    logits = CPURunner(artifact, threads=1).logits(batch)
    exact = CASES[kind][0].normalised == ""
    np.testing.assert_allclose(
        logits, trainer.evaluate(data).logits, rtol=0.0 if exact else 1e-4, atol=1e-5 * (not exact)
    )
    write_bundle(artifact, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    check_integers(again, kind)
    assert to_bytes(again) == to_bytes(artifact)
    np.testing.assert_array_equal(CPURunner(again, threads=1).logits(batch), logits)


@every_kind
def test_c_spikes_as_the_engine(kind: str, tmp_path: Path) -> None:
    trainer, data = trained(kind)
    artifact, batch = saved(trainer, tmp_path), data.batch(np.arange(6))
    write_c(artifact, tmp_path, quantised=artifact.quantised, examples=False)
    text = "".join(example.text() for example in examples_of(batch))
    answers = run(build(tmp_path, "gcc"), text)
    recording = CPURunner(artifact, threads=1).run(batch)
    for b, answer in enumerate(answers):
        right = raster(recording, "hidden0", b, data.n_steps)
        np.testing.assert_array_equal(answer.raster(0, *right.shape), right)
        assert right.any() and answer.label == recording.logits[b].argmax()


@pytest.mark.filterwarnings("ignore:the bias of")
def test_nir_keeps_the_integers(tmp_path: Path) -> None:
    trainer, data = trained("ternary")
    artifact = saved(trainer, tmp_path)
    write_nir(artifact, tmp_path / "net.nir")
    again = read_artifact(tmp_path / "net.nir")
    check_integers(again, "ternary")
    one, other = (load(tmp_path / name) for name in ("net.nir", "net.safetensors"))
    np.testing.assert_array_equal(one.logits(data), other.logits(data))


def test_what_is_left_out_changes_no_scale() -> None:
    """A neuron that nothing drives has the largest weight of one that is kept."""
    net = Network(dt=1.0)
    net.add("input", SpikeInput(1))
    net.add("hidden", LIF(2))
    net.add("output", LeakyIntegrator(1))
    net.connect("input", "hidden", Exponential(), weight=np.array([[1.0, np.nan]]))
    net.connect("hidden", "output", Exponential(), weight=np.array([[0.3], [1.0]]))
    whole, quantised = quantise(net, "int4")
    artifact = Artifact.of(whole, About(n_steps=9, labels=("a",), quantised="int4"))
    assert artifact.network.populations["hidden"].n == 1 and artifact.quantised is not None
    assert artifact.quantised.values["hidden->output"].tolist() == [2]
    np.testing.assert_array_equal(
        artifact.quantised.scales["hidden->output"], quantised.scales["hidden->output"]
    )


def test_zeros_of_ternary_weights_are_no_synapses(tmp_path: Path) -> None:
    trainer, _ = trained("ternary")
    artifact = saved(trainer, tmp_path)
    kept, whole = artifact.kept["hidden0"], trainer.network
    left = whole.weight_matrix("input->hidden0")[:, kept]
    assert (left == 0).any() and (whole.weight_matrix("input->hidden0") != 0).any()
    small = artifact.network.projections["input->hidden0"]
    assert small.n_synapses == (left != 0).sum()


def test_a_trainer_takes_settings_of_quantisation() -> None:
    net = step_network(StepRecipe(1))
    with pytest.raises(InputError, match="quantisation of Trainer .* Quantisation or None, got 'i"):
        Trainer(net, EventProp(), quantisation="int8")  # type: ignore[arg-type]
    for p in net.projections.values():
        p.frozen = True
    trainer = Trainer(net, EventProp(), quantisation=Quantisation(weights="int8"), progress="none")
    with pytest.raises(InputError, match="float32 for a network without weights that are learned"):
        trainer.check(step_data(StepRecipe(1), 4))


def test_weights_off_the_grid_are_refused(tmp_path: Path) -> None:
    artifact = saved(trained("int8")[0], tmp_path)
    network = artifact.network.copy()
    network.projections["input->hidden0"].weight[0] *= np.float32(1.01)
    with pytest.raises(InputError, match="input->hidden0.* must be finite integers times"):
        replace(artifact, network=network)
