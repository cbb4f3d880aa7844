"""Small sweeps, and what stands for the processes of their trainings."""

import io
import os
import re
from pathlib import Path
from types import SimpleNamespace

from mlgenn_delays.files import write_atomic
from mlgenn_delays.kernels import kernel_cache
from mlgenn_delays.sweep.child import Child, Task
from tests.cli.helpers import call

# A training that takes next to no time.
SMALL = ("network.layers.0.size=4", "learning.batch_size=256")
SET = [word for text in SMALL for word in ("--set", text)]
# The kernels that this process uses: trainings compile none of their own in an empty cache.
KERNELS = kernel_cache()


def share_kernels(monkeypatch) -> None:
    """Let processes of their own use the kernels of this one."""
    if KERNELS is not None:
        monkeypatch.setenv("NUMBA_CACHE_DIR", str(KERNELS.parent))


def trained_epochs(log: Path) -> list[int]:
    return [int(number) for number in re.findall(r"^ *(\d+)/\d+ ", log.read_text(), re.M)]


class Here(Child):
    """In the place of `Child`: the training in this process, which has ended then.

    Arguments:
        task: What to train.
    """

    pid = os.getpid()

    def __init__(self, task: Task) -> None:
        self.task = task
        write_atomic(task.recipe_path, task.recipe)
        task.log.parent.mkdir(parents=True, exist_ok=True)
        words = task.command()
        done = call(*words[words.index("train") :])
        task.answer_path.write_text(done.stdout)
        with task.log.open("a") as log:
            log.write(done.stderr)
        self._process = SimpleNamespace(stdin=io.StringIO())
        self._close(done.exit_code, None)
