"""Twin of `mlgenn_delays.quantisation`: weights as integers times a scale, in plain loops."""

import math
from fractions import Fraction

LARGEST = {"int8": 127, "int4": 7, "ternary": 1}
BITS = 16  # of the significand of a scale


def rounded(value: float) -> int:
    """A number to the nearest integer, halves to even."""
    return round(Fraction(value))


def short(scale: float) -> float:
    """A scale with so many bits."""
    if scale == 0.0:
        return 0.0
    unit = Fraction(2) ** (math.frexp(scale)[1] - BITS)
    return float(round(Fraction(scale) / unit) * unit)


def integers(weights: list[float], kind: str) -> tuple[list[int], float]:
    """The integers of weights that share a scale, and the scale."""
    magnitudes = [abs(weight) for weight in weights]
    if kind == "ternary":
        threshold = 0.7 * sum(magnitudes) / len(magnitudes)
        acting = [each for each in magnitudes if each > threshold]
        scale = short(sum(acting) / len(acting)) if acting else 0.0
        return [
            0 if abs(weight) <= threshold else (1 if weight > 0 else -1) for weight in weights
        ], scale
    largest = LARGEST[kind]
    scale = short(max(magnitudes) / largest)
    if scale == 0.0:
        return [0] * len(weights), 0.0
    nearest = [rounded(weight / scale) for weight in weights]
    return [max(-largest, min(largest, each)) for each in nearest], scale
