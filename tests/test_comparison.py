"""The page that compares delaysnn with other tools: its footnotes, its tables, its own claims."""

import re
from pathlib import Path

from mlgenn_delays import __version__
from mlgenn_delays.learning.rules import SURROGATES
from mlgenn_delays.neurons.declare import READOUTS

PAGE = (Path(__file__).parent.parent / "docs" / "comparison.md").read_text()
# Rows of every table, without the line below its head.
TABLES = [
    [
        [cell.strip() for cell in row[1:-1].split(" | ")]
        for row in table.splitlines()
        if not row.startswith("|---")
    ]
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.M)
]


def own(heading: str) -> str:
    """Return what delaysnn's cell says in the column of a heading."""
    (cell,) = [t[1][t[0].index(heading)] for t in TABLES if heading in t[0]]
    return cell


def test_every_footnote_is_there_and_used() -> None:
    defined = re.findall(r"^\[\^([^\]]+)\]: ", PAGE, re.M)
    used = re.findall(r"\[\^([^\]]+)\](?!: )", PAGE)
    assert defined
    assert len(defined) == len(set(defined))
    assert set(defined) == set(used)


def test_sources_are_pinned() -> None:
    """A link into a repository names the commit that was read."""
    links = re.findall(r"github\.com/[^/]+/[^/]+/(?:blob|tree)/([^/)]+)", PAGE)
    assert links
    assert {link for link in links if not re.fullmatch(r"[0-9a-f]{40}", link)} == {"main"}
    assert links.count("main") == 1


def test_own_claims_are_those_of_the_code() -> None:
    assert own("release").startswith(f"{__version__},")
    assert own("surrogate gradients, other rules") == ", ".join(SURROGATES)
    said = own("readouts and losses")
    names = {"max": "maximum", "expweighted": "exponentially weighted"}
    assert said.split(";")[0].split(", ") == [names.get(each, each) for each in READOUTS]
