"""delaysnn doctor."""

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from mlgenn_delays.engines.genn import checks as genn_checks

from .console import say, say_json
from .options import BACKENDS, JSON

LINES = 5  # of what a process said that are shown
LIMIT = 300.0  # seconds for all backends; nvcc takes its time


def examine_genn(installed: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """GeNN's versions, whether each backend works, and hints by package where one is too old."""
    versions = {name: genn_checks.installed_version(name) for name in genn_checks.OLDEST}
    hints = {
        name: f"version {found} is too old: install {genn_checks.OLDEST[name]} or later"
        for name, found in genn_checks.too_old().items()
    }
    if installed:
        backends = try_backends(BACKENDS)
    else:
        reason = "pygenn or ml_genn is not installed"
        backends = {name: {"works": False, "reason": reason} for name in BACKENDS}
    return {"installed": installed, "versions": versions, "backends": backends}, hints


def try_backends(names: tuple[str, ...], limit: float = LIMIT) -> dict[str, dict[str, Any]]:
    """Try all backends at once; what has not finished after `limit` seconds does not work."""
    deadline = time.monotonic() + limit
    tries = [_Try(name) for name in names]
    try:
        return {each.name: each.result(deadline - time.monotonic(), limit) for each in tries}
    finally:
        for each in tries:
            each.end()


class _Try:
    """A process that tries a backend; its folder stays where a reason names it."""

    def __init__(self, name: str) -> None:
        from mlgenn_delays.kernels import kernel_cache

        self.name, self._kept = name, False
        self._folder = Path(tempfile.mkdtemp(prefix="delaysnn-doctor-"))
        kernels = kernel_cache()
        places = {"DELAYSNN_CACHE": str(self._folder)}
        if kernels is not None:
            places["NUMBA_CACHE_DIR"] = str(kernels.parent)
        with open(self._folder / "out", "wb") as out, open(self._folder / "err", "wb") as err:
            # A session of its own, so that compilers that it started end with it.
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.probe", name],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=os.environ | places,
                start_new_session=True,
            )  # fmt: skip

    def result(self, timeout: float, limit: float) -> dict[str, Any]:
        try:
            code = self._process.wait(max(0.0, timeout))
        except subprocess.TimeoutExpired:
            return {"works": False, "reason": f"no answer within {limit:g} s"}
        with suppress(IndexError, ValueError):
            found: dict[str, Any] = json.loads(self._said("out")[-1])
            self._kept = str(self._folder) in found.get("reason", "")
            return found
        logs = [
            path.read_text(errors="replace") for path in sorted(self._folder.rglob("build.log"))
        ]
        lines = self._said("out") + self._said("err") + "\n".join(logs).splitlines()
        said = "\n".join(lines[-LINES:])
        return {"works": False, "reason": f"it ended with exit code {code}\n{said}".rstrip()}

    def _said(self, name: str) -> list[str]:
        return (self._folder / name).read_text(errors="replace").splitlines()

    def end(self) -> None:
        """End the process, if it runs, and what it started, and remove what is left of it."""
        if self._process.poll() is None:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
            self._process.wait()
        if not self._kept:
            shutil.rmtree(self._folder, ignore_errors=True)


PACKAGES = ("numpy", "numba", "pydantic", "safetensors", "h5py", "librosa", "scikit-learn")
GENN = "https://genn-team.github.io"
_VERSIONS = " and ".join(f"{name} {oldest}" for name, oldest in genn_checks.OLDEST.items())
_GENN_HINT = (
    f"only for --engine genn; it is on no package registry: install it as {GENN} says "
    f"({_VERSIONS}, or later)"
)
_DRIVER_HINT = "only for GPUs: install the NVIDIA driver"
_CUDA_HINT = "only for GPUs: install the CUDA toolkit and put its bin folder on PATH"
# What is not needed on the CPU engine, and what to do to have it.
TOOLS = {"nvidia-smi": _DRIVER_HINT, "nvcc": _CUDA_HINT}
MODULES = {
    "pygenn": _GENN_HINT,
    "ml_genn": _GENN_HINT,
    "tonic": "only for tonic:NAME, and to download SHD and SSC: pip install 'delaysnn[datasets]'",
}


@click.command()
@JSON
def doctor(as_json: bool) -> None:
    """Say what works on this machine, and for each thing missing what to do.

    Exits with 0 if training on the CPU engine works.
    """
    found = examine()
    if as_json:
        say_json(found)
    else:
        _show(found)
    if not found["works"]:
        raise click.exceptions.Exit(1)


def examine() -> dict[str, Any]:
    """All findings, as --json prints them; ``works`` is whether the CPU engine can train."""
    from mlgenn_delays import __version__

    versions: dict[str, str | None] = {"delaysnn": __version__, "python": platform.python_version()}
    versions |= {name: genn_checks.installed_version(name) for name in PACKAGES}
    hints = {
        name: "pip install --upgrade delaysnn installs it"
        for name, text in versions.items()
        if text is None
    }
    cpu, problems = _examine_cpu()
    hints |= problems
    optional = {name: shutil.which(name) for name in TOOLS}
    optional |= {name: _module(name) for name in MODULES}
    hints |= {name: (TOOLS | MODULES)[name] for name, place in optional.items() if place is None}
    genn, problems = examine_genn(None not in (optional["pygenn"], optional["ml_genn"]))
    hints |= problems
    works = cpu["compiles"] and cpu["engine"] and cpu["sound"]
    works = works and None not in versions.values()
    return {
        "works": works, "versions": versions, "cpu": cpu, "genn": genn, "optional": optional,
        "hints": hints,
    }  # fmt: skip


