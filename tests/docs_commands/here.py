"""The training of a sweep's point in this process; tests/sweep has those in their own."""

import json
import os

from mlgenn_delays.files import write_atomic
from mlgenn_delays.sweep.child import Ending, Task
from tests.cli.helpers import call


class Here:
    """In the place of `mlgenn_delays.sweep.child.Child`: trains at once, and has ended then.

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
        task.log.write_text(done.stderr)
        answer = json.loads(done.stdout) if done.exit_code == 0 else None
        self.ending = Ending(done.exit_code, answer, done.stderr, None)

    def poll(self) -> Ending:
        return self.ending

    def interrupt(self) -> None:
        """Do nothing: it has ended."""

    kill = interrupt
