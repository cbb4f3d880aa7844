"""Which examples are looked into, and what is seen of them."""

import numpy as np
import pytest

from mlgenn_delays.engines.results import Evaluation
from mlgenn_delays.network import Network
from mlgenn_delays.neurons.declare import READOUTS
from mlgenn_delays.recipe import load_data
from mlgenn_delays.report.predictions import choose, predict, running_logits, softmax
from mlgenn_delays.runs.run import Run


def evaluation(labels, logits):
    labels, logits = np.array(labels), np.array(logits, np.float32)
    predictions = logits.argmax(1)
    right, n = np.array([(labels == predictions).sum()]), len(labels)
    of = labels, predictions, logits
    return Evaluation(1.0, "accuracy", right[0] / n, n, *of, {}, {}, right)


def sure(k, certainty):
    """Return logits of three classes that give class k a certainty."""
    rest = (1 - certainty) / 2
    return [np.log(certainty if j == k else rest) for j in range(3)]


def test_correct_ones_are_typical_and_wrong_ones_certain():
    labels = [0, 0, 0, 1, 2, 2]
    logits = [sure(0, 0.99), sure(0, 0.8), sure(0, 0.5), sure(2, 0.6), sure(0, 0.9), sure(1, 0.7)]
    correct, wrong = choose(evaluation(labels, logits), 2)
    assert correct.tolist()[0] == 1  # the median of 0.99, 0.8 and 0.5
    assert wrong.tolist() == [4, 3]  # of other labels, before another of label 2
    assert choose(evaluation(labels, logits), 3)[1].tolist() == [4, 3, 5]


def test_without_wrong_ones_come_the_least_certain_and_there_may_be_no_correct_ones():
    labels = [0, 1, 2, 0]
    logits = [sure(0, 0.9), sure(1, 0.8), sure(2, 0.5), sure(0, 0.95)]
    correct, rest = choose(evaluation(labels, logits), 1)
    assert len(correct) == len(rest) == 1
    assert rest.tolist() == [2]
    assert not set(correct) & set(rest)
    correct, wrong = choose(evaluation([1], [sure(0, 0.9)]), 3)
    assert correct.tolist() == [] and wrong.tolist() == [0]


def slow_logits(readout, voltage):
    """The readouts as semantics has them, of the first t steps, in plain loops."""
    classes, steps = voltage.shape
    out = np.zeros((classes, steps))
    for t in range(steps):
        for k in range(classes):
            seen = [float(v) for v in voltage[k, : t + 1]]
            if readout == "max":
                out[k, t] = max(seen)
            elif readout == "softmax-sum":
                for s in range(t + 1):
                    total = sum(np.exp(float(v)) for v in voltage[:, s])
                    out[k, t] += np.exp(float(voltage[k, s])) / total
            elif readout == "expweighted":
                out[k, t] = sum(np.exp(-s / steps) * v for s, v in enumerate(seen)) / steps
            else:
                out[k, t] = sum(seen) / (1 if readout == "sum" else steps)
    return out


@pytest.mark.parametrize("readout", READOUTS)
def test_running_logits(readout):
    voltage = np.random.default_rng(1).normal(0, 2, (3, 7)).astype(np.float32)
    np.testing.assert_allclose(
        running_logits(readout, voltage), slow_logits(readout, voltage), rtol=1e-6, atol=1e-9
    )


@pytest.mark.parametrize("which", ["digits", "rewired"])
def test_examples_end_in_the_answer(which, request):
    run = Run(request.getfixturevalue(which))
    network = Network.load(run.directory.network_path())
    splits = load_data(run.recipe, run.folder(None))
    predictions, accuracy = predict(network, run.recipe, splits, "validation", threads=1)
    assert set(accuracy) == {"validation", "test"}
    assert accuracy["validation"] == predictions.evaluation.accuracy
    shown = [*predictions.correct, *predictions.wrong]
    assert len(predictions.correct) == min(3, predictions.evaluation.n - predictions.n_wrong)
    assert len(predictions.wrong) == min(3, predictions.n_wrong) > 0
    assert all(each.correct for each in predictions.correct)
    assert not any(each.correct for each in predictions.wrong)
    chances = softmax(predictions.evaluation.logits.astype(np.float64))
    for each in shown:
        last = each.chances[:, -1]
        assert last[each.prediction] == pytest.approx(last.max(), abs=1e-6)  # classes may be equal
        same = np.abs(chances - last).max(1) < 1e-4
        assert each.label in predictions.evaluation.labels[same]
        assert set(each.spikes) == {"hidden1"}
        time, neuron = each.spikes["hidden1"]
        assert len(time) == len(neuron)
        assert ((time > 0) & (time < each.length)).all()
        assert neuron.max(initial=0) < predictions.sizes["hidden1"]
    spikes = [len(each.spikes["hidden1"][0]) for each in shown]
    assert max(spikes) > 0


def test_inputs_are_those_of_the_data(digits):
    run = Run(digits)
    data = load_data(run.recipe)["validation"]
    network = Network.load(run.directory.network_path())
    predictions, _ = predict(network, run.recipe, {"validation": data}, "validation", threads=1)
    example = predictions.correct[0]
    row = int(example.name.removeprefix("number ")) if "number" in example.name else None
    row = data.names.index(example.name) if row is None else row
    time, channel = example.inputs
    assert len(time) == data.start[row, -1] - data.start[row, 0]
    assert channel.max() < example.channels == data.n_channels
    assert example.label == data.labels[row]
