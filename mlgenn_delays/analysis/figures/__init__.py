"""The figures of an analysis, one file per kind, in the look of `mlgenn_delays.analysis.style`."""

from mlgenn_delays.analysis.analyse import Analysis
from mlgenn_delays.analysis.figures.fields import before_and_after, receptive_fields
from mlgenn_delays.analysis.figures.grouping import course, grouping, lifetimes
from mlgenn_delays.analysis.figures.neurons import balance, rates, tuning, values
from mlgenn_delays.analysis.style import Picture, look


def pictures(analysis: Analysis) -> list[Picture]:
    """Draw the figures of an analysis.

    Arguments:
        analysis: The analysis. What it does not have (no data, no snapshots) is not drawn.

    Returns:
        The figures, in the order in which they are best read.
    """
    found: list[Picture | None] = []
    with look():
        for name, emerged in analysis.projections.items():
            if emerged.places is not None:
                found += [
                    receptive_fields(analysis, name),
                    before_and_after(analysis, name),
                    grouping(analysis, name),
                    course(analysis, name),
                ]
            found += [
                values(analysis, name),
                lifetimes(analysis, name),
                balance(analysis, name),
            ]
        if analysis.activity is not None:
            for population in analysis.activity.counts:
                found += [rates(analysis, population), tuning(analysis, population)]
    return [picture for picture in found if picture is not None]


def captions(drawn: list[Picture]) -> str:
    """Titles and captions as Markdown, in the order of the figures."""
    parts = [f"## {p.title}\n\n![{p.title}]({p.name}.png)\n\n{p.caption}\n" for p in drawn]
    return "\n".join(parts)
