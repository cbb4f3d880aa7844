"""What the pages take for granted: data, recordings, a trained run. All of it small."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.cli.helpers import call, write_rawhd, write_words
from tests.cli.published import make_release, point_at, serve, zipped
from tests.data import own_helpers
from tests.data.shd_helpers import write_shd, write_ssc
from tests.data.tonic_helpers import write_nmnist
from tests.web import Web


def npz(folder: Path) -> Path:
    """Write events of three classes as one file."""
    events, labels = own_helpers.examples(60, channels=20)
    return own_helpers.write_events(folder / "data.npz", events, labels)


def nmnist(folder: Path) -> Path:
    write_nmnist(folder, 10)
    return folder


# Data of each kind, for DIR.
DATA: dict[str, Callable[[Path], Path]] = {
    "fsdd": lambda folder: write_words(folder, [0, 1, 5, 6, *range(10, 18)]),
    "shd": lambda folder: write_shd(folder, 200, 40),
    "ssc": write_ssc,
    "rawhd": lambda folder: write_rawhd(folder, 240),
    "folder": own_helpers.write_words,
    "npz": npz,
    "tonic:NMNIST": nmnist,
}


def publish(web: Web, folder: Path, patch) -> None:
    """Serve FSDD, SHD and SSC where they are downloaded from."""
    folder.mkdir()
    point_at(web, patch)
    web.files["/v1.0.10.zip"] = zipped(make_release(folder / "release", patch))
    for kind in ("shd", "ssc"):
        serve(web, kind, folder / kind, patch)


def sound(path: Path) -> None:
    own_helpers.write_wav(path, 320, 0.2)


def sounds(path: Path) -> None:
    for number in range(2):
        sound(path / f"{number}.wav")


def raw(path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 3000, 24_000).astype("<i2")
    path.write_bytes(samples.tobytes())


def images(path: Path) -> None:
    np.save(path, np.random.default_rng(0).integers(0, 17, (2, 8, 8)))


def frames(path: Path) -> None:
    """Write a bit more than a trial of spikes of 200 channels, a line a step."""
    spikes = np.random.default_rng(0).random((1100, 200)) < 0.01
    np.savetxt(path, spikes, fmt="%d")


def foreign(path: Path) -> None:
    """Write a NIR file that another tool might have written."""
    import nir

    rng = np.random.default_rng(0)
    one, v = np.ones(4), 0.02 * np.ones(4)
    neurons = nir.LIF(tau=v, r=one, v_leak=0 * one, v_threshold=one)
    readout = nir.LI(tau=v[:2], r=one[:2], v_leak=0 * one[:2])
    nodes = {
        "input": nir.Input(np.array([3])),
        "first": nir.Linear(rng.random((4, 3))),
        "hidden": neurons,
        "second": nir.Linear(rng.random((2, 4))),
        "readout": readout,
        "output": nir.Output(np.array([2])),
    }
    names = list(nodes)
    nir.write(path, nir.NIRGraph(nodes, list(zip(names, names[1:], strict=False))))


def snn_delays(path: Path) -> None:
    """Write a state dict of SNN-delays, smaller than those of its authors."""
    from safetensors.numpy import save_file

    rng, found = np.random.default_rng(0), {}
    for place, n_pre, n in ((0, 14, 8), (4, 8, 8), (8, 8, 4)):
        name, shape = f"model.{place}", (n, n_pre, 1)
        found[f"{name}.weight"] = rng.normal(0.1, 0.3, shape)
        found[f"{name}.P"] = rng.uniform(-12, 12, (1, *shape))
        found[f"{name}.SIG"] = np.full((1, *shape), 0.23)
        if place < 8:
            norm = zip(("weight", "bias", "running_mean", "running_var"), (1, 0, 0, 1), strict=True)
            found |= {f"model.{place + 1}.{key}": np.full(n, value) for key, value in norm}
    save_file({key: value.astype(np.float32) for key, value in found.items()}, path)


def linear_state(path: Path) -> None:
    """Write a state dict of two linear layers, and of snnTorch's neurons after them."""
    from safetensors.numpy import save_file

    rng, found = np.random.default_rng(0), {}
    for place, n_pre, n in ((0, 9, 8), (2, 8, 6)):
        found[f"{place}.weight"] = rng.normal(0.1, 0.3, (n, n_pre))
        found[f"{place}.bias"] = rng.normal(0.0, 0.05, n)
        if path.stem == "leaky":
            found |= {f"{place + 1}.beta": np.array(0.9), f"{place + 1}.threshold": np.array(1.0)}
    save_file({key: value.astype(np.float32) for key, value in found.items()}, path)


def mlgenn(path: Path) -> None:
    """Write a checkpoint of mlGeNN's, of epoch 4."""
    rng = np.random.default_rng(0)
    path.mkdir()
    np.save(path / "4-Conn_Pop0_Pop1-g.npy", rng.normal(1.0, 1.0, 30).astype(np.float32))
    np.save(path / "4-Conn_Pop0_Pop1-d.npy", rng.uniform(0.0, 9.0, 30).astype(np.float32))
    np.save(path / "4-Conn_Pop1_Pop2-g.npy", rng.normal(1.0, 1.0, 15).astype(np.float32))


# Files and folders that a page speaks of and no command of it has made.
FILES: dict[str, Callable[[Path], None]] = {
    "speech.wav": sound,
    "new.wav": sound,
    "one.wav": sound,
    "two.wav": sound,
    "more-speech": sounds,
    "recordings": sounds,
    "speech.raw": raw,
    "images.npy": images,
    "frames.txt": frames,
    "theirs.nir": foreign,
    "theirs.safetensors": snn_delays,
    "leaky.safetensors": linear_state,
    "norse.safetensors": linear_state,
    "checkpoints": mlgenn,
    "data.npz": lambda path: shutil.move(npz(path.parent / "made"), path),
}


def is_there(path: Path) -> bool:
    if path.is_dir():
        return any(path.iterdir())
    return path.is_file() and path.stat().st_size > 0


def train_speech(data: Path, run: Path) -> None:
    small = ["--set", "network.layers.0.size=12", "--epochs", 1]
    done = call("train", "fsdd", "--data", data, *small, "--out", run)
    assert done.exit_code == 0, done.output


def export_speech(run: Path, path: Path) -> None:
    done = call("export", run, "--format", "bundle", "--out", path)
    assert done.exit_code == 0, done.output