def _module(name: str) -> str | None:
    """Where a module is, without running it; None if it is not installed."""
    try:
        found = find_spec(name)
    except (ImportError, ValueError):
        return None
    return found.origin if found else None


def _examine_cpu() -> tuple[dict[str, Any], dict[str, str]]:
    from mlgenn_delays.machine import available_cores

    cpu: dict[str, Any] = {"cores": available_cores(), "compiles": False}
    cpu |= {"engine": False, "cache": None, "kernels": {}, "sound": False}
    hints: dict[str, str] = {}
    try:
        cpu["compiles"] = _compiles()
    except Exception as error:  # whatever Numba or LLVM raise is the finding
        hints["numba"] = f"cannot compile ({type(error).__name__}: {error}); reinstall numba"
    try:
        import mlgenn_delays.data.augment.augment_kernel
        import mlgenn_delays.data.augment.blend_kernel
        import mlgenn_delays.data.encode.rate_kernel
        import mlgenn_delays.engines.learner  # noqa: F401

        cpu["engine"] = True
    except Exception as error:  # the same
        hints["engine"] = (
            f"cannot be imported ({type(error).__name__}: {error}); reinstall delaysnn"
        )
    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        hints["jit"] = "NUMBA_DISABLE_JIT=1 makes training thousands of times slower: unset it"
    if cpu["engine"]:
        found, problems = _examine_kernels()
        cpu, hints = cpu | found, hints | problems
    try:
        cpu["sound"] = _encodes()
    except Exception as error:  # whatever librosa, Numba or libsndfile raise is the finding
        hints["sound"] = (
            f"recordings cannot be encoded ({type(error).__name__}: {error}); "
            "pip install --upgrade delaysnn installs librosa and soundfile anew"
        )
    return cpu, hints


def _examine_kernels() -> tuple[dict[str, Any], dict[str, str]]:
    from mlgenn_delays.files import cache_folders
    from mlgenn_delays.kernels import PARTS, count_kernels, kernel_cache, kernel_folders

    writable = kernel_cache()
    searched = [folder for part in PARTS for folder in kernel_folders(part)]
    folders = [folder for folder in searched if folder.is_dir()]
    counts = {"whole": 0, "damaged": 0, "ignored": 0}
    for folder in folders:
        for state, n in count_kernels(folder).items():
            counts[state] += n
    hints = {}
    if writable is None:
        hints["cache"] = (
            "no folder to keep compiled kernels in, so what is not compiled yet is compiled at "
            "each start: set NUMBA_CACHE_DIR or DELAYSNN_CACHE to a folder that can be written"
        )
    elif writable.parents[1] in cache_folders()[1:]:
        hints["cache"] = (
            f"compiled kernels are kept in the temporary folder {writable.parent}: "
            "set DELAYSNN_CACHE to a folder that stays and can be written"
        )
    if counts["damaged"]:
        hints["kernels"] = f"{counts['damaged']} are damaged and will be compiled anew when needed"
    if counts["ignored"]:
        hints["owner"] = (
            f"{counts['ignored']} compiled kernels are ignored, because others may write them or "
            "their folder, or they cannot be read: remove them"
        )
    return {"cache": str(writable.parent) if writable else None, "kernels": counts}, hints


def _encodes() -> bool:
    import io

    import numpy as np
    import soundfile

    from mlgenn_delays.data.encode.audio import decode_recording
    from mlgenn_delays.data.encode.base import encode_frames
    from mlgenn_delays.data.encode.mel import MelSettings, mel_transform
    from mlgenn_delays.data.encode.rate import RateEncoder

    settings, out = MelSettings(), io.BytesIO()
    rate = 2 * settings.sample_rate  # so that it is resampled, too
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate // 5) / rate)
    soundfile.write(out, tone, rate, format="WAV")
    samples = decode_recording(out.getvalue(), "a tone", settings.sample_rate)
    frames = mel_transform(settings)(samples)
    _, time = encode_frames([frames], RateEncoder(), hop=settings.hop, duration=200.0, dt=1.0)
    return len(time) > 0


def _compiles() -> bool:
    import numba
    import numpy as np

    def add_up(values: np.ndarray) -> float:
        total = 0.0
        for value in values:
            total += value
        return total

    return bool(numba.njit(add_up)(np.arange(5.0)) == 10.0)


def _show(found: dict[str, Any]) -> None:
    for name, text in found["versions"].items():
        say(f"{name:14} {text or 'missing'}")
    cpu = found["cpu"]
    say(f"{'cores':14} {cpu['cores']}")
    say(f"{'Numba':14} {'compiles' if cpu['compiles'] else 'does not compile'}")
    states = ", ".join(f"{n} {state}" for state, n in cpu["kernels"].items() if n) or "empty"
    say(f"{'kernel cache':14} {cpu['cache'] or 'none that can be written'} ({states})")
    say(f"{'recordings':14} {'are encoded' if cpu['sound'] else 'cannot be encoded'}")
    for name, place in found["optional"].items():
        known = found["genn"]["versions"].get(name)
        say(f"{name:14} {f'{known}  ' if known and place else ''}{place or 'not found'}")
    for name, backend in found["genn"]["backends"].items():
        if backend["works"]:
            text = f"works ({backend['seconds']:.1f} s)"
        else:
            text = f"does not work: {backend['reason']}"
        first, *rest = text.split("\n")
        say(f"{'GeNN ' + name:26} {first}")
        for line in rest:
            say(f"    {line}")
    for name, hint in found["hints"].items():
        say(f"  {name}: {hint}")
    verdict = "works" if found["works"] else "does not work"
    say(f"training on the CPU engine {verdict}")
