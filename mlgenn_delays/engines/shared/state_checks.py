"""Checks of a training state beyond shapes and types, before kernels resume from it."""

import numpy as np

from mlgenn_delays.engines.shared.candidate_gradients import delay_stride
from mlgenn_delays.engines.shared.context import SimulationContext
from mlgenn_delays.engines.shared.rewiring import StructureLearner
from mlgenn_delays.errors import InputError
from mlgenn_delays.network.delays import longest_steps


def check_counts(state: dict[str, np.ndarray], total_steps: int) -> None:
    """Reject counts of updates that no training has made: kernels look up corrections by them.

    Arguments:
        state: As `engines.base.CompiledNetwork.state` gives it.
        total_steps: Optimiser steps of the whole training.

    Raises:
        InputError: As said.
    """
    step = int(np.max(state["step"], initial=0)) if "step" in state else 0
    for key in sorted(state, key=lambda key: key != "step"):  # it bounds the others
        counts = state[key]
        most = total_steps if key == "step" else step
        if key == "step" or key.endswith(("/weight_steps", "/delay_steps")):
            if counts.size and not 0 <= counts.min() <= counts.max() <= most:
                raise InputError(
                    f"the training state must have {key} in 0..{most}, got "
                    f"{counts.min()}..{counts.max()}"
                )


def check_averages(context: SimulationContext, structure: StructureLearner) -> None:
    """Reject averages of candidate gradients that are not of the pairs of this network.

    Raises:
        InputError: As said.
    """
    for name, average in structure.average.items():
        projection, wanted = context.network.projections[name], structure.pairs[name].delay.shape
        if structure.rule.grow_delay == "gradient":
            delays = longest_steps(projection.max_delay, context.network.dt) + 1
            wanted = (*wanted, -(-delays // delay_stride(context, name, delays)))
        if average.shape != wanted:
            raise InputError(
                f"the training state must have averages of {name!r} of shape {wanted}, got "
                f"{average.shape}; it is of another network"
            )
