"""The whole files that are mutated: small runs, data, sweeps and exports, made once."""

import os
import shutil
import wave
from pathlib import Path
from unittest.mock import patch

import numpy as np

from mlgenn_delays.export.artifact import About, Artifact, write_bundle
from mlgenn_delays.kernels import kernel_cache
from mlgenn_delays.sweep import executor
from tests.cli.helpers import SMALL, call, write_rawhd
from tests.data.shd_helpers import events, write_file, write_shd
from tests.export.genn.test_refusals import write as write_genn_folder
from tests.export.neurons import hostile_network
from tests.reference.nets import StepRecipe
from tests.sweep.helpers import Here

SPOKEN = ["--set", 'data={dataset="folder"}', "--set", "learning.batch_size=8"]
OWN = ["--set", 'data={dataset="npz", duration=20.0}', "--set", "learning.batch_size=4"]


def make_base(folder: Path) -> Path:
    """Make all files in a folder; return it."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["DELAYSNN_CACHE"] = str(folder / "cache")
    _train(folder / "run", "digits", *SMALL)
    _begun(folder / "begun", "digits", *SMALL)
    _words(folder / "words")
    rawhd = write_rawhd(folder / "rawhd", 80, 40)
    rewired = ("data.validation=0.25", "rewiring.rule=rigl", "network.sparsity=0.5")
    rewired += ("network.layers.0.size=6", "learning.batch_size=16")
    rewiring = [word for text in rewired for word in ("--set", text)]
    _begun(folder / "rewired", "rawhd", *rewiring, "--data", rawhd)
    small = ["--set", "network.layers.0.size=4"]
    _train(folder / "spoken", "fsdd", *SPOKEN, *small, "--data", folder / "words")
    _npz(folder / "events.npz")
    _train(folder / "own", "fsdd", *OWN, *small, "--data", folder / "events.npz")
    _hdf5(folder / "shd")
    for form, name in (("bundle", "net.safetensors"), ("nir", "net.nir")):
        _done("export", folder / "own", "--format", form, "--out", folder / name)
    _declared(folder / "declared.safetensors")
    np.save(folder / "raster.npy", np.eye(8, 12, dtype=np.uint8)[None].repeat(2, 0))
    _kernels(folder)
    write_genn_folder(folder / "genn")
    with patch.object(executor, "Child", Here):
        _done("sweep", "digits", *SMALL, "--epochs", 1, "--workers", 1, "--out", folder / "sweep",
              "--grid", "delays.learn=true,false")  # fmt: skip
    return folder


def _done(*arguments: object) -> None:
    """Run a command that must end well."""
    result = call(*arguments)
    assert result.exit_code == 0, result.output


def _train(path: Path, *arguments: object) -> None:
    """Make a run of two epochs."""
    _done("train", *arguments, "--epochs", 2, "--threads", 1, "--out", path)


def _begun(path: Path, *arguments: object) -> None:
    """Make a run of two epochs as it was after the first."""
    from mlgenn_delays.runs.directory import RunDirectory

    commit = RunDirectory.commit
    made = path.with_name(f"{path.name}-whole")

    def stop(run: RunDirectory, *what: object) -> None:
        commit(run, *what)
        if not path.exists():
            shutil.copytree(run.path, path)

    with patch.object(RunDirectory, "commit", stop):
        _train(made, *arguments)
    shutil.rmtree(made)


def _words(folder: Path) -> None:
    """Write short tones of two classes as WAVs, with a list of those for validation."""
    time = np.arange(800) / 8000
    for label, pitch in (("down", 300), ("up", 1500)):
        (folder / label).mkdir(parents=True)
        for take in range(8):
            sound = 20000 * np.sin(2 * np.pi * (pitch + 20 * take) * time)
            with wave.open(str(folder / label / f"ann_{take}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(sound.astype("<i2").tobytes())
    (folder / "validation_list.txt").write_text("down/ann_0.wav\nup/ann_0.wav\n")
    (folder / "testing_list.txt").write_text("down/ann_1.wav\nup/ann_1.wav\n")


def _npz(path: Path) -> None:
    """Write events of 20 examples of two classes."""
    rng = np.random.default_rng(0)
    start = np.arange(21) * 6
    np.savez(
        path,
        times=rng.uniform(0, 18, 120),
        channels=rng.integers(0, 12, 120),
        start=start,
        labels=np.arange(20) % 2,
        label_names=np.array(["no", "yes"]),
        names=np.array([f"take {k}" for k in range(20)]),
        groups=np.arange(20) // 2,
    )


def _declared(path: Path) -> None:
    """Write a bundle of neurons that do not come with the package."""
    network = hostile_network(StepRecipe(1, sizes=(12, 6, 2)))
    write_bundle(Artifact.of(network, About(n_steps=20, labels=("no", "yes"))), path)


def _hdf5(folder: Path) -> None:
    """Write a small file of each split of SHD, and one of the channels of the events."""
    write_shd(folder)
    few = [(units % 12, times) for units, times in events(5)]
    write_file(folder.parent / "few.h5", few)


def _kernels(folder: Path) -> None:
    """Copy the kernels of this process."""
    kept = kernel_cache()
    if kept is not None:
        shutil.copytree(kept, folder / "kernels" / kept.name)
