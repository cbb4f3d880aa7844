"""What is mutated, how, and by what it is read."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.fuzz import mutate
from tests.fuzz.mutate import Mutation

Words = list[str]


@dataclass(frozen=True)
class Target:
    """One file of those of `base`, and what reads it.

    Attributes:
        file: Its path within them; with a star it is one of several.
        commands: Command lines that read it, any of them a case's; ``{}`` is the folder of a case.
        mutations: How it is changed, any of them a case's.
        copied: What of the base a case needs a copy of; the file is always within one of those.
        removed: What of that is taken away first.
        share: How many of a thousand cases are this target's.
        function: Reads it instead of a command, given the folder of a case.
    """

    file: str
    commands: tuple[str, ...] = ()
    mutations: tuple[Mutation, ...] = (mutate.blind,)
    copied: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    share: int = 30
    function: Callable[[Path], None] | None = field(default=None)

    def prepare(self, base: Path, folder: Path, rng: np.random.Generator) -> Words:
        """Make a case's folder with the mutated file in it; return the command that reads it."""
        for name in self.copied or (self.file,):
            source, place = base / name, folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copyfile(source, place)
        for name in self.removed:
            shutil.rmtree(folder / name) if (folder / name).is_dir() else (folder / name).unlink()
        files = sorted(folder.glob(self.file))
        file = files[int(rng.integers(len(files)))]
        mutation = self.mutations[int(rng.integers(len(self.mutations)))]
        file.write_bytes(mutation(file.read_bytes(), rng))
        if self.function is not None:
            return []
        command = self.commands[int(rng.integers(len(self.commands)))]
        return [word.replace("{}", str(folder)) for word in command.split()]


def _override(folder: Path) -> None:
    """Read a recipe with all lines of a recipe as --set."""
    from mlgenn_delays.recipe import load_recipe

    content = (folder / "run" / "recipe.toml").read_bytes()
    section, overrides = "", []
    for line in content.decode("utf-8", "replace").split("\n"):
        if line.startswith("["):
            section = line.strip("[] ") + (".0." if line.startswith("[[") else ".")
        elif "=" in line:
            overrides.append(section + line.strip())
    load_recipe("digits", overrides)


def _course(folder: Path) -> None:
    from mlgenn_delays.runs.run import Run

    Run(folder / "run").history().to_csv()


def _analysis(folder: Path) -> None:
    from mlgenn_delays.analysis.analyse import Settings, analyse
    from mlgenn_delays.analysis.findings import findings
    from mlgenn_delays.runs.run import Run

    found = analyse(Run(folder / "run"), with_data=False, settings=Settings(19), threads=1)
    import json

    json.dumps(findings(found), allow_nan=False)


def _sweep(folder: Path) -> None:
    from mlgenn_delays.errors import WorkError
    from mlgenn_delays.sweep import Sweep, read_results, summarise
    from mlgenn_delays.sweep.results import describe, make_row, to_csv
    from tests.cli.helpers import SMALL

    made = Sweep(
        "digits", folder / "sweep", grid={"delays.learn": [True, False]}, epochs=1,
        overrides=SMALL[1::2],
    )  # fmt: skip
    made.folder.check()
    made.folder.notes()
    rows = []
    for planned in made.points:
        _, record = made.folder.status(planned.point.name, planned.recipe)
        rows.append(make_row(planned.point, record))
        if record is not None:
            describe(record)
    to_csv(["delays.learn"], rows)
    summarise(rows)
    try:
        summarise(read_results(folder / "sweep"))
    except WorkError as error:
        raise AssertionError from error


def _manifest(folder: Path) -> None:
    from mlgenn_delays.export.genn.manifest import read_manifest

    read_manifest(folder / "genn")


def _declared(folder: Path) -> None:
    """Read a bundle whose neurons it declares itself, and their constants."""
    from mlgenn_delays.export.artifact import read_bundle
    from mlgenn_delays.neurons.declare import NEURONS, Neuron

    known = {name: NEURONS.pop(name) for name in ("Hostile", "Squashed") if name in NEURONS}
    try:
        network = read_bundle(folder / "declared.safetensors").network
        for population in network.populations.values():
            if isinstance(population.model, Neuron):
                population.model.constants(network.dt)
    finally:
        NEURONS.update(known)


def _kernels(folder: Path) -> None:
    """Answer with a damaged cache of kernels, in a process of its own: it must not matter."""
    command = [sys.executable, "-m", "delaysnn", "infer", "--threads", "1"]
    done = subprocess.run(
        [*command, str(folder / "net.safetensors"), str(folder / "events.npz")],
        env=os.environ | {"NUMBA_CACHE_DIR": str(folder / "kernels")},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"{done.returncode} {done.stderr[-300:]}")


