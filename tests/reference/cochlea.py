"""Twin of the cochlea in plain loops; imports nothing from the package.

With the constants of Cramer et al. (2022) in cm, g and s; x is the distance from the base, f a
frequency, w = 2 pi f, and rates are per sample of the membrane.

    xi(w, x)  = C0 exp(-a x) - A - m w^2 - i w R exp(-a x / 2)
    g(w, x)   = w sqrt(1 / (h xi))
    G(w, x)   = 2 g(w, 0) / a + integral of g(w, x') over x' = 0 .. x
    p(w, x)   = sqrt(G / g) H1_0(G)
    Z(w)      = i sqrt(2 C0 / h) H2_0(k) / H2_1(k),  k = 2 w / a sqrt(2 / (h C0))
    v(w, x)   = 2 w / xi  p(w, x) / p(w, 0)  Z(w)

    k = g (v + A) / (v + A + B) for v > -A, else 0
    q' = q + y (1 - q) - k q + x w,   c' = c + k q - (l + r) c,   w' = w + r c - x w
"""

import math

import numpy as np
from scipy.special import hankel1, hankel2

C0, A, SLOPE, MASS, HEIGHT = 1e9, 3500.0, 3.0, 0.05, 0.1
DAMPING = 0.15 * math.sqrt(C0 * MASS)
PARTS = 5_000  # of the integral


def gain(omega: float, place: float) -> complex:
    """Return the velocity of the membrane at a place for a tone of size 1."""

    def impedance(x: np.ndarray) -> np.ndarray:
        stiffness = C0 * np.exp(-SLOPE * x) - A - MASS * omega**2
        return stiffness - 1j * omega * DAMPING * np.exp(-SLOPE * x / 2)

    def wave_number(x: np.ndarray) -> np.ndarray:
        return omega * np.sqrt(1 / (HEIGHT * impedance(x)))

    def pressure(x: float) -> complex:
        grid = np.linspace(0.0, x, PARTS + 1)
        phase = 2 * wave_number(np.zeros(1))[0] / SLOPE + np.trapezoid(wave_number(grid), grid)
        return complex(np.sqrt(phase / wave_number(np.array([x]))[0]) * hankel1(0, phase))

    kappa = 2 * omega / SLOPE * math.sqrt(2 / (HEIGHT * C0))
    entrance = 1j * math.sqrt(2 * C0 / HEIGHT) * hankel2(0, kappa) / hankel2(1, kappa)
    at_place = complex(impedance(np.array([place]))[0])
    return complex(2 * omega / at_place * pressure(place) / pressure(0.0) * entrance)


def velocity(samples: np.ndarray, place: float, rate: float, n: int) -> np.ndarray:
    """Return the velocity at a place (n,), of samples at twice a rate, silence behind them."""
    padded = np.zeros(2 * (n - 1))
    padded[: len(samples)] = samples
    time, moved = np.arange(len(padded)), np.zeros(n, complex)
    for k in range(n):
        wave = np.exp(-2j * np.pi * k * time / len(padded)) @ padded
        frequency = 1 + k * (rate - 1) / (n - 1)
        wave *= gain(2 * np.pi * frequency, place)
        moved += wave * np.exp(2j * np.pi * k * np.arange(n) / n) / n
    return moved.real


def hair_cell(velocity: np.ndarray, rate: float) -> np.ndarray:
    """Return the chance of a fibre's spike per sample, (S,)."""
    y, g, l, r, x, h = (each / rate for each in (5.05, 2000, 2500, 6580, 66.3, 50_000))  # noqa: E741
    k = g * 5 / 305
    c = y * k / (l * k + y * (l + r))
    q, w = c * (l + r) / k, c * r / x
    found = []
    for v in velocity:
        k = g * (v + 5) / (v + 305) if v > -5 else 0.0
        q, c, w = (
            max(0, q + max(0, y * (1 - q)) - k * q + x * w),
            max(0, c + k * q - (l + r) * c),
            max(0, w + r * c - x * w),
        )
        found.append(c * h)
    return np.array(found)


def fibre_counts(chance: np.ndarray, uniform: np.ndarray, n: int, refractory: int) -> np.ndarray:
    """Return how many of n fibres spike in each sample: the binomial quantile of a draw."""
    counts: list[int] = []
    for p, draw in zip(chance, uniform, strict=True):
        able = n - sum(counts[-(refractory - 1) :])
        below, k = (1 - p) ** able, 0
        while draw >= below and k < able:
            k += 1
            below += math.comb(able, k) * p**k * (1 - p) ** (able - k)
        counts.append(k)
    return np.array(counts)


def fibre_by_fibre(chance: np.ndarray, draws: np.ndarray, refractory: int) -> np.ndarray:
    """Return the same from draws (S, n) of each fibre, (S,)."""
    counts = np.zeros(len(chance), int)
    for fibre in draws.T:
        last = -refractory
        for s, draw in enumerate(fibre):
            if draw < chance[s] and s - last >= refractory:
                last = s
                counts[s] += 1
    return counts


def bushy_cell(counts: np.ndarray, rate: float) -> list[int]:
    """Return the samples in which the cell spikes, of the sum of its fibres' spikes."""
    current = voltage = 0.0
    ready, found = 0, []
    for s, n in enumerate(counts):
        current = current * math.exp(-1 / (rate * 5e-4)) + n
        if s < ready:
            continue
        voltage = voltage * math.exp(-1 / (rate * 1e-3)) + current * 13e3 / 40 / rate
        if voltage >= 1:
            found.append(s)
            voltage, ready = 0.0, s + round(rate * 1e-3) + 1
    return [s for s in found if s < len(counts) - 1]
