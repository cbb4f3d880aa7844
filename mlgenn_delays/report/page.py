"""The page: what was gathered, as one HTML file that needs nothing else.

Figures are whole images in their addresses, vector graphics where small.
"""

import io
import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlgenn_delays import __version__
from mlgenn_delays.analysis.figures.fields import plain
from mlgenn_delays.analysis.style import Picture, look
from mlgenn_delays.report.comparison_plots import MOST_GROUPS, comparison_pictures, how_seeds
from mlgenn_delays.report.gather import RunContent
from mlgenn_delays.report.history_plots import history_pictures, rate_pictures
from mlgenn_delays.report.prediction_plots import (
    certainty_picture,
    class_picture,
    confusion_picture,
    example_pictures,
)
from mlgenn_delays.report.settings import groups_of, settings_of
from mlgenn_delays.report.tables import (
    Cell,
    Table,
    groups_table,
    runs_table,
    settings_table,
    tiles,
)
from mlgenn_delays.runs.summary import ASIDE

if TYPE_CHECKING:
    from jinja2 import Environment

_PAGE, _STYLE, _SCRIPT = "page.html", "page.css", "page.js"

PIXELS = 96  # of a page, per inch
SHARPNESS = 2  # pixels of a PNG for one of the page
# Marks up to which a figure is drawn as SVG, and bytes up to which that is taken: drawing takes
# time, so none is drawn twice but for a mistaken guess.
FEW, LARGE = 250, 300_000
COLOURS = 255  # of a PNG
# Inches from which a figure has half of the page to itself, and all of it.
_MEDIUM, _WIDE = 5.6, 7.6


@dataclass(frozen=True)
class Image:
    """A figure of a page."""

    uri: str  # the image itself
    file: str  # its name when it is saved
    alt: str  # what it is of, for those who do not see it
    title: str
    caption: str
    width: int  # on the page [px]
    height: int  # on the page [px]
    size: str  # of the page's width: "narrow", "medium" or "wide"
    mark: str = ""  # class of style, or empty


def embed(picture: Picture, of: str, mark: str = "") -> Image:
    """A figure as part of a page; of says whose it is, in its alternative text."""
    width, height = picture.figure.get_size_inches()
    kind, content = "png", b""
    if _marks(picture) <= FEW:
        kind, content = "svg+xml", picture.svg()
    if not content or len(content) > LARGE:
        kind, content = "png", _png(picture)
    return Image(
        f"data:image/{kind};base64,{b64encode(content).decode()}",
        f"{plain(of)}-{picture.name}.{kind[:3]}",
        f"{picture.title}, {of}",
        picture.title,
        picture.caption,
        round(PIXELS * width),
        round(PIXELS * height),
        "narrow" if width < _MEDIUM else "medium" if width < _WIDE else "wide",
        mark,
    )


def _marks(picture: Picture) -> int:
    """About how many marks a figure has, for how large it would be as SVG."""
    import numpy as np

    marks = 0
    for axes in picture.figure.axes:
        marks += sum(np.size(line.get_xdata()) // 4 for line in axes.lines)
        marks += sum(np.size(each.get_offsets()) // 2 for each in axes.collections)
        marks += len(axes.patches)
        marks += sum(image.get_size()[0] * image.get_size()[1] // 4 for image in axes.images)
    return marks


def _png(picture: Picture) -> bytes:
    """A PNG that is sharp on fine screens, of few colours to save space."""
    from PIL import Image as Pixels

    raw, out = io.BytesIO(), io.BytesIO()
    with look():
        picture.figure.savefig(raw, format="png", dpi=SHARPNESS * PIXELS)
    with Pixels.open(raw) as image:
        image.convert("RGB").quantize(COLOURS).save(out, format="png", optimize=True)
    return out.getvalue()


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
    parts |= {
        "Predictions": run["confusion"] or run["examples"],
        "Settings": True,
        "Environment": True,
    }
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
    learning = history_pictures(run.history, run.network.output().n, sizes, run.recipe.loss.kind)
    learning += rate_pictures(run.recipe, run.examples("train"), len(run.history))
    metric = run.history.metric
    scores = ", ".join(f"{split} {metric.text(value)}" for split, value in run.scores.items())
    return {
        "name": run.name,
        "anchor": anchor,
        "summary": _summary(run),
        "short": scores,
        "tiles": tiles(run),
        "notes": run.notes,
        "learning": [embed(picture, run.name) for picture in learning],
        "analysis": [embed(picture, run.name) for picture in run.analysis],
        **_predictions(run),
        "settings": _settings(run),
        # Without folders, which say who made it.
        "environment": [
            (key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
            for key, value in run.environment.items()
            if key not in ASIDE
        ],
    }


def _summary(run: RunContent) -> str:
    layers = ", ".join(f"{p.n} {p.name}" for p in run.network.populations.values())
    about = f"Recipe {run.recipe.name}, seed {run.recipe.seed}: {layers}"
    found = ""
    if run.initial is not None:
        found = f", initial weights found for {run.initial.target:g} spikes per neuron and trial"
    return f"{about}; {run.network.dt:g} ms per step{found}. {run.recipe.summary}"


def _predictions(run: RunContent) -> dict[str, Any]:
    predictions = run.predictions
    if predictions is None:
        return {"confusion": [], "examples": [], "how_chosen": ""}
    examples: list[Image] = []
    if predictions.correct or predictions.wrong:
        shown = (*predictions.correct, *predictions.wrong)
        marks = ["correct" if each.correct else "wrong" for each in shown]
        marks = [""] * len(shown) if predictions.series else marks
        examples = [
            embed(picture, run.name, mark)
            for picture, mark in zip(example_pictures(predictions), marks, strict=True)
        ]
    if predictions.series:
        how = (
            f"The first examples of {predictions.split}, from top to bottom: the input, the spikes "
            "of each hidden population, and the voltage of the output with its target (dashed)."
        )
        return {"confusion": [], "examples": examples, "how_chosen": how}
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


def _found_weights(run: RunContent) -> str:
    """Which initial weights were found on the data, and how; empty if none were."""
    found = run.initial
    if found is None:
        return ""
    return (
        f" Initial weights of {', '.join(found.weights)} were found on {found.examples} training "
        f"examples, for {found.target:g} spikes per neuron and trial; before training: {found}."
    )


def _settings(run: RunContent) -> dict[str, Any]:
    settings, recipe = settings_of(run.recipe), run.recipe.name
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
        "told": told + _found_weights(run),
        "differing": Table("Settings that differ", header, rows, 3) if rows else None,
        "groups": [{"title": k or "recipe", "settings": v} for k, v in tables.items()],
    }
