"""Sphinx extension: what a cell prints is shown as it came.

A command's output comes in pieces of a hundred bytes or so. MyST-NB joins those of one stream, but
begins a line with each; here they are joined as they are.
"""

from typing import Any

from myst_nb.core import render


def joined(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return outputs with one of each stream, where its first piece was.

    Arguments:
        outputs: Outputs of a cell, as in the notebook format.
    """
    whole: list[dict[str, Any]] = []
    streams: dict[str, dict[str, Any]] = {}
    for output in outputs:
        name = output["name"] if output["output_type"] == "stream" else None
        if name in streams:
            streams[name]["text"] += output["text"]
            continue
        whole.append(output)
        if name is not None:
            streams[name] = output
    return whole


def setup(app: Any) -> dict[str, bool]:
    """Take the place of MyST-NB's function."""
    render.coalesce_streams = joined
    return {"parallel_read_safe": True}
