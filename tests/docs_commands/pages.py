"""README and docs as pages: their commands in order, and the recipes on them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# Blocks in these languages are commands, each line of them; what a command prints is "text".
SHELL = {"", "sh", "bash", "shell", "console"}
_BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^ *``` *$", re.M | re.S)
_COMMENT = re.compile(r"(^|\s+)#\s.*$", re.M)


@dataclass(frozen=True)
class Step:
    """What a reader runs: a command, or a block of Python.

    Attributes:
        page: Path of the page within the repository.
        number: Its place on the page, from 0.
        text: The command without its comment, or the block.
        python: Whether it is a block of Python.
    """

    page: str
    number: int
    text: str
    python: bool = False

    def __str__(self) -> str:
        start = "python: " + self.text.strip().splitlines()[0] if self.python else self.text
        return f"{self.page}-{self.number}-{start[:70]}"


def pages(*folders: str) -> list[Path]:
    """Return README and the pages of docs, or those in some folders of docs, "." for all others.

    Tutorials are run as notebooks, not here.
    """
    found = [
        page
        for page in sorted(DOCS.rglob("*.md"))
        if not any(
            part.startswith(("_", ".")) or part == "tutorials"
            for part in page.relative_to(DOCS).parts[:-1]
        )
    ]
    found = [ROOT / "README.md", *found]
    return [page for page in found if not folders or folder_of(page) in folders]


def folder_of(page: Path) -> str:
    """Return the folder of docs that a page is in, "." if it is one of those with many commands.

    The commands of each are run by a test file of their own, and so side by side.
    """
    name = page.parent.name
    return name if name in ("how-to", "recipes") else "."


def blocks(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Return language and text of the code blocks of a page, those of some languages or all."""
    found = [
        (match["language"].strip(), re.sub(rf"^{match['indent']}", "", match["text"], flags=re.M))
        for match in _BLOCK.finditer(page.read_text(encoding="utf-8"))
    ]
    return [each for each in found if not languages or each[0] in languages]


def lines(text: str) -> list[str]:
    """Return the commands of a block: continued lines joined, comments left out."""
    joined = re.sub(r" *\\\n *", " ", text)
    return [line.strip() for line in _COMMENT.sub("", joined).splitlines() if line.strip()]


def steps(page: Path) -> list[Step]:
    """Return what a reader of a page runs, in order."""
    found: list[tuple[str, bool]] = []
    for language, text in blocks(page, *SHELL, "python"):
        found += [(text, True)] if language == "python" else [(line, False) for line in lines(text)]
    name = page.relative_to(ROOT).as_posix()
    return [Step(name, number, *each) for number, each in enumerate(found)]


def recipes(page: Path) -> dict[str, str]:
    found = {}
    for _, text in blocks(page, "toml"):
        name = re.search(r'^name = "([^"]+)"', text, re.M)
        if name:
            found[name[1]] = text
    return found


def inline(page: Path) -> list[str]:
    """Return the commands within the text of a page."""
    rest = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    return [" ".join(text.split()) for text in re.findall(r"`(delaysnn [^`]+)`", rest)]
