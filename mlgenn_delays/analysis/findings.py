"""An analysis as plain data, ready for JSON; what cannot be measured is None."""

import math
from typing import Any

import numpy as np

from mlgenn_delays import __version__
from mlgenn_delays.analysis.activity import Activity, Tuning
from mlgenn_delays.analysis.analyse import Analysis, Emerged, Structure
from mlgenn_delays.analysis.changes import spread
from mlgenn_delays.analysis.clusters import Clusters
from mlgenn_delays.analysis.grouping import Grouping, Shuffled, Test
from mlgenn_delays.analysis.lifetimes import Lifetimes, Survival


def findings(analysis: Analysis) -> dict[str, Any]:
    """Describe an analysis as plain data.

    Arguments:
        analysis: The analysis.

    Returns:
        A table of numbers, texts, lists and tables. Times are in ms and rates in Hz, as the keys
        say; tests have ``observed``, ``expected`` (mean when shuffled), ``interval`` (95 % of the
        shuffles), ``z`` and ``p`` (two-sided).

    Example:
        >>> from mlgenn_delays.analysis import Settings, analyse, findings
        >>> from mlgenn_delays.runs.run import Run
        >>> found = findings(analyse(Run("run"), settings=Settings(permutations=19)))
        >>> sorted(found["projections"])
        ['hidden1->output', 'input->hidden1']
    """
    settings = analysis.settings
    return {
        "version": __version__,
        "run": str(analysis.run),
        "recipe": analysis.recipe,
        "checkpoint": analysis.checkpoint,
        "epoch": analysis.epoch,
        "settings": {
            "permutations": settings.permutations,
            "seed": settings.seed,
            "strongest": settings.strongest,
        },
        "projections": {name: _emerged(e) for name, e in analysis.projections.items()},
        "activity": None if analysis.activity is None else _activity(analysis),
    }


def _emerged(found: Emerged) -> dict[str, Any]:
    reach = found.after.grouping.reach
    out: dict[str, Any] = {
        "space": None
        if found.places is None
        else dict(zip(found.places.names, found.places.size, strict=True)),
        "reach": {"space_places": list(reach.space), "time_ms": reach.time},
        "before": None if found.before is None else _structure(found.before),
        "after": _structure(found.after),
        "moved": None,
        "course": {str(epoch): _groupings(each) for epoch, each in found.course.items()},
        "lifetimes": None if found.lifetimes is None else _lifetimes(found.lifetimes),
        "across": {
            str(epoch): {k: {"pairs": a.pairs, "same": test(a.same)} for k, a in kinds.items()}
            for epoch, kinds in found.across.items()
        },
        "staying": {
            str(epoch): {
                "agree": {"stay": s.agree[0], "go": s.agree[1]},
                "disagree": {"stay": s.disagree[0], "go": s.disagree[1]},
                "odds_ratio": number(s.odds),
                "p": s.p,
            }
            for epoch, s in found.staying.items()
        },
    }
    if found.moved is not None:
        out["moved"] = {
            "synapses": found.moved.n,
            "delay_ms": spread(found.moved.delay),
            "distance_ms": spread(np.abs(found.moved.delay)),
            "turned_sign": found.moved.turned,
        }
    return out


def _structure(found: Structure) -> dict[str, Any]:
    projection, balance = found.projection, found.balance
    return {
        "synapses": projection.n_synapses,
        "weight": spread(projection.weight),
        "delay_ms": spread(projection.delay_per_synapse()),
        "balance": {
            "excitatory": balance.excitatory.tolist(),
            "inhibitory": balance.inhibitory.tolist(),
            "excitation": balance.excitation.tolist(),
            "inhibition": balance.inhibition.tolist(),
            "ratio": [number(each) for each in balance.ratio],
        },
        "grouping": _groupings(found.grouping),
        "clusters": _clusters(found.clusters),
    }


def _groupings(found: Shuffled) -> dict[str, Any]:
    return {
        "neurons": len(found.neurons),
        "of_neurons": found.n_neurons,
        "synapses": found.synapses,
        "permutations": found.permutations,
        "signs_shared": found.signs_shared,
        **{kind: _grouping(each) for kind, each in found.groupings.items()},
    }


def _grouping(found: Grouping) -> dict[str, Any]:
    out: dict[str, Any] = {
        "pairs": found.pairs,
        "same_sign": test(found.same),
        "moran": test(found.moran),
    }
    if found.joins:
        out["joins"] = {name: test(each) for name, each in found.joins.items()}
        out["neurons_tested"] = found.n_tested
        out["neurons_grouped"] = found.n_grouped
    return out


def _clusters(found: Clusters) -> dict[str, Any]:
    size, count = np.unique(found.size, return_counts=True)
    return {
        "sizes": {str(s): int(c) for s, c in zip(size, count, strict=True)},
        "excitatory": int(found.excitatory.sum()),
        "mean_size": test(found.mean),
        "largest": test(found.largest),
    }


def _lifetimes(found: Lifetimes) -> dict[str, Any]:
    return {
        "epochs": found.epochs.tolist(),
        "shared_with_start": found.from_start.tolist(),
        "shared_with_last": found.overlap[:, -1].tolist(),
        "grown": found.grown,
        "start": _survival(found.start),
        "later": None if found.later is None else _survival(found.later),
    }


def _survival(found: Survival) -> dict[str, Any]:
    return {
        "n": found.n,
        "median_epochs": found.median,
        "age_epochs": found.age.tolist(),
        "share": found.share.tolist(),
    }


def _activity(analysis: Analysis) -> dict[str, Any]:
    active = analysis.activity
    assert active is not None
    return {
        "split": analysis.split,
        "examples": active.examples,
        "accuracy": active.accuracy,
        "classes": None if active.labels is None else list(active.label_names),
        "populations": {name: _population(active, name) for name in active.counts},
    }


def _population(active: Activity, name: str) -> dict[str, Any]:
    rate, tuned = active.rate(name), active.tuning(name)
    return {
        "rate_hz": spread(rate),
        "silent": int((rate == 0).sum()),
        "neurons": {
            "rate_hz": rate.tolist(),
            **(dict.fromkeys(_OF_CLASSES) if tuned is None else _tuning(active, tuned)),
        },
    }


_OF_CLASSES = ("preferred", "selectivity", "explained")


def _tuning(active: Activity, tuned: Tuning) -> dict[str, Any]:
    preferred = [None if k < 0 else active.label_names[k] for k in tuned.preferred]
    others = ([number(each) for each in of] for of in (tuned.selectivity, tuned.explained))
    return dict(zip(_OF_CLASSES, (preferred, *others), strict=True))


def test(found: Test) -> dict[str, Any]:
    """A test as a table; without shuffles to judge by, there is neither z nor p."""
    tested = math.isfinite(found.expected)
    return {
        "observed": number(found.observed),
        "expected": number(found.expected),
        "interval": [number(each) for each in found.interval],
        "z": number(found.z) if tested else None,
        "p": found.p if tested else None,
    }


def number(value: float) -> float | None:
    """A number as JSON has them: None if it is not finite."""
    return float(value) if math.isfinite(value) else None
