"""Figures as parts of a page: whole images in their addresses, vector graphics where small."""

import io
from base64 import b64encode
from dataclasses import dataclass

from mlgenn_delays.analysis.style import Picture, look

PIXELS = 96  # of a page, an inch
SHARPNESS = 2  # pixels of a PNG for one of the page
SMALL = 120_000  # bytes of an SVG that is always taken
COLOURS = 255  # of a PNG
# Inches from which a figure has half of the page to itself, and all of it.
_MEDIUM, _WIDE = 5.6, 7.6


@dataclass(frozen=True)
class Image:
    """A figure of a page.

    Attributes:
        uri: The image itself.
        alt: What it is of, for those who do not see it.
        title: A few words.
        caption: What is to be seen.
        width: On the page [px].
        height: On the page [px].
        size: How much of the page's width it takes: "narrow", "medium" or "wide".
        mark: Class of style, or empty.
    """

    uri: str
    alt: str
    title: str
    caption: str
    width: int
    height: int
    size: str
    mark: str = ""


def embed(picture: Picture, of: str, mark: str = "") -> Image:
    """Return a figure as part of a page.

    Arguments:
        picture: The figure.
        of: Whose figure it is, for its alternative text.
        mark: Class of style, or empty.
    """
    width, height = picture.figure.get_size_inches()
    svg = picture.svg()
    kind, content = "svg+xml", svg
    if len(svg) > SMALL:
        png = _png(picture)
        if len(png) < len(svg):
            kind, content = "png", png
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


def _png(picture: Picture) -> bytes:
    """Return a figure as a PNG that is sharp on fine screens, of few colours to save space."""
    from PIL import Image as Pixels

    raw, out = io.BytesIO(), io.BytesIO()
    with look():
        picture.figure.savefig(raw, format="png", dpi=SHARPNESS * PIXELS)
    with Pixels.open(raw) as image:
        image.convert("RGB").quantize(COLOURS).save(out, format="png", optimize=True)
    return out.getvalue()
