"""How many files of the package one small command walks through, and what it does twice.

python benchmarks/walk.py train          # delaysnn train fsdd, on a folder of generated WAVs
python benchmarks/walk.py infer          # delaysnn infer, of one WAV with a bundle

A file counts when a function of it runs; kernels that Numba compiled do not run as Python.
"""

import os
import subprocess
import sys
import tempfile
import threading
import wave
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import click
import numpy as np

import mlgenn_delays
from mlgenn_delays.kernels import kernel_cache

PACKAGE = Path(mlgenn_delays.__file__).parent
FOLDERS = (PACKAGE, PACKAGE.parent / "cli")
# What should be done once: label -> the end of a file's path and the function.
ONCE = {
    "options parsed": ("data/registry.py", "parse_options"),
    "files hashed": ("data/cache.py", "files_hash"),
    "network compiled": ("engines/compile.py", "compile_network"),
}
FUNCTION = 0x1  # CO_OPTIMIZED: neither a module nor the body of a class
SMALL = ["--epochs", "1", "--set", "network.layers.0.size=8"]


@click.command(help=__doc__)
@click.argument("command", type=click.Choice(["train", "infer"]))
@click.option("--files", "listed", is_flag=True, help="List the files as well.")
def walk(command: str, listed: bool) -> None:
    """Run a command under a profiler and print what it walked through."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        kernels = kernel_cache()  # kept, unlike encoded data
        os.environ |= {"DELAYSNN_CACHE": str(base), "NUMBA_CACHE_DIR": str(kernels.parent)}
        recordings = make_recordings(base / "recordings")
        train = ["train", "fsdd", *SMALL, "--data", str(recordings), "--out", str(base / "run")]
        words = train
        if command == "infer":
            bundle = str(base / "model.safetensors")
            export = ["export", str(base / "run"), "--format", "bundle", "--out", bundle]
            for before in (train, export):
                run = [sys.executable, "-m", "delaysnn", *before]
                subprocess.run(run, check=True, capture_output=True)
            words = ["infer", bundle, str(next(recordings.glob("*.wav")))]
        calls = traced(words)
    entered = sorted({file for file, _ in calls})
    click.echo(f"{command}: {len(entered)} files entered")
    for label, (file, name) in ONCE.items():
        times = sum(n for (path, called), n in calls.items() if path == file and called == name)
        click.echo(f"{label}: {times}")
    for file in entered if listed else ():
        click.echo(f"  {file}: {', '.join(sorted(name for path, name in calls if path == file))}")


def make_recordings(folder: Path) -> Path:
    """Write WAVs as FSDD names them: two digits, takes of every split."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for digit in (0, 1):
        for take in (0, 1, 5, 6, 10, 11, 12, 13):
            samples = (random.normal(0, 3000, 2400) * np.hanning(2400)).astype("<i2")
            with wave.open(str(folder / f"{digit}_walk_{take}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(samples.tobytes())
    return folder


def traced(words: list[str]) -> Counter[tuple[str, str]]:
    """Run the command line; return its calls by file and function."""
    calls: Counter[tuple[str, str]] = Counter()
    roots = tuple(f"{folder}/" for folder in FOLDERS)

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_flags & FUNCTION and code.co_filename.startswith(roots):
            path = code.co_filename.replace(f"{PACKAGE}/", "").replace(f"{PACKAGE.parent}/", "")
            calls[path, code.co_name] += 1

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        from mlgenn_delays.cli import main

        main(words)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return calls


if __name__ == "__main__":
    walk()
