"""The command line, ended at once when the process that started it ends, however that happens.

`python -m mlgenn_delays.sweep.watched train ...` is `python -m mlgenn_delays.cli train ...`, but
for a standard input that is a pipe held open by the sweep. A sweep that is killed leaves no
training behind that would go on writing to its point.
"""

import os
import runpy
import signal
import threading


def _leave_when_closed() -> None:
    """Wait until the other end of standard input is closed, and end the process."""
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    # Under nohup, say, the sweep ignores interrupts, and so would this: yet it is stopped by one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_leave_when_closed, daemon=True).start()
    runpy.run_module("mlgenn_delays.cli", run_name="__main__", alter_sys=True)
