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
    cells = [times(side) for side in both]
    cells.append(ratios(theirs, ours))
    for key, form in (("peak", ".0f"), ("spikes", ".1f")):
        cells.append(each_side(both, key, form))
    if not ours or not work:
        return [what, *cells, "-", "-", "-"]
    seconds = limits.seconds(work)
    cells.append(_join([digits(each / 1e9) for each in work]))
    cells.append(_join([digits(each) for each in seconds]))
    return [what, *cells, f"{100 * max(seconds) / ours['cpu']:.0f} %"]


def digits(value: float) -> str:
    """Return three digits of a number."""
    return format(float(format(value, ".3g")), "g")


def times(side: dict | None, unit: float = 1.0) -> str:
    """Return best, median and CPU seconds, or so many times those."""
    return _join(side and [digits(unit * side[key]) for key in TIMES])


def ratios(one: dict | None, other: dict | None) -> str:
    """Return by how much the times of one side are those of another."""
    both = one and other
    return _join(both and [f"{one[key] / other[key]:.1f}" for key in TIMES])


def each_side(sides: list[dict | None], key: str, form: str) -> str:
    """Return one figure of every side."""
    return _join([format(side[key], form) if side else "-" for side in sides])


def _join(cells: list[str] | None) -> str:
    return ", ".join(cells) if cells else "-"


def show(name: str, text: str, page: Path | None = None) -> None:
    """Print what a benchmark made, `name` its script and table; put it into a page as well.

    There it replaces what is between `<!-- NAME -->` and `<!-- end -->`.
    """
    print(f"\n### {name}\n\n{text}", flush=True)
    if page is None:
        return
    before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not mark or not end:
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> ... <!-- end -->")
    page.write_text(f"{before}{mark}\n{text}\n\n{end}{after}")
