"""What neurons answer to, balance and change: against plain loops."""

import dataclasses
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlgenn_delays.analysis import Afferents, activity, balance, moved, tuning
from mlgenn_delays.analysis.changes import spread
from mlgenn_delays.data.sets.digits import load_digits_data
from mlgenn_delays.engines.compile import compile_network
from mlgenn_delays.learning import EventProp

from ..reference import shapes as twin
from .networks import network


@settings(max_examples=80, deadline=None)
@given(
    arrays.arrays(np.int64, (7, 2), elements=st.integers(0, 4)),
    st.lists(st.integers(0, 3), min_size=7, max_size=7),
)
def test_tuning_is_that_of_plain_loops(counts, labels):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = tuning(counts, np.array(labels), 5)  # the last class never has an example
        assert tuning(counts[:, :0], np.array(labels), 5).preferred.shape == (0,)
    for neuron in range(2):
        means, preferred, selectivity, explained = twin.tuning(
            counts[:, neuron].tolist(), labels, 5
        )
        assert found.mean[neuron] == pytest.approx(
            [np.nan if m is None else m for m in means], nan_ok=True
        )
        assert found.preferred[neuron] == preferred
        for value, wanted in (
            (found.selectivity[neuron], selectivity),
            (found.explained[neuron], explained),
        ):
            assert np.isnan(value) if wanted is None else value == pytest.approx(wanted)
            assert wanted is None or 0 <= value <= 1 + 1e-12


@pytest.fixture(scope="module")
def answered():
    net = network(64, 6, hidden=2, recurrent=True)
    for projection in net.projections.values():
        projection.weight *= 12
    net.projections["input->hidden1"].weight[net.projections["input->hidden1"].post == 2] = -1.0
    data = load_digits_data()["validation"]
    compiled = compile_network(net, EventProp(), total_steps=1, threads=1, learns=False)
    return compiled, data, activity(compiled, data, batch_size=50)


def test_activity_counts_what_the_network_spikes(answered):
    compiled, data, found = answered
    n = len(data)
    assert list(found.counts) == ["hidden1", "hidden2"]
    assert found.labels.tolist() == data.labels.tolist() and len(found.predictions) == n
    assert found.duration == data.n_steps * data.dt
    again = activity(compiled, data, batch_size=n)  # batches do not matter
    for name, counts in found.counts.items():
        assert counts.shape == (n, 6) and counts.sum() > 0
        assert (counts == again.counts[name]).all()
        rate = found.rate(name)
        assert rate == pytest.approx(counts.sum(axis=0) / n / (found.duration / 1000))
    assert found.rate("hidden1")[2] == 0  # all inhibition: silent
    tuned = found.tuning("hidden1")
    assert tuned.preferred[2] == -1 and np.isnan(tuned.selectivity[2])
    right = sum(a == b for a, b in zip(found.labels, found.predictions, strict=True))
    assert found.accuracy == right / n


def test_balance_is_that_of_plain_loops():
    own = Afferents.of(network(9, 5, density=0.5).projections["input->hidden1"], 5)
    keep = own.post != 3
    keep &= ~((own.post == 1) & (own.weight < 0))
    own = dataclasses.replace(
        own, pre=own.pre[keep], weight=own.weight[keep], delay=own.delay[keep],
        start=np.searchsorted(own.post[keep], np.arange(6)),
    )  # fmt: skip
    found = balance(own)
    for j in range(5):
        weights = [w for w, post in zip(own.weight, own.post, strict=True) if post == j]
        up, down = [w for w in weights if w > 0], [-w for w in weights if w < 0]
        assert (found.excitatory[j], found.inhibitory[j]) == (len(up), len(down))
        assert found.excitation[j] == pytest.approx(sum(up))
        assert found.inhibition[j] == pytest.approx(sum(down))
    assert np.isinf(found.ratio[1]) and found.share[1] == 1
    assert np.isnan(found.ratio[3]) and np.isnan(found.share[3])
    assert found.share[0] == pytest.approx(found.ratio[0] / (1 + found.ratio[0]))


def test_moved_compares_pairs_that_are_there_twice():
    before, after = (
        network(9, 5, density=0.5, seed=k).projections["input->hidden1"] for k in (0, 1)
    )
    found = moved(before, after)
    old, new = (
        {(a, b): (d, w) for a, b, d, w in zip(p.pre(), p.post, p.delay, p.weight, strict=True)}
        for p in (before, after)
    )
    both = sorted(set(old) & set(new))
    assert found.n == len(both) > 3
    assert found.delay == pytest.approx([new[k][0] - old[k][0] for k in both])
    turned = sum(np.sign(new[k][1]) != np.sign(old[k][1]) for k in both)
    assert found.turned == pytest.approx(turned / len(both))


def test_spread():
    found = spread(np.array([1.0, 2.0, 4.0, np.inf, np.nan]))
    assert found["n"] == 3 and found["mean"] == pytest.approx(7 / 3)
    assert found["sd"] == pytest.approx(np.std([1, 2, 4]))
    assert found["quantiles"][0] == 1 and found["quantiles"][3] == 2 and found["quantiles"][-1] == 4
    assert spread(np.zeros(0)) == {"n": 0, "mean": None, "sd": None, "quantiles": None}
