"""Weights of few bits: their kinds, and the largest integer of each."""

LARGEST = {"int8": 127, "int4": 7, "ternary": 1}
