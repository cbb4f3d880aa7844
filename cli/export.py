"""delaysnn export."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlgenn_delays.bits import BITS, FLOAT, LARGEST

from .console import say, say_json
from .options import BACKENDS, BYTES, JSON, PATH

if TYPE_CHECKING:
    from mlgenn_delays.export.formats import Exported

FORMATS = ("bundle", "genn", "nir", "c", "torch")


@click.command()
@click.argument("model", type=PATH, metavar="RUN")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="bundle: one file for delaysnn infer. genn: GeNN's compiled model. nir: for other tools. "
    "c: C99 source for devices. torch: one file for PyTorch alone.",
)
@click.option(
    "--out", type=PATH, metavar="PATH", required=True, help="File (bundle, nir) or folder to make."
)
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "last"]),
    show_default="best",
    help="Which network of the run: of the best or of the last epoch.",
)
@click.option(
    "--backend", type=click.Choice(BACKENDS), show_default=BACKENDS[0], help="Of genn: for what."
)
@click.option(
    "--weights",
    "--quantise",
    type=click.Choice([*BITS]),
    show_default=FLOAT,
    help="Of c: weights of 32, 8, 4 or 2 bits. If they are rounded, the accuracy before and after "
    "is measured on the validation split.",
)
@click.option(
    "--per",
    type=click.Choice(["neuron", "projection"]),
    show_default="neuron",
    help="Of --weights: what has a scale, each neuron in each projection, or each projection.",
)
@click.option(
    "--ram",
    type=BYTES,
    metavar="SIZE",
    help="Of c: RAM of the device (32k, 1M), which state and stack must fit.",
)
@click.option(
    "--flash",
    type=BYTES,
    metavar="SIZE",
    help="Of c: flash memory, which constants and code must fit.",
)
@click.option(
    "--edges",
    type=click.Choice(["delay", "synapse"]),
    help="Of nir: one branch of the graph per distinct delay, or per synapse.  [default: delay]",
)
@click.option(
    "--euler",
    is_flag=True,
    help="Of nir: time constants with which tools that step by forward Euler compute the same.",
)
@click.option(
    "--data",
    metavar="DIR",
    help="Folder of the data to measure --weights on; that of the training.",
)
@JSON
def export(
    model: str,
    form: str,
    out: str,
    checkpoint: str | None,
    backend: str | None,
    weights: str | None,
    per: str | None,
    ram: int | None,
    flash: int | None,
    edges: str | None,
    euler: bool,
    data: str | None,
    as_json: bool,
) -> None:
    """Export RUN to run without the trainer; RUN may be a bundle or a NIR file as well.

    Normalisation is folded in, delays are whole steps, and neurons that can reach no output are
    left out.
    """
    from mlgenn_delays.errors import InputError
    from mlgenn_delays.export.formats import ExportOptions, export_model

    if data is not None and weights in (None, FLOAT):
        raise InputError(
            f"--data must come with --weights {', '.join(LARGEST)}, measured on it, got "
            f"{data}; leave --data out"
        )
    wanted = ExportOptions(
        form, Path(out), checkpoint, backend=backend, weights=weights, per=per, ram=ram,
        flash=flash, edges=edges, euler=euler,
    )  # fmt: skip
    result = export_model(Path(model), wanted, data)
    if as_json:
        say_json(result.as_dict())
        return
    _show(result)


def _show(result: "Exported") -> None:
    size = f"{result.bytes:,} bytes"
    say(f"{result.form}: {result.path} ({size})")
    neurons = ", ".join(f"{name} {left} of {all_}" for name, left, all_ in result.neurons)
    left = f"neurons: {neurons or 'none that spike'}; synapses: {result.synapses:,}"
    say(left)
    for note in result.notes:
        say(note)
    for each in result.measured:
        say(_measured(each))
    if result.next:
        say(f"next: {result.next}")


def _measured(measured: dict[str, Any]) -> str:
    from mlgenn_delays.engines.metrics import METRIC_OF

    (metric,) = (metric for name, metric in METRIC_OF.items() if name in measured)
    n = f" ({measured['n']} examples)" if measured["n"] else ""
    return f"{measured['split']} {metric.title}: {metric.text(measured[metric.name])}{n}"
