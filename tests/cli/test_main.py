"""The command line as a whole: help, version, speed, and how it fails."""

import errno
import os
import signal
import subprocess
import sys
import warnings

import click
import pytest
from click.testing import CliRunner

import mlgenn_delays
from mlgenn_delays import __version__
from mlgenn_delays.cli import COMMANDS, main
from mlgenn_delays.cli.console import Interrupted, later, leave_with_one_line
from mlgenn_delays.errors import InputError, WorkError
from tests.cli.helpers import call, refused, start
from tests.needs import needs
from tests.processes import ENOUGH

GENN = ("pygenn", "ml_genn", "mpi4py")
HEAVY = (
    "tonic",
    "numba",
    "librosa",
    "matplotlib",
    "sklearn",
    "pydantic",
    "rich",
    "numpy",
    "h5py",
    *GENN,
)

DATA_HELP = [["data", name, "--help"] for name in ("prepare", "check")]


def test_an_interrupt_comes_later_or_stays_ignored():
    done = []
    with pytest.raises(KeyboardInterrupt), later():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with later():
            signal.raise_signal(signal.SIGINT)
            done.append(2)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done == [1, 2]


def test_version():
    assert call("--version").stdout == f"delaysnn {__version__}\n"


def test_every_help_is_there_and_imports_nothing_heavy():
    asked = [["--help"], *([name, "--help"] for name in COMMANDS), *DATA_HELP]
    code = (
        "import sys, mlgenn_delays.cli as c\n"
        f"for each in {asked!r}:\n"
        "    try: c.main(each, prog_name='delaysnn')\n"
        "    except SystemExit as left: assert not left.code\n"
        f"    print(each, [m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines() == [f"{each} []" for each in asked]
    for name, summary in COMMANDS.items():
        assert f"Usage: delaysnn {name} [" in done.stdout or name == "data"
        assert summary in done.stdout


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_is_quick(arguments):
    """In processor time: what else the machine does is not counted."""
    took = []
    for _ in range(3):
        before = os.times()
        process = start(*arguments)
        process.communicate(timeout=ENOUGH)
        after = os.times()
        took.append(sum(after[2:4]) - sum(before[2:4]))  # of children that were waited for
        assert process.returncode == 0
    assert min(took) < 0.4


def test_nothing_on_the_cpu_engine_imports_genn(trained):
    commands = [
        ["train", "--resume", "--out", str(trained)],
        ["evaluate", str(trained), "--split", "validation"],
        ["recipes", "digits"],
    ]
    code = (
        "import sys, mlgenn_delays.cli as c\n"
        f"for each in {commands!r}:\n"
        "    try: c.main(each)\n"
        "    except SystemExit as left: assert not left.code\n"
        f"print([m for m in {GENN!r} if m in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "problem", "command"),
    [
        (["--nothing"], "--nothing", "main"),
        (["train", "--nothing"], "--nothing", "main train"),
        (["train", "--engine", "gpu"], "'gpu'", "main train"),
        (["evaluate"], "'RUN'", "main evaluate"),
        (["trian"], "'trian' (known: ", "main"),
    ],
)
def test_usage_errors_are_one_line(arguments, problem, command):
    text = refused(*arguments)
    assert problem in text
    assert text.endswith(f"; see {command} --help\n")


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "RUN"],
        ["analyse", "RUN"],
        ["report", "RUN", "--out", "x.html"],
        ["export", "RUN", "--format", "bundle", "--out", "x"],
        ["train", "--resume", "--out", "RUN"],
    ],
)
def test_what_is_no_run(command, tmp_path):
    for run, said in ((tmp_path / "no", "there is no run"), (tmp_path, "must be a run directory")):
        places = {"RUN": run, "x.html": tmp_path / "x.html", "x": tmp_path / "x"}
        assert said in refused(*(places.get(word, word) for word in command))
    assert list(tmp_path.iterdir()) == []


def test_nothing_asked_for_shows_the_help():
    text = call().output
    assert text.startswith("Usage:")
    assert "Commands:" in text


def test_public_names():
    names = ("Augment", "RunDirectory", "Constant", "Cosine", "OneCycle", "EaseIn", "Projection")
    for name in names:
        assert name in mlgenn_delays.__all__
    for name in mlgenn_delays.__all__:
        assert getattr(mlgenn_delays, name) is not None


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no such thing"), 2, "error: no such thing"),
        (WorkError("it failed"), 1, "error: it failed"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 1, "error: the system refused x: "),
        (MemoryError(), 1, "error: out of memory"),
        (ZeroDivisionError("oh"), 1, "error: unexpected ZeroDivisionError: oh; this is a fault"),
        (Interrupted("interrupted; go on"), 130, "interrupted; go on"),
        (click.Abort(), 130, "interrupted"),
        (InputError("one\n  two"), 2, "error: one two"),
        (click.UsageError("not so"), 2, "error: not so"),
        (click.FileError("x", "no\nway"), 1, "error: Could not open file 'x': no way"),
        (click.exceptions.Exit(7), 7, ""),
    ],
)
def test_every_error_is_one_line_and_a_code(error, code, line, capsys, monkeypatch):
    monkeypatch.delenv("DELAYSNN_DEBUG", raising=False)

    def fail():
        raise error

    with pytest.raises(SystemExit) as left:
        leave_with_one_line(fail)
    assert left.value.code == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(line)
    assert said.err.count("\n") == bool(line)


def test_traceback_only_when_asked_for(monkeypatch):
    monkeypatch.setenv("DELAYSNN_DEBUG", "1")
    result = CliRunner().invoke(main, ["train", "nothing"])
    assert isinstance(result.exception, InputError)


def test_warnings_are_one_line(capsys):
    def warn():
        warnings.warn("beware", stacklevel=1)

    with pytest.raises(SystemExit):
        leave_with_one_line(warn)
    assert capsys.readouterr().err == "warning: beware\n"


@needs("/dev/full")
def test_full_disk_for_results():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "delaysnn", "recipes"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
