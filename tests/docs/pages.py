"""The pages of the documentation, as their tests read them."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
sys.path.insert(0, str(DOCS / "_ext"))  # what the directives of the pages are made of

FENCE = re.compile(r"^(`{3,}|:{3,})(.*?)$\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, info: str) -> list[str]:
    """Return the fenced blocks of a page that open with a word."""
    return [body for _, opening, body in FENCE.findall(page.read_text()) if opening == info]


def toctree(page: Path) -> list[Path]:
    """Return the pages that the toctrees of a page name."""
    found: list[Path] = []
    for body in blocks(page, "{toctree}"):
        lines = [line for line in body.splitlines() if line]
        names = [line for line in lines if not line.startswith(":")]
        if ":glob:" in lines:
            found += [p for name in names for p in page.parent.glob(f"{name}.md") if p != page]
        else:
            found += [(page.parent / f"{name}.md").resolve() for name in names]
    return found
