"""Tables of benchmarks as Markdown, and where pages have them."""

from pathlib import Path

from roofline import Limits, Work

PEER = "dcls + PyTorch"
TIMES = "best", "median", "cpu"
COLUMNS = [
    "what", "ours, s per epoch: best, median, CPU", f"{PEER}: the same", "ratios",
    f"peak MB: ours, {PEER}", f"hidden spikes: ours, {PEER}", "at least: GFLOP, GB",
    "s at the limit: arithmetic, memory", "share reached",
]  # fmt: skip


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [f"| {' | '.join(line)} |" for line in (head, *rows)]
    return "\n".join([lines[0], f"{'|---' * len(head)}|", *lines[1:]])


def row(
    what: str, ours: dict | None, theirs: dict | None, work: Work | None, limits: Limits
) -> list[str]:
    """Return a row of `COLUMNS` of what `summarise` makes of each side; None where there is none.

    `work` is what ours needs at least.
    """
    both = [ours, theirs]
    cells = [_join(side and [format(side[key], ".3g") for key in TIMES]) for side in both]
    ratios = all(both) and [format(theirs[key] / ours[key], ".1f") for key in TIMES]
    cells.append(_join(ratios))
    for key, form in (("peak", ".0f"), ("spikes", ".1f")):
        cells.append(_join([format(side[key], form) if side else "-" for side in both]))
    if not ours or not work:
        return [what, *cells, "-", "-", "-"]
    seconds = limits.seconds(work)
    cells.append(_join([format(each / 1e9, ".3g") for each in work]))
    cells.append(_join([format(each, ".2g") for each in seconds]))
    return [what, *cells, f"{100 * max(seconds) / ours['best']:.0f} %"]


def _join(cells: list[str] | None) -> str:
    return ", ".join(cells) if cells else "-"


def put(page: Path, name: str, text: str) -> None:
    """Write what a benchmark made into a page, between `<!-- NAME -->` and `<!-- end -->`."""
    before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not mark or not end:
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> ... <!-- end -->")
    page.write_text(f"{before}{mark}\n{text}\n\n{end}{after}")
