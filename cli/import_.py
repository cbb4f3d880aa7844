"""delaysnn import."""

import shlex
from pathlib import Path

import click

from mlgenn_delays.errors import InputError

from .console import say
from .options import PATH

# Those of imports.KINDS, which take long to import.
KINDS = ("mlgenn", "nir", "norse", "snn-delays", "snntorch")
FORMATS = ("bundle", "network")


@click.command("import")
@click.argument("model", type=PATH)
@click.option(
    "--from",
    "kind",
    type=click.Choice(KINDS),
    required=True,
    help="What wrote MODEL: PyTorch state dicts (.pt, .safetensors) of SNN-delays, snnTorch and "
    "Norse, a folder of mlGeNN's .npy files, or a NIR file.",
)
@click.option("--dt", type=float, required=True, metavar="MS", help="Length of a step.")
@click.option("--out", type=PATH, metavar="FILE", required=True, help="File to make.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default=FORMATS[0],
    show_default=True,
    help="bundle: for delaysnn infer and export. network: for delaysnn train --init.",
)
@click.option("--steps", type=int, metavar="N", help="Of bundle: length of a trial.")
@click.option(
    "--labels", metavar="A,B,...", help="Of bundle: names of the classes.  [default: 0,1,...]"
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="What MODEL does not say, such as tau_mem=20; docs/how-to/import.md has all.",
)
def import_(
    model: str,
    kind: str,
    dt: float,
    out: str,
    form: str,
    steps: int | None,
    labels: str | None,
    settings: tuple[str, ...],
) -> None:
    """Import MODEL, a network that another tool trained.

    It spikes as the original does, a step later per layer: a trial must be as many steps longer.
    What no network here computes is rejected.
    """
    if form == "network" and (steps is not None or labels is not None):
        raise InputError(
            "--steps and --labels must come with --format bundle, got --format network, which has "
            "none; leave them out"
        )
    if form == "bundle" and steps is None:
        raise InputError(
            "--steps must be the number of steps of a trial, got none; give it, or take "
            "--format network, which needs none"
        )
    from mlgenn_delays.export.artifact import About, Artifact, write_bundle
    from mlgenn_delays.export.formats import check_new, check_place
    from mlgenn_delays.imports import import_network
    from mlgenn_delays.recipe.load import options_of

    path = Path(out)
    check_new(path)
    network = import_network(model, kind, dt=dt, **options_of(settings))
    check_place(path)
    if steps is None:
        network.save(path)
    else:
        about = About.numbered(network, steps)
        if labels is not None:
            named = about.model_copy(update={"labels": tuple(labels.split(","))})
            about = About.of_json(named.model_dump_json())
        write_bundle(Artifact.of(network, about), path)
    for line in str(network).splitlines():
        say(line)
    say(f"{form}: {path} ({path.stat().st_size:,} bytes)")
    file = shlex.quote(str(path))
    following = f"infer {file} INPUT..." if form == "bundle" else f"train RECIPE --init {file}"
    say(f"next: delaysnn {following}")
