"""Bars in notebooks, where the lines of stderr are red and rich needs ipywidgets.

rich draws them into HTML, and IPython shows it: lines above, bars below, renewed in their place.
"""

import io
import time
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import Progress, ProgressColumn

_REFRESH = 0.2  # seconds between two pictures of the bars
_QUIET = 0.5  # seconds before the first: what is done sooner shows no bars
_WIDTH = 100  # characters
_PRE = "<pre style='margin:0;line-height:1.3;white-space:pre;font-family:monospace'>{}</pre>"


class NotebookBars(Progress):
    """Bars in the output of a notebook's cell.

    Arguments:
        columns: Of each bar.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, auto_refresh=False, console=_console())
        self.print = self._line  # type: ignore[assignment]  # rich sets it to its console's
        self._lines: list[str] = []
        self._outputs: dict[str, Any] = {}
        self._renewed = time.monotonic() + _QUIET - _REFRESH

    def start(self) -> None:
        """Begin nothing: bars are shown where they change."""

    def refresh(self) -> None:
        """Show the bars as they are now, if the last picture is old enough."""
        now = time.monotonic()
        if now - self._renewed >= _REFRESH:
            self._renewed = now
            console = _console()
            console.print(self.get_renderable())
            html = console.export_html(inline_styles=True, clear=False, code_format="{code}")
            self._show("bars", html, console.export_text())

    def _line(self, text: str) -> None:
        """Show a line above the bars."""
        self._lines.append(text)
        text = "\n".join(self._lines)
        self._show("lines", escape(text), text)

    def stop(self) -> None:
        """Remove the bars; the lines stay."""
        if self._outputs:
            self._show("bars", "", "")

    def _show(self, part: str, html: str, text: str) -> None:
        from IPython.display import display

        if not self._outputs:
            empty = {"text/html": "", "text/plain": ""}
            for each in ("lines", "bars"):
                self._outputs[each] = display(empty, raw=True, display_id=True)
        shown = {"text/html": _PRE.format(html) if html else "", "text/plain": text}
        self._outputs[part].update(shown, raw=True)


def _console() -> Console:
    return Console(
        file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, force_jupyter=False,
        color_system="truecolor", highlight=False, markup=False,
    )  # fmt: skip
