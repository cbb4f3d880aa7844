"""Writing the folder of C source."""

from pathlib import Path

from mlgenn_delays.errors import WorkError
from mlgenn_delays.export.artifact import Artifact
from mlgenn_delays.export.c.costs import Costs, Limits, costs_of
from mlgenn_delays.export.c.examples import random_examples
from mlgenn_delays.export.c.fit import fitting
from mlgenn_delays.export.c.header import header
from mlgenn_delays.export.c.make import make_layout
from mlgenn_delays.export.c.programs import programs
from mlgenn_delays.export.c.source import source
from mlgenn_delays.export.c.text import check_prefix
from mlgenn_delays.quantisation import Quantised


def write_c(
    artifact: Artifact,
    folder: Path,
    *,
    quantised: Quantised | None = None,
    limits: Limits | None = None,
    prefix: str = "delaysnn",
    examples: bool = True,
) -> Costs:
    """Write a network as C99 source.

    The folder gets ``PREFIX_model.h``, ``PREFIX_model.c``, ``test_model.c``, ``example.c``,
    ``test_examples.txt``, ``Makefile`` and ``README.md``.

    Arguments:
        artifact: The network; with ``quantised``, of the network that `quantise` returned.
        folder: Made if it is not there.
        quantised: Integer weights from `quantise`; float32 weights if None.
        limits: Memory that the program must fit; of those that do, the one of the fewest operations
            is written. The smallest if None.
        prefix: What every C name begins with; two networks in one program need two.
        examples: Whether to write examples with the outputs of the CPU engine, for ``make test``.

    Returns:
        What the program takes.

    Raises:
        InputError: The prefix is no C name, the integers are of another network, weights are not
            finite, the state would exceed 2 GiB, or the program does not fit.
        WorkError: A file cannot be written.
    """
    check_prefix(prefix)
    layout = fitting(artifact, quantised, limits) if limits else make_layout(artifact, quantised)
    made = costs_of(layout)
    files = programs(artifact, layout, made, prefix)
    files[f"{prefix}_model.h"] = header(artifact, layout, made, prefix)
    files[f"{prefix}_model.c"] = source(layout, prefix)
    given = random_examples(artifact) if examples else []
    files["test_examples.txt"] = "".join(example.text() for example in given)
    for name, text in files.items():
        _write(Path(folder) / name, text)
    return made


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="ascii", newline="\n")
    except OSError as error:
        raise WorkError(
            f"cannot write {path}: {error.strerror or error}; free space or choose another folder"
        ) from error