def targets(scratch: Path) -> dict[str, Target]:
    """Return all targets by name.

    Arguments:
        scratch: A file that mutations may write.
    """
    blind, text, jsons, tensors = mutate.blind, mutate.text, mutate.jsons, mutate.tensors(scratch)
    again = ("evaluate {}/run --threads 1", "train --resume --out {}/run --threads 1")
    run, best = ("run",), "run/checkpoints/best/network.safetensors"
    sealed, words = (blind, tensors, tensors, tensors), ("words", "cache", "spoken")
    look = "data check folder {}/words --set stream=false"
    return {
        "recipe": Target(
            "run/recipe.toml", ("recipes {}/run/recipe.toml",), (text, text, blind), share=80
        ),
        "override": Target("run/recipe.toml", (), (text,), function=_override, share=60),
        "run recipe": Target("run/recipe.toml", again, (text, text, blind), run),
        "environment": Target("run/environment.json", again, (text, jsons, blind), run),
        "metrics": Target(
            "run/metrics.csv", (), (text, blind), run, ("run/checkpoints",), 60, _course
        ),
        "metrics page": Target(
            "run/metrics.csv",
            ("report {}/run --out {}/page.html --without-data",),
            (text,),
            run,
            ("run/checkpoints",),
            2,
        ),
        "network": Target(
            best,
            ("evaluate {}/run --threads 1", "export {}/run --format bundle --out {}/b.safetensors"),
            sealed,
            run,
            share=80,
        ),
        "init": Target(
            best,
            (
                f"train digits --epochs 1 --threads 1 --init {{}}/{best} --out {{}}/new "
                "--set network.layers.0.size=4 --set learning.batch_size=256",
            ),
            sealed,
            run,
        ),
        "record": Target("run/data.safetensors", again, sealed, run),
        "checkpoint": Target(
            "begun/checkpoints/last/state.safetensors",
            ("train --resume --out {}/begun --threads 1",),
            sealed,
            ("begun",),
            share=60,
        ),
        "rewired checkpoint": Target(
            "rewired/checkpoints/last/state.safetensors",
            ("train --resume --out {}/rewired --data {}/rawhd --threads 1",),
            sealed,
            ("rewired", "rawhd"),
            share=60,
        ),
        "snapshot": Target("run/snapshots/*", (), sealed, run, (), 60, _analysis),
        "snapshot figures": Target(
            "run/snapshots/*",
            ("analyse {}/run --without-data --permutations 19 --threads 1",),
            sealed,
            run,
            (),
            2,
        ),
        "bundle": Target(
            "net.safetensors",
            ("infer {}/net.safetensors {}/events.npz --json",),
            sealed,
            ("net.safetensors", "events.npz"),
            share=60,
        ),
        "declared neurons": Target(
            "declared.safetensors", (), sealed, function=_declared, share=60
        ),
        "nir": Target(
            "net.nir",
            ("infer {}/net.nir {}/events.npz",),
            (blind, mutate.hdf5),
            ("net.nir", "events.npz"),
        ),
        "manifest": Target("genn/manifest.json", (), (text, jsons, blind), function=_manifest),
        "own data": Target(
            "events.npz",
            (
                "data check npz {}/events.npz",
                "evaluate {}/own --data {}/events.npz",
                "data check npz {}/events.npz --json",
            ),
            (mutate.npz, mutate.npz, blind),
            ("events.npz", "own"),
            share=80,
        ),
        "inferred npz": Target(
            "events.npz",
            ("infer {}/net.safetensors {}/events.npz",),
            (mutate.npz, mutate.npz, blind),
            ("net.safetensors", "events.npz"),
        ),
        "inferred npy": Target(
            "raster.npy",
            ("infer {}/net.safetensors {}/raster.npy",),
            (mutate.npy,),
            ("net.safetensors", "raster.npy"),
        ),
        "frames": Target(
            "rawhd/*.npy",
            ("data check rawhd {}/rawhd --set validation=0.25",),
            (mutate.npy,),
            ("rawhd",),
        ),
        "recording": Target(
            "words/*/*.wav",
            (look, "infer {}/spoken {}/words"),
            (mutate.wav, mutate.wav, blind),
            words,
            share=50,
        ),
        "lists": Target("words/*.txt", (look,), (text, blind), ("words",), share=20),
        "events": Target(
            "shd/*.h5",
            ("data check shd {}/shd --set validation=0.25",),
            (blind, mutate.hdf5),
            ("shd",),
            share=20,
        ),
        "inferred events": Target(
            "few.h5",
            ("infer {}/net.safetensors {}/few.h5",),
            (blind, mutate.hdf5),
            ("few.h5", "net.safetensors"),
            share=20,
        ),
        "cached data": Target(
            "cache/*.safetensors",
            ("evaluate {}/spoken --data {}/words --threads 1 --split all",),
            (blind, tensors),
            words,
            share=40,
        ),
        # Each takes a process of its own: only if asked for with --targets.
        "kernels": Target(
            "kernels/**/*.nb?",
            copied=("kernels", "net.safetensors", "events.npz"),
            share=0,
            function=_kernels,
        ),
        "sweep results": Target("sweep/results.csv", (), (text, blind), ("sweep",), (), 30, _sweep),
        "sweep record": Target(
            "sweep/points/*/result.json", (), (text, jsons, blind), ("sweep",), (), 50, _sweep
        ),
        "sweep notes": Target(
            "sweep/sweep.json", (), (text, jsons, blind), ("sweep",), (), 10, _sweep
        ),
        "sweep point": Target(
            "sweep/points/*/checkpoints/last/state.safetensors",
            (),
            sealed,
            ("sweep",),
            (),
            20,
            _sweep,
        ),
    }
