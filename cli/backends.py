"""What GeNN can do here, for `delaysnn doctor`: each backend is tried in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlgenn_delays.engines.genn import versions as genn_versions

from .options import BACKENDS

LINES = 5  # of what a process said that are shown
LIMIT = 300.0  # seconds for all backends; nvcc takes its time


def examine_genn(installed: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what GeNN can do here, and what to do where it is too old.

    Arguments:
        installed: Whether pygenn and ml_genn were found.

    Returns:
        ``installed``, ``versions`` and ``backends`` (by name ``works``, and ``seconds`` or
        ``reason``); and hints by package.
    """
    versions = {name: genn_versions.installed_version(name) for name in genn_versions.OLDEST}
    hints = {
        name: f"version {found} is too old: install {genn_versions.OLDEST[name]} or later"
        for name, found in genn_versions.too_old().items()
    }
    if installed:
        backends = try_backends(BACKENDS)
    else:
        reason = "pygenn or ml_genn is not installed"
        backends = {name: {"works": False, "reason": reason} for name in BACKENDS}
    return {"installed": installed, "versions": versions, "backends": backends}, hints


def try_backends(names: tuple[str, ...], limit: float = LIMIT) -> dict[str, dict[str, Any]]:
    """Return for each backend whether it works, all tried at once.

    Arguments:
        names: The backends.
        limit: Seconds after which what has not answered is given up.
    """
    deadline = time.monotonic() + limit
    tries = [_Try(name) for name in names]
    try:
        return {each.name: each.result(deadline - time.monotonic(), limit) for each in tries}
    finally:
        for each in tries:
            each.end()


class _Try:
    """A process that tries a backend, with new code in a folder of its own.

    The folder stays where the reason for a failure speaks of it.
    """

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
        """Return whether the backend works."""
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
        """Return the lines of what the process printed."""
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
