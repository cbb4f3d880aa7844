"""What a network costs, against NeuroBench where it is installed."""

import pytest

from tests.needs import needs


@needs("neurobench")
@pytest.mark.parametrize("currents", [False, True])
@pytest.mark.parametrize("density", [1.0, 0.25])
def test_counts_are_those_of_neurobench(density: float, currents: bool) -> None:
    from benchmarks.neurobench_check import compare

    found = compare(density, 12, currents=currents)
    assert {name: ours for name, (ours, _) in found.items()} == pytest.approx(
        {name: theirs for name, (_, theirs) in found.items()}
    )
    ours = {name: value for name, (value, _) in found.items()}
    assert 0 < ours["activation sparsity"] < 1 and ours["effective ACs"] > 0
    assert (ours["effective MACs"] > 0) == currents
