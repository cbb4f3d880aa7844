"""Figures as parts of a page: whole images in their addresses, vector graphics where small."""

import io
from base64 import b64encode
from dataclasses import dataclass

from mlgenn_delays.analysis.style import Picture, look

PIXELS = 96  # of a page, an inch
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
