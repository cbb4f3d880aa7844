"""Pieces of what a cell prints are joined as they came."""

import importlib.util
from pathlib import Path

from tests.needs import need

EXTENSION = Path(__file__).parents[2] / "docs" / "_ext" / "whole_streams.py"


def test_pieces_are_joined_as_they_came():
    need("sphinx")
    spec = importlib.util.spec_from_file_location("whole_streams", EXTENSION)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    figure = {"output_type": "display_data", "data": {}}
    pieces = [("stdout", "a wo"), ("stderr", "x"), ("stdout", "rd\n"), ("stderr", "y")]
    outputs = [{"output_type": "stream", "name": n, "text": t} for n, t in pieces]
    outputs.insert(2, figure)
    first, second, third = module.joined(outputs)
    assert (first["name"], first["text"]) == ("stdout", "a word\n")
    assert (second["name"], second["text"]) == ("stderr", "xy")
    assert third is figure
    assert module.joined([]) == []
