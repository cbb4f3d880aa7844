"""Tables of benchmarks as Markdown, and where pages have them."""

from pathlib import Path

from roofline import Limits, Work

SIDES = [
    "what", "ours, s per epoch: best", "median", "CPU", "dcls + PyTorch: best", "median", "CPU",
    "ratio: best", "median", "peak MB: ours", "dcls + PyTorch", "hidden spikes: ours, dcls",
]  # fmt: skip
NEEDS = [
    "what", "GFLOP at least", "GB at least", "s at the limit: arithmetic", "memory",
    "share of the limit",
]  # fmt: skip
WIDTHS = ["what", "side", "epoch", "sigma", "s per epoch: best", "median", "CPU"]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def sides(ours: dict | None, theirs: dict | None) -> list[str]:
    """Return the cells of `SIDES` behind the first, of what `summarise` makes of both sides."""
    keys = "best", "median", "cpu"
    cells = [format(side[key], ".3g") if side else "-" for side in (ours, theirs) for key in keys]
    both = ours and theirs
    cells += [f"{theirs[key] / ours[key]:.1f}" if both else "-" for key in ("best", "median")]
    cells += [format(side["peak"], ".0f") if side else "-" for side in (ours, theirs)]
    return [*cells, ", ".join(f"{side['spikes']:.1f}" if side else "-" for side in (ours, theirs))]


def needs(work: Work, limits: Limits, seconds: float) -> list[str]:
    """Return the cells of `NEEDS` behind the first, for what took so many seconds."""
    arithmetic, memory = limits.seconds(work)
    cells = [f"{each:.3g}" for each in (work.flops / 1e9, work.bytes / 1e9, arithmetic, memory)]
    return [*cells, f"{100 * max(arithmetic, memory) / seconds:.0f} %"]


def put(page: Path, name: str, text: str) -> None:
    """Write what a benchmark made into a page, between `<!-- NAME -->` and `<!-- end -->`."""
    before, mark, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not mark or not end:
        raise SystemExit(f"{page} has no place for {name}: <!-- {name} --> ... <!-- end -->")
    page.write_text(f"{before}{mark}\n{text}\n\n{end}{after}")
