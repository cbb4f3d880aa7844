"""Kinds of weights, the bits of each, and the largest integer of those that are integers."""

FLOAT = "float32"
BITS = {FLOAT: 32, "int8": 8, "int4": 4, "ternary": 2}
LARGEST = {kind: 2 ** (bits - 1) - 1 for kind, bits in BITS.items() if kind != FLOAT}
