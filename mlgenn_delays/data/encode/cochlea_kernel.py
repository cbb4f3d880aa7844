"""Compiled loops of the cochlea: hair cells, nerve fibres and bushy cells, a channel at a time.

C channels, S samples of the membrane. Rates are per sample: those per second times its length.
"""

import numpy as np

from mlgenn_delays.kernels import kernel


@kernel
def hair_cells(
    velocity: np.ndarray,
    leak: float,
    release: float,
    loss: float,
    recovery: float,
    reuptake: float,
    permeability: tuple[float, float],
    firing: float,
    probability: np.ndarray,
) -> None:
    """Turn the motion of the membrane into the chance that a nerve fibre spikes in a sample.

    Transmitter in the cell, `free`, is released into the `cleft`; there it is lost or taken back
    into a `store`, which returns it (Meddis 1986, 1988). At the start all is as in silence.

    Arguments:
        velocity: (C, S) velocity of the membrane.
        leak: Replenishment of the free transmitter, y.
        release: Greatest release, g.
        loss: Loss from the cleft, l.
        recovery: Return from the store, x.
        reuptake: Uptake from the cleft, r.
        permeability: A and B: released is the share ``(v + A) / (v + A + B)`` of `release`.
        firing: Chance per transmitter in the cleft, h.
        probability: (C, S) is written here.
    """
    base, half = permeability
    rest = release * base / (base + half)
    for c in range(len(velocity)):
        cleft = leak * rest / (loss * rest + leak * (loss + reuptake))
        free = cleft * (loss + reuptake) / rest
        store = cleft * reuptake / recovery
        for s in range(velocity.shape[1]):
            push = velocity[c, s] + base
            gate = release * push / (push + half) if push > 0.0 else 0.0
            made = max(0.0, leak * (1.0 - free))
            released, returned = gate * free, recovery * store
            taken, lost = reuptake * cleft, loss * cleft
            free = max(0.0, free + made - released + returned)
            cleft = max(0.0, cleft + released - lost - taken)
            store = max(0.0, store + taken - returned)
            probability[c, s] = cleft * firing


@kernel
def nerve_fibres(
    probability: np.ndarray, uniform: np.ndarray, n_fibres: int, refractory: int, counts: np.ndarray
) -> None:
    """Draw how many of a channel's fibres spike in each sample.

    A fibre that spiked cannot until `refractory` samples later. How many of the others do is a
    binomial number, found from one uniform number by adding up its distribution.

    Arguments:
        probability: (C, S) chance of a spike of a fibre that can.
        uniform: (C, S) random numbers in [0, 1).
        n_fibres: Fibres per channel, at most 255.
        refractory: Samples from a spike to the next that may be.
        counts: (C, S) uint8 are written here.
    """
    for c in range(len(probability)):
        able = n_fibres
        for s in range(probability.shape[1]):
            if s >= refractory:
                able += counts[c, s - refractory]
            chance, draw = min(1.0, probability[c, s]), uniform[c, s]
            spiking = 0
            if chance >= 1.0:
                spiking = able
            elif draw >= 1.0 - able * chance:  # else there is none: (1 - p)**n >= 1 - n p
                odds = chance / (1.0 - chance)
                mass = (1.0 - chance) ** able
                total = mass
                while draw >= total and spiking < able:
                    mass *= odds * (able - spiking) / (spiking + 1)
                    spiking += 1
                    total += mass
            able -= spiking
            counts[c, s] = spiking


@kernel
def bushy_cells(
    counts: np.ndarray,
    membrane: float,
    synapse: float,
    weight: float,
    refractory: int,
    spiked: np.ndarray,
) -> None:
    """Mark the spikes of the LIF neurons, one per channel, that the fibres drive.

    A cell that reaches its threshold of 1 spikes, and stays at 0 for the `refractory` samples
    after that. What would spike in the last sample does not.

    Arguments:
        counts: (C, S) spikes of fibres.
        membrane: Decay of the voltage per sample.
        synapse: Decay of the current per sample.
        weight: Voltage per sample and unit of current, which a spike adds to.
        refractory: Samples without integration after a spike.
        spiked: (C, S) bool, false; spikes are written here.
    """
    last = counts.shape[1] - 1
    for c in range(len(counts)):
        voltage, current, wait = 0.0, 0.0, 0
        for s in range(last + 1):
            current = current * synapse + counts[c, s]
            if wait > 0:
                wait -= 1
                continue
            voltage = voltage * membrane + current * weight
            if voltage >= 1.0:
                spiked[c, s] = s < last
                voltage, wait = 0.0, refractory
