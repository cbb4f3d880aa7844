"""The page: what was gathered, as one HTML file that needs nothing else."""

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlgenn_delays import __version__
from mlgenn_delays.report.comparison_plots import MOST_GROUPS, comparison_pictures, how_seeds
from mlgenn_delays.report.gather import RunContent
from mlgenn_delays.report.history_plots import history_pictures
from mlgenn_delays.report.images import Image, embed
from mlgenn_delays.report.prediction_plots import (
    certainty_picture,
    class_picture,
    confusion_picture,
    example_pictures,
)
from mlgenn_delays.report.settings import Setting, groups_of, settings_of
from mlgenn_delays.report.tables import (
    Cell,
    Table,
    groups_table,
    percent,
    runs_table,
    settings_table,
    tiles,
)

if TYPE_CHECKING:
    from jinja2 import Environment

# Of environment.json: folders, and what the report says elsewhere.
_PRIVATE = ("data", "init", "task", "seed")
_PAGE, _STYLE, _SCRIPT = "page.html", "page.css", "page.js"


@cache
def _template_text(name: str) -> str:
    folder = resources.files("mlgenn_delays.report") / "templates"
    return (folder / name).read_text(encoding="utf-8")


def _templates() -> "Environment":
    """Everything that the templates are given is escaped."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_template_text),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _policy(style: str, script: str) -> str:
    """What a browser may do: this style, this script, images of the page itself."""

    def seal(text: str) -> str:
        return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"

    allowed = f"style-src {seal(style)}; script-src {seal(script)}; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def render(runs: Sequence[RunContent], notes: Sequence[str] = ()) -> str:
    """The page of one run, or of several with a comparison first."""
    style, script = _template_text(_STYLE), _template_text(_SCRIPT)
    anchors = [f"run-{number}" for number in range(1, len(runs) + 1)]
    told = [run_context(run, anchor) for run, anchor in zip(runs, anchors, strict=True)]
    several = len(runs) > 1
    title = runs[0].name if not several else f"{len(runs)} runs compared"
    return _templates().get_template(_PAGE).render(
        title=title,
        version=__version__,
        policy=_policy(style, script),
        style=style,
        script=script,
        runs=told,
        comparison=_comparison(runs, anchors, notes) if several else None,
        contents=_contents(told, several),
    )  # fmt: skip


def _contents(told: Sequence[dict[str, Any]], several: bool) -> list[dict[str, str]]:
    if several:
        first = {"title": "Comparison", "anchor": "comparison"}
        return [first, *({"title": run["name"], "anchor": run["anchor"]} for run in told)]
    run = told[0]
    parts = {"Results": True, "Learning": True, "Analysis": run["analysis"]}
    parts |= {"Predictions": run["confusion"], "Settings": True, "Environment": True}
    return [
        {"title": title, "anchor": f"{run['anchor']}-{title.split()[-1].lower()}"}
        for title, there in parts.items()
        if there
    ]


def _comparison(
    runs: Sequence[RunContent], anchors: Sequence[str], notes: Sequence[str]
) -> dict[str, Any]:
    groups = groups_of([run.recipe for run in runs])
    pictures = comparison_pictures(
        groups, [run.history for run in runs], [run.network for run in runs]
    )
    notes = list(notes)
    if len(groups) > MOST_GROUPS:
        notes.append(
            f"Figures show the first {MOST_GROUPS} of {len(groups)} groups; tables show all."
        )
    return {
        "groups": groups,
        "notes": notes,
        "images": [embed(picture, "compared") for picture in pictures],
        "groups_table": groups_table(groups, runs, MOST_GROUPS),
        "runs_table": runs_table(groups, runs, anchors),
        "settings_table": settings_table(groups),
        "how_seeds": how_seeds(groups),
    }


def run_context(run: RunContent, anchor: str) -> dict[str, Any]:
    """What the template needs of a run."""
    sizes = {population.name: population.n for population in run.network.populations.values()}
    learning = history_pictures(run.history, run.network.output().n, sizes)
    accuracy = ", ".join(f"{split} {percent(value)}" for split, value in run.accuracy.items())
    return {
        "name": run.name,
        "anchor": anchor,
        "summary": _summary(run),
        "short": accuracy,
        "tiles": tiles(run),
        "notes": run.notes,
        "learning": [embed(picture, run.name) for picture in learning],
        "analysis": [embed(picture, run.name) for picture in run.analysis],
        **_predictions(run),
        "settings": _settings(settings_of(run.recipe), run.recipe.name),
        "environment": _environment_of(run),
    }


def _summary(run: RunContent) -> str:
    layers = ", ".join(f"{p.n} {p.name}" for p in run.network.populations.values())
    about = f"Recipe {run.recipe.name}, seed {run.recipe.seed}: {layers}"
    return f"{about}; {run.network.dt:g} ms per step. {run.recipe.summary}"


def _predictions(run: RunContent) -> dict[str, Any]:
    predictions = run.predictions
    if predictions is None:
        return {"confusion": [], "examples": [], "how_chosen": ""}
    examples: list[Image] = []
    if predictions.correct or predictions.wrong:
        marks = ["correct" if each.correct else "wrong" for each in
                 (*predictions.correct, *predictions.wrong)]  # fmt: skip
        examples = [
            embed(picture, run.name, mark)
            for picture, mark in zip(example_pictures(predictions), marks, strict=True)
        ]
    n, wrong = predictions.evaluation.n, predictions.n_wrong
    how = (
        f"{n - wrong:,} of {n:,} examples of {predictions.split} are classified correctly. "
        "The correct ones below are typical, of a certainty near the median; "
    )
    how += (
        "the wrong ones are those of which the network was most certain."
        if wrong
        else "none is wrong, so the least certain correct ones follow."
    )
    how += (
        " From top to bottom: the input, the spikes of each hidden population, the voltage of the "
        "output, and how sure the network is of each class by what its readout has gathered so far."
    )
    pictures = [make(predictions) for make in (confusion_picture, class_picture, certainty_picture)]
    confusion = [embed(picture, run.name) for picture in pictures]
    return {"confusion": confusion, "examples": examples, "how_chosen": how}


def _settings(settings: Sequence[Setting], recipe: str) -> dict[str, Any]:
    differing = [setting for setting in settings if setting.differs]
    if settings[0].shipped is None:
        told = f"There is no shipped recipe {recipe} that they could be compared with."
    elif not differing:
        told = f"All are those of the shipped recipe {recipe}."
    else:
        verb = "One differs" if len(differing) == 1 else f"{len(differing)} differ"
        told = f"{verb} from the shipped recipe {recipe}; they are marked among all settings."
    tables: dict[str, list[dict[str, Any]]] = {}
    for setting in settings:
        table, _, key = setting.key.rpartition(".")
        own = {"key": key, "value": setting.value, "shipped": setting.shipped}
        tables.setdefault(table, []).append(own | {"differs": setting.differs})
    rows = [[Cell(s.key), Cell(s.value), Cell(s.shipped or "")] for s in differing]
    header = ["setting", "this run", "shipped"]
    return {
        "told": told,
        "differing": Table("Settings that differ", header, rows, 3) if rows else None,
        "groups": [{"title": k or "recipe", "settings": v} for k, v in tables.items()],
    }


def _environment_of(run: RunContent) -> list[tuple[str, str]]:
    """Without folders, which say who made it."""
    return [(key, _shown(value)) for key, value in run.environment.items() if key not in _PRIVATE]


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
