"""What emerged in a run, as the analysis pictures it."""

from collections.abc import Sequence

from mlgenn_delays.analysis.analyse import analyse
from mlgenn_delays.analysis.figures import pictures
from mlgenn_delays.analysis.style import Picture
from mlgenn_delays.runs.run import Run


def emerged(
    run: Run, folder: str | None, split: str | None, threads: int | None
) -> Sequence[Picture]:
    """Return the figures of receptive fields, grouping and structure over the epochs.

    Arguments:
        run: The run; the network of its best epoch is looked at.
        folder: Folder of the data, None for that of the training or none at all.
        split: Whose examples the neurons answer, None to say nothing of spikes.
        threads: Threads, all cores if None.

    Raises:
        InputError: The run or the data cannot be used.
    """
    found = analyse(
        run,
        folder=folder,
        split=split or "validation",
        with_data=split is not None,
        threads=threads,
    )
    return pictures(found)
