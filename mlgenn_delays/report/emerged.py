"""What emerged in a run, as the analysis pictures it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mlgenn_delays.analysis.style import Picture
from mlgenn_delays.report.answers import Answers
from mlgenn_delays.runs import Run

if TYPE_CHECKING:
    from mlgenn_delays.report.gather import Wanted


def emerged(run: Run, wanted: "Wanted", answers: Answers | None) -> Sequence[Picture]:
    """Return the figures of receptive fields, grouping and structure over the epochs."""
    return ()
