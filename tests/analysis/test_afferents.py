"""Places of channels, synapses by neuron, receptive fields."""

import numpy as np
import pytest

from mlgenn_delays.analysis import Afferents, Places, receptive_fields
from mlgenn_delays.data.encode.level import LevelEncoder
from mlgenn_delays.errors import InputError

from .networks import network


def test_places() -> None:
    places = Places.of((("channel", 0),), 5)
    assert (places.names, places.size) == (("channel",), (5,))
    assert places.position.tolist() == [[0], [1], [2], [3], [4]]
    places = Places.of((("row", 2), ("column", 3)), 6)  # the last axis fastest
    assert places.position.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert Places.of((("row", 0), ("column", 3)), 6).size == (2, 3)
    n = LevelEncoder(levels=(0.3, 0.6), down=True).n_channels(3)  # levels of a band share its place
    places = Places.of((("mel band", 3),), n)
    assert n == 12 and places.position.ravel().tolist() == [0, 1, 2] * 4
    assert Places.of((), 5) is None  # channels without an order


@pytest.mark.parametrize(
    ("axes", "n"),
    [((("a", 4),), 6), ((("a", 4),), 3), ((("a", 0), ("b", 4)), 10), ((("a", 0), ("b", 4)), 3)],
)
def test_channels_that_do_not_fill_the_places(axes, n):
    with pytest.raises(InputError, match=f"{n} channels must fill places of .* evenly"):
        Places.of(axes, n)


def test_synapses_are_sorted_by_neuron():
    net = network(8, 5, density=0.6)
    projection = net.projections["input->hidden1"]
    projection.weight[3] = 0.0
    own = Afferents.of(projection, 5)
    wanted = sorted(
        (int(post), int(pre), float(weight), float(delay))
        for post, pre, weight, delay in zip(
            projection.post, projection.pre(), projection.weight, projection.delay, strict=True
        )
        if weight != 0
    )
    found = zip(own.post, own.pre, own.weight, own.delay, strict=True)
    assert [tuple(each) for each in found] == wanted and len(wanted) == projection.n_synapses - 1
    assert own.start.tolist() == [sum(row[0] < j for row in wanted) for j in range(6)]
    assert own.max_delay == 60.0 and set(own.sign) == {-1, 1}


@pytest.mark.parametrize("share", [0.07, 0.5, 0.501, 1e-6])
def test_the_strongest_synapses_of_each_neuron(share):
    projection = network(100, 3).projections["input->hidden1"]
    own = Afferents.of(projection, 3, share)
    n = {0.07: 7, 0.5: 50, 0.501: 51, 1e-6: 1}[share]
    assert np.diff(own.start).tolist() == [n] * 3
    for j in range(3):
        magnitude = np.abs(projection.weight[projection.post == j])
        kept = np.abs(own.weight[own.start[j] : own.start[j + 1]])
        assert sorted(kept) == sorted(magnitude)[-n:]
        assert (np.diff(own.pre[own.start[j] : own.start[j + 1]]) > 0).all()


def test_shares_and_widths_of_bins() -> None:
    projection = network(4, 2).projections["input->hidden1"]
    for share in (0.0, -1.0, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"strongest must be a share in \(0, 1\]"):
            Afferents.of(projection, 2, share)
    for width in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="bin_width must be > 0 ms"):
            receptive_fields(projection, 2, bin_width=width)


@pytest.mark.parametrize(("granularity", "n"), [("axon", 8), ("fixed", 1), ("synapse", 40)])
def test_delays_of_every_granularity(granularity, n):
    projection = network(8, 5, granularity=granularity).projections["input->hidden1"]
    own = Afferents.of(projection, 5)
    assert len(np.unique(own.delay)) == n
    for pre, post, delay in zip(own.pre, own.post, own.delay, strict=True):
        there = (projection.pre() == pre) & (projection.post == post)
        assert projection.delay_per_synapse()[there] == delay


def test_no_synapse_at_all():
    projection = network(4, 3).projections["input->hidden1"]
    projection.weight[:] = 0.0
    for share in (1.0, 0.5):
        own = Afferents.of(projection, 3, share)
        assert own.start.tolist() == [0, 0, 0, 0] and len(own.pre) == 0


def test_some_neurons_alone():
    own = Afferents.of(network(8, 5, density=0.5).projections["input->hidden1"], 5)
    taken = own.take(np.array([4, 1]))
    for new, old in enumerate((4, 1)):
        a, b = slice(*taken.start[new : new + 2]), slice(*own.start[old : old + 2])
        for array in ("pre", "weight", "delay"):
            assert (getattr(taken, array)[a] == getattr(own, array)[b]).all()
    assert own.take(np.zeros(0, np.int64)).start.tolist() == [0]


@pytest.mark.parametrize("width", [1.0, 7.0, 100.0])
def test_receptive_fields_are_the_weights_where_they_belong(width):
    projection = network(8, 5, density=0.5).projections["input->hidden1"]
    projection.delay[0] = projection.max_delay
    fields, edges = receptive_fields(projection, 5, bin_width=width)
    assert fields.shape == (5, 8, len(edges) - 1) and edges[-1] > projection.max_delay
    wanted = np.zeros_like(fields)
    for pre, post, weight, delay in zip(
        projection.pre(), projection.post, projection.weight, projection.delay, strict=True
    ):
        (k,) = [k for k in range(len(edges) - 1) if edges[k] <= delay < edges[k + 1]]
        wanted[post, pre, k] += weight
    assert (fields == wanted).all()
    assert fields.sum() == pytest.approx(projection.weight.sum(), abs=1e-4)
