"""All of a run: what is found of it as JSON and figures, for every kind of run."""

import json
import warnings

import numpy as np
import pytest

from mlgenn_delays.analysis import Settings, analyse, findings, pictures
from mlgenn_delays.analysis.figures import captions
from mlgenn_delays.analysis.style import AFTER, BEFORE, EXCITATORY, INHIBITORY
from mlgenn_delays.errors import InputError
from mlgenn_delays.runs.run import Run

from .networks import network, run_of

QUICK = Settings(permutations=39)
EMERGED = {
    "space", "reach", "before", "after", "moved", "course", "lifetimes", "across", "staying",
}  # fmt: skip
GROUPED = {"neurons", "of_neurons", "synapses", "permutations", "signs_shared"}
KINDS = {"space", "time", "both", "nearest", "time given space"}
OF_INPUT = ["fields", "before-after", "grouping", "course"]


def of(path, **how):
    """Return the analysis of a run without its data; a warning fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return analyse(Run(path), with_data=False, settings=QUICK, **how)


def told(analysis):
    """Return findings as they come out of strict JSON, and the figures; a warning fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = json.loads(json.dumps(findings(analysis), allow_nan=False))
        drawn = pictures(analysis)
    return found, drawn


@pytest.fixture(scope="module")
def rewired(tmp_path_factory):
    """Return the analysis of a run that was rewired, on bands, with its best epoch unknown."""
    course = {e: network(40, 12, density=0.4, seed=e // 4) for e in range(0, 13, 2)}
    path = tmp_path_factory.mktemp("analysis") / "run"
    return of(run_of(path, course[12], course, "rawhd"))


def test_findings_of_a_rewired_run(rewired):
    found, _ = told(rewired)
    assert set(found) == {
        "version", "run", "recipe", "checkpoint", "epoch", "settings", "projections", "activity"
    }  # fmt: skip
    assert found["activity"] is None and found["epoch"] is None and found["recipe"] == "rawhd"
    assert found["settings"] == {"permutations": 39, "seed": 0, "strongest": 1.0}
    (name, own), *others = found["projections"].items()
    assert name == "input->hidden1" and not others and set(own) == EMERGED
    assert own["space"] == {"mel band": 40} and own["reach"]["space_places"] == [2]
    low, *_, high = own["after"]["delay_ms"]["quantiles"]
    assert own["reach"]["time_ms"] == pytest.approx((high - low) / 10)
    assert list(own["course"]) == [str(epoch) for epoch in range(0, 13, 2)]
    assert list(own["across"]) == list(own["staying"]) == list(own["course"])
    for stage in ("before", "after"):
        assert set(own[stage]) == {
            "synapses", "weight", "delay_ms", "balance", "grouping", "clusters"
        }  # fmt: skip
        assert own[stage]["synapses"] == int(0.4 * 40 * 12)
        assert set(own[stage]["grouping"]) == GROUPED | KINDS
        both = own[stage]["grouping"]["both"]
        assert set(both["moran"]) == {"observed", "expected", "interval", "z", "p"}
        assert set(both["joins"]) == {"EE", "II", "EI"} and 0 < both["moran"]["p"] <= 1
        sizes = own[stage]["clusters"]["sizes"]
        assert sum(int(size) * n for size, n in sizes.items()) == own[stage]["synapses"]
    lives = own["lifetimes"]
    assert lives["shared_with_start"][:2] == [1, 1] and lives["shared_with_start"][2] < 0.7
    assert lives["start"]["median_epochs"] == 4 and lives["later"]["n"] == lives["grown"]
    assert own["across"]["12"]["joined"]["same"]["observed"] is None
    assert own["staying"]["12"]["agree"]["go"] == 0


@pytest.mark.parametrize("analysed", [5, None])
def test_epochs_after_the_analysed_one_are_not_compared_with_it(tmp_path, monkeypatch, analysed):
    course = {e: network(40, 6, density=0.4, seed=e) for e in (0, 4, 8)}
    run = run_of(tmp_path / "run", course[4], course, "rawhd")
    monkeypatch.setitem(analyse.__globals__, "_epoch", lambda *_: analysed)
    own = of(run).projections["input->hidden1"]
    compared = [0, 4] if analysed else [0, 4, 8]
    assert list(own.across) == list(own.staying) == compared
    assert list(own.course) == own.lifetimes.epochs.tolist() == [0, 4, 8]


@pytest.mark.slow
def test_pictures_of_a_rewired_run(rewired, tmp_path):
    found, drawn = told(rewired)
    names = [picture.name for picture in drawn]
    wanted = [*OF_INPUT, "values", "lifetimes", "balance"]
    assert names == [f"{name}-input-hidden1" for name in wanted]
    for picture in drawn:
        assert_can_be_read(picture)
        files = picture.save(tmp_path)
        assert [f.suffix for f in files] == [".png", ".svg"] and all(
            f.stat().st_size for f in files
        )
    text = captions(drawn)
    for picture in drawn:
        assert f"## {picture.title}\n\n![{picture.title}]({picture.name}.png)\n" in text
        assert picture.caption in text
    last = pictures(rewired)[-1]
    assert last.svg() == (tmp_path / f"{last.name}.svg").read_bytes()


def assert_can_be_read(picture):
    """Every panel names its axes, or the figure does once for all; delays have their unit."""
    figure = picture.figure
    seen = [axis for axis in figure.axes if axis.get_visible()]
    for axis in seen:
        x = axis.get_xlabel() or figure.get_supxlabel()
        y = axis.get_ylabel() or figure.get_supylabel() or shares_y(axis, seen)
        assert x and y, picture.name
        for text in (x, y):
            for word, unit in (("delay", "(ms)"), ("rate", "(Hz)"), ("age", "(epochs)")):
                assert not str(text).startswith((word, f"mean firing {word}")) or unit in text
    assert len(picture.caption) > 60 and "nan" not in picture.caption
    assert picture.title and "  " not in picture.caption


def shares_y(axis, others):
    """Return the label of a panel left that shares its y axis, or what a colour bar is."""
    if axis.get_label() == "<colorbar>":
        return "colour bar"
    return next((o.get_ylabel() or "names" for o in others if o in axis.get_shared_y_axes()
                 .get_siblings(axis) and o is not axis), "")  # fmt: skip


def colors(figure):
    from matplotlib.colors import to_hex

    found = set()
    for axis in figure.axes:
        if axis.get_label() == "<colorbar>":
            continue
        found |= {to_hex(line.get_color()).upper() for line in axis.lines}
        found |= {to_hex(c).upper() for dots in axis.collections for c in dots.get_facecolor()}
        found |= {to_hex(patch.get_edgecolor()).upper() for patch in axis.patches}
    return found


def test_colours_are_those_of_the_look(rewired):
    drawn = {picture.name.split("-input")[0]: picture for picture in pictures(rewired)}
    for name in ("fields", "before-after"):
        assert colors(drawn[name].figure) == {EXCITATORY, INHIBITORY}
    for name in ("values", "balance", "grouping"):
        assert {BEFORE, AFTER} <= colors(drawn[name].figure), name


def test_a_field_is_drawn_as_it_is(rewired):
    (picture,) = (p for p in pictures(rewired) if p.name.startswith("fields"))
    own = rewired.projections["input->hidden1"].after.afferents
    axis = picture.figure.axes[0]
    neuron = int(axis.get_title(loc="left").split()[1])
    (dots,) = axis.collections
    which = slice(*own.start[neuron : neuron + 2])
    wanted = sorted(zip(own.delay[which], own.pre[which], strict=True))
    np.testing.assert_allclose(sorted(map(tuple, np.asarray(dots.get_offsets()))), wanted)


VARIANTS = {
    "two hidden layers and recurrence": (
        network(64, 8, hidden=2, recurrent=True), {},
        {"input->hidden1", "hidden1->hidden1", "hidden1->hidden2", "hidden2->hidden2"},
    ),
    "axonal delays": (network(64, 8, granularity="axon"), {}, {"input->hidden1"}),
    "one delay of all": (network(64, 8, granularity="fixed"), {}, set()),
    "Dale's law": (network(64, 8, signs="dale"), {0: network(64, 8, signs="dale", seed=1)},
                   {"input->hidden1"}),
    "Dale's law and axonal delays": (
        network(64, 8, signs="dale", granularity="axon"), {}, {"input->hidden1"},
    ),
    "only the start": (network(64, 8), {0: network(64, 8, seed=1)}, {"input->hidden1"}),
    "a course without its start": (
        network(64, 8), {2: network(64, 8), 3: network(64, 8)}, {"input->hidden1"},
    ),
    "one neuron": (network(64, 1), {}, {"input->hidden1"}),
    "few synapses": (network(64, 8, density=0.005), {}, {"input->hidden1"}),
}  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_kind_of_run(variant, tmp_path):
    net, snapshots, names = VARIANTS[variant]
    analysis = of(run_of(tmp_path / "run", net, snapshots))
    found, drawn = told(analysis)
    assert set(found["projections"]) == names
    for name, own in found["projections"].items():
        assert (own["before"] is not None) == (0 in snapshots)
        assert (own["moved"] is not None) == (0 in snapshots)
        assert own["space"] == ({"row": 8, "column": 8} if name.startswith("input") else None)
        assert own["lifetimes"] is None and own["across"] == {} == own["staying"]
        wanted = GROUPED | (KINDS if own["space"] else {"time"})
        assert set(own["after"]["grouping"]) == wanted
        assert own["after"]["grouping"]["signs_shared"] == variant.startswith("Dale's law")
    for picture in drawn:
        assert_can_be_read(picture)
    assert bool(drawn) == bool(names)


@pytest.mark.parametrize("sign", [-1.0, 0.0])
def test_one_sign_alone_and_none(sign, tmp_path):
    net = network(64, 6)
    weight = net.projections["input->hidden1"].weight
    weight[:] = sign * np.abs(weight)
    found, drawn = told(of(run_of(tmp_path / "run", net, {0: net})))
    after = found["projections"]["input->hidden1"]["after"]
    same = after["grouping"]["both"]["same_sign"]
    assert (same["p"], same["observed"]) == ((1, 1) if sign else (None, None))
    assert after["balance"]["ratio"] == [0 if sign < 0 else None] * 6
    for picture in drawn:
        assert_can_be_read(picture)
        assert picture.svg()


def test_channels_without_order_are_tested_in_time_alone(tmp_path):
    analysis = of(run_of(tmp_path / "run", network(5, 8), {0: network(5, 8)}, "yin-yang"))
    found, drawn = told(analysis)
    own = found["projections"]["input->hidden1"]
    assert own["space"] is None and own["reach"]["space_places"] == []
    assert set(own["after"]["grouping"]) == GROUPED | {"time"}
    assert [picture.name.split("-")[0] for picture in drawn] == ["values", "balance"]


def test_settings_reach_the_tests(tmp_path):
    path = run_of(tmp_path / "run", network(40, 4), (), "rawhd")
    how = Settings(permutations=19, seed=3, reach_space=5, reach_time=2.5, strongest=0.5)
    own = findings(analyse(Run(path), with_data=False, settings=how))["projections"]
    own = own["input->hidden1"]
    assert own["reach"] == {"space_places": [5], "time_ms": 2.5}
    assert own["after"]["grouping"]["synapses"] == 80 and own["after"]["synapses"] == 160
    assert own["after"]["grouping"]["permutations"] == 19
    assert sum(own["after"]["balance"]["excitatory"] + own["after"]["balance"]["inhibitory"]) == 160
    other = findings(analyse(Run(path), with_data=False, settings=Settings(19, 4, 5, 2.5, 0.5)))
    tests = [each["after"]["grouping"]["both"]["moran"]
             for each in (own, other["projections"]["input->hidden1"])]  # fmt: skip
    assert tests[0]["observed"] == tests[1]["observed"]
    assert tests[0]["expected"] != tests[1]["expected"]


@pytest.mark.parametrize(
    "how",
    [
        {"permutations": 18}, {"seed": -1}, {"reach_space": -1}, {"reach_time": -0.5},
        {"reach_time": float("inf")}, {"reach_time": float("nan")}, {"strongest": 0.0},
        {"strongest": float("nan")},
    ],
)  # fmt: skip
def test_settings_check_themselves(how):
    with pytest.raises(InputError, match=f"{next(iter(how))} must"):
        Settings(**how)


def test_a_snapshot_of_another_network_or_damaged_is_refused(tmp_path):
    for k, other in enumerate((network(64, 5), network(64, 4, hidden=2))):
        path = run_of(tmp_path / f"run{k}", network(64, 4), {0: other})
        with pytest.raises(InputError, match=r"epoch-0000\.safetensors must have the populations"):
            of(path)
    file = path / "snapshots" / "epoch-0000.safetensors"
    file.write_bytes(file.read_bytes()[:90])
    with pytest.raises(InputError, match=r"epoch-0000\.safetensors"):
        of(path)
