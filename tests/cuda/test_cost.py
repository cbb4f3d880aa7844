"""What a batch asks of a GPU, counted: so many launches, copies and accesses, and no more."""

import numpy as np
import pytest

from tests.cuda import cost
from tests.needs import CUDA_CODE, needs

SIDE, STEPS = 2, 10


def test_the_model() -> None:
    launches = np.array([100.0, 1e6, 1e5])  # of a kernel, and sectors
    assert cost.seconds("kernel", launches) == pytest.approx(100 * 3e-6 + 1e6 * 32 / 3.3e12)
    again = cost.seconds("kernel", launches, cost.AGAIN)
    assert again == pytest.approx(100 * 3e-6 + 1e5 * 32 / 3.3e12)
    copies = np.array([3.0, 1e6, 1e6])  # and bytes
    assert cost.seconds("to_host", copies) == pytest.approx(3 * 10e-6 + 1e6 / 50e9)


@pytest.mark.slow
@needs(*CUDA_CODE)
def test_a_batch() -> None:
    found, rate = cost.count("delaysnn", "256, delays to 64", SIDE, STEPS)
    # Forwards and back, two kernels a step that do something and two that move pointers.
    for kernel in (
        "updateNeuronsKernel", "updatePresynapticKernel", "neuronSpikeQueueUpdateKernel",
        "synapseDendriticDelayUpdateKernel",
    ):  # fmt: skip
        assert found[kernel][0] == 2 * STEPS
    others = {"to_device", "to_host"} | {name for name in found if name.startswith("customUpdate")}
    assert len(found) == len(others) + 4
    # An input channel takes less than a sector a step, for 32 of them share one.
    most = cost.INPUTS + 4 * 256 + 8 * cost.CLASSES
    assert 0 < found["updateNeuronsKernel"][1] < 2 * STEPS * SIDE * most
    assert all(each[2] <= each[1] for each in found.values())
    assert found["to_device"][0] + found["to_host"][0] <= 13
    weights = 4 * (cost.INPUTS * 256 + 256 * cost.CLASSES)
    assert found["to_host"][1] < 2.1 * weights
    assert rate >= 0.0
