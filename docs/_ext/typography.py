"""Sphinx extension: numbers in tables stay on one line, and dashes of parameters are dashes.

Sphinx writes ``--`` between a parameter and its meaning, which smart quotes leave as it is here: in
a text it begins an option.
"""

import re
from typing import Any

from docutils import nodes

NUMBERS = re.compile(r"[^A-Za-z]*\d[^A-Za-z]*")
LONGEST = 24  # characters of numbers that are not broken


def mend(app: Any, tree: nodes.document) -> None:
    """Give cells of numbers a class, and replace dashes."""
    for cell in tree.findall(nodes.entry):
        text = cell.astext()
        if len(text) <= LONGEST and NUMBERS.fullmatch(text):
            cell["classes"].append("numbers")
    for text in list(tree.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Any) -> dict[str, bool]:
    """Mend pages when they are read."""
    app.connect("doctree-read", mend)
    return {"parallel_read_safe": True}
